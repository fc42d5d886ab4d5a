"""The difference of the norms of two vectors, and of the norms' gradients, from the difference of the vectors.

Two vectors u and v that share a large part have nearly equal norms, whose difference would lose its digits. The caller
knows ``u - v`` without that part. Each row is computed by itself: no other row changes its result.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lossd.message import Array
from lossd.numerics.distances import exact_squares, squares_are_exact

# The size of a coordinate of a direction that is most of it.
_MOST = 0.8


class NormDifference(NamedTuple):
    """How two norms and their gradients differ, by rows.

    Attributes:
        norm: ``|u| - |v|``, ``(rows,)``.
        gradient: The gradient of ``|u|`` at u less that of ``|v|`` at v, ``(rows, D)``.
        close: Rows of which it is taken from the difference of the vectors: what is made of them differs as little.
    """

    norm: Array
    gradient: Array
    close: Array

    def rows(self, rows: Array) -> NormDifference:
        """Return some of them."""
        return NormDifference(*(part[rows] for part in self))


class Measured(NamedTuple):
    """Vectors ``(rows, D)``, their norms ``(rows,)`` and the norms' gradients."""

    vectors: Array
    norm: Array
    gradient: Array

    def rows(self, rows: Array) -> Measured:
        """Return some of them."""
        return Measured(*(part[rows] for part in self))


def norm_difference(one: Measured, other: Measured, between: Array, p: float) -> NormDifference:
    """Return how the p-norms of two vectors differ.

    Args:
        one: The vectors u.
        other: The vectors v.
        between: u - v, ``(rows, D)``, with the digits that u and v may have lost.
        p: The norm.
    """
    gradient, apart = one.gradient - other.gradient, one.norm - other.norm
    close = close_rows(one, other, between, p)
    rows = np.flatnonzero(close)
    if len(rows):
        of_close = one.rows(rows), other.rows(rows), between[rows]
        if p == 2:
            apart[rows] = _euclidean_norms(*of_close)
            gradient[rows] = _euclidean_gradients(*of_close, apart[rows])
        elif p == 1:
            apart[rows] = _size_difference(of_close[0].vectors, of_close[1].vectors, of_close[2]).sum(axis=1)
        else:
            apart[rows], gradient[rows] = _by_logarithms(*of_close, p)
    if p == 2:
        _correct_longest(gradient, one.gradient, other.gradient)
    return NormDifference(apart, gradient, close)


def close_rows(one: Measured, other: Measured, between: Array, p: float) -> Array:
    """Return the rows of which the difference of two norms, or of their gradients, would lose digits.

    The length of u - v, which is cheap, bounds its p-norm; where squares vanish, the largest coordinate bounds that.
    """
    length, dimensions = np.sqrt(np.vecdot(between, between)), between.shape[1]
    rows = () if squares_are_exact(length) else np.flatnonzero(~exact_squares(length))
    if len(rows):
        length[rows] = np.abs(between[rows]).max(axis=1, initial=0) * dimensions**0.5
    widest = 2 * np.float64(dimensions) ** max(1 / p - 0.5, 0) * length  # infinite where p is next to 0
    close: Array = (widest < one.norm) & np.isfinite(other.norm)
    return close


def _euclidean_norms(one: Measured, other: Measured, between: Array) -> Array:
    """Return ``|u| - |v| = (u - v) (u + v) / (|u| + |v|)``."""
    lengths = one.norm + other.norm
    reach: Array = np.vecdot(between, (one.vectors + other.vectors) / lengths[:, None])
    if not (squares_are_exact(one.norm) and squares_are_exact(other.norm)):
        reach = np.where(np.isfinite(lengths) & (lengths != 0), reach, one.norm - other.norm)
    return reach


def _euclidean_gradients(one: Measured, other: Measured, between: Array, apart: Array) -> Array:
    """Return ``u / |u| - v / |v| = (u - v - v / |v| (|u| - |v|)) / |u|``."""
    # Multiplied with a power of two that makes the length about 1: products of subnormal numbers have few digits.
    exponent = -np.frexp(one.norm)[1]
    norm, reach = np.ldexp(one.norm, exponent), np.ldexp(apart, exponent)
    scaled = np.ldexp(between, exponent[:, None])
    gradient: Array = (scaled - other.gradient * reach[:, None]) / norm[:, None]
    return gradient


def _correct_longest(apart: Array, one: Array, other: Array) -> None:
    """Compute the difference of two directions a and b along the coordinate k that is most of both from the others.

    As both have length 1, ``a_k - b_k = -sum_j (a_j - b_j) (a_j + b_j) / (a_k + b_k)``: next to 1 it would cancel.
    """
    rows = np.flatnonzero((np.abs(other) > _MOST).any(axis=1))
    if not len(rows):
        return
    longest = np.abs(other[rows]).argmax(axis=1)
    alike = one[rows, longest] * other[rows, longest] > _MOST**2
    rows, longest = rows[alike], longest[alike]
    both, others = one[rows] + other[rows], apart[rows]
    others[np.arange(len(rows)), longest] = 0
    apart[rows, longest] = -np.vecdot(others, both) / both[np.arange(len(rows)), longest]


class Ratios(NamedTuple):
    """How the coordinates of two vectors u and v differ, in logarithms; in float64 or wider.

    Attributes:
        both: Where both have a coordinate that is not 0, ``(rows, D)``; elsewhere there is no logarithm.
        coordinates: ``log(|u_i| / |v_i|)``, ``(rows, D)``.
        norms: ``log(|u| / |v|)``, ``(rows, 1)``.
        turned: ``coordinates - norms``, how the coordinates of the directions differ.
        powers: ``|u_i|^p`` and ``|v_i|^p`` over the same power of the largest coordinate.
        terms: The differences of these powers.
        top: The largest coordinate of both, ``(rows, 1)``.
    """

    both: Array
    coordinates: Array
    norms: Array
    turned: Array
    powers: tuple[Array, Array]
    terms: Array
    top: Array


