"""This file is the embedding losses: are matching items close, and the others far apart."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np

from lossd.losses.alias import Alias, pytorch
from lossd.losses.roles import Differentiable, Embedding, Label, Positive
from lossd.losses.scratch import Scratch
from lossd.losses.spec import Arguments, Example, Role, Settings, Terms, forced, loss, tuned
from lossd.losses.stable import log_sum_exp, sigmoid, softplus
from lossd.losses.sums import total
from lossd.message import Array

_TORCH = "https://docs.pytorch.org/docs/stable/generated/torch.nn."
# Norms whose square is neither infinite nor subnormal.
_SAFE_NORM = {"f": (1e-15, 1e18), "d": (1e-140, 1e150)}
Items = Annotated[Array, Role(shape="(N, D)", core=("D",))]


@loss(
    aliases=pytorch("TripletMarginLoss", "triplet_margin_loss"),
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
) -> Terms:
    """The positive should be nearer to the anchor than the negative is, by ``margin``.

    With ``swap`` the negative's distance is the lesser of those to the anchor and to the positive. At the
    margin the full gradient passes.
    """
    near, pull = _distance(anchor - positive + eps, p)
    far, push = _distance(anchor - negative + eps, p)
    aside = np.zeros_like(push)
    share = np.ones_like(far)
    if swap:
        other, aside = _distance(positive - negative + eps, p)
        share = np.where(far < other, 1, np.where(far == other, 0.5, 0)).astype(far.dtype)
        aside *= (1 - share)[:, None]
        far = np.minimum(far, other)
    push *= share[:, None]
    reach = margin + (near - far)  # so that a large distance does not swallow the margin
    active = 1 - (reach < 0).astype(reach.dtype)  # a NaN is not below zero, and goes on to the gradient
    on = active[:, None]
    return Terms(
        np.maximum(reach, 0),
        {
            "anchor": lambda: on * (pull - push),
            "positive": lambda: -on * (pull + aside),
            "negative": lambda: on * (push + aside),
            "margin": lambda: active,
        },
        lambda: on * (_bend(anchor - positive + eps, p) - share[:, None] * _bend(anchor - negative + eps, p)),
    )


@tuned(triplet_margin)
def triplet_margin_block(
    anchor: Array,
    positive: Array,
    negative: Array,
    *,
    margin: float,
    eps: float,
    scale: Any,
    out: tuple[Array, Array, Array],
    scratch: Scratch,
) -> float:
    """Take each difference once, for Euclidean distances without swap."""
    near, far = scratch.empty("near", anchor), scratch.empty("far", anchor)
    np.add(np.subtract(anchor, positive, out=near), near.dtype.type(eps), out=near)
    np.add(np.subtract(anchor, negative, out=far), far.dtype.type(eps), out=far)
    pull, push = np.sqrt(np.vecdot(near, near)), np.sqrt(np.vecdot(far, far))
    if not (_squares_are_exact(pull) and _squares_are_exact(push)):
        terms = triplet_margin.kernel(anchor, positive, negative, margin=margin, eps=eps)
        for into, name in zip(out, triplet_margin.gradient, strict=True):
            np.multiply(forced(terms.gradient[name]), scale, out=into)
        return total(terms.value)
    reach = pull - push
    reach += reach.dtype.type(margin)
    weight = np.multiply(reach >= 0, scale)
    near *= (weight / pull)[:, None]
    far *= (weight / push)[:, None]
    np.subtract(near, far, out=out[0])
    np.negative(near, out=out[1])
    np.copyto(out[2], far)
    return total(np.maximum(reach, 0, out=reach))


class _Pairs:
    """Each item adds the number of its positives: the mean is over pairs."""

    of: ClassVar[str] = ""

    def __call__(self, arguments: Arguments, settings: Settings) -> Array:
        labels: Any = arguments["labels"]
        _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
        return (counts[inverse.reshape(-1)] - 1).astype(np.float64)

    def transpose(self, upstream: Array, arguments: Arguments, settings: Settings) -> Array:
        raise NotImplementedError("labels have no gradient")


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
    coupled=True,
    mass=_Pairs(),
    work=lambda sizes, rows: rows * rows,
)
def nt_xent(
    embeddings: Items, labels: Label, *, temperature: Annotated[Positive, Differentiable] = 0.07
) -> Terms:
    """Each item should be more like those of its own label P than like those of other labels N.

    An item's loss is the sum over its positives, each against all its negatives; the mean divides by the number of
    pairs. Likeness is the cosine, over ``temperature``.
    """
    tau = embeddings.dtype.type(temperature)
    norm = np.sqrt(np.vecdot(embeddings, embeddings))[:, None]
    unit = embeddings / norm
    likeness = unit @ unit.T / tau
    same = labels[:, None] == labels
    positive = same & ~np.eye(len(labels), dtype=bool)
    negatives = log_sum_exp(np.where(same, -np.inf, likeness), axis=1)[:, None]
    excess = negatives - likeness  # how far the negatives together outweigh each item

    def shares() -> tuple[Array, Array]:
        """Return the blame of each positive, its loss's slope with its excess, and the share of each negative."""
        blame = np.where(positive, sigmoid(excess), 0)
        rivals = np.where(same, 0, np.exp(likeness - np.where(np.isneginf(negatives), 0, negatives)))
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
        turned = turn(upstream)
        tangent: Array = (turned - unit * np.vecdot(unit, turned)[:, None]) / norm
        return tangent

    def curvature(upstream: Array) -> Array:
        turned = turn(upstream)
        turning = (3 * unit**2 - 1) * np.vecdot(unit, turned)[:, None] - 2 * unit * turned
        blame, rivals = shares()
        bend = blame * sigmoid(-excess)
        blames = blame.sum(axis=1, keepdims=True)
        del blame  # four of its size are held already
        weight = upstream.astype(tau.dtype)[:, None]
        moving = _bend_of_pairs(unit, likeness * tau, blames, bend, rivals, weight)
        diagonal: Array = (moving / tau / tau + turning) / norm / norm
        return diagonal

    return Terms(
        np.where(positive, softplus(excess), 0).sum(axis=1),
        {
            "embeddings": of_embeddings,
            "temperature": lambda upstream: -np.vdot(slope(upstream), likeness) / temperature,
        },
        curvature,
    )


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


