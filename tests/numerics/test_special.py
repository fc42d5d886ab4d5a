"""The special functions against mpmath, in the precision of their argument; SciPy is imported for them alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath as mp
import numpy as np
import pytest

from lossd.numerics import special
from lossd.numerics.dual import Dual
from tests.numerics.products import hessian_diagonal

mp.mp.dps = 40
RANDOM = np.random.default_rng(0)
# Below 1e-15 the trigamma function overflows float32.
POSITIVE = np.concatenate([np.exp(RANDOM.uniform(-34, 34, 200)), RANDOM.uniform(0.3, 4, 200)])
REAL = np.concatenate([RANDOM.uniform(-40, 5, 200), -np.exp(RANDOM.uniform(-8, 8, 100)), [0.0]])


class Case(NamedTuple):
    """A function in mpmath, where it is tried, the ulps it may be off, and its condition number."""

    true: Callable[[Any], Any]
    at: Any
    ulps: float
    condition: Callable[[float], float] = lambda x: 0.0


def _steep(x: float) -> float:
    return max(x, 0) ** 2


CASES = {
    "log_gamma": Case(mp.loggamma, POSITIVE, 6, lambda x: abs(x * mp.digamma(x) / mp.loggamma(x))),
    "digamma": Case(mp.digamma, POSITIVE, 2),
    "trigamma": Case(lambda x: mp.psi(1, x), POSITIVE, 4),
    "log_normal_distribution": Case(lambda x: mp.log(mp.ncdf(x)), REAL, 3, _steep),
    "normal_hazard": Case(lambda x: mp.npdf(x) / mp.ncdf(x), REAL, 5, _steep),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASES)
def test_a_special_function_is_exact_to_a_few_ulps(name: str, dtype: type[np.floating[Any]]) -> None:
    case, x = CASES[name], CASES[name].at.astype(dtype)
    got = getattr(special, name)(x)
    assert got.dtype == dtype
    for number, found in zip(x.tolist(), got.tolist(), strict=True):
        true = case.true(mp.mpf(number))
        allowed = case.ulps * (1 + case.condition(number)) * float(np.finfo(dtype).eps) * abs(true)
        assert abs(mp.mpf(found) - true) <= allowed, (number, found, true)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("function", "derivative"),
    [
        (special.log_gamma, special.digamma),
        (special.digamma, special.trigamma),
        (special.log_normal_distribution, special.normal_hazard),
    ],
)
def test_the_derivative_of_one_is_the_other(
    function: Callable[[Any], Any], derivative: Callable[[Any], Any], dtype: type[np.floating[Any]]
) -> None:
    x = np.linspace(0.5, 5, 10, dtype=dtype)
    np.testing.assert_array_equal(function(Dual(x, np.ones_like(x))).tangent, derivative(x))


def test_the_hazard_has_a_curvature() -> None:
    """By the identity h' = -h (x + h)."""
    x = np.linspace(-3, 3, 7)
    hazard = special.normal_hazard(x)
    np.testing.assert_allclose(hessian_diagonal(special.normal_hazard, x), -hazard * (x + hazard), rtol=1e-13)


def test_scipy_is_imported_when_a_function_is_first_called() -> None:
    program = (
        "import sys, numpy as np; from lossd.numerics import dual, special\n"
        "np.tanh(np.exp(dual.Dual(np.ones(2), np.ones(2))))\n"
        "assert 'scipy' not in sys.modules; special.digamma(np.ones(2)); assert 'scipy.special' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
