"""The derivatives of ufuncs, by the ufunc's name, which `dual_ufuncs` applies to dual numbers.

A rule has one function per operand: the partial derivative with respect to it, of the operands and the result y,
all cast to the dtype of y. SciPy's special functions are ufuncs too: their rules stand beside NumPy's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import pi, sqrt
from typing import Any, NamedTuple

import numpy as np

from lossd.message import Array
from lossd.numerics.special import digamma, normal_hazard, trigamma

Partial = Callable[..., Any]


class Quotient(NamedTuple):
    """A partial derivative that is a quotient.

    The tangent is divided before it is multiplied: 1 over a subnormal number is infinite, where a short tangent over
    it is not.
    """

    numerator: Any
    denominator: Any


class NoDerivative(TypeError):
    """An operation on dual numbers has no rule, or would lose the tangent."""


def _constant(derivative: float) -> Partial:
    return lambda *_: derivative


def _ln2(y: Array) -> Any:
    return np.log(y.dtype.type(2))


def _share(taken: Array, other_taken: Array) -> Array:
    """Return 1 where only the first operand is taken, 0 where only the other is, and half where they tie."""
    return np.where(taken == other_taken, 0.5, taken)


def _larger(a: Array, b: Array) -> Any:
    """Tell where the maximum is the first operand; NaN, which it propagates, counts as larger."""
    return np.greater(a, b) | np.isnan(a)


def _smaller(a: Array, b: Array) -> Any:
    return np.less(a, b) | np.isnan(a)


def _larger_number(a: Array, b: Array) -> Any:
    """Tell where fmax, which ignores NaN, is the first operand."""
    return np.greater(a, b) | (np.isnan(b) & ~np.isnan(a))


def _smaller_number(a: Array, b: Array) -> Any:
    return np.less(a, b) | (np.isnan(b) & ~np.isnan(a))


def _taken_if(wins: Callable[[Array, Array], Array]) -> tuple[Partial, Partial]:
    return (
        lambda a, b, y: _share(wins(a, b), wins(b, a)),
        lambda a, b, y: _share(wins(b, a), wins(a, b)),
    )


def _softmax_of_two(a: Array, b: Array) -> Array:
    """Return exp(a) / (exp(a) + exp(b)) by the difference: no overflow; half where both are the same infinity."""
    difference = np.where(np.equal(a, b), 0, np.subtract(a, b))
    weight: Array = np.exp(np.minimum(difference, 0)) / (1 + np.exp(-np.abs(difference)))
    return weight


def _logistic(x: Array) -> Array:
    return _softmax_of_two(x, np.zeros_like(x))


def _normal_density(x: Array) -> Array:
    density: Array = np.exp(-0.5 * x * x) / sqrt(2 * pi)
    return density


PARTIALS: Mapping[str, tuple[Partial, ...]] = {
    "add": (_constant(1), _constant(1)),
    "subtract": (_constant(1), _constant(-1)),
    "multiply": (lambda a, b, y: b, lambda a, b, y: a),
    "divide": (lambda a, b, y: Quotient(1, b), lambda a, b, y: Quotient(-y, b)),
    "power": (
        lambda a, b, y: np.where(np.equal(b, 0), 0, b * np.power(a, b - 1)),
        lambda a, b, y: np.where(y == 0, 0, y * np.log(a)),
    ),
    "negative": (_constant(-1),),
    "positive": (_constant(1),),
    "reciprocal": (lambda x, y: -y * y,),
    "square": (lambda x, y: 2 * x,),
    "sqrt": (lambda x, y: Quotient(0.5, y),),
    "cbrt": (lambda x, y: 1 / (3 * y * y),),
    # Exponentials and logarithms.
    "exp": (lambda x, y: y,),
    "expm1": (lambda x, y: np.exp(x),),
    "exp2": (lambda x, y: y * _ln2(y),),
    "log": (lambda x, y: Quotient(1, x),),
    "log1p": (lambda x, y: 1 / (1 + x),),
    "log2": (lambda x, y: Quotient(1 / _ln2(y), x),),
    "logaddexp": (lambda a, b, y: _softmax_of_two(a, b), lambda a, b, y: _softmax_of_two(b, a)),
    # Circular and hyperbolic functions.
    "sin": (lambda x, y: np.cos(x),),
    "cos": (lambda x, y: -np.sin(x),),
    "arctan": (lambda x, y: 1 / (1 + x * x),),
    "sinh": (lambda x, y: np.cosh(x),),
    "cosh": (lambda x, y: np.sinh(x),),
    "tanh": (lambda x, y: np.square(1 / np.cosh(x)),),  # 1 - y * y would cancel
    # Kinks: the derivative of the operand taken, half of each where they tie, and 0 at the corner of a modulus.
    "absolute": (lambda x, y: np.sign(x),),
    "fabs": (lambda x, y: np.sign(x),),
    "hypot": (lambda a, b, y: np.where(y == 0, 0, a / y), lambda a, b, y: np.where(y == 0, 0, b / y)),
    "copysign": (lambda a, b, y: np.where(np.signbit(a) == np.signbit(b), 1, -1), _constant(0)),
    "maximum": _taken_if(_larger),
    "minimum": _taken_if(_smaller),
    "fmax": _taken_if(_larger_number),
    "fmin": _taken_if(_smaller_number),
    # Steps, flat on either side.
    "sign": (_constant(0),),
    "floor": (_constant(0),),
    "ceil": (_constant(0),),
    "trunc": (_constant(0),),
    "rint": (_constant(0),),
    # SciPy's special functions.
    "erf": (lambda x, y: (2 / sqrt(pi)) * np.exp(-x * x),),
    "erfcx": (lambda x, y: 2 * x * y - 2 / sqrt(pi),),
    "erfc": (lambda x, y: (-2 / sqrt(pi)) * np.exp(-x * x),),
    "ndtr": (lambda x, y: _normal_density(x),),
    "log_ndtr": (lambda x, y: normal_hazard(x),),
    "gammaln": (lambda x, y: digamma(x),),
    "psi": (lambda x, y: trigamma(x),),
    "expit": (lambda x, y: _logistic(x) * _logistic(-x),),  # y * (1 - y) would cancel
    "log_expit": (lambda x, y: _logistic(-x),),
    "xlogy": (lambda a, b, y: np.log(b), lambda a, b, y: np.where(np.equal(a, 0), 0, a / b)),
    "xlog1py": (lambda a, b, y: np.log1p(b), lambda a, b, y: np.where(np.equal(a, 0), 0, a / (1 + b))),
}
"""Name of a ufunc to its partial derivatives."""

STEPS = frozenset(
    {
        *("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"),
        *("isfinite", "isinf", "isnan", "signbit"),
        *("logical_and", "logical_or", "logical_not", "logical_xor"),
    }
)
"""Ufuncs whose results are truth values, which are plain arrays."""

PRODUCTS = frozenset({"matmul", "vecdot", "matvec", "vecmat", "ldexp"})
"""Ufuncs linear in each operand that can be dual."""

EXTREMES = frozenset({"maximum", "minimum", "fmax", "fmin"})

ASSOCIATIVE = EXTREMES | {"multiply", "logaddexp"}
"""Ufuncs that reduce and accumulate in pairs."""
