"""The bits of a tree's sum depend on places alone."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from lossd.numerics.tree_sum import TreeSum, tree_total


def _by_definition(terms: list[float | None]) -> float | None:
    """Add neighbours, then pairs of neighbours, and so on."""
    while len(terms) > 1:
        terms = [*terms, *([None] if len(terms) % 2 else [])]
        pairs = zip(terms[::2], terms[1::2], strict=True)
        terms = [b if a is None else a if b is None else a + b for a, b in pairs]
    return terms[0] if terms else None


@pytest.mark.parametrize("seed", range(30))
def test_terms_in_any_order_and_any_parts_come_to_the_same_bits(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 200))
    terms = [None if rng.random() < 0.2 else float(x) for x in rng.standard_cauchy(count)]
    expected = _by_definition(list(terms))
    assert tree_total(terms) == expected

    scattered = TreeSum()
    for place in rng.permutation(count):
        scattered.add(int(place), terms[place])
    assert scattered.total() == expected

    edges = [0, *np.sort(rng.integers(0, count + 1, 3)), count]
    parts = []
    for first, last in itertools.pairwise(edges):
        part = TreeSum()
        for place in range(first, last):
            part.add(place, terms[place])
        parts.append(part)
        assert len(part.nodes) <= 2 * math.log2(max(last - first, 2)) + 1
    combined = TreeSum()
    for part in rng.permutation(np.array(parts, object)):
        for (level, place), term in part.nodes.items():
            combined.add(place, term, level)
    assert combined.total() == expected


def test_terms_left_out_count_as_nothing() -> None:
    sparse = TreeSum()
    terms = {3: 0.1, 4: 0.2, 9: 0.7, 40: 0.3}
    for place, term in terms.items():
        sparse.add(place, term)
    assert sparse.total() == _by_definition([terms.get(place) for place in range(41)])


def test_nothing_adds_up_to_none() -> None:
    assert TreeSum().total() is None


def test_arrays_are_added_element_by_element_and_stay_as_they_are() -> None:
    terms = [np.full(3, float(k)) for k in range(7)]
    np.testing.assert_array_equal(tree_total(terms), np.full(3, 21.0))
    np.testing.assert_array_equal(terms[0], np.zeros(3))
