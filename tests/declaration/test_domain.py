"""Domains: what they mark, what they are called, and that their samples lie in them."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np
import pytest

from lossd.declaration.domain import (
    BOOLEAN,
    POSITIVE,
    PROBABILITY,
    REAL,
    SIGN,
    WEIGHT,
    Distribution,
    Domain,
    Interval,
    OneOf,
    Whole,
    domain_text,
)
from lossd.declaration.index_domain import Index, Length

SIZES = {"C": 4, "S": 3, "blank": 1}
NAN, INF = np.nan, np.inf


class Said(NamedTuple):
    """A domain, its words, and numbers within and without."""

    domain: Domain
    text: str
    inside: list
    outside: list
    kind: str = "real"


DOMAINS = {
    "real": Said(REAL, "numbers", [0.0, -INF, INF, NAN], []),
    "weight": Said(WEIGHT, "numbers", [0.0, -1.0], []),
    "at least": Said(Interval(2.0), "numbers >= 2", [2.0, INF, NAN], [1.9, -INF]),
    "above": Said(POSITIVE, "numbers > 0", [5e-324, 1.0, INF, NAN], [0.0, -0.0, -1.0]),
    "closed": Said(PROBABILITY, "numbers in [0, 1]", [0.0, 1.0, NAN], [-5e-324, 1.0000000001, INF]),
    "open": Said(
        Interval(0.0, 1.0, closed="neither"), "numbers in (0, 1)", [5e-324, 0.5, NAN], [0.0, 1.0, -1.0, 2.0]
    ),
    "open on the right": Said(
        Interval(0.0, 1.0, closed="left"), "numbers in [0, 1)", [0.0, 0.5, NAN], [1.0, -1.0]
    ),
    "open on the left": Said(
        Interval(0.0, 1.0, closed="right"), "numbers in (0, 1]", [1.0, 0.5, NAN], [0.0, -1.0, 2.0]
    ),
    "distribution": Said(Distribution(), "numbers in [0, 1]", [0.0, 1.0], [-0.1, 1.1]),
    "sign": Said(SIGN, "numbers that are -1 or 1", [-1.0, 1.0, NAN], [0.0, 0.5, INF]),
    "one of three": Said(OneOf((0, 1, 2)), "numbers that are 0 or 1 or 2", [0.0, 2.0], [3.0, -1.0, 0.1]),
    "index": Said(Index("C"), "whole numbers in [0, C)", [0, 3], [-1, 4, 2**40], "whole"),
    "padded index": Said(
        Index("C", padding=-1), "whole numbers in [0, C), padded with -1", [-1, 0, 3], [-2, 4], "whole"
    ),
    "other index": Said(
        Index("C", other_than="blank"),
        "whole numbers in [0, C) other than blank",
        [0, 2, 3],
        [1, 4, -1],
        "whole",
    ),
    "length": Said(Length("S"), "whole numbers in [0, S]", [0, 3], [-1, 4], "whole"),
    "whole": Said(Whole(), "whole numbers", [-5, 0, 2**62], [], "whole"),
    "boolean": Said(BOOLEAN, "true and false, or 1 and 0", [0, 1], [2, -1], "boolean"),
}
every_domain = pytest.mark.parametrize("said", DOMAINS.values(), ids=DOMAINS)


@every_domain
def test_a_domain_marks_what_is_outside_and_nothing_else(said):
    assert said.domain.kind == said.kind
    assert said.domain.forbidden(np.array(said.inside), SIZES) is None
    assert said.domain.forbidden(np.array(said.inside * 2).reshape(2, -1), SIZES) is None
    mixed = np.array([*said.inside, *said.outside])
    wrong = said.domain.forbidden(mixed, SIZES)
    if not said.outside:
        assert wrong is None
        return
    np.testing.assert_array_equal(wrong, [False] * len(said.inside) + [True] * len(said.outside))
    for number in said.outside:
        assert said.domain.forbidden(np.array([number]), SIZES).all()
        assert said.domain.forbidden(np.array(number), SIZES).all()  # of no axes


@every_domain
@pytest.mark.parametrize("dtype", [np.float32, np.float16, ">f8", np.int16, np.uint8, np.int64])
def test_a_domain_reads_every_type_that_holds_its_numbers(said, dtype):
    if (said.kind == "real") != (np.dtype(dtype).kind == "f"):
        return
    limits = np.iinfo(dtype) if np.dtype(dtype).kind in "iu" else np.finfo(dtype)
    for numbers, right in ((said.inside, True), (said.outside, False)):
        held = [n for n in numbers if not np.isfinite(n) or limits.min <= n <= limits.max]
        # what rounds to another number is another number
        held = [n for n in held if n != n or float(np.asarray(n, dtype)) == n]
        for number in held:
            assert (said.domain.forbidden(np.array([number], dtype), SIZES) is None) == right, number


@every_domain
def test_no_numbers_are_inside(said):
    for shape in ((0,), (0, 4), (2, 0)):
        empty = np.zeros(shape, np.int64 if said.kind != "real" else np.float64)
        assert said.domain.forbidden(empty, SIZES) is None


@every_domain
def test_a_domain_describes_itself(said):
    assert str(said.domain) == said.text


@every_domain
@pytest.mark.parametrize("shape", [(50, 4), (4,), ()], ids=str)
def test_samples_lie_inside_and_differ(said, shape):
    if shape == () and (isinstance(said.domain, Distribution) or getattr(said.domain, "padding", None)):
        return  # they have an axis
    drawn = np.asarray(said.domain.sample(np.random.default_rng(3), shape, SIZES))
    assert drawn.shape == shape
    assert said.domain.forbidden(drawn, SIZES) is None
    assert {"real": "f", "whole": "i", "boolean": "b"}[said.kind] == drawn.dtype.kind
    if shape == (50, 4):
        assert len(np.unique(drawn)) > 1


@pytest.mark.parametrize("closed", ["both", "left", "right", "neither"])
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-3.0, 5.0), (2.0, INF)])
def test_samples_of_an_interval_keep_away_from_its_ends(low, high, closed):
    drawn = Interval(low, high, closed=closed).sample(np.random.default_rng(0), (1000,), {})
    assert drawn.min() > low
    assert drawn.max() < high


def test_probabilities_of_all_classes_sum_to_one():
    drawn = Distribution().sample(np.random.default_rng(0), (5, 4), {})
    np.testing.assert_allclose(drawn.sum(axis=1), 1, rtol=1e-15)


@pytest.mark.parametrize("dtype", ["i1", "i8", "u1", "u8"])
def test_the_ends_of_padded_indices_are_those_of_every_type(dtype: str):
    padded, ends = Index("C", padding=-1), np.iinfo(dtype)
    assert padded.forbidden(np.arange(4, dtype=dtype), SIZES) is None
    assert list(padded.forbidden(np.array([3, 4, ends.max], dtype), SIZES)) == [False, True, True]
    if ends.min:
        assert list(padded.forbidden(np.array([-1, ends.min, -2], dtype), SIZES)) == [False, True, True]


def test_padding_stands_behind_the_indices_of_a_row_and_each_is_there_once():
    drawn = Index("C", padding=-1).sample(np.random.default_rng(0), (100, 4), SIZES)
    assert (np.diff(drawn == -1, axis=1).sum(axis=1) <= 1).all()
    assert (drawn[:, 0] != -1).all()
    for row in drawn:
        assert sorted(set(row) - {-1}) == sorted(row[row != -1])


def test_every_index_is_drawn_but_the_one_that_selects_nothing():
    rng = np.random.default_rng(0)
    assert set(Index("C").sample(rng, (200,), SIZES)) == {0, 1, 2, 3}
    for blank in range(4):
        drawn = Index("C", other_than="blank").sample(rng, (200,), {**SIZES, "blank": blank})
        assert set(drawn) == {0, 1, 2, 3} - {blank}


def test_a_call_s_lengths_stand_in_the_text():
    assert domain_text(Index("C"), SIZES) == "whole numbers in [0, 4)"
    assert domain_text(Index("C", other_than="blank"), SIZES) == "whole numbers in [0, 4) other than blank, 1"
    assert domain_text(PROBABILITY, SIZES) == "numbers in [0, 1]"


class Recorded(np.ndarray):
    """An array that records which NumPy functions are called on it."""

    calls: ClassVar[list[str]] = []

    def __array_ufunc__(self, function, method, *inputs, **options):
        self.calls.append(function.__name__)
        return getattr(function, method)(*(np.asarray(each) for each in inputs), **options)


@pytest.mark.parametrize(
    ("domain", "values"),
    [
        (PROBABILITY, [0.0, 1.0, 0.5]),
        (Interval(0.0, 1.0, closed="left"), [0.0, 0.5]),
        (Interval(0.0, 1.0, closed="right"), [0.5, 1.0]),
        (Interval(2.0), [2.0, INF]),
    ],
)
def test_numbers_at_the_ends_of_an_interval_are_not_looked_at_one_by_one(domain, values):
    """Labels of 0 and 1 took three more passes than probabilities between them."""
    Recorded.calls.clear()
    assert domain.forbidden(np.array(values).view(Recorded), SIZES) is None
    assert Recorded.calls == ["minimum", "maximum"]
