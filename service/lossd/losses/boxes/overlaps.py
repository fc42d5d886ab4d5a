"""Losses of overlapping boxes (x1, y1, x2, y2), of which the first corner is the lesser in both coordinates.

I is the area of the intersection of two boxes, U that of their union, A that of the smallest box around both.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from lossd.declaration.alias import Alias
from lossd.declaration.constraint import Corners
from lossd.declaration.cost import Cost
from lossd.declaration.edge import Edge
from lossd.declaration.example import Example
from lossd.declaration.loss import loss
from lossd.declaration.picture import Picture
from lossd.declaration.result import Result
from lossd.declaration.role import Role
from lossd.declaration.roles import NonNegative
from lossd.message import Array

Boxes = Annotated[Array, Role("(..., 4)")]
# Powers of two of sides, and of what is added to areas, from which on quotients of them may leave the range of float64.
_FAR_EXPONENT = 150


_BESIDE = {"boxes1": [[0.0, 0.0, 1.0, 2.0]], "boxes2": [[1.0, 0.0, 3.0, 2.0]]}


@loss(
    aliases=(
        Alias(
            "generalized_box_iou_loss",
            "torchvision",
            "The default of `reduction` is `none`.",
            defaults={"reduction": "none"},
        ),
    ),
    formula=r"\ell = 1 - \frac{I}{U + \epsilon} + \frac{A - U}{A + \epsilon}",
    where=(
        r"I = |B_1 \cap B_2|",
        r"U = |B_1 \cup B_2|",
        r"A = |\mathrm{hull}(B_1, B_2)|",
    ),
    source=(
        "Rezatofighi et al. (2019), Generalized Intersection over Union; "
        "torchvision.ops.generalized_box_iou_loss"
    ),
    example=Example(
        boxes1=[[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 1.0, 1.0]],
        boxes2=[[1.0, 0.0, 3.0, 2.0], [3.0, 0.0, 4.0, 1.0]],
        eps=0.0,
        value=[0.6666666666666667, 1.5],
    ),
    gradient=("boxes1", "boxes2"),
    cost=Cost(workspace="(60)", work="(24)"),
    constraints=(Corners("boxes1"), Corners("boxes2")),
    long_double=True,
    picture=Picture("boxes", "boxes1", low=0.0, high=6.0, at=(0, 2)),
    edges=(
        Edge("degenerate", "a box without width", 0.0, _BESIDE),
        Edge("tie", "boxes that touch", 1.0, _BESIDE),
        Edge("tie", "the same box twice", 3.0, {name: [[1.0, 0.0, 3.0, 2.0]] for name in _BESIDE}),
    ),
)
def giou(boxes1: Boxes, boxes2: Boxes, *, eps: NonNegative = 1e-7) -> Result:
    """One minus the intersection over union, and the part of the smallest box around both that neither covers.

    A box is its corners, ``(x1, y1, x2, y2)`` with x1 <= x2 and y1 <= y2. Boxes that do not overlap are drawn together
    by the second part. Where edges coincide, each box has half of the gradient, and its second derivatives are those of
    this half; boxes that only touch have no gradient of their intersection. Where the sides of two boxes along an axis
    differ by a factor of 2^53, the Hessian and its products may have no digits.

    Use: Regression of boxes by what is measured in the end, their overlap, also while they do not overlap.
    Avoid: Boxes inside each other: the second part is 0 there, and all that is left is the overlap.

    Settings:
        eps: Added to both denominators.
    """
    pair = _pair(boxes1, boxes2, eps)
    areas, eps_of = _areas(pair), pair.eps
    union, around = areas.union + eps_of, areas.around + eps_of
    share = np.where(pair.overlap, areas.both / union / union, 0)

    def of(first: _Box, second: _Box) -> Array:
        """Return the slopes with the corners of ``first``; an edge bounds the intersection, or the box around both.

        Along axis k, with o the other, and J = I / U^2: the edge of the box around both moves A and the box's own area,
        by ``h_o J + (H_o U / A - h_o) / A``; that of the intersection moves I and the box's own area, by
        ``(h_o - w_o) J - h_o / A - w_o (A - U) / (A U)``, of which only the second is left where boxes do not overlap.
        """
        own, beyond = first.length[:, ::-1], first.beyond[:, ::-1]
        change = pair.around[:, ::-1] * _rest(pair, first, second) + eps_of[:, None] * beyond
        outer = own * share[:, None] + change / around[:, None] / around[:, None]
        common = (areas.uncovered / union)[:, None] * pair.both[:, ::-1]
        apart = second.beyond[:, ::-1] * share[:, None] - common / around[:, None]
        inner = np.where(pair.overlap[:, None], apart, 0) - own / around[:, None]
        low, high = _lesser(second.low, first.low), _lesser(first.high, second.high)
        by_low, by_high = ((1 - bounds) * outer + bounds * inner for bounds in (low, high))
        slopes = np.concatenate([-by_low, by_high], axis=1)
        scaled: Array = np.ldexp(slopes, np.concatenate([pair.exponent, pair.exponent], axis=1))
        return scaled

    return Result(
        np.where(pair.overlap, (areas.differing + eps_of) / union, 1) + areas.uncovered / around,
        {"boxes1": lambda: of(pair.first, pair.second), "boxes2": lambda: of(pair.second, pair.first)},
    )


class _Box(NamedTuple):
    """A box by axes, ``(rows, 2)`` each; lengths are multiplied as `_Pair` says.

    Attributes:
        low: Its first corner, as it was given.
        high: Its second corner, as it was given.
        length: Its sides.
        beyond: By how much the sides of the box around both are longer.
    """

    low: Array
    high: Array
    length: Array
    beyond: Array


class _Pair(NamedTuple):
    """Two boxes. All but their corners is multiplied by powers of two that make the box around both about 1 by 1.

    Attributes:
        first: One.
        second: The other.
        around: The sides of the box around both, ``(rows, 2)``.
        both: The sides of the intersection, ``(rows, 2)``; of boxes apart along an axis, minus the gap.
        exponent: The powers, ``(rows, 2)``.
        eps: What is added to areas, ``(rows,)``.
        overlap: Whether the boxes overlap, ``(rows,)``.
    """

    first: _Box
    second: _Box
    around: Array
    both: Array
    exponent: Array
    eps: Array
    overlap: Array


class _Areas(NamedTuple):
    """The areas of two boxes: no number is the difference of two others, ``(rows,)`` each.

    Attributes:
        differing: U - I.
        union: U.
        around: A.
        uncovered: A - U.
        both: I.
    """

    differing: Array
    union: Array
    around: Array
    uncovered: Array
    both: Array


def _pair(boxes1: Array, boxes2: Array, eps: float) -> _Pair:
    kind = np.result_type(boxes1, boxes2, np.float64)
    boxes = boxes1.astype(kind, copy=False), boxes2.astype(kind, copy=False)
    (low, high), (low2, high2) = ((box[:, :2], box[:, 2:]) for box in boxes)
    around = np.maximum(high, high2) - np.minimum(low, low2)
    exponent = -np.frexp(around)[1]
    eps_of = np.ldexp(np.ldexp(kind.type(eps), exponent[:, 0]), exponent[:, 1])
    far = (eps_of > 2.0**_FAR_EXPONENT).any() or np.abs(exponent).max(initial=0) > _FAR_EXPONENT
    if kind == np.float64 and far:
        return _pair(boxes[0].astype(np.longdouble), boxes[1].astype(np.longdouble), eps)
    both = np.ldexp(np.minimum(high, high2) - np.maximum(low, low2), exponent)
    beyond = np.ldexp(np.maximum(high2 - high, 0) + np.maximum(low - low2, 0), exponent)
    beyond2 = np.ldexp(np.maximum(high - high2, 0) + np.maximum(low2 - low, 0), exponent)
    first = _Box(low, high, np.ldexp(high - low, exponent), beyond)
    second = _Box(low2, high2, np.ldexp(high2 - low2, exponent), beyond2)
    return _Pair(first, second, np.ldexp(around, exponent), both, exponent, eps_of, ~(both <= 0).any(axis=1))


def _areas(pair: _Pair) -> _Areas:
    """Add up the parts that make the areas.

    With w the sides of the intersection, b and c what the sides of the box around both exceed those of the boxes by,
    the boxes' own sides are w + c and w + b. So of boxes that overlap U - I is
    ``w_x (b_y + c_y) + w_y (b_x + c_x) + b_x b_y + c_x c_y`` and A - U is ``b_x c_y + c_x b_y``. Of boxes with a gap
    along an axis A - U is the gap times the other side of A, and above and below each box its side times b or c.
    """
    w, b, c = pair.both.T, pair.first.beyond.T, pair.second.beyond.T
    one, two, whole = pair.first.length.T, pair.second.length.T, pair.around.T
    both = np.where(pair.overlap, w[0] * w[1], 0)
    overlapping = w[0] * (b[1] + c[1]) + w[1] * (b[0] + c[0]) + b[0] * b[1] + c[0] * c[1]
    differing = np.where(pair.overlap, overlapping, one[0] * one[1] + two[0] * two[1])
    gaps = [one[k] * b[1 - k] + two[k] * c[1 - k] - w[k] * whole[1 - k] for k in (0, 1)]
    uncovered = np.where(pair.overlap, b[0] * c[1] + c[0] * b[1], np.where(w[0] <= 0, gaps[0], gaps[1]))
    return _Areas(differing, both + differing, whole[0] * whole[1], uncovered, both)


def _rest(pair: _Pair, first: _Box, second: _Box) -> Array:
    """Return ``U - h_o W_k`` of the first box for each axis k, ``(rows, 2)``, by parts that do not cancel.

    W is the side of the box around both. As in `_areas`, with h = w + c and the second box's sides s = w + b, it is
    ``b_o s_k - c_o b_k`` of boxes that overlap. With a gap along k it is ``s_k (s_o - h_o)`` less the gap times
    ``h_o``, and with one along o ``s_o w_k + b_k (s_o - h_o)``; where they overlap along o, ``s_o - h_o = b_o - c_o``.
    """
    w, w_o = pair.both, pair.both[:, ::-1]
    s, s_o, h_o = second.length, second.length[:, ::-1], first.length[:, ::-1]
    b, b_o, c_o = first.beyond, first.beyond[:, ::-1], second.beyond[:, ::-1]
    longer = np.where(w_o > 0, b_o - c_o, s_o - h_o)
    apart = np.where(w <= 0, s * longer + h_o * w, s_o * w + b * longer)
    rest: Array = np.where(pair.overlap[:, None], b_o * s - c_o * b, apart)
    return rest


def _lesser(one: Array, other: Array) -> Array:
    """Return how far the first number is the lesser of two: 1, a half where they tie, or 0."""
    share: Array = np.where(one == other, 0.5, one < other)
    return share
