"""The number types of a call: a wider one for what overflows in its own, and the rounding to its answer's type.

A call computes in float32 or float64. Where an intermediate result leaves the range of that type, though the answer may
not, the call is computed again in a type with a wider range of exponents: float32 in float64, float64 in `WIDE`, the
platform's long double. Where its range is that of float64, such an answer is infinite or zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod, sqrt
from typing import Any, TypeVar

import ml_dtypes
import numpy as np

from lossd.message import Array

T = TypeVar("T")

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
WIDE = np.longdouble
Number = float | np.longdouble
_SINGLE, _DOUBLE = np.dtype(np.float32), np.dtype(np.float64)
_WIDER: Mapping[np.dtype[Any], np.dtype[Any]] = {
    _SINGLE: _DOUBLE,
    _DOUBLE: np.dtype(WIDE),
    np.dtype(np.complex64): np.dtype(np.complex128),
    np.dtype(np.complex128): np.dtype(np.clongdouble),
}
# Exponents of 2 within which a factor times any number of the type loses no digits, with room for the products of a
# few such factors.
_PLAIN_EXPONENT: Mapping[str, int] = {"f": 60, "F": 60, "d": 500, "D": 500}
# 1 / sqrt(eps): larger factors bring numbers that underflowed far back into the type's range.
_HEAVY: Mapping[str, float] = {"f": 2.0**11.5, "d": 2.0**26}
# Factors to look at at a time: what is made of them stays in cache.
_PART = 1 << 16
# NumPy reports these from the processor's own flags, at no cost while none is raised.
_OVERFLOW: Mapping[str, Any] = {"over": "raise"}
_OUT_OF_RANGE: Mapping[str, Any] = {"over": "raise", "under": "raise"}


def wider(dtype: np.dtype[Any], *, than_double: bool = True) -> np.dtype[Any]:
    """Return the type that a call computes in where ``dtype`` overflows; it may be no wider than float64."""
    return _WIDER.get(dtype, dtype) if than_double or dtype.char in "fF" else dtype


def trap(*, underflow: bool) -> np.errstate:
    """Return a context in which arithmetic that leaves the range of its type raises FloatingPointError."""
    return np.errstate(**(_OUT_OF_RANGE if underflow else _OVERFLOW))


def in_range(compute: Callable[[np.dtype[Any]], T], dtype: np.dtype[Any]) -> T:
    """Return what ``compute`` finds in ``dtype``, or in the wider type where that leaves the range of ``dtype``."""
    try:
        with trap(underflow=True):
            return compute(dtype)
    except FloatingPointError:
        return compute(wider(dtype))


def keeps_digits(factor: Any, dtype: np.dtype[Any]) -> bool:
    """Return whether products of the factors with numbers of ``dtype`` lose no digits: none is too large or too small.

    Zero and NaN keep them: they are exact in any type.
    """
    exponent = _PLAIN_EXPONENT[dtype.char]
    low, high = 2.0**-exponent, 2.0**exponent
    if not isinstance(factor, np.ndarray):
        return bool(low <= abs(factor) <= high or factor == 0 or factor != factor)
    if 0 < factor.size <= _PART:
        return _lies_within(factor, low, high)
    return all(_lies_within(factor[at : at + _PART], low, high) for at in range(0, factor.size, _PART))


def _lies_within(part: Array, low: float, high: float) -> bool:
    if low <= np.minimum.reduce(part) and np.maximum.reduce(part) <= high:  # as most weights do
        return True
    size = np.abs(part)
    return not (((size < low) & (size != 0)) | (size > high)).any()


def pullback_exponent(factor: Any) -> int:
    """Return the exponent of the power of 2 to divide factors by before a pullback, which may round them to float64.

    It brings the largest into float64's plain exponents by the shortest way. Of factors that lie further apart than
    float64's range, those are lost that are smaller than the largest by about 1e-458.
    """
    size = np.abs(factor)
    largest = np.max(size, where=np.isfinite(size), initial=0)
    most, exponent = _PLAIN_EXPONENT["d"], int(np.frexp(largest)[1])
    return max(exponent - most, 0) + min(exponent + most, 0)


def is_heavy(factors: Sequence[Any], dtype: np.dtype[Any]) -> bool:
    """Return whether a factor is so large that what underflowed in ``dtype`` would matter in a product with it."""
    most = _HEAVY[dtype.char]
    # NaN may stand beside anything.
    return not prod(map(_norm, factors)) <= most and not prod(map(_largest, factors)) <= most


def _norm(factor: Any) -> float:
    """Return what no factor exceeds, nor 1, in half the time of a maximum and a minimum."""
    return max(sqrt(np.dot(factor, factor)) if isinstance(factor, np.ndarray) else abs(float(factor)), 1.0)


def _largest(factor: Any) -> float:
    """Return the size of the largest factor, or 1: a slope with respect to a weight is not multiplied by it."""
    if isinstance(factor, np.ndarray):
        factor = max(np.maximum.reduce(factor, initial=0), -np.minimum.reduce(factor, initial=0))
    return max(abs(float(factor)), 1.0)


def rounded(values: Array, dtype: np.dtype[Any]) -> Array:
    """Return ``values`` in ``dtype``, each rounded once.

    A conversion to a 16-bit type may pass through float32, and the second rounding may undo what the first has left
    of a tie. So the first rounds to odd (Boldo and Melquiond, 2008, Emulation of FMA and correctly rounded sums):
    what is inexact in float32 gets the neighbour whose last bit is 1, which no tie of a shorter type has.
    """
    if values.dtype == dtype:
        return values
    if values.dtype.itemsize <= dtype.itemsize:
        return values.astype(dtype)
    with np.errstate(all="ignore"):
        if dtype.itemsize == 2 and values.dtype.itemsize > 4:
            values = _to_odd(values)
        return values.astype(dtype)


def rounding_to(dtype: np.dtype[Any]) -> Callable[[Any], Any]:
    """Return the function that makes a number a scalar of ``dtype``, rounded once."""
    if dtype.itemsize > 2:
        return dtype.type
    return lambda value: rounded(np.asarray(value), dtype)[()]


def _to_odd(values: Array) -> Array:
    single = values.astype(np.float32)
    back = single.astype(values.dtype)
    bits = single.reshape(-1).view(np.uint32)
    inexact = ((back != values) & (values == values)).reshape(-1)
    even = inexact & (bits & 1 == 0)
    bits += even & (np.abs(values) > np.abs(back)).reshape(-1)
    bits -= even & (np.abs(values) < np.abs(back)).reshape(-1)
    return single
