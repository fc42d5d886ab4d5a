"""CTC's oracle against its definition: the sum over every path that collapses to the labels, one by one."""

from __future__ import annotations

from itertools import groupby, product

import numpy as np
import pytest

from tests.oracle.exact import MP
from tests.oracle.formulas_of_paths import ctc, ctc_alone, masses, sizes

FRAMES = range(5)
LABELS = ([], [1], [1, 2], [1, 1], [2, 1, 2], [2, 2, 2])


@pytest.mark.parametrize("blank", [0, 2])
@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("frames", FRAMES)
def test_masses_are_sums_over_every_path(frames, labels, blank):
    labels = [(label + blank) % 3 for label in labels]
    weigh = _draw(frames)
    total, through, both, fails = _enumerated(weigh, labels, blank)
    found, more = masses(weigh, labels, blank), sizes(weigh, labels, blank)
    assert _same(found.total, total)
    for t, c in through:
        assert _same(found.through[t][c], through[t, c])
        assert _same(more.fails[t][c], fails[t, c])
        for u, k in through:
            assert _same(more.both[t, c][u][k], both[t, c][u, k])


@pytest.mark.parametrize("name", ["log_probs", "logits"])
def test_the_gradient_alone_is_that_with_its_sizes(name):
    given = {name: _draw(4, off=5), "targets": [1, 2], "input_lengths": 3, "target_lengths": 2}
    truth, alone = ctc(**given), ctc_alone(**given)
    assert _same(MP.fsum(truth.value), MP.fsum(alone.value))
    for sized, plain in zip(truth.gradient[name], alone.gradient[name], strict=True):
        assert all(_same(MP.fsum(a), MP.fsum(b)) for a, b in zip(sized, plain, strict=True))


def _draw(frames: int, off: float = 0.0) -> list[list[MP.mpf]]:
    """Draw what symbols weigh, from much to little; one of the first frame is ruled out."""
    rng = np.random.default_rng(frames)
    weigh = [[MP.mpf(10) ** int(x) * (1 + i) - off for x in rng.integers(-40, 40, 3)] for i in range(frames)]
    if weigh and not off:
        weigh[0][1] = MP.mpf(0)
    return weigh


def _enumerated(weigh, labels, blank):
    """Return the mass of all paths that collapse to the labels, of those through a symbol of a frame, and through
    two, and the mass of those through a symbol that do not collapse to them."""
    places = list(product(range(len(weigh)), range(3)))
    total, through, fails = MP.mpf(0), dict.fromkeys(places, MP.mpf(0)), dict.fromkeys(places, MP.mpf(0))
    both = {place: dict.fromkeys(places, MP.mpf(0)) for place in places}
    for path in product(range(3), repeat=len(weigh)):
        mass = MP.fprod(weigh[t][symbol] for t, symbol in enumerate(path))
        if [symbol for symbol, _ in groupby(path) if symbol != blank] != labels:
            for place in enumerate(path):
                fails[place] += mass
            continue
        total += mass
        for place in enumerate(path):
            through[place] += mass
            for other in enumerate(path):
                both[place][other] += mass
    return total, through, both, fails


def _same(a, b) -> bool:
    return abs(a - b) <= MP.mpf(10) ** -350 * abs(b)
