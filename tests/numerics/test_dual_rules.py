"""The derivative rule of every ufunc against mpmath's derivative of the same function, in every precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath as mp
import numpy as np
import pytest
from scipy import special

from lossd.numerics.dual import Dual, NoDerivative
from lossd.numerics.dual_rules import EXTREMES, PARTIALS

mp.mp.dps = 40

DTYPES = [np.float32, np.float64, np.longdouble]
INF, NAN = np.inf, np.nan


class Case(NamedTuple):
    """A ufunc in mpmath, the ranges of its operands, and the ulps that its derivative may be off."""

    function: Callable[..., Any]
    ranges: tuple[tuple[float, float], ...]
    ulps: float = 8.0


REAL, POSITIVE, SMALL = (-20.0, 20.0), (0.01, 30.0), (-4.0, 4.0)

CASES = {
    "add": Case(lambda a, b: a + b, (REAL, REAL)),
    "subtract": Case(lambda a, b: a - b, (REAL, REAL)),
    "multiply": Case(lambda a, b: a * b, (REAL, REAL)),
    "divide": Case(lambda a, b: a / b, (REAL, POSITIVE)),
    "power": Case(lambda a, b: a**b, (POSITIVE, SMALL), 60),  # the exponent times a rounded logarithm
    "negative": Case(lambda x: -x, (REAL,)),
    "positive": Case(lambda x: x, (REAL,)),
    "reciprocal": Case(lambda x: 1 / x, (POSITIVE,)),
    "square": Case(lambda x: x * x, (REAL,)),
    "sqrt": Case(mp.sqrt, (POSITIVE,)),
    "cbrt": Case(lambda x: mp.sign(x) * mp.cbrt(abs(x)), (REAL,)),
    "exp": Case(mp.exp, (REAL,)),
    "expm1": Case(mp.expm1, (REAL,)),
    "exp2": Case(lambda x: mp.mpf(2) ** x, (REAL,)),
    "log": Case(mp.log, (POSITIVE,)),
    "log1p": Case(mp.log1p, ((-0.9, 30.0),)),
    "log2": Case(lambda x: mp.log(x, 2), (POSITIVE,)),
    "logaddexp": Case(
        lambda a, b: mp.log(mp.exp(a) + mp.exp(b)), (REAL, REAL), 48
    ),  # e to a rounded difference
    "sin": Case(mp.sin, (SMALL,)),
    "cos": Case(mp.cos, (SMALL,)),
    "arctan": Case(mp.atan, (REAL,)),
    "sinh": Case(mp.sinh, (REAL,)),
    "cosh": Case(mp.cosh, (REAL,)),
    "tanh": Case(mp.tanh, (REAL,)),
    "absolute": Case(abs, (REAL,)),
    "fabs": Case(abs, (REAL,)),
    "hypot": Case(mp.hypot, (REAL, REAL)),
    "copysign": Case(lambda a, b: abs(a) * mp.sign(b), (REAL, REAL)),
    "maximum": Case(max, (REAL, REAL)),
    "minimum": Case(min, (REAL, REAL)),
    "fmax": Case(max, (REAL, REAL)),
    "fmin": Case(min, (REAL, REAL)),
    "sign": Case(mp.sign, (REAL,)),
    "floor": Case(mp.floor, (REAL,)),
    "ceil": Case(mp.ceil, (REAL,)),
    "trunc": Case(lambda x: mp.sign(x) * mp.floor(abs(x)), (REAL,)),
    "rint": Case(mp.nint, (REAL,)),
    "erf": Case(mp.erf, (SMALL,), 40),  # e to a rounded square
    "erfc": Case(mp.erfc, (SMALL,), 40),
    "erfcx": Case(lambda x: mp.exp(x * x) * mp.erfc(x), (SMALL,), 150),  # 2 x y cancels most of 2 / sqrt(pi)
    "ndtr": Case(mp.ncdf, (SMALL,), 40),
    "log_ndtr": Case(lambda x: mp.log(mp.ncdf(x)), ((-30.0, 5.0),), 40),
    "gammaln": Case(mp.loggamma, ((2.0, 30.0),)),
    "psi": Case(mp.digamma, (POSITIVE,)),
    "expit": Case(lambda x: 1 / (1 + mp.exp(-x)), (REAL,)),
    "log_expit": Case(lambda x: -mp.log1p(mp.exp(-x)), (REAL,)),
    "xlogy": Case(lambda a, b: a * mp.log(b), (REAL, (1.5, 30.0))),
    "xlog1py": Case(lambda a, b: a * mp.log1p(b), (REAL, (0.5, 30.0))),
}


def ufunc_of(name: str) -> np.ufunc:
    found: np.ufunc = getattr(np, name, None) or getattr(special, name)
    return found


def exact(number: Any) -> mp.mpf:
    """Convert a number of any precision without rounding it."""
    high = float(number)
    return mp.mpf(high) + mp.mpf(float(number - type(number)(high)))


def test_every_rule_has_a_case() -> None:
    assert CASES.keys() == PARTIALS.keys()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_a_rule_is_the_derivative(name: str, dtype: type[np.floating[Any]]) -> None:
    ufunc, case = ufunc_of(name), CASES[name]
    if dtype is np.longdouble and not any(set(types[:1]) == {"g"} for types in ufunc.types):
        with pytest.raises(TypeError):
            ufunc(*(Dual(np.ones(1, dtype), np.ones(1, dtype)) for _ in case.ranges))
        return
    random = np.random.default_rng(sum(map(ord, name)))
    operands = [random.uniform(low, high, 20).astype(dtype) for low, high in case.ranges]
    for place, operand in enumerate(operands):
        inputs: list[Any] = [*operands]
        inputs[place] = Dual(operand, np.ones_like(operand))
        result = ufunc(*inputs)
        assert result.value.dtype == result.tangent.dtype == dtype
        np.testing.assert_array_equal(result.value, ufunc(*operands))
        for row, got in enumerate(result.tangent):
            at = [exact(numbers[row]) for numbers in operands]
            true = mp.diff(case.function, at, tuple(int(i == place) for i in range(len(at))))
            error = abs(exact(got) - true)
            assert error <= case.ulps * float(np.finfo(dtype).eps) * abs(true) + 1e-30, (at, got, true)


@pytest.mark.parametrize("name", [name for name in CASES if len(CASES[name].ranges) == 2])
def test_the_derivatives_of_two_operands_add_up(name: str) -> None:
    ufunc, random = ufunc_of(name), np.random.default_rng(1)
    (a, b), (s, t) = ([random.uniform(*limits, 9) for limits in CASES[name].ranges] for _ in range(2))
    both = ufunc(Dual(a, s), Dual(b, t)).tangent
    apart = ufunc(Dual(a, s), b).tangent + ufunc(a, Dual(b, t)).tangent
    np.testing.assert_allclose(both, apart, rtol=1e-14)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("function", "at", "derivative"),
    [
        (np.abs, 0.0, 0.0),
        (np.fabs, -0.0, 0.0),
        (np.sqrt, 0.0, INF),
        (np.cbrt, 0.0, INF),
        (np.log, 0.0, INF),
        (np.log2, 0.0, INF),
        (np.log1p, -1.0, INF),
        (np.reciprocal, 0.0, -INF),
        (np.log, -1.0, -1.0),  # of the formula; the value is NaN
        (np.sqrt, -1.0, NAN),
        (lambda x: x**0.5, 0.0, INF),
        (lambda x: x**0, 0.0, 0.0),
        (lambda x: np.power(x, 0.0), 0.0, 0.0),
        (lambda x: np.power(x, 1.0), 0.0, 1.0),
        (lambda x: np.power(0.0, x), 2.0, 0.0),
        (lambda x: np.maximum(x, 0), 0.0, 0.5),
        (lambda x: np.minimum(0, x), 0.0, 0.5),
        (lambda x: np.maximum(x, x), 3.0, 1.0),
        (lambda x: np.fmax(x, 0), 0.0, 0.5),
        (lambda x: np.fmin(x, NAN), 2.0, 1.0),
        (lambda x: np.fmax(x, 1), NAN, 0.0),
        (lambda x: np.maximum(x, 1), NAN, 1.0),
        (lambda x: np.minimum(NAN, x), 1.0, 0.0),
        (lambda x: np.clip(x, 0, 1), 0.0, 0.5),
        (lambda x: np.clip(x, 0, 1), 2.0, 0.0),
        (lambda x: np.where(x > 0, x, 0), 0.0, 0.0),
        (lambda x: np.hypot(x, 0), 0.0, 0.0),
        (np.sign, 0.0, 0.0),
        (np.rint, 0.5, 0.0),
        (lambda x: np.logaddexp(x, -INF), -INF, 0.5),
        (lambda x: np.logaddexp(x, -INF), 2.0, 1.0),
        (lambda x: np.logaddexp(-INF, x), -2.0, 1.0),
        (np.tanh, 30000.0, 0.0),
        (lambda x: np.copysign(x, -1.0), -0.0, 1.0),
    ],
)
def test_the_derivative_at_a_kink_or_an_edge(
    function: Callable[[Any], Any], at: float, derivative: float, dtype: type[np.floating[Any]]
) -> None:
    with np.errstate(all="ignore"):
        result = function(Dual(np.array([at], dtype), np.ones(1, dtype)))
    assert result.tangent.dtype == dtype
    np.testing.assert_array_equal(result.tangent, np.array([derivative], dtype))


@pytest.mark.parametrize("function", [np.sqrt, np.log, np.reciprocal, np.cbrt, lambda x: np.power(x, x) / x])
@pytest.mark.parametrize("shape", [(3,), ()])
def test_a_number_that_does_not_move_contributes_nothing(
    function: Callable[[Any], Any], shape: tuple[int, ...]
) -> None:
    zero = np.zeros(shape)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(function(Dual(zero, zero)).tangent, zero)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("function", "slope_times_x"),
    [(lambda x: x / x, 0.0), (np.log, 1.0), (np.log2, 1 / np.log(2))],
)
def test_a_short_tangent_over_a_subnormal_number_is_finite(
    function: Callable[[Any], Any], slope_times_x: float, dtype: type[np.floating[Any]]
) -> None:
    """One over that number is not: the tangent is divided by it, not multiplied with its inverse."""
    x = np.array([8 * np.finfo(dtype).smallest_subnormal])
    with np.errstate(all="ignore"):
        value = function(Dual(x, x)).tangent
    np.testing.assert_allclose(value, slope_times_x, rtol=1e-6)


@pytest.mark.parametrize(
    "function",
    [
        np.sum,
        np.cumsum,
        np.max,
        np.prod,
        np.cumprod,
        np.diff,
        np.logaddexp.reduce,
        lambda x: x @ x,
        lambda x: x - x[0],
    ],
)
def test_tangents_do_not_warn_where_values_do_not(function: Callable[[Any], Any]) -> None:
    with np.errstate(all="raise"):
        steep = np.sqrt(Dual(np.zeros(4), np.array([1.0, 1.0, -1.0, -1.0])))
        assert np.isinf(steep.tangent).all()
        function(steep)


def test_a_named_tuple_of_dual_arrays_is_a_sequence_of_them() -> None:
    pair = NamedTuple("Pair", [("a", Any), ("b", Any)])(Dual(np.ones(2), np.ones(2)), np.zeros(2))
    np.testing.assert_array_equal(np.stack(pair).tangent, [[1, 1], [0, 0]])


@pytest.mark.parametrize("name", sorted(EXTREMES))
def test_numbers_that_tie_for_an_extreme_share_it(name: str) -> None:
    tied = Dual(np.array([[1.0, 1.0, 1.0], [NAN, 2.0, NAN]]), np.array([[3.0, 6.0, 9.0], [1.0, 5.0, 2.0]]))
    ignores_nan = name.startswith("f")
    expected = [6.0, 5.0 if ignores_nan else 1.5]
    np.testing.assert_array_equal(ufunc_of(name).reduce(tied, axis=1).tangent, expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_scalars_do_not_change_the_precision(dtype: type[np.floating[Any]]) -> None:
    x = Dual(np.linspace(0.5, 2, 4, dtype=dtype), np.ones(4, dtype))
    results = [
        2 * x,
        x / 3,
        x**2,
        x**1.5,
        np.power(2.0, x),
        np.maximum(x, 1),
        np.where(x > 1, x, 0.0),
        x.sum(),
        x[0],
    ]
    results += [
        1 - x,
        np.clip(x, 0, 1.0),
        np.logaddexp(x, 0.0),
        np.pad(x, 1),
        x.mean(),
        x.max(),
        np.prod(x),
        -x,
    ]
    assert {(result.value.dtype, result.tangent.dtype) for result in results} == {(np.dtype(dtype),) * 2}


def test_a_third_in_extended_precision_is_one_of_extended_precision() -> None:
    x = Dual(np.ones(1, np.longdouble), np.ones(1, np.longdouble))
    assert (x / 3.0).tangent[0] == np.longdouble(1) / 3
    assert (x / np.float32(3)).tangent[0] == np.longdouble(1) / 3


@pytest.mark.parametrize("function", [np.arcsinh, np.remainder, np.nextafter, np.modf, special.j0, np.divmod])
def test_a_ufunc_without_a_rule_says_so(function: np.ufunc) -> None:
    with pytest.raises(NoDerivative, match=function.__name__):
        function(*[Dual(np.ones(2), np.ones(2))] * function.nin)


def test_frexp_and_ldexp_are_exact() -> None:
    x = Dual(np.array([3.0, -0.1, 0.0, 5e-324]), np.array([1.0, 2.0, 0.0, 4e-323]))
    mantissa, exponent = np.frexp(x)
    np.testing.assert_array_equal(mantissa.value, np.frexp(x.value)[0])
    np.testing.assert_array_equal(mantissa.tangent, [0.25, 2.0**4, 0.0, 4.0])
    np.testing.assert_array_equal(np.ldexp(mantissa, exponent).tangent, x.tangent)
    np.testing.assert_array_equal(exponent, np.frexp(x.value)[1])
