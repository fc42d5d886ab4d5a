"""Losses of all pairs of a batch: items of one label should be alike, all others not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from lossd.declaration.alias import Alias
from lossd.declaration.cost import Cost
from lossd.declaration.example import Example
from lossd.declaration.loss import loss
from lossd.declaration.result import Normalizer, Pullback, Result
from lossd.declaration.roles import ItemLabels, Items, Positive
from lossd.declaration.signature import Differentiable
from lossd.message import Array
from lossd.numerics.directions import directions
from lossd.numerics.stable import sigmoid, softplus
from lossd.numerics.sums import dot, row_totals
from lossd.numerics.tiles import tile_rows, tiles


def positive_pairs(labels: Array) -> Normalizer:
    """Count each item's positives: the mean is over pairs."""
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
        r"\ell_i = \sum_{j \in P_i} \log\bigl(1 + \textstyle\sum_{k \in N_i} e^{(c_{ik} - c_{ij}) / \tau}\bigr),\quad "
        r"c_{ij} = \cos(x_i, x_j)"
    ),
    source="Chen et al. (2020), A Simple Framework for Contrastive Learning; optax.losses.ntxent",
    example=Example(
        embeddings=[[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, 3.0]],
        labels=[0, 0, 1, 1],
        temperature=1.0,
        value=[0.5514447139320511] * 4,  # log(1 + 2/e)
    ),
    gradient=("embeddings",),
    value="(N)",
    normalizer=positive_pairs,
    cost=Cost(workspace="(9, N, D)", tile="(10, N)", work="(10, N, N)", products="(N, N, D)"),
)
def nt_xent(
    embeddings: Items, labels: ItemLabels, *, temperature: Annotated[Positive, Differentiable] = 0.07
) -> Result:
    """Each item should be more like those of its own label P than like those of other labels N.

    An item's loss is the sum over its positives, each against all its negatives; the mean divides by the number of
    pairs. The similarity is the cosine, over ``temperature``. Rounding the embeddings, or the cosines made of
    them, changes a loss by up to about 1 / ``temperature`` units in the last place: where ``temperature`` is small,
    float64 keeps more digits.

    Settings:
        temperature: What the cosines are divided by: the lower, the more the nearest negatives count.
    """
    # The type's smallest number, if it has none for the temperature: what is equal stays equal.
    tau = max(embeddings.dtype.type(temperature), np.finfo(embeddings.dtype).smallest_subnormal)
    vectors = directions(embeddings)
    unit, norm, exponent = vectors
    apart = _apart(unit)
    half = (np.vecdot(apart, apart) + (norm == 0)[:, 0]) / 2

    def compared() -> Iterator[_Rows]:
        for here in tiles(len(unit), len(unit)):
            yield _compare(apart, half, labels, tau, here)

    # A single tile is kept; of several each is compared anew for every derivative.
    found = [*compared()] if len(unit) <= tile_rows(len(unit)) else None

    def rows() -> Iterable[_Rows]:
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
        return vectors.vjp(turn(upstream))

    def of_temperature(upstream: Array) -> Array:
        total = sum(dot(row.slope(upstream).ravel(), row.similarity.ravel()) for row in rows())
        return np.asarray(-total / temperature)

    def curvature(upstream: Array) -> Array:
        turned = turn(upstream)
        turning = (3 * unit**2 - 1) * np.vecdot(unit, turned)[:, None] - 2 * unit * turned
        moving = _curvature_of_pairs(unit, rows(), upstream)
        length = np.where(norm == 0, 1, norm)  # a vector of zeros has no direction, and moves nothing
        diagonal: Array = np.ldexp((moving / tau / tau + turning) / length / length, -2 * exponent)
        diagonal[norm[:, 0] == 0] = 0
        return diagonal

    return Result(
        np.concatenate([row.value for row in rows()]) if len(unit) else np.zeros(0, unit.dtype),
        {"embeddings": Pullback(of_embeddings), "temperature": Pullback(of_temperature)},
        {"embeddings": Pullback(curvature)},
    )


@dataclass(frozen=True, slots=True)
class _Rows:
    """Some items compared with all, ``(rows, N)`` each.

    Attributes:
        here: Which items.
        positive: Which of all items have the same label, without the item itself.
        same: The same with it.
        similarity: Cosines over the temperature, less that of the most similar negative.
        negatives: Logarithm of the sum of the negatives' exponentials, ``(rows, 1)``.
    """

    here: slice
    positive: Array
    same: Array
    similarity: Array
    negatives: Array

    @property
    def excess(self) -> Array:
        """How far the negatives together outweigh each item."""
        return self.negatives - self.similarity

    @property
    def value(self) -> Array:
        """The loss of each item."""
        return row_totals(np.where(self.positive, softplus(self.excess), 0))

    def weights(self) -> tuple[Array, Array]:
        """Return the weight of each positive, the slope of its loss, and the probability of each negative."""
        weight = np.where(self.positive, sigmoid(self.excess), 0)
        probability = np.where(self.same, 0, np.exp(self.similarity - self.negatives))
        return weight, probability

    def slope(self, upstream: Array) -> Array:
        """Return the gradient with respect to the similarities."""
        weight, probability = self.weights()
        total = probability * weight.sum(axis=1, keepdims=True) - weight
        weighted: Array = total * upstream[self.here].astype(total.dtype)[:, None]
        return weighted


