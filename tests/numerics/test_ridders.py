"""Slopes by differences: exact where a function is smooth, whatever is near, and with an error to rely on."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from lossd.numerics.ridders import ACCURACY, EVALUATIONS, NumericalSlope, slope_at


def slope(function: Callable[[float], float], x: float, scale: float = 1.0) -> NumericalSlope | None:
    """Estimate a slope from a step of a tenth of the number, as a check of a gradient does."""
    evaluations = []

    def value(at: float) -> float | None:
        evaluations.append(at)
        try:
            return function(at)
        except ValueError:
            return None

    found = slope_at(value, x, function(x), first_step=0.1 * abs(x) or 0.1, scale=scale)
    assert len(evaluations) <= EVALUATIONS
    return found


@pytest.mark.parametrize(
    ("function", "derivative", "x"),
    [
        (math.exp, math.exp, 1.0),
        (math.sin, math.cos, 1000.0),
        (math.tanh, lambda x: 1 - math.tanh(x) ** 2, 0.0),
        (math.log, lambda x: 1 / x, 1e-12),
        (lambda x: math.log(1 - x), lambda x: 1 / (x - 1), 1 - 1e-3),
        (lambda x: max(0.0, 1 - x) + x * x, lambda x: 2 * x, 1 + 1e-3),
        (lambda x: max(0.0, 1 - x) + x * x, lambda x: 2 * x, 1 + 1e-6),
        (lambda x: 5 + math.exp(x), math.exp, 1e-12),  # whose tenth is lost in the rounding of the sum
    ],
)
def test_a_smooth_place_has_its_slope(function, derivative, x):
    expected = derivative(x)
    found = slope(function, x, abs(expected))
    assert found is not None
    assert not found.kink
    assert abs(found.slope - expected) <= max(10 * found.error, 1e-12 * abs(expected))
    assert found.error <= ACCURACY * abs(expected)


@pytest.mark.parametrize("distance", [0.0, 1e-12, 1e-9])
@pytest.mark.parametrize("jump", [1.0, 1e-3])
def test_a_kink_within_the_smallest_step_is_one_however_smooth_the_rest_is(distance, jump):
    found = slope(lambda x: jump * abs(x - 1) + x * x, 1 + distance)
    assert found is not None
    assert found.kink


@pytest.mark.parametrize("distance", [1e-8, 3e-8, 1e-7, 1e-5, 1e-3, 0.1, 1.0])
def test_a_kink_beside_the_steps_is_in_the_error(distance):
    found = slope(lambda x: abs(x - 1), 1 + distance)
    assert found is not None
    assert found.kink or abs(found.slope - 1) <= 10 * found.error + 1e-9


def test_there_is_no_slope_where_one_side_is_missing():
    assert slope(math.sqrt, 0.0) is None
    assert slope(lambda x: x if x == 1 else math.log(-1), 1.0) is None


def test_steps_out_of_the_domain_leave_more_for_the_smaller_ones():
    found = slope(lambda x: math.log(1 - x), 1 - 1e-6, 1e6)
    assert found is not None
    assert found.slope == pytest.approx(-1e6, rel=1e-6)
    assert found.error < 1e-4 * 1e6
