"""This file is the embedding losses: are matching items close, and the others far apart."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np

from lossd.losses.alias import Alias, pytorch
from lossd.losses.distances import curvature, distance, squares_are_exact
from lossd.losses.roles import Embedding, Label, Positive
from lossd.losses.scratch import Scratch
from lossd.losses.spec import Arguments, Differentiable, Example, Role, Settings, Terms, forced, loss, tuned
from lossd.losses.stable import sigmoid, softplus
from lossd.losses.sums import dot, row_totals, total
from lossd.message import Array

_TORCH = "https://docs.pytorch.org/docs/stable/generated/torch.nn."
# A distance over the loss before the maximum, from which on the distances' difference has too few digits.
_CLOSE = 16.0
# Scales that no safe norm divides to what is infinite or subnormal.
_SAFE_SCALE = {"f": (1e-18, 1e18), "d": (1e-150, 1e150)}
# What brings the distances of any finite numbers, but for hundreds of millions of dimensions, into range.
_SHRINK = {"f": 2.0**-32, "d": 2.0**-64}
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
    sides = _sides(anchor, positive, negative, p, eps, swap)
    if not np.isfinite(sides.reach).all():
        sides = _shrunk_sides(anchor, positive, negative, p, eps, swap, sides)
    reach = margin + sides.reach / sides.shrink  # so that a large distance does not swallow the margin
    active = np.where(np.isnan(reach), reach, reach >= 0).astype(reach.dtype)
    pull, push, aside = sides.pull, sides.push, sides.aside

    def bend() -> Array:
        far = _weighed(sides.share, curvature(sides.far, p))
        apart: Array = (curvature(sides.near, p) - far) * np.reshape(sides.shrink, (-1, 1))
        return apart

    return Terms(
        np.maximum(reach, 0),
        {
            "anchor": lambda: _weighed(active, sides.apart),
            "positive": lambda: _weighed(active, -(pull + aside)),
            "negative": lambda: _weighed(active, push + aside),
            "margin": lambda: active,
        },
        lambda: _weighed(active, bend()),
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
    # A scale beyond these over a norm may leave the range of floats although the gradient does not.
    least, most = _SAFE_SCALE[near.dtype.char]
    reach = pull - push
    if not (
        squares_are_exact(pull)
        and squares_are_exact(push)
        and least < abs(scale) < most
        # Beyond this the difference of the distances has fewer digits than the loss.
        and (pull < _CLOSE * (np.abs(reach) + abs(margin))).all()
    ):
        terms = triplet_margin.kernel(anchor, positive, negative, margin=margin, eps=eps)
        for into, name in zip(out, triplet_margin.gradient, strict=True):
            np.multiply(forced(terms.gradient[name]), scale, out=into)
        return total(terms.value)
    reach += reach.dtype.type(margin)
    weight = np.multiply(reach >= 0, scale)
    near *= (weight / pull)[:, None]
    far *= (weight / push)[:, None]
    np.subtract(near, far, out=out[0])
    np.negative(near, out=out[1])
    np.copyto(out[2], far)
    return total(np.maximum(reach, 0, out=reach))


class _Sides(NamedTuple):
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


def _sides(
    anchor: Array, positive: Array, negative: Array, p: float, eps: float | Array, swap: bool
) -> _Sides:
    near, far = anchor - positive + eps, anchor - negative + eps
    (pulled, pull), (pushed, push) = distance(near, p), distance(far, p)
    if not swap:
        apart, reach = pull - push, pulled - pushed
        if p == 2 and squares_are_exact(pulled) and squares_are_exact(pushed):
            apart, reach = _euclidean_differences(negative - positive, near + far, pulled, pushed, push)
        return _Sides(near, far, pull, push, 0.0, np.ones_like(pushed), apart, reach)
    turned, aside = distance(positive - negative + eps, p)
    share = np.where(pushed < turned, 1, np.where(pushed == turned, 0.5, 0)).astype(pushed.dtype)
    least = np.minimum(pushed, turned)
    push = _weighed(share, push)
    return _Sides(near, far, pull, push, _weighed(1 - share, aside), share, pull - push, pulled - least)


def _euclidean_differences(
    between: Array, both: Array, pulled: Array, pushed: Array, push: Array
) -> tuple[Array, Array]:
    """Return the differences of the gradients and of the lengths of two vectors, from those of the vectors themselves.

    With u, v the vectors: ``|u| - |v| = (u - v) (u + v) / (|u| + |v|)``, and
    ``u / |u| - v / |v| = (u - v - v / |v| (|u| - |v|)) / |u|``. The anchor is in both u and v, and may be large.

    Args:
        between: u - v, ``(rows, D)``.
        both: u + v.
        pulled: The length of u, ``(rows,)``, not 0.
        pushed: That of v.
        push: v over its length.
    """
    reach = np.vecdot(between, both / (pulled + pushed)[:, None])
    return (between - push * reach[:, None]) / pulled[:, None], reach


def _shrunk_sides(
    anchor: Array, positive: Array, negative: Array, p: float, eps: float, swap: bool, plain: _Sides
) -> _Sides:
    """Return the sides with the rows shrunk whose distances overflowed: the difference of two may be finite."""
    shrink = np.where(np.isfinite(plain.reach), 1, _SHRINK[anchor.dtype.char]).astype(anchor.dtype)
    by = shrink[:, None]
    return _sides(anchor * by, positive * by, negative * by, p, eps * by, swap)._replace(shrink=shrink)


def _weighed(weight: Array, slopes: Array) -> Array:
    """Multiply each row, ``(rows, D)``, by its weight; one without weight is 0 whatever it holds."""
    column = weight[:, None]
    return np.where(column == 0, 0, column * slopes)


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
    pairs. Likeness is the cosine, over ``temperature``. Rounding the embeddings, or the cosines made of
    them, changes a loss by up to about 1 / ``temperature`` units in the last place: where ``temperature`` is small,
    float64 keeps more digits.
    """
    # The type's smallest number, if it has none for the temperature: what is equal stays equal.
    tau = max(embeddings.dtype.type(temperature), np.finfo(embeddings.dtype).smallest_subnormal)
    unit, norm, exponent = _directions(embeddings)
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
        turned = turn(upstream)
        slopes: Array = np.ldexp(_tangent(unit, turned) / norm, -exponent)
        return slopes

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

    return Terms(
        row_totals(np.where(positive, softplus(excess), 0)),
        {
            "embeddings": of_embeddings,
            "temperature": lambda upstream: np.asarray(
                -dot(slope(upstream).ravel(), likeness.ravel()) / temperature
            ),
        },
        curvature,
    )