def _distance(difference: Array, p: float) -> tuple[Array, Array]:
    """Return the p-norm of each row, and its gradient with respect to the row; 0 at the origin."""
    size = np.abs(difference)
    if p == 1:
        return size.sum(axis=1), np.sign(difference)
    if p == 2:
        norm = np.sqrt(np.vecdot(difference, difference))
        if _squares_are_exact(norm):
            return norm, difference / norm[:, None]
    # Powers of the share of the largest element neither overflow nor vanish.
    top = size.max(axis=1, keepdims=True, initial=0)
    share = np.divide(size, top, out=np.zeros_like(size), where=top != 0)
    unit_norm = (share**p).sum(axis=1, keepdims=True) ** (1 / p)
    part = np.divide(share, unit_norm, out=np.zeros_like(share), where=unit_norm != 0)
    slope = np.power(part, p - 1, out=np.zeros_like(part), where=part != 0)
    return (top * unit_norm)[:, 0], np.sign(difference) * slope


def _squares_are_exact(norm: Array) -> bool:
    """Return whether no square under these Euclidean norms overflowed or vanished."""
    least, most = _SAFE_NORM[norm.dtype.char]
    return bool(not norm.size or (norm.min() > least and norm.max() < most))


def _bend(difference: Array, p: float) -> Array:
    """Return the second derivative of the p-norm of each row with respect to each element."""
    if p == 1:
        return np.zeros_like(difference)
    norm = _distance(difference, p)[0][:, None]
    part = np.abs(difference) / norm
    return (p - 1) * part ** (p - 2) * (1 - part**p) / norm
