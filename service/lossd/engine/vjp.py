"""Vector-Jacobian products of a block: its derivatives times the factors of a reduction, summed where rows share."""

from __future__ import annotations

from typing import Any

import numpy as np

from lossd.declaration.pattern import Shape
from lossd.declaration.result import Derivative, Pullback, evaluated
from lossd.engine.precision import WIDE, Number
from lossd.message import Array


def vjp(
    derivative: Derivative,
    factor: Number | Array,
    values: Shape,
    *,
    by_rows: bool,
    extended: bool,
    exponent: int = 0,
) -> Array:
    """Multiply each value's derivative by its factor, and sum over the values where they share the argument.

    Args:
        derivative: Partial derivatives ``(*values, ...)``, or a pullback.
        factor: One for all values, or one each.
        values: The shape of a block's values.
        by_rows: Whether the argument has the values' rows.
        extended: Whether factors need the extended range of `WIDE`.
        exponent: Of the power of 2 by which a pullback takes such factors divided; see `pullback_exponent`.
    """
    if isinstance(derivative, Pullback):
        return _pulled(derivative, factor, values, extended=extended, exponent=exponent)
    slope = evaluated(derivative)
    if by_rows:
        column = _column(factor, slope, extended=extended)
        return zero_without_weight(slope * column, column)
    summed = tuple(range(len(values)))
    exact = np.result_type(slope, WIDE if extended else np.float64)
    if isinstance(factor, np.ndarray):
        column = _column(factor, slope, extended=extended)
        total: Array = np.add.reduce(zero_without_weight(slope * column, column), axis=summed, dtype=exact)
        return total
    total = np.add.reduce(slope, axis=summed, dtype=exact) * factor
    return total


def _pulled(
    derivative: Pullback, factor: Number | Array, values: Shape, *, extended: bool, exponent: int
) -> Array:
    """Apply a pullback, which is linear: what a power of 2 divides its factors by is multiplied back exactly."""
    if not extended:
        return derivative.vjp(np.broadcast_to(np.asarray(factor, np.float64), values))
    upstream = np.ldexp(np.asarray(factor, WIDE), -exponent)
    pulled: Array = derivative.vjp(np.broadcast_to(upstream, values)) * np.ldexp(WIDE(1), exponent)
    return pulled


def zero_without_weight(product: Array, factor: Any) -> Array:
    """Return products with a factor in which 0 times anything is 0, even infinity and NaN."""
    if not isinstance(factor, np.ndarray):
        return product if factor else np.zeros_like(product)
    if not np.minimum.reduce(factor, axis=None, initial=1) > 0:
        product = np.asarray(product)  # of arrays without an axis it is a number
        np.copyto(product, 0, where=factor == 0)
    return product


def _column(factor: Number | Array, slope: Array, *, extended: bool) -> Any:
    """Return a factor that multiplies ``(*values, ...)`` in its own type, or in `WIDE`."""
    real = np.dtype(WIDE) if extended else slope.real.dtype
    if isinstance(factor, np.ndarray):
        return factor.astype(real).reshape(factor.shape + (1,) * (slope.ndim - factor.ndim))
    return real.type(factor)
