"""The oracle's own measure: that it sees one wrong digit, and every loss made wrong on purpose."""

from __future__ import annotations

import re

import numpy as np
import pytest

from lossd.losses import LOSSES
from tests.oracle.case import Case
from tests.oracle.exact import MP, exp, numbers, times, ulps_off, worst
from tests.oracle.records import ORACLES
from tests.oracle.truth import ask, assert_exact, known_cases

ONE = (MP.mpf(1),)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_error_is_counted_in_the_types_own_places(dtype):
    assert ulps_off(dtype(1), ONE) == 0
    assert ulps_off(np.nextafter(dtype(1), dtype(2)), ONE) == 1
    assert ulps_off(np.nextafter(dtype(1), dtype(0)), ONE) == 0.5
    assert 0 < ulps_off(dtype(0.1), (MP.mpf(1) / 10,)) <= 0.5
    least = np.nextafter(dtype(0), dtype(1))
    assert ulps_off(dtype(0), (MP.mpf(float(least)),)) == 1


def test_what_cancels_is_measured_by_its_addends():
    assert ulps_off(np.float64(2.0**-52), (MP.mpf(1), MP.mpf(-1))) == 0.5
    assert ulps_off(np.float64(2.0**-52), (MP.mpf(0),)) > 1e300


@pytest.mark.parametrize(
    ("got", "exact"),
    [(np.nan, 1), (np.inf, 1), (1, MP.nan), (1, MP.inf), (-np.inf, MP.inf), (1e308, MP.mpf(10) ** 400)],
)
def test_what_is_not_finite_must_be_so_on_both_sides(got, exact):
    assert ulps_off(np.float64(got), (MP.mpf(exact),)) == np.inf
    assert ulps_off(np.float64(exact), (MP.mpf(exact),)) == 0


def test_shapes_must_agree():
    with pytest.raises(AssertionError):
        worst(np.zeros(3), [ONE, ONE])
    with pytest.raises(AssertionError):
        worst(np.zeros((2, 1)), [ONE, ONE])


def test_exact_numbers_are_the_types_own():
    assert numbers(np.float32([0.1]))[0] == MP.mpf(13421773) / 2**27
    assert times(MP.mpf(0), MP.inf) == 0
    assert exp(MP.mpf(-1e300)) == exp(MP.ninf) == 0


def test_a_failure_shows_the_inputs_of_its_row():
    arrays = {"input": np.array([1.0, 3.5]), "target": np.array([1.0, 2.5])}
    case = Case("by hand", arrays, {"delta": 8.0})
    exact = [(MP.mpf(0),), (MP.mpf("0.5"),)]
    expected = re.escape("input[1] = np.float64(3.5), target[1] = np.float64(2.5); {'delta': 8.0}")
    with pytest.raises(AssertionError, match=expected):
        assert_exact("huber", case, np.array([0.0, 0.75]), {}, exact, {})
    with pytest.raises(AssertionError, match=r"(?m)expected 0\.5$"):
        assert_exact("huber", case, np.float64(0.75), {}, (MP.mpf("0.5"),), {})


@pytest.mark.parametrize("name", LOSSES)
def test_a_wrong_digit_in_a_value_or_in_a_gradient_is_seen(name):
    case, values, gradients = known_cases(name, np.float64)[0]
    got, by = ask(name, case, reduction="none", gradient=True)
    assert_exact(name, case, got, by, values, gradients)
    wrong = 1 + 8 * ORACLES[name].ulps(case) * np.finfo(float).eps
    assert got.any(), f"expected the first case of {name} to have a value that is not 0"
    with pytest.raises(AssertionError, match="value"), np.errstate(over="ignore"):
        assert_exact(name, case, got * wrong, by, values, gradients)
    for key, gradient in by.items():
        assert gradient.any(), f"expected the first case of {name} to have a gradient for {key} that is not 0"
        with pytest.raises(AssertionError, match=key):
            assert_exact(name, case, got, {key: gradient * wrong}, values, gradients)
