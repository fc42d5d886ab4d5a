"""Losses of all pairs of a batch: items of one label should be alike, all others not."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from lossd.declaration.alias import Alias
from lossd.declaration.cost import Cost
from lossd.declaration.families import RowLoss, pair_loss
from lossd.declaration.loss import Example, loss
from lossd.declaration.result import Normalizer, Pullback, Result
from lossd.declaration.roles import ItemLabels, Items, Positive
from lossd.declaration.signature import Differentiable
from lossd.message import Array
from lossd.numerics.directions import directions
from lossd.numerics.stable import sigmoid, softmax, softplus
from lossd.numerics.sums import dot, row_totals


def positive_pairs(labels: Array) -> Normalizer:
    """Count each item's positives: the mean is over pairs."""
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return Normalizer((counts[inverse.reshape(-1)] - 1).astype(np.float64))


@loss(
    aliases=(Alias("NTXentLoss", "pytorch-metric-learning"), Alias("ntxent", "optax")),
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
    cost=Cost(workspace="(8, N, N)", work="(4, N, N, D)"),
)
def nt_xent(
    embeddings: Items, labels: ItemLabels, *, temperature: Annotated[Positive, Differentiable] = 0.07
) -> Result:
    """Each item should be more like those of its own label P than like those of other labels N.

    An item's loss is the sum over its positives, each against all its negatives; the mean divides by the number of
    pairs. Likeness is the cosine, over ``temperature``.

    Settings:
        temperature: What the cosines are divided by: the lower, the more the nearest negatives count.
    """
    # The type's smallest number, if it has none for the temperature: what is equal stays equal.
    tau = max(embeddings.dtype.type(temperature), np.finfo(embeddings.dtype).smallest_subnormal)
    found = directions(embeddings)
    unit, norm, exponent = found
    same = labels[:, None] == labels
    positive = same & ~np.eye(len(labels), dtype=bool)
    likeness = _nearness(unit)
    top = np.where(same, -np.inf, likeness).max(axis=1, keepdims=True)
    # Of the likest negative it is 0: no loss depends on more than the differences in a row.
    likeness -= np.where(np.isneginf(top), 0, top)
    likeness /= tau
    negatives = np.log(row_totals(np.exp(np.where(same, -np.inf, likeness)))).astype(tau.dtype)[:, None]
    excess = negatives - likeness  # how far the negatives together outweigh each item

    def shares() -> tuple[Array, Array]:
        """Return the blame of each positive, its loss's slope with its excess, and the share of each negative."""
        blame = np.where(positive, sigmoid(excess), 0)
        rivals = np.where(same, 0, np.exp(likeness - negatives))
        return blame, rivals

    def slope(upstream: Array) -> Array:
        """Return the gradient with respect to the likeness, ``(N, N)``."""
        blame, rivals = shares()
        total = rivals * blame.sum(axis=1, keepdims=True) - blame
        weighed: Array = total * upstream.astype(total.dtype)[:, None]
        return weighed

    def turn(upstream: Array) -> Array:
        """Return the gradient with respect to the unit vectors, ``(N, D)``."""
        pair = slope(upstream)
        turned: Array = (pair + pair.T) @ unit / tau
        return turned

    def of_embeddings(upstream: Array) -> Array:
        return found.pull(turn(upstream))

    def curvature(upstream: Array) -> Array:
        turned = turn(upstream)
        turning = (3 * unit**2 - 1) * np.vecdot(unit, turned)[:, None] - 2 * unit * turned
        blame, rivals = shares()
        bend = blame * sigmoid(-excess)
        blames = blame.sum(axis=1, keepdims=True)
        del blame  # four of its size are held already
        weight = upstream.astype(tau.dtype)[:, None]
        moving = _bend_of_pairs(unit, unit @ unit.T, blames, bend, rivals, weight)
        diagonal: Array = np.ldexp((moving / tau / tau + turning) / norm / norm, -2 * exponent)
        return diagonal

    return Result(
        row_totals(np.where(positive, softplus(excess), 0)),
        {
            "embeddings": Pullback(of_embeddings),
            "temperature": Pullback(
                lambda upstream: np.asarray(-dot(slope(upstream).ravel(), likeness.ravel()) / temperature)
            ),
        },
        {"embeddings": Pullback(curvature)},
    )


def has_positives(labels: Array) -> Normalizer:
    """Count the items that have a positive: the mean is over those."""
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return Normalizer((counts[inverse.reshape(-1)] > 1).astype(np.float64))


