"""The sides of a triplet: its differences, their lengths in a norm, and the gradients of these."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from lossd.message import Array
from lossd.numerics.distances import distance
from lossd.numerics.norm_differences import Measured, NormDifference, close_rows, norm_difference

# What brings the distances of any finite numbers, but for hundreds of millions of dimensions, into range.
SHRINK = {"f": 2.0**-32, "d": 2.0**-64, "g": 2.0**-64}


# Takes the difference of two vectors, ``(rows, D)``, with so many times `eps` added, as the loss has it.
Difference = Callable[[Array, Array, int], Array]


class Slopes(NamedTuple):
    """The gradients of how much farther the positive is than the negative, ``(rows, D)`` each."""

    anchor: Array
    positive: Array
    negative: Array


class Pair(NamedTuple):
    """Two sides u and v of a triplet, of which the distance of one is subtracted from that of the other.

    Attributes:
        one: The differences u, ``(rows, D)``, their lengths and the lengths' gradients.
        other: v, likewise.
        between: u - v, ``(rows, D)``, with the digits that u and v may have lost.
        lengths: How the two lengths differ.
    """

    one: Measured
    other: Measured
    between: Array
    lengths: NormDifference


class Sides(NamedTuple):
    """The differences of a triplet, ``(rows, D)``, and by how much the positive is farther.

    Attributes:
        plain: Anchor less positive, and anchor less negative.
        share: How far the negative's distance to the anchor counts, ``(rows,)``: 1 or 0, a half in a tie.
        reach: The positive's distance less the negative's, ``(rows,)``.
        slopes: Computes the gradients of `reach`.
        swapped: Computes anchor less positive, and the side between negative and positive, of whichever sign is
            nearer to the former; None without a swap.
        shrink: What all of it was multiplied with, by rows.
    """

    plain: Pair
    share: Array
    reach: Array
    slopes: Callable[[], Slopes]
    swapped: Callable[[], Pair] | None = None
    shrink: Array | float = 1.0


def sides_of(
    anchor: Array, positive: Array, negative: Array, difference: Difference, p: float, swap: bool
) -> Sides:
    """Return the sides of triplets, ``(rows, D)`` each; the settings are those of `triplet_margin`."""
    near, far = (_measured(difference(anchor, other, 1), p) for other in (positive, negative))
    between = difference(negative, positive, 0)
    lengths = norm_difference(near, far, between, p)
    pair = Pair(near, far, between, lengths)
    if not swap:
        plain = Slopes(lengths.gradient, -near.gradient, far.gradient)
        return Sides(pair, np.ones_like(far.norm), lengths.norm, lambda: plain)
    # Distances that are nearly equal beside that of the positive from the negative are not the ones that count.
    turned = _measured(difference(positive, negative, 1), p)
    # A negative far from both others is nearer to one of them by less than its distances have digits.
    to_positive = difference(anchor, positive, 0)
    nearer = norm_difference(far, turned, to_positive, p).norm
    share = np.where(nearer < 0, 1, np.where(nearer == 0, 0.5, 0)).astype(far.norm.dtype)
    reach = np.where(share == 0, near.norm - turned.norm, lengths.norm)
    # The positive may be far from both others: its differences from them are then nearly opposite.
    across = difference(anchor, negative, 2)
    rows = np.flatnonzero((share == 0) & close_rows(near, turned, across, p))
    found = norm_difference(near.rows(rows), _signed(turned.rows(rows), -1), across[rows], p)
    reach[rows] = found.norm

    def without_eps(to_positive: Array) -> Array:
        """Return the difference of the two sides at the positive, ``(rows, D)``: `eps` is in both and cancels."""
        return to_positive - difference(positive, negative, 0)

    # Or `eps` makes them alike: then only their lengths cancel, as the positive's slope is a sum.
    apart = without_eps(to_positive)
    shifted = np.flatnonzero((share == 0) & close_rows(near, turned, apart, p))
    reach[shifted] = norm_difference(near.rows(shifted), turned.rows(shifted), apart[shifted], p).norm

    @cache
    def slopes() -> Slopes:
        push, aside = weighted_rows(share, far.gradient), weighted_rows(1 - share, turned.gradient)
        pull = near.gradient
        of_anchor, of_positive = pull - push, -(pull + aside)
        close = np.flatnonzero(lengths.close & (share == 1))
        of_anchor[close], of_positive[rows] = lengths.gradient[close], -found.gradient
        return Slopes(of_anchor, of_positive, push + aside)

    def swapped() -> Pair:
        # A length is that of the opposite side, so the two are compared in the sign in which they are more alike.
        along = (np.vecdot(near.gradient, turned.gradient) > 0)[:, None]
        other = Measured(
            np.where(along, turned.vectors, -turned.vectors),
            turned.norm,
            np.where(along, turned.gradient, -turned.gradient),
        )
        # Computed again: keeping it since the forward pass would hold one more array.
        between = np.where(along, without_eps(difference(anchor, positive, 0)), across)
        return Pair(near, other, between, norm_difference(near, other, between, p))

    return Sides(pair, share, reach, slopes, swapped)


def _measured(vectors: Array, p: float) -> Measured:
    return Measured(vectors, *distance(vectors, p))


def _signed(side: Measured, sign: Array | int) -> Measured:
    return Measured(sign * side.vectors, side.norm, sign * side.gradient)


def shrunk_sides(
    anchor: Array, positive: Array, negative: Array, p: float, eps: float, swap: bool, plain: Sides
) -> Sides:
    """Return the sides with the rows shrunk whose distances overflowed: the difference of two may be finite."""
    shrink = np.where(np.isfinite(plain.reach), 1, SHRINK[anchor.dtype.char]).astype(anchor.dtype)
    by = shrink[:, None]

    def difference(one: Array, other: Array, shifts: int) -> Array:
        return _signed_alike(one * by - other * by + shifts * eps * by, one - other + shifts * eps)

    return sides_of(anchor, positive, negative, difference, p, swap)._replace(shrink=shrink)


def _signed_alike(shrunk: Array, plain: Array) -> Array:
    """Return shrunk numbers with the signs that they had: what vanished is the smallest number of its sign.

    The slope of a sum of absolute differences is their signs, however small one is beside the largest.
    """
    size, least = np.abs(shrunk), np.finfo(shrunk.dtype).smallest_subnormal
    alike: Array = np.copysign(np.where((size < least) & (plain != 0), least, size), plain)
    return alike


def weighted_rows(weight: Array, slopes: Array) -> Array:
    """Multiply each row, ``(rows, D)``, by its weight; one without weight is 0 whatever it holds."""
    weighted: Array = weight[:, None] * slopes
    weighted[weight == 0] = 0
    return weighted
