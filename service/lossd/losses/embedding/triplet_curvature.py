"""The second derivatives of how much farther the positive of a triplet is than the negative."""

from __future__ import annotations

import numpy as np

from lossd.losses.embedding.triplet_sides import SHRINK, Pair, Sides, weighted_rows
from lossd.message import Array
from lossd.numerics.curvature_differences import curvature_difference, turning_difference
from lossd.numerics.directions import directions
from lossd.numerics.distances import curvature, turning


def second_derivative(sides: Sides, name: str, p: float, direction: Array | None = None) -> Array:
    """Return the Hessian's diagonal with respect to a vector, ``(rows, D)``, or the Hessian times a direction.

    A side changes by as much as its vector, or by minus that: with respect to either end of a side its length has the
    same Hessian. It is NaN where a length is 0.

    Args:
        sides: The sides.
        name: The vector: "anchor", "positive" or "negative".
        p: The norm that the lengths are taken in.
        direction: A direction, ``(rows, D)``, for the product; None for the diagonal.
    """
    curved: Array = _CURVED[name](sides, p, direction) * np.reshape(sides.shrink, (-1, 1))
    return curved


def _of_anchor(sides: Sides, p: float, direction: Array | None) -> Array:
    return _of_pair(sides.plain, sides.share, p, direction)


def _of_positive(sides: Sides, p: float, direction: Array | None) -> Array:
    if sides.swapped is None:
        return _of_side(sides.plain.one.vectors, p, direction)
    return _of_pair(sides.swapped(), 1 - sides.share, p, direction)


def _of_negative(sides: Sides, p: float, direction: Array | None) -> Array:
    curved = weighted_rows(sides.share, _of_side(sides.plain.other.vectors, p, direction))
    if sides.swapped is not None:
        turned = _of_side(sides.swapped().other.vectors, p, direction)
        curved = curved + weighted_rows(1 - sides.share, turned)
    return -curved


_CURVED = {"anchor": _of_anchor, "positive": _of_positive, "negative": _of_negative}


def _of_pair(pair: Pair, share: Array, p: float, direction: Array | None) -> Array:
    """Return the second derivatives of one length less so much of those of another, ``(rows, D)``."""
    of_one, of_other = (_of_side(side.vectors, p, direction) for side in (pair.one, pair.other))
    apart = of_one - weighted_rows(share, of_other)
    _compare_infinite(apart, pair, of_one, of_other, share, p, direction)
    rows = np.flatnonzero(pair.lengths.close & (share == 1) & (p != 1))
    if len(rows):
        close = pair.one.rows(rows), pair.other.rows(rows), pair.between[rows], pair.lengths.rows(rows)
        known = of_one[rows], of_other[rows]
        apart[rows] = (
            curvature_difference(*close, known, p)
            if direction is None
            else turning_difference(*close, known, direction[rows], p)
        )
    return apart


def _compare_infinite(
    apart: Array, pair: Pair, of_one: Array, of_other: Array, share: Array, p: float, direction: Array | None
) -> None:
    """Compute the rows again in which both curve beyond range: one may curve more than the other by as much.

    Vectors that are longer by a factor curve less by it.
    """
    rows = np.flatnonzero((np.isinf(of_one) & np.isinf(of_other) & (share != 0)[:, None]).any(axis=1))
    if not len(rows):
        return
    longer, along = 1 / SHRINK[apart.dtype.char], None if direction is None else direction[rows]
    one, other = (_of_side(side.vectors[rows] * longer, p, along) for side in (pair.one, pair.other))
    apart[rows] = (one - weighted_rows(share[rows], other)) * longer


def _of_side(vectors: Array, p: float, direction: Array | None) -> Array:
    """Return the Hessian's diagonal of the vectors' norms, or the Hessian times a direction."""
    if direction is None:
        return curvature(vectors, p)
    if p != 2:
        return turning(vectors, direction, p)
    found = directions(vectors)  # of lengths: how their directions turn
    turned: Array = np.where(found.norm == 0, np.nan, found.vjp(direction))
    return turned
