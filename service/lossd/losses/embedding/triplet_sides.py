"""The sides of a triplet: its differences, their lengths in a norm, and the gradients of these."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lossd.message import Array
from lossd.numerics.distances import distance, squares_are_exact

# What brings the distances of any finite numbers, but for hundreds of millions of dimensions, into range.
_SHRINK = {"f": 2.0**-32, "d": 2.0**-64, "g": 2.0**-64}


class Sides(NamedTuple):
    """The differences of a triplet, ``(rows, D)``, their norms' gradients, and by how much the positive is farther.

    Attributes:
        near: Anchor less positive.
        far: Anchor less negative.
        pull: Gradient of the positive's distance.
        push: That of the negative's distance to the anchor, as far as it is the one that counts.
        aside: That of the negative's distance to the positive, likewise, with respect to the positive.
        share: How far the negative's distance to the anchor counts, ``(rows,)``: 1 or 0, a half in a tie.
        apart: ``pull - push``.
        reach: The positive's distance less the negative's, ``(rows,)``.
        shrink: What all of it was multiplied with, by rows.
    """

    near: Array
    far: Array
    pull: Array
    push: Array
    aside: Array | float
    share: Array
    apart: Array
    reach: Array
    shrink: Array | float = 1.0


def sides_of(
    anchor: Array, positive: Array, negative: Array, p: float, eps: float | Array, swap: bool
) -> Sides:
    """Return the sides of triplets, ``(rows, D)`` each; the settings are those of `triplet_margin`."""
    near, far = anchor - positive + eps, anchor - negative + eps
    (pulled, pull), (pushed, push) = distance(near, p), distance(far, p)
    if not swap:
        apart, reach = pull - push, pulled - pushed
        if p == 2 and squares_are_exact(pulled) and squares_are_exact(pushed):
            between = negative - positive
            close = 4 * np.vecdot(between, between) < pulled * pulled
            factored, reach = _euclidean_differences(between, near + far, pulled, pushed, push)
            apart = np.where(close[:, None], factored, apart)
        return Sides(near, far, pull, push, 0.0, np.ones_like(pushed), apart, reach)
    turned, aside = distance(positive - negative + eps, p)
    share = np.where(pushed < turned, 1, np.where(pushed == turned, 0.5, 0)).astype(pushed.dtype)
    least = np.minimum(pushed, turned)
    push = weighted_rows(share, push)
    return Sides(near, far, pull, push, weighted_rows(1 - share, aside), share, pull - push, pulled - least)


def _euclidean_differences(
    between: Array, both: Array, pulled: Array, pushed: Array, push: Array
) -> tuple[Array, Array]:
    """Return the differences of the gradients and of the lengths of two vectors, from those of the vectors themselves.

    With u, v the vectors: ``|u| - |v| = (u - v) (u + v) / (|u| + |v|)``, and
    ``u / |u| - v / |v| = (u - v - v / |v| (|u| - |v|)) / |u|``. The anchor is in both u and v, and may be large.

    Settings:
        between: u - v, ``(rows, D)``.
        both: u + v.
        pulled: The length of u, ``(rows,)``, not 0.
        pushed: That of v.
        push: v over its length.
    """
    reach = np.vecdot(between, both / (pulled + pushed)[:, None])
    return (between - push * reach[:, None]) / pulled[:, None], reach


def shrunk_sides(
    anchor: Array, positive: Array, negative: Array, p: float, eps: float, swap: bool, plain: Sides
) -> Sides:
    """Return the sides with the rows shrunk whose distances overflowed: the difference of two may be finite."""
    shrink = np.where(np.isfinite(plain.reach), 1, _SHRINK[anchor.dtype.char]).astype(anchor.dtype)
    by = shrink[:, None]
    return sides_of(anchor * by, positive * by, negative * by, p, eps * by, swap)._replace(shrink=shrink)


def weighted_rows(weight: Array, slopes: Array) -> Array:
    """Multiply each row, ``(rows, D)``, by its weight; one without weight is 0 whatever it holds."""
    column = weight[:, None]
    return np.where(column == 0, 0, column * slopes)