def ratios(one: Array, other: Array, between: Array, p: float) -> Ratios:
    """Return how two vectors, ``(rows, D)`` in one type, differ coordinate by coordinate and in their p-norms.

    With ``l_i = log(|u_i| / |v_i|)`` and S the sums of the p-th powers, ``S_u - S_v`` is the sum of
    ``|v_i|^p (exp(p l_i) - 1)``, and ``log(|u| / |v|) = log(S_u / S_v) / p``.
    """
    sizes = np.abs(one), np.abs(other)
    top = np.maximum(_largest(one), _largest(other))[:, None]
    both = (sizes[0] != 0) & (sizes[1] != 0)
    # A coordinate that is 0 in one of them has no logarithm: its powers are those of the other.
    filled = [np.where(both, size, 1) for size in sizes]
    coordinates = log_ratio(filled[0], filled[1], _size_difference(one, other, between) * both)
    powers = (sizes[0] / top) ** p, (sizes[1] / top) ** p
    terms = np.where(both, exponential_difference(p * coordinates, *powers), powers[0] - powers[1])
    totals = [each.sum(axis=1) for each in powers]
    norms = log_ratio(totals[0], totals[1], terms.sum(axis=1))[:, None] / p
    turned = coordinates - norms
    _correct_turned(turned, both, coordinates, powers, p)
    return Ratios(both, coordinates, norms, turned, powers, terms, top)


def _correct_turned(
    turned: Array, both: Array, coordinates: Array, powers: tuple[Array, Array], p: float
) -> None:
    """Compute the ratios of the directions from the small coordinates where one, k, is most of both vectors.

    With ``R`` the sum of the others' ``(|u_j| / |u_k|)^p``, ``log(|u| / |v|) - l_k`` is
    ``log((1 + R_u) / (1 + R_v)) / p``: the ratios of the norms and of that coordinate would cancel.
    """
    one, other = powers
    longest = other.argmax(axis=1)
    rows = np.arange(len(other))
    most = (other[rows, longest] > _MOST * other.sum(axis=1)) & (one[rows, longest] > _MOST * one.sum(axis=1))
    rows = np.flatnonzero(most)
    if not len(rows):
        return
    longest = longest[rows][:, None]
    shares = [np.divide(each[rows], np.take_along_axis(each[rows], longest, axis=1)) for each in powers]
    relative = coordinates[rows] - np.take_along_axis(coordinates[rows], longest, axis=1)
    differences = np.where(both[rows], exponential_difference(p * relative, *shares), shares[0] - shares[1])
    for each in (*shares, differences):
        np.put_along_axis(each, longest, 0, axis=1)
    of_one, of_other = (1 + each.sum(axis=1) for each in shares)
    norms = log_ratio(of_one, of_other, differences.sum(axis=1))[:, None] / p
    turned[rows] = relative - norms


def _by_logarithms(one: Measured, other: Measured, between: Array, p: float) -> tuple[Array, Array]:
    """Return the differences of the p-norms of two vectors and of their gradients, at least in float64.

    With l and L the logarithms of the coordinates' and the norms' ratios, ``|u| - |v| = |v| (exp(L) - 1)``, and the
    gradients, of one sign, differ by ``(|v_i| / |v|)^(p-1) (exp((p - 1) (l_i - L)) - 1)``.
    """
    u, v, *rest = in_double(one.vectors, other.vectors, between, one.gradient, other.gradient)
    found = ratios(u, v, rest[0], p)
    lengths = (found.top[:, 0] * power.sum(axis=1) ** (1 / p) for power in found.powers)
    steeper = exponential_difference((p - 1) * found.turned, *map(np.abs, rest[1:]))
    plain = rest[1] - rest[2]
    gradient = np.where(found.both & alike(u, v), np.where(u < 0, -steeper, steeper), plain)
    return exponential_difference(found.norms[:, 0], *lengths), gradient


def in_double(*arrays: Array) -> list[Array]:
    """Return the arrays in float64, or in the wider type that one of them has."""
    kind = np.result_type(*arrays, np.float64)
    return [each.astype(kind) for each in arrays]


def alike(u: Array, v: Array) -> Array:
    """Return where two numbers are both negative, or neither is."""
    same: Array = (u < 0) == (v < 0)
    return same


def _size_difference(u: Array, v: Array, between: Array) -> Array:
    """Return ``|u| - |v|`` of each coordinate: of numbers of one sign ``u - v`` or its negative."""
    return np.where(alike(u, v), np.where(u < 0, -between, between), np.abs(u) - np.abs(v))


def log_ratio(one: Array, other: Array, difference: Array) -> Array:
    """Return ``log(x / y)`` of positive numbers from ``x - y``, by log1p where they are within a factor of two."""
    above = difference >= 0
    larger, smaller = np.where(above, one, other), np.where(above, other, one)
    share = np.where(above, difference, -difference) / larger
    near = share <= 0.5
    size = np.where(near, -np.log1p(-np.where(near, share, 0)), np.log(larger / smaller))
    return np.where(above, size, -size)


def exponential_difference(log_ratio: Array, one: Array, other: Array) -> Array:
    """Return ``x - y`` of numbers of one sign from ``log(x / y)``."""
    above = log_ratio >= 0
    shrinking = -np.expm1(np.where(above, -log_ratio, log_ratio))
    return np.where(above, one * shrinking, -(other * shrinking))


def _largest(vectors: Array) -> Array:
    largest: Array = np.abs(vectors).max(axis=1, initial=0)
    return largest