def _compare(apart: Array, half: Array, labels: Array, tau: Array, here: slice) -> _Rows:
    """Compare some items with all: their cosines are ``apart @ apart.T - half``, each row less a number of its own."""
    same = labels[here, None] == labels
    positive = same.copy()
    positive[np.arange(len(same)), np.arange(here.start, here.stop)] = False
    similarity = apart[here] @ apart.T
    similarity -= half
    top = np.where(same, -np.inf, similarity).max(axis=1, keepdims=True)
    # Of the most similar negative it is 0: no loss depends on more than the differences in a row.
    similarity -= np.where(np.isneginf(top), 0, top)
    similarity /= tau
    negatives = np.log(row_totals(np.exp(np.where(same, -np.inf, similarity)))).astype(similarity.dtype)[
        :, None
    ]
    return _Rows(here, positive, same, similarity, negatives)


def _apart(unit: Array) -> Array:
    """Return unit vectors less any one vector, near their mean here.

    With w what is left, ``c_ij - 1 + |w_i|^2 / 2`` is ``w_i w_j - |w_j|^2 / 2``: cosines less a number of the row. Its
    errors are those of the w: small where the vectors are close to each other, where differences of cosines have
    the errors of 1. The mean is rounded to an eighth of the widest w or less, so that w is exact for vectors of few
    digits: those at right angles stay equally far apart.
    """
    if not len(unit):
        return unit
    mean = unit.mean(axis=0)
    widest = np.abs(unit - mean).max(initial=np.finfo(unit.dtype).eps)
    step = np.ldexp(unit.dtype.type(1), np.frexp(widest)[1] - 4)
    apart: Array = unit - np.rint(mean / step) * step
    return apart


def _curvature_of_pairs(unit: Array, rows: Iterable[_Rows], upstream: Array) -> Array:
    """Return the part of `nt_xent`'s Hessian that comes of the similarities' slopes, times tau^2 n_a^2, ``(N, D)``.

    With U the unit vectors, n the norms and c the cosines, s_al moves along x_ad by ``v_l / (tau n_a)``,
    ``v_l = U_ld - c_al U_ad``. The other part is that s_al curves, by
    ``((3 U_ad^2 - 1) c_al - 2 U_ad U_ld) / (tau n_a^2)``. With q the weight of a positive j, its curvature
    ``w = q (1 - q)``, B and W their sums, and p the probability of a negative k, row a, all of which moves, curves by

    ``sum_j w_j (z - v_j)^2 + B (sum_k p_k v_k^2 - z^2),  z = sum_k p_k v_k``

    and any other, of which only the similarity to a moves, by v^2 times w, or B p (1 - p) + W p^2. The variance is
    taken about the most similar negative's v, r, so that nothing cancels where its probability rounds to 1: over the
    others, m in all, it is ``sum_k p_k v_k^2 - 2 r e - m r^2 - e^2``, ``e = z - r = sum_k p_k v_k - m r``.
    """
    squares = unit**2
    # Of the weights u_al of v_l^2: sums over l of u U_l^2, of u c U_l, and of u c^2.
    of_squares, of_units, of_cosines = (
        np.zeros_like(unit),
        np.zeros_like(unit),
        np.zeros(len(unit), unit.dtype),
    )
    means = np.zeros_like(unit)
    for row in rows:
        own, cosine = unit[row.here], unit[row.here] @ unit.T
        weight, probability = row.weights()
        curved = weight * sigmoid(-row.excess)
        weights = weight.sum(axis=1, keepdims=True)
        top = np.arange(len(own)), probability.argmax(axis=1)
        most, r = probability[top][:, None], unit[top[1]] - own * cosine[top][:, None]
        probability[top] = 0  # now of all but the most similar
        m, curves = probability.sum(axis=1, keepdims=True), curved.sum(axis=1, keepdims=True)

        def first(of: Array, own: Array = own, cosine: Array = cosine) -> Array:
            """Return the sum over l of a weight times v_l."""
            summed: Array = of @ unit - own * np.vecdot(of, cosine)[:, None]
            return summed

        e = first(probability) - m * r
        z = r + e
        scale = upstream[row.here].astype(unit.dtype)[:, None]
        means[row.here] = scale * (
            z * (curves * z - 2 * first(curved)) - weights * (e**2 + 2 * r * e + m * r**2)
        )
        as_other = curved + probability * (weights - (weights - curves) * probability)
        as_other[top] = (most * (weights * m + curves * most))[:, 0]
        as_other *= scale
        as_own = scale * (curved + weights * probability)
        of_squares[row.here] += as_own @ squares
        of_squares += as_other.T @ squares[row.here]
        as_own, as_other = as_own * cosine, as_other * cosine
        of_units[row.here] += as_own @ unit
        of_units += as_other.T @ own
        of_cosines[row.here] += np.vecdot(as_own, cosine)
        of_cosines += (as_other * cosine).sum(axis=0)
    curvature: Array = of_squares - unit * (2 * of_units - unit * of_cosines[:, None]) + means
    return curvature