def _directions(embeddings: Array) -> tuple[Array, Array, Array]:
    """Return each row's unit vector, and its norm as a number near 1 and an exponent of two: squares stay in range."""
    exponent = np.frexp(np.abs(embeddings).max(axis=1, keepdims=True, initial=0))[1]
    scaled = np.ldexp(embeddings, -exponent)
    norm = np.sqrt(np.vecdot(scaled, scaled))[:, None]
    return scaled / norm, norm, exponent


def _tangent(unit: Array, slope: Array) -> Array:
    """Return what of ``slope`` is at right angles to the unit vectors, ``slope - unit (unit slope)``, row by row.

    For the longest coordinate k the difference would cancel: it is the sum over the others of
    ``u_j (u_j s_k - u_k s_j)``.
    """
    longest = np.abs(unit).argmax(axis=1)[:, None]
    own, own_slope = np.take_along_axis(unit, longest, axis=1), np.take_along_axis(slope, longest, axis=1)
    others = unit.copy()
    np.put_along_axis(others, longest, 0, axis=1)
    along = np.vecdot(others, slope)[:, None]
    tangent: Array = slope - unit * (along + own * own_slope)
    at_longest = own_slope * np.vecdot(others, others)[:, None] - own * along
    np.put_along_axis(tangent, longest, at_longest, axis=1)
    return tangent


def _nearness(unit: Array) -> Array:
    """Return the cosines of unit vectors, ``(N, N)``, each row less a number of its own.

    With w what the vectors are less any one vector, near their mean here, ``c_ij - 1 + |w_i|^2 / 2`` is
    ``w_i w_j - |w_j|^2 / 2``. Its errors are those of the w: small where the vectors are close to each other, where
    differences of cosines have the errors of 1. The mean is rounded to an eighth of the widest w or less, so that w
    is exact for vectors of few digits: those at right angles stay equally far apart.
    """
    mean = unit.mean(axis=0)
    widest = np.abs(unit - mean).max(initial=np.finfo(unit.dtype).eps)
    step = np.ldexp(unit.dtype.type(1), np.frexp(widest)[1] - 4)
    apart = unit - np.rint(mean / step) * step
    nearness: Array = apart @ apart.T
    nearness -= np.vecdot(apart, apart) / 2
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
