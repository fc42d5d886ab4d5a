"""Losses of all pairs of a batch: items of one label should be alike, all others not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from lossd.declaration.alias import Alias
from lossd.declaration.cost import Cost
from lossd.declaration.denominator import Denominator
from lossd.declaration.edge import Edge
from lossd.declaration.example import Example
from lossd.declaration.loss import loss
from lossd.declaration.picture import plane
from lossd.declaration.result import Normalizer, Pullback, Result
from lossd.declaration.roles import ItemLabels, Items, Temperature
from lossd.losses.embedding.compared_rows import ComparedRows, compare
from lossd.losses.embedding.pair_curvature import curvature_of_pairs
from lossd.message import Array
from lossd.numerics.directions import directions, tangent
from lossd.numerics.pair_cosines import pair_cosines
from lossd.numerics.stable import sums_of_others
from lossd.numerics.sums import dot
from lossd.numerics.tiles import tile_rows, tiles


def positive_pairs(labels: Array) -> Normalizer:
    """Divide means by the number of pairs of an item and its positive."""
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return Normalizer((counts[inverse.reshape(-1)] - 1).astype(np.float64))


@loss(
    aliases=(
        Alias(
            "NTXentLoss",
            "pytorch-metric-learning",
            "A batch without a pair of one label is 0 there; here `empty` says what it is.",
        ),
        Alias(
            "ntxent",
            "optax",
            "A batch without a pair of one label is NaN there; here `empty` says what it is.",
        ),
    ),
    formula=(
        r"\ell_i = \sum_{j \in P_i} \log\bigl(1 + \textstyle\sum_{k \in N_i} e^{(c_{ik} - c_{ij}) / "
        r"\tau}\bigr)"
    ),
    where=(r"c_{ij} = \cos(x_i, x_j)",),
    source="Chen et al. (2020), A Simple Framework for Contrastive Learning; optax.losses.ntxent",
    example=Example(
        embeddings=[[3.0, 0.0], [4.0, 3.0], [1.5, 2.0], [0.0, 2.0], [-3.0, 4.0], [-2.0, -1.5]],
        labels=[0, 0, 0, 1, 1, 1],
        temperature=1.0,
        value=[
            1.381025474124502,
            1.6874225123313658,
            2.068275599487,
            3.506332735885607,
            2.18250281377128,
            1.9474978113414358,
        ],
    ),
    gradient=("embeddings",),
    value="(N)",
    normalizer=positive_pairs,
    cost=Cost(workspace="(9, N, D)", tile="(10, N)", work="(4, N, N)", products="(N, N, D)"),
    picture=plane("embeddings", at=(2, 0), rays=True),
    denominator=Denominator("positive pair"),
    edges=(
        Edge(
            "degenerate",
            "a vector of zeros",
            0.0,
            {"embeddings": [[3.0, 0.0], [4.0, 3.0], [0.0, 0.0], [0.0, 2.0], [-3.0, 4.0], [-2.0, -1.5]]},
        ),
        Edge("degenerate", "an item without a positive", given={"labels": [0, 0, 1, 2, 2, 2]}),
    ),
)
def nt_xent(
    embeddings: Items,
    labels: ItemLabels,
    *,
    temperature: Temperature = 0.07,
) -> Result:
    """Each item should be more like those of its own label P than like those of other labels N.

    An item's loss is the sum over its positives, each against all its negatives; the mean divides by the number of
    pairs. The similarity is the cosine, over ``temperature``. Rounding the embeddings, or the cosines made of
    them, changes a loss by up to about 1 / ``temperature`` units in the last place: where ``temperature`` is small,
    float64 keeps more digits. Of equal items the Hessian's terms cancel: those of an item
    beside them have the absolute precision of the largest.

    Use: Self-supervised learning from augmented views: each against the rest of the batch.
    Avoid: Small batches, which have few negatives: barlow_twins needs none.

    Settings:
        temperature: What the cosines are divided by: the lower, the more the nearest negatives count.
    """
    # The type's smallest number, if it has none for the temperature: what is equal stays equal.
    tau = max(embeddings.dtype.type(temperature), np.finfo(embeddings.dtype).smallest_subnormal)
    vectors = directions(embeddings)
    unit, norm, exponent = vectors
    cosines = pair_cosines(vectors)

    def compared() -> Iterator[ComparedRows]:
        for here in tiles(len(unit), len(unit)):
            yield compare(cosines, labels, tau, here)

    # A single tile is kept; of several each is compared anew for every derivative.
    found = [*compared()] if len(unit) <= tile_rows(len(unit)) else None

    def rows() -> Iterable[ComparedRows]:
        return compared() if found is None else found

    def turn(upstream: Array) -> Array:
        """Return the gradient with respect to the unit vectors, ``(N, D)``."""
        turned = np.zeros_like(unit)
        for row in rows():
            slope = row.slope(upstream)
            turned[row.here] += slope @ unit
            turned += slope.T @ unit[row.here]
        turned /= tau
        return turned

    def of_embeddings(upstream: Array) -> Array:
        return vectors.vjp(turn(upstream), dtype=upstream.dtype)

    def of_temperature(upstream: Array) -> Array:
        total = sum(dot(row.slope(upstream).ravel(), row.similarity.ravel()) for row in rows())
        return np.asarray(-total / temperature)

    def curvature(upstream: Array) -> Array:
        turned = turn(upstream)
        # (3 u^2 - 1) (u t) - 2 u t, where u^2 of the longest coordinate is next to 1: t less its part along u.
        across = tangent(unit, turned)
        turning = -sums_of_others(unit**2) * np.vecdot(unit, turned)[:, None] - 2 * unit * across
        moving = curvature_of_pairs(unit, rows(), upstream)
        length = np.where(norm == 0, 1, norm)  # a vector of zeros has no direction, and moves nothing
        curved = (moving / tau / tau + turning) / length / length
        diagonal: Array = np.ldexp(curved.astype(np.result_type(curved, upstream), copy=False), -2 * exponent)
        diagonal[norm[:, 0] == 0] = 0
        return diagonal

    return Result(
        np.concatenate([row.value for row in rows()]) if len(unit) else np.zeros(0, unit.dtype),
        {"embeddings": Pullback(of_embeddings), "temperature": Pullback(of_temperature)},
        {"embeddings": Pullback(curvature)},
    )
