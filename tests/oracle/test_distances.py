"""Triplets' second derivatives against exact ones, and what an inactive triplet, NaN and infinity make of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.losses import find
from lossd.message import Answer, Call
from tests.oracle.exact import MP, numbers

TYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
FAR = 1e30
# One large element, all alike, two alike, one row that is all but the axis, and numbers of every size.
DIFFERENCES = [
    [1.0, 1e-5, 0.0],
    [1.0, 1.0, 1.0],
    [2.0, -2.0, 1e-6],
    [1e-12, 3.0, -1e-3],
    [1e-3, 1e-3, 2e-3],
    [1e15, 1e3, 1.0],
    [1e-30, 2e-30, -1e-31],
]


def ask(anchor: Any, positive: Any, negative: Any, **options: Any) -> Answer:
    arrays = {"anchor": anchor, "positive": positive, "negative": negative}
    return evaluate(find("triplet_margin"), Call(arrays, {"reduction": "none", "eps": 0.0, **options}))


def exact_curvature(row: list[Any], p: float) -> list[Any]:
    """Return the second derivative of the row's p-norm with respect to each element, as its definition has it."""
    power = MP.mpf(p)
    total = MP.fsum(abs(x) ** power for x in row)
    return [
        (power - 1)
        * (abs(x) ** (power - 2) if x or p != 2 else 1)
        * total ** (1 / power - 2)
        * MP.fsum(abs(y) ** power for j, y in enumerate(row) if j != i)
        for i, x in enumerate(row)
    ]


@TYPES
@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0, 10.0, 100.0])
@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("name", ["anchor", "positive", "negative"])
def test_the_curvature_of_a_distance_is_exact(name, swap, p, dtype):
    """Powers multiply an element's rounding by p."""
    rows = np.array([row for row in DIFFERENCES if p >= 2 or 0.0 not in row], dtype)
    origin, away = np.zeros_like(rows), rows + dtype(FAR)
    # The curvature of the other side is nothing beside that of the rows.
    triplet = (origin, away, rows) if name == "negative" else (rows, origin, away)
    answer = ask(*triplet, p=p, swap=swap, margin=9 * FAR, hessian=[name])
    limits, sign = np.finfo(dtype), -1 if name == "negative" else 1
    for row, found in zip(numbers(rows), sign * answer.hessian["none"][name], strict=True):
        for exact, value in zip(exact_curvature(row, p), found, strict=True):
            allowed = (
                4 * (1 + p) * float(limits.eps) * abs(exact) + p / FAR + float(limits.smallest_subnormal)
            )
            assert abs(float(value) - exact) <= allowed, (row, value)


def test_one_element_that_is_all_but_the_distance_still_bends():
    anchor = np.array([[1.0, 1e-5]], np.float32)
    far = np.full((1, 2), 1e3, np.float32)
    answer = ask(anchor, np.zeros_like(anchor), far, margin=1e6, hessian=True)
    bend = 1e-10 - (1e3 - 1e-5) ** 2 / ((1e3 - 1) ** 2 + (1e3 - 1e-5) ** 2) ** 1.5
    np.testing.assert_allclose(answer.hessian["none"]["anchor"][0, 0], bend, rtol=1e-5)
    single = ask(anchor, np.zeros_like(anchor), np.float32([[1e18, 0.0]]), margin=2e18, hessian=True)
    np.testing.assert_allclose(single.hessian["none"]["anchor"][0, 0], 1e-10, rtol=1e-6)


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("reduction", ["none", "sum"])
@pytest.mark.parametrize("far", [5.0, np.inf])
def test_an_inactive_triplet_has_no_derivative_whatever_it_holds(p, swap, reduction, far):
    zero, negative = np.zeros((1, 2)), np.array([[far, 0.0]])
    answer = ask(zero, zero, negative, p=p, swap=swap, reduction=reduction, gradient=True)
    assert answer.loss[reduction] == 0
    for gradient in answer.gradient[reduction].values():
        np.testing.assert_array_equal(gradient, zero)
    bends = ask(zero, zero, negative, p=p, swap=swap, hessian=True).hessian["none"]["anchor"]
    np.testing.assert_array_equal(bends, zero)


@pytest.mark.parametrize("name", ["anchor", "positive", "negative"])
@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("swap", [False, True])
def test_nan_reaches_every_derivative_of_its_triplet_alone(name, p, swap):
    rng = np.random.default_rng(3)
    arrays = dict(zip(("anchor", "positive", "negative"), rng.standard_normal((3, 2, 3)), strict=True))
    arrays[name][0, 1] = np.nan
    answer = ask(**arrays, p=p, swap=swap, margin=9.0, gradient=[*arrays, "margin"], hessian=True)
    found = [answer.gradient["none"][key] for key in arrays] + [answer.hessian["none"]["anchor"]]
    for array in found:
        assert np.isnan(array[0]).all()
        assert np.isfinite(array[1]).all()


@TYPES
def test_the_difference_of_two_distances_may_be_finite_where_they_are_not(dtype):
    top = float(np.finfo(dtype).max)
    anchor, positive, negative = (np.full((1, 4), x * top, dtype) for x in (0.9, -0.9, -0.8))
    for reduction in ("none", "sum"):
        answer = ask(anchor, positive, negative, reduction=reduction, gradient=True)
        np.testing.assert_allclose(answer.loss[reduction], 0.2 * top, rtol=1e-5)
        np.testing.assert_allclose(answer.gradient[reduction]["positive"], -0.5 * np.ones((1, 4)), rtol=1e-6)


@pytest.mark.parametrize("p", [1e-3, 1e-4, 1e-300, 5e-324])
@pytest.mark.parametrize("swap", [False, True])
def test_a_norm_beyond_the_range_is_no_error(p: float, swap: bool) -> None:
    """The power of the number of dimensions overflowed as a Python float: a 500, and for a whole batch."""
    arrays = {
        "anchor": np.array([[1.0, 2, 3], [0, 0, 1]]),
        "positive": np.array([[2.0, 2, 5], [0, 0, 2]]),
        "negative": np.array([[0.0, 5, 1], [0, 0, 1]]),
    }
    options = {"reduction": "none", "gradient": True, "hessian": True}
    answer = evaluate(find("triplet_margin"), Call(arrays, {"p": p, "eps": 0.0, "swap": swap, **options}))
    if p > 1e-323:  # of one dimension every norm is the size
        assert answer.loss["none"][1] == 2
