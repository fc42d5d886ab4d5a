"""Unit vectors and what cosines are made of, over the whole range of floats, with the pullbacks of both."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lossd.message import Array
from lossd.numerics.dual_array import DualArray, tangent_of, value_of


class Directions(NamedTuple):
    """Vectors as directions and lengths.

    Attributes:
        unit: Vectors of length 1, ``(rows, D)``; of a vector of zeros 0.
        norm: Their lengths as numbers near 1, ``(rows, 1)``; of a vector of zeros 0.
        exponent: The powers of two that the lengths are to be multiplied with, ``(rows, 1)``.
    """

    unit: Array
    norm: Array
    exponent: Array

    def vjp(self, slope: Array, power: int = 0, dtype: np.dtype[Any] | None = None) -> Array:
        """Return the gradient with respect to the vectors of what has this gradient with respect to ``unit``.

        It is multiplied with 2 to the ``power`` together with the lengths' own powers of two, as alone that may leave
        the range: in ``dtype`` where that is the wider one. A vector of zeros has no direction: its gradient is 0.
        """
        along = tangent(self.unit, slope)
        slopes = np.divide(along, self.norm, out=np.zeros_like(along), where=self.norm != 0)
        if dtype is not None:
            slopes = slopes.astype(np.result_type(slopes, dtype), copy=False)
        pulled: Array = np.ldexp(slopes, power - self.exponent)
        return pulled


def directions(vectors: Array) -> Directions:
    """Return the direction of each row ``(rows, D)``; squares stay in range, as rows are first scaled to about 1."""
    exponent = np.frexp(np.abs(vectors).max(axis=1, keepdims=True, initial=0))[1]
    scaled = np.ldexp(vectors, -exponent)
    norm = np.sqrt(np.vecdot(scaled, scaled))[:, None]
    unit = np.divide(scaled, norm, out=np.zeros_like(scaled), where=norm != 0)
    found = Directions(unit, norm, np.asarray(exponent))
    if isinstance(unit, DualArray):
        # The derivative of the quotient would cancel for the longest coordinate.
        unit.tangent[...] = Directions(unit.value, value_of(norm), found.exponent).vjp(tangent_of(vectors))
    return found


def tangent(unit: Array, slope: Array) -> Array:
    """Return what of ``slope`` is at right angles to the unit vectors, ``slope - unit (unit slope)``, row by row.

    For the longest coordinate k the difference would cancel: it is the sum over the others of
    ``u_j (u_j s_k - u_k s_j)``.
    """
    if not unit.shape[1]:
        return slope
    longest = np.abs(unit).argmax(axis=1)[:, None]
    own, own_slope = np.take_along_axis(unit, longest, axis=1), np.take_along_axis(slope, longest, axis=1)
    others = unit.copy()
    np.put_along_axis(others, longest, 0, axis=1)
    along = np.vecdot(others, slope)[:, None]
    tangent: Array = slope - unit * (along + own * own_slope)
    at_longest = own_slope * np.vecdot(others, others)[:, None] - own * along
    np.put_along_axis(tangent, longest, at_longest, axis=1)
    return tangent


def half_square(one: Array, other: Array) -> Array:
    """Return half the square of the distance of each row ``(rows, D)`` from another: of unit vectors, 1 - cosine."""
    apart = one - other
    square: Array = np.vecdot(apart, apart) / 2
    return square
