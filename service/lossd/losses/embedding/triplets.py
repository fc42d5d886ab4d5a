"""Triplet losses: a positive should be nearer to its anchor than a negative is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Literal, NamedTuple

import numpy as np

from lossd.declaration.alias import pytorch
from lossd.declaration.example import Example
from lossd.declaration.loss import loss
from lossd.declaration.result import Result
from lossd.declaration.roles import Embedding, Positive
from lossd.declaration.signature import Differentiable
from lossd.losses.embedding.triplet_sides import shrunk_sides, sides_of, weighted_rows
from lossd.message import Array
from lossd.numerics.directions import directions
from lossd.numerics.distances import curvature

_TORCH = "https://docs.pytorch.org/docs/stable/generated/torch.nn."


@loss(
    aliases=pytorch("TripletMarginLoss", "triplet_margin_loss", also="There `p` may be infinity."),
    formula=r"\ell = \max(0,\ m + d(a, p) - d(a, n)),\quad d(u, v) = \lVert u - v + \epsilon \rVert_p",
    source=f"Balntas et al. (2016), Learning shallow convolutional feature descriptors; {_TORCH}TripletMarginLoss.html",
    example=Example(
        anchor=[[0.0, 0.0]], positive=[[3.0, 4.0]], negative=[[0.0, 2.0]], margin=1.0, eps=0.0, value=[4.0]
    ),
    gradient=("anchor", "positive", "negative"),
)
def triplet_margin(
    anchor: Embedding,
    positive: Embedding,
    negative: Embedding,
    *,
    margin: Annotated[float, Differentiable] = 1.0,
    p: Positive = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
) -> Result:
    """The positive should be nearer to the anchor than the negative is, by ``margin``.

    With ``swap`` the negative's distance is the lesser of those to the anchor and to the positive. At the
    margin the full gradient passes.

    Settings:
        margin: How much nearer the positive should be.
        p: The norm that distances are taken in.
        eps: Added to each coordinate of a difference.
        swap: Whether the negative's distance to the positive counts where it is less than that to the anchor.
    """
    sides = sides_of(anchor, positive, negative, p, eps, swap)
    if not np.isfinite(sides.reach).all():
        sides = shrunk_sides(anchor, positive, negative, p, eps, swap, sides)
    reach = margin + sides.reach / sides.shrink  # so that a large distance does not swallow the margin
    active = np.where(np.isnan(reach), reach, reach >= 0).astype(reach.dtype)
    pull, push, aside = sides.pull, sides.push, sides.aside

    def curved() -> Array:
        far = weighted_rows(sides.share, curvature(sides.far, p))
        apart: Array = (curvature(sides.near, p) - far) * np.reshape(sides.shrink, (-1, 1))
        return apart

    def turned(direction: Array) -> Array:
        """Return the product of the Euclidean distances' Hessians with a direction; NaN where one of them is 0."""
        far = weighted_rows(sides.share, _turning(sides.far, direction))
        turning: Array = (_turning(sides.near, direction) - far) * np.reshape(sides.shrink, (-1, 1))
        return turning

    return Result(
        np.maximum(reach, 0),
        {
            "anchor": lambda: weighted_rows(active, sides.apart),
            "positive": lambda: weighted_rows(active, -(pull + aside)),
            "negative": lambda: weighted_rows(active, push + aside),
            "margin": lambda: active,
        },
        {"anchor": lambda: weighted_rows(active, curved())},
        {"anchor": lambda direction: weighted_rows(active, turned(direction))} if p == 2 else {},
    )


def _turning(vectors: Array, direction: Array) -> Array:
    """Return how the directions of vectors turn along another, which is the Hessian of their lengths times it."""
    found = directions(vectors)
    turning: Array = np.where(found.norm == 0, np.nan, found.vjp(direction))
    return turning


