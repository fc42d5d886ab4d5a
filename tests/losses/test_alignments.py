"""The sums over alignments: by probabilities and by logarithms they are the same, and which can be trusted is known."""

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest

from lossd.losses.sequence.alignments import LIMITS, align, by_probabilities
from lossd.losses.sequence.log_alignments import by_logarithms
from lossd.losses.sequence.paths import Alignments, Paths

EXACT = LIMITS[np.dtype(np.float64)]


@pytest.fixture(autouse=True)
def _as_the_engine_does() -> Iterator[None]:
    with np.errstate(all="ignore"):
        yield


def paths(chances: list[np.ndarray], labels: list[list[int]], blank: int = 0) -> Paths:
    """Return the paths of samples from each one's ``(frames, C)`` probabilities and labels."""
    frames = np.array([len(chance) for chance in chances])
    lengths = np.array([len(word) for word in labels])
    steps, width, count = frames.max(), 2 * lengths.max() + 1, len(labels)
    emitted = np.zeros((steps, width, count))
    skips, back = np.zeros((width, count)), np.zeros((width, count))
    for sample, (chance, word) in enumerate(zip(chances, labels, strict=True)):
        states = [blank] * width
        states[1 : 2 * len(word) : 2] = word
        emitted[: len(chance), :, sample] = np.log(chance)[:, states]
        for of, way in ((skips, word), (back, word[::-1])):
            for place in range(1, len(way)):
                of[2 * place + 1, sample] = way[place] != way[place - 1]
    nothing = np.zeros((steps, count))
    return Paths(emitted, nothing, nothing, skips, back, frames, 2 * lengths)


def random_paths(seed: int, *, peak: float) -> Paths:
    """Return samples of several lengths, whose frames are the surer the larger ``peak`` is."""
    rng = np.random.default_rng(seed)
    chances, labels = [], []
    for _ in range(12):
        word = rng.integers(1, 6, rng.integers(0, 8)).tolist()
        chance = np.exp(peak * rng.standard_normal((2 * len(word) + rng.integers(1, 40), 6)))
        chances.append(chance / chance.sum(axis=1, keepdims=True))
        labels.append(word)
    return paths(chances, labels)


def enumerate_alignments(chance: np.ndarray, word: list[int]) -> float:
    """Return minus the logarithm of the sum over every sequence of symbols that reads as ``word``."""
    total = math.fsum(
        math.prod(chance[frame, symbol] for frame, symbol in enumerate(symbols))
        for symbols in itertools.product(range(chance.shape[1]), repeat=len(chance))
        if [symbol for symbol, _ in itertools.groupby(symbols) if symbol] == word
    )
    return -math.log(total)


def assert_same(found: Alignments, expected: Alignments, samples: Paths, relative: float) -> None:
    np.testing.assert_allclose(found.value, expected.value, rtol=relative)
    within = np.arange(len(samples.emitted))[:, None] < samples.frames
    for posterior in (found.posterior, expected.posterior):
        np.testing.assert_allclose(posterior.sum(axis=1)[within], 1, rtol=relative)
    heard = np.broadcast_to(within[:, None], found.posterior.shape)
    np.testing.assert_allclose(found.posterior[heard], expected.posterior[heard], rtol=0, atol=relative)


@pytest.mark.parametrize("peak", [0.0, 1.0, 5.0])
@pytest.mark.parametrize("seed", range(5))
def test_probabilities_and_logarithms_come_to_the_same(seed: int, peak: float) -> None:
    samples = random_paths(seed, peak=peak)
    found, failed = by_probabilities(samples, EXACT)
    kept = np.flatnonzero(~failed)
    assert len(kept) > 3
    some = samples.of(kept)
    # Logarithms of a hundred frames have an ulp of a few hundred.
    of_kept = Alignments(found.value[kept], found.posterior[:, :, kept])
    assert_same(of_kept, by_logarithms(some), some, 1e-12)


def test_both_are_the_sum_over_every_alignment() -> None:
    rng = np.random.default_rng(0)
    words = [[1, 1], [1, 2], [2], []]
    chances = [rng.dirichlet(np.ones(3), size) for size in (6, 5, 4, 3)]
    samples = paths(chances, words)
    expected = [enumerate_alignments(*one) for one in zip(chances, words, strict=True)]
    found, failed = by_probabilities(samples, EXACT)
    assert not failed.any()
    np.testing.assert_allclose(found.value, expected, rtol=1e-14)
    np.testing.assert_allclose(by_logarithms(samples).value, expected, rtol=1e-14)


def lingering(frames: int, likely: float) -> np.ndarray:
    """Return frames that are all but certainly blank."""
    return np.tile([1 - likely, likely], (frames, 1))


FAILURES = {
    "ways that matter are nothing beside those that lead nowhere": ([lingering(400, 1e-8)], [[1] * 60]),
    "a certain alignment, whose loss is in the last digits of 1": ([lingering(10, 1e-13)], [[]]),
    "no alignment": ([lingering(3, 0.5)], [[1, 1, 1]]),
    "an impossible symbol": ([np.array([[0.5, 0.0], [1.0, 0.0]])], [[1]]),
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_probabilities_cannot_tell_is_left_to_logarithms(name: str) -> None:
    samples = paths(*FAILURES[name])
    assert by_probabilities(samples, EXACT)[1].all()
    found, expected = align(samples, EXACT), by_logarithms(samples)
    np.testing.assert_array_equal(found.value, expected.value)
    np.testing.assert_array_equal(found.posterior, expected.posterior)


def test_a_sample_that_fails_leaves_its_neighbours_alone() -> None:
    chances = [np.random.default_rng(0).dirichlet(np.ones(2), 20), lingering(400, 1e-8)]
    words = [[1, 1], [1] * 60]
    both = align(paths(chances, words), EXACT)
    first = align(paths(chances[:1], words[:1]), EXACT)
    # Sums over more frames and states group their addends in another way.
    np.testing.assert_allclose(both.value[0], first.value[0], rtol=1e-14)
    np.testing.assert_allclose(both.posterior[:20, :5, 0], first.posterior[:, :, 0], rtol=1e-13)


def test_a_loss_near_zero_keeps_its_digits() -> None:
    found = align(paths([lingering(10, 1e-13)], [[]]), EXACT)
    assert found.value[0] == pytest.approx(1e-12, rel=1e-3)  # 1 - 1e-13 itself has three digits of 1e-13


def test_alignments_are_compared_where_they_differ() -> None:
    """One frame of the first of two words decides, whatever the frames of the second weigh."""
    ordinary = np.array([[0.0, -np.inf], [0.0, -1.0], [-np.inf, 0.0], [0.0, -np.inf]])
    for weight in (0.0, 1e5, 1e17, 1e300):
        certain = np.array([[-np.inf, -weight], [-weight, -np.inf]])
        frames = np.concatenate([ordinary, certain, certain])
        states = [0, 1, 0, 1, 0, 1, 0]
        emitted = frames[:, states, None].astype(float)
        skips, nothing = np.zeros((7, 1)), np.zeros((len(frames), 1))
        found = by_logarithms(
            Paths(emitted, nothing, nothing, skips, skips, np.array([len(frames)]), np.array([6]))
        )
        assert found.value == pytest.approx(4 * weight - math.log1p(math.exp(-1)), rel=1e-15)
        assert found.posterior[1, 1, 0] == pytest.approx(1 / (1 + math.e), rel=1e-15)
