"""The difference of the second derivatives of two norms, from the difference of the vectors.

The norms of two vectors u and v that share a large part curve nearly alike. Of a Euclidean norm the difference is taken
by factors; of another from logarithms of ratios, as that of the norms themselves is.
"""

from __future__ import annotations

import numpy as np

from lossd.message import Array
from lossd.numerics.norm_differences import (
    Measured,
    NormDifference,
    alike,
    exponential_difference,
    in_double,
    log_ratio,
    ratios,
)
from lossd.numerics.stable import sums_of_others

# What two second derivatives may differ by in logarithms so that their plain difference would lose digits.
_NEAR = 1.0


def curvature_difference(
    one: Measured,
    other: Measured,
    between: Array,
    apart: NormDifference,
    curved: tuple[Array, Array],
    p: float,
) -> Array:
    """Return the Hessian's diagonal of ``|u|`` less that of ``|v|``, ``(rows, D)``.

    With l and L the logarithms of the coordinates' and the norms' ratios and O the sums of the other coordinates'
    powers, each is a product ``(p - 1) |u_i|^(p-2) O_i |u|^(1-2p)``, and the logarithm of the ratio of two is
    ``(p - 2) l_i + log(O_u / O_v) + (1 - 2p) L``.

    Args:
        one: The vectors u.
        other: The vectors v.
        between: u - v.
        apart: What `norm_difference` found of them.
        curved: The two diagonals.
        p: The norm.
    """
    if p == 2:
        return _less_curved(one, apart, curved[1], apart.gradient * (one.gradient + other.gradient))
    u, v, apart_in_double = in_double(one.vectors, other.vectors, between)
    found = ratios(u, v, apart_in_double, p)
    of_u, of_v = (sums_of_others(each) for each in found.powers)
    known = found.both & (of_u > 0) & (of_v > 0)
    others = log_ratio(
        np.where(known, of_u, 1), np.where(known, of_v, 1), sums_of_others(found.terms) * known
    )
    steeper = (p - 2) * found.coordinates + others + (1 - 2 * p) * found.norms
    known &= np.abs(steeper) < _NEAR
    factored = exponential_difference(np.where(known, steeper, 0), *curved)
    difference: Array = np.where(known, factored, curved[0] - curved[1])
    return difference


def turning_difference(
    one: Measured,
    other: Measured,
    between: Array,
    apart: NormDifference,
    turned: tuple[Array, Array],
    direction: Array,
    p: float,
) -> Array:
    """Return the Hessian of ``|u|`` times a direction w less that of ``|v|``, ``(rows, D)``.

    Each is a product of ``s_i = (p - 1) |g_i / u_i|`` and ``x = w - n (g w)``, with n the vector over its norm and g
    the norm's gradient: the difference is that of s times x, and s times that of x,
    ``(n_v - n_u) (g_u w) + n_v (g_v - g_u) w``.

    Args:
        one: The vectors u.
        other: The vectors v.
        between: u - v.
        apart: What `norm_difference` found of them.
        turned: The two products.
        direction: w, ``(rows, D)``.
        p: The norm.
    """
    along, across = (np.vecdot(each.gradient, direction)[:, None] for each in (one, apart))
    if p == 2:
        return _less_curved(one, apart, turned[1], apart.gradient * along + other.gradient * across)
    u, v, apart_in_double = in_double(one.vectors, other.vectors, between)
    found = ratios(u, v, apart_in_double, p)
    steeper = (p - 1) * found.turned - found.coordinates
    known = alike(u, v) & found.both & (np.abs(steeper) < _NEAR)
    units = u / one.norm[:, None], v / other.norm[:, None]
    moved = exponential_difference(found.turned, *units)
    slope = (p - 1) * np.abs(np.divide(other.gradient, v, out=np.zeros_like(v), where=known))
    factored = -np.expm1(np.where(known, -steeper, 0)) * turned[0] - slope * (
        moved * along + units[1] * across
    )
    difference: Array = np.where(known, factored, turned[0] - turned[1])
    return difference


def _less_curved(one: Measured, apart: NormDifference, of_other: Array, turned: Array) -> Array:
    """Return by how much one Euclidean distance curves more than another that is nearly equal.

    With a and b the directions of u and v and ``H = I - a a^T`` over ``|u|`` the distance's Hessian, it is
    ``-((|u| - |v|) H_v + (a - b) a^T + b (a - b)^T) / |u|``, in which the differences are taken by factors.

    Args:
        one: The vectors u.
        apart: How the norms differ.
        of_other: ``H_v w`` of a direction w, or the diagonal of H_v, ``(rows, D)``.
        turned: ``(a - b) (a w) + b ((a - b) w)``, or the diagonal of that.
    """
    curved: Array = -(apart.norm[:, None] * of_other + turned) / one.norm[:, None]
    return curved