@loss(
    aliases=pytorch("TripletMarginWithDistanceLoss", "triplet_margin_with_distance_loss"),
    formula=r"\ell = \max(0,\ m + d(a, p) - d(a, n))",
    source=f"{_TORCH}TripletMarginWithDistanceLoss.html",
    example=Example(
        anchor=[[0.0, 0.0]], positive=[[3.0, 4.0]], negative=[[0.0, 2.0]], distance="squared", value=[22.0]
    ),
    gradient=("anchor", "positive", "negative"),
    long_double=True,
)
def triplet_margin_with_distance(
    anchor: Embedding,
    positive: Embedding,
    negative: Embedding,
    *,
    distance: Literal["euclidean", "cosine", "squared", "manhattan"] = "euclidean",
    margin: Annotated[float, Differentiable] = 1.0,
    swap: bool = False,
    eps: float = 1e-6,
) -> Result:
    """The positive should be nearer to the anchor than the negative is, by ``margin``, in a distance of choice.

    The Euclidean distance is that of ``triplet_margin``, as it is PyTorch's default. Squared is its square without
    ``eps``, Manhattan the sum of the absolute differences, and cosine 1 less the cosine, which is 0 with a vector of
    zeros. With ``swap`` the negative's distance is the lesser of those to the anchor and to the positive. At the
    margin the full gradient passes.

    Settings:
        distance: The distance.
        margin: How much nearer the positive should be.
        swap: Whether the negative's distance to the positive counts where it is less than that to the anchor.
        eps: Added to each coordinate of a difference, in the Euclidean distance alone.
    """
    if distance == "euclidean":
        return triplet_margin.kernel(anchor, positive, negative, margin=margin, eps=eps, swap=swap)
    reaches = _REACHES[distance]
    reach, slopes = reaches(anchor, positive, negative)
    if swap:
        reach, slopes = _swapped(reaches, anchor, positive, negative)
    lacking = margin + reach
    active = np.where(np.isnan(lacking), lacking, lacking >= 0).astype(lacking.dtype)
    return Result(
        np.maximum(lacking, 0),
        {
            "anchor": lambda: weighted_rows(active, slopes().anchor),
            "positive": lambda: weighted_rows(active, slopes().positive),
            "negative": lambda: weighted_rows(active, slopes().negative),
            "margin": lambda: active,
        },
    )


class _Slopes(NamedTuple):
    """The gradients of how much farther the positive is than the negative, ``(rows, D)`` each."""

    anchor: Array
    positive: Array
    negative: Array


# How much farther the positive is from the anchor than the negative, ``(rows,)``, and its gradients.
_Reach = tuple[Array, Callable[[], _Slopes]]


def _squared(a: Array, p: Array, n: Array) -> _Reach:
    """Take the difference of two squares by factors: ``(a - p)^2 - (a - n)^2 = (n - p) ((a - p) + (a - n))``."""
    reach = np.vecdot(n - p, (a - p) + (a - n))
    return reach, lambda: _Slopes(2 * (n - p), 2 * (p - a), 2 * (a - n))


def _manhattan(a: Array, p: Array, n: Array) -> _Reach:
    """Take the difference of two lengths on one side of the anchor without the anchor."""
    near, far = np.sign(a - p), np.sign(a - n)
    reach = np.where(near * far > 0, near * (n - p), np.abs(a - p) - np.abs(a - n)).sum(axis=1)
    return reach, lambda: _Slopes(near - far, -near, far)


def _cosine(a: Array, p: Array, n: Array) -> _Reach:
    """Take 1 less the cosine as half the square of the distance of unit vectors."""
    anchor, positive, negative = directions(a), directions(p), directions(n)
    between = negative.unit - positive.unit
    directed = (anchor.norm * positive.norm * negative.norm != 0)[:, 0]
    squares = np.vecdot(between, (anchor.unit - positive.unit) + (anchor.unit - negative.unit)) / 2
    reach = np.where(directed, squares, np.vecdot(anchor.unit, between))
    return reach, lambda: _Slopes(anchor.vjp(between), positive.vjp(-anchor.unit), negative.vjp(anchor.unit))


_REACHES: Mapping[str, Callable[[Array, Array, Array], _Reach]] = {
    "cosine": _cosine,
    "squared": _squared,
    "manhattan": _manhattan,
}


def _swapped(reaches: Callable[..., _Reach], a: Array, p: Array, n: Array) -> _Reach:
    """Exchange the anchor and the positive where the negative is nearer to the latter; a tie is shared."""
    plain, slopes = reaches(a, p, n)
    exchanged, other_slopes = reaches(p, a, n)
    # Squares of scaled vectors stay in range; cosines do not depend on scales, of which one might lose another vector.
    nearer, _ = reaches(*(_near_one(n, a, p) if reaches is _squared else (n, a, p)))
    share = np.where(nearer < 0, 1, np.where(nearer > 0, 0, 0.5)).astype(plain.dtype)

    def shared() -> _Slopes:
        own, other = slopes(), other_slopes()
        pairs = (own.anchor, other.positive), (own.positive, other.anchor), (own.negative, other.negative)
        return _Slopes(*(weighted_rows(share, one) + weighted_rows(1 - share, two) for one, two in pairs))

    return np.where(share == 0, exchanged, plain), shared


def _near_one(*vectors: Array) -> list[Array]:
    """Multiply each row of all vectors by a power of two that makes its largest number about 1."""
    size = np.abs(np.concatenate(vectors, axis=1)).max(axis=1, keepdims=True, initial=0)
    exponent = -np.frexp(size)[1]
    return [np.ldexp(each, exponent) for each in vectors]
