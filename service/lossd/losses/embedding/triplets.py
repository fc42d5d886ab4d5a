"""Triplet losses: a positive should be nearer to its anchor than a negative is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Literal

import numpy as np

from lossd.declaration.alias import pytorch
from lossd.declaration.cost import Cost
from lossd.declaration.edge import Edge
from lossd.declaration.example import Example
from lossd.declaration.loss import loss
from lossd.declaration.picture import plane
from lossd.declaration.result import Result, once
from lossd.declaration.roles import Embedding, Positive
from lossd.declaration.signature import Differentiable
from lossd.losses.embedding.triplet_curvature import second_derivative
from lossd.losses.embedding.triplet_sides import Slopes, shrunk_sides, sides_of, weighted_rows
from lossd.message import Array
from lossd.numerics.directions import directions

_TORCH = "https://docs.pytorch.org/docs/stable/generated/torch.nn."

# Vectors that are nearly as far from one as from the other leave the fused kernel, as most of 1,000 random coordinates
# do: 7 to 13 ns a coordinate for the values, where 100 take 2 to 3.
_COST = Cost(work="(2, D)")


@loss(
    aliases=pytorch("TripletMarginLoss", "triplet_margin_loss", also="There `p` may be infinity."),
    formula=r"\ell = \max(0,\ m + d(a, p) - d(a, n))",
    where=(r"d(u, v) = \lVert u - v + \epsilon \rVert_q",),
    source=f"Balntas et al. (2016), Learning shallow convolutional feature descriptors; {_TORCH}TripletMarginLoss.html",
    example=Example(
        anchor=[[0.0, 0.0]], positive=[[3.0, 4.0]], negative=[[0.0, 2.0]], margin=1.0, eps=0.0, value=[4.0]
    ),
    gradient=("anchor", "positive", "negative"),
    cost=_COST,
    picture=plane("negative", at=(0, 1)),
    symbols={"p": "q"},
    edges=(
        Edge("degenerate", "the negative is the anchor", 0.0),
        Edge("tie", "the margin exactly kept", 6.0),
    ),
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
    margin the full gradient passes. However far the anchor is from both others, loss and derivatives keep their
    digits. Only where two sides have nearly one direction and unequal lengths, and ``p`` is neither 1 nor 2 or
    ``swap`` is set, derivatives are as exact as a difference of numbers near 1.

    Use: Embeddings from triplets: an anchor, one like it, one unlike it.
    Avoid: Random triplets late in training: most cost nothing by then. supcon compares with the whole batch.

    Settings:
        margin: How much nearer the positive should be.
        p: The norm that distances are taken in.
        eps: Added to each coordinate of a difference.
        swap: Whether the negative's distance to the positive counts where it is less than that to the anchor.
    """

    def difference(one: Array, other: Array, shifts: int) -> Array:
        apart = one - other
        return apart + shifts * eps if shifts else apart

    if anchor.shape[1] == 1:
        p = 1.0  # any norm of one number is its size
    sides = sides_of(anchor, positive, negative, difference, p, swap)
    if not np.isfinite(sides.reach).all():
        sides = shrunk_sides(anchor, positive, negative, p, eps, swap, sides)
    reach = margin + sides.reach / sides.shrink  # so that a large distance does not swallow the margin
    active = np.where(np.isnan(reach), reach, reach >= 0).astype(reach.dtype)

    def curved(name: str, direction: Array | None = None) -> Array:
        return weighted_rows(active, second_derivative(sides, name, p, direction))

    return Result(
        np.maximum(reach, 0),
        {
            "anchor": lambda: weighted_rows(active, sides.slopes().anchor),
            "positive": lambda: weighted_rows(active, sides.slopes().positive),
            "negative": lambda: weighted_rows(active, sides.slopes().negative),
            "margin": lambda: active,
        },
        {name: partial(curved, name) for name in Slopes._fields},
        {name: partial(curved, name) for name in Slopes._fields},
    )


@loss(
    aliases=pytorch("TripletMarginWithDistanceLoss", "triplet_margin_with_distance_loss"),
    formula=r"\ell = \max(0,\ m + d(a, p) - d(a, n))",
    source=f"{_TORCH}TripletMarginWithDistanceLoss.html",
    example=Example(
        anchor=[[0.0, 0.0]], positive=[[3.0, 4.0]], negative=[[0.0, 2.0]], distance="squared", value=[22.0]
    ),
    gradient=("anchor", "positive", "negative"),
    cost=_COST,
    long_double=True,
    picture=plane("negative", at=(0, 1)),
    edges=(
        Edge("degenerate", "the negative is the anchor", 0.0),
        Edge("tie", "a margin of 0 exactly kept", 5.0, {"margin": 0.0}),
    ),
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

    Use: Triplets under another distance than a norm of the difference.
    Avoid: The Euclidean distance: triplet_margin offers any norm.

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
    slopes = once(slopes)
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


# How much farther the positive is from the anchor than the negative, ``(rows,)``, and its gradients.
_Reach = tuple[Array, Callable[[], Slopes]]


def _squared(a: Array, p: Array, n: Array) -> _Reach:
    """Take the difference of two squares by factors: ``(a - p)^2 - (a - n)^2 = (n - p) ((a - p) + (a - n))``."""
    reach = np.vecdot(n - p, (a - p) + (a - n))
    return reach, lambda: Slopes(2 * (n - p), 2 * (p - a), 2 * (a - n))


def _manhattan(a: Array, p: Array, n: Array) -> _Reach:
    """Take the difference of two lengths on one side of the anchor without the anchor."""
    near, far = np.sign(a - p), np.sign(a - n)
    reach = np.where(near * far > 0, near * (n - p), np.abs(a - p) - np.abs(a - n)).sum(axis=1)
    return reach, lambda: Slopes(near - far, -near, far)


def _cosine(a: Array, p: Array, n: Array) -> _Reach:
    """Take 1 less the cosine as half the square of the distance of unit vectors."""
    anchor, positive, negative = directions(a), directions(p), directions(n)
    between = negative.unit - positive.unit
    directed = (anchor.norm * positive.norm * negative.norm != 0)[:, 0]
    squares = np.vecdot(between, (anchor.unit - positive.unit) + (anchor.unit - negative.unit)) / 2
    reach = np.where(directed, squares, np.vecdot(anchor.unit, between))
    return reach, lambda: Slopes(anchor.vjp(between), positive.vjp(-anchor.unit), negative.vjp(anchor.unit))


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

    def shared() -> Slopes:
        own, other = slopes(), other_slopes()
        pairs = (own.anchor, other.positive), (own.positive, other.anchor), (own.negative, other.negative)
        return Slopes(*(weighted_rows(share, one) + weighted_rows(1 - share, two) for one, two in pairs))

    return np.where(share == 0, exchanged, plain), shared


def _near_one(*vectors: Array) -> list[Array]:
    """Multiply each row of all vectors by a power of two that makes its largest number about 1."""
    size = np.abs(np.concatenate(vectors, axis=1)).max(axis=1, keepdims=True, initial=0)
    exponent = -np.frexp(size)[1]
    return [np.ldexp(each, exponent) for each in vectors]