@pair_loss(
    aliases=(Alias("SupConLoss", "pytorch-metric-learning"),),
    formula=(
        r"\ell_i = \frac{1}{|P_i|} \sum_{j \in P_i} \log \textstyle\sum_{k \ne i} e^{(c_{ik} - c_{ij}) / \tau},\quad "
        r"c_{ij} = \cos(x_i, x_j)"
    ),
    source="Khosla et al. (2020), Supervised Contrastive Learning; pytorch_metric_learning.losses.SupConLoss",
    example=Example(
        embeddings=[[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, 3.0]],
        labels=[0, 0, 1, 1],
        temperature=1.0,
        value=[0.5514447139320511] * 4,  # log(1 + 2/e)
    ),
    normalizer=has_positives,
)
def supcon(
    cosines: Array, same: Array, other: Array, *, temperature: Annotated[Positive, Differentiable] = 0.1
) -> RowLoss:
    """Each item should be more like those of its own label P than like all other items of the batch.

    An item's loss is the mean over its positives of minus the logarithm of the positive's share in a softmax over all
    others of the cosines over ``temperature``. The mean is over the items that have a positive; others have no loss.
    A batch of a single label has a loss too, as in the paper; pytorch-metric-learning has 0 there.

    Settings:
        temperature: What the cosines are divided by: the lower, the more the nearest items count.
    """
    # The type's smallest number, if it has none for the temperature: what is equal stays equal.
    tau = max(cosines.dtype.type(temperature), np.finfo(cosines.dtype).smallest_subnormal)
    present: Array = same | other
    top = np.where(present, cosines, -np.inf).max(axis=1, keepdims=True)
    behind = np.where(present, cosines - top, -np.inf) / tau
    found = softmax(behind)
    positives = np.maximum(same.sum(axis=1), 1).astype(cosines.dtype)
    paired = same.any(axis=1)
    share = np.where(present & paired[:, None], found.probability, 0)

    def slopes() -> Array:
        """Return ``s - 1 / |P|`` of positives and s of negatives, times the temperature.

        With S the sum of the negatives' s, ``s - 1 / |P|`` is s less the mean of the positives' s, less ``S / |P|``.
        The former are differences from the largest of them: ``s = s_top (1 + expm1(x - x_top))``.
        """
        of_negatives = np.where(other, share, 0)
        rest = of_negatives.sum(axis=1, keepdims=True) / positives[:, None]
        first = np.where(same, behind, -np.inf).max(axis=1, keepdims=True)
        less = np.where(same, np.expm1(behind - np.where(np.isneginf(first), 0, first)), 0)
        spread = less - less.sum(axis=1, keepdims=True) / positives[:, None]
        largest = np.where(same, share, 0).max(axis=1, keepdims=True)
        slope: Array = np.where(same, largest * spread - rest, of_negatives)
        return slope

    def of_temperature() -> Array:
        slope: Array = -np.where(present, slopes() * behind, 0).sum(axis=1) / temperature
        return slope

    return RowLoss(
        np.where(same, 0 - found.log, 0).sum(axis=1) / positives,
        lambda: slopes() / tau,
        {"temperature": of_temperature},
    )


def _nearness(unit: Array) -> Array:
    """Return the cosines of unit vectors, ``(N, N)``, each row less a number of its own.

    With w what the vectors are less any one vector, their mean here, ``c_ij - 1 + |w_i|^2 / 2`` is
    ``w_i w_j - |w_j|^2 / 2``, less 1/2 where vector j is of zeros. Its errors are those of the w: small where the
    vectors are close to each other, where differences of cosines have the errors of 1.
    """
    apart = unit - unit.mean(axis=0)
    nearness: Array = apart @ apart.T
    nearness -= (np.vecdot(apart, apart) + ~unit.any(axis=1)) / 2
    return nearness


def _bend_of_pairs(
    unit: Array, cosine: Array, blames: Array, bend: Array, rivals: Array, upstream: Array
) -> Array:
    """Return the part of `nt_xent`'s Hessian that comes of the likenesses' slopes, times tau^2 n_a^2, ``(N, D)``.

    With U the unit vectors, n the norms and c the cosines, s_al moves along x_ad by ``v_l / (tau n_a)``,
    ``v_l = U_ld - c_al U_ad``. The other part is that s_al bends, by
    ``((3 U_ad^2 - 1) c_al - 2 U_ad U_ld) / (tau n_a^2)``. With q the blame of a positive j, its bend
    ``w = q (1 - q)``, B and W their sums, and p the share of a negative k, row a, all of which moves, bends by

    ``sum_j w_j (z - v_j)^2 + B (sum_k p_k v_k^2 - z^2),  z = sum_k p_k v_k``

    and any other, of which only the likeness to a moves, by v^2 times w, or B p (1 - p) + W p^2. The variance is
    taken about the likest negative's v, r, so that nothing cancels where its share rounds to 1: over the
    others, m in all, it is ``sum_k p_k v_k^2 - 2 r e - m r^2 - e^2``, ``e = z - r = sum_k p_k v_k - m r``.

    The memory of ``rivals`` is used up.
    """
    top = np.arange(len(unit)), rivals.argmax(axis=1)
    most, r = rivals[top][:, None], unit[top[1]] - unit * cosine[top][:, None]
    rivals[top] = 0  # now the shares of all but the likest
    m, bends = rivals.sum(axis=1, keepdims=True), bend.sum(axis=1, keepdims=True)

    def first(weight: Array) -> Array:
        """Return the sum over l of a weight times v_l."""
        summed: Array = weight @ unit - unit * np.vecdot(weight, cosine)[:, None]
        return summed

    def second(weight: Array) -> Array:
        """Return the sum over l of a weight times v_l^2."""
        tilted = weight * cosine
        crossed = 2 * (tilted @ unit) - unit * np.vecdot(tilted, cosine)[:, None]
        summed: Array = weight @ unit**2 - unit * crossed
        return summed

    e = first(rivals) - m * r
    z = r + e
    means = z * (bends * z - 2 * first(bend)) - blames * (e**2 + 2 * r * e + m * r**2)
    as_other = bend + rivals * (blames - (blames - bends) * rivals)
    as_other[top] = (most * (blames * m + bends * most))[:, 0]
    weight = upstream * (bend + blames * rivals) + (upstream * as_other).T
    bent: Array = second(weight) + upstream * means
    return bent
