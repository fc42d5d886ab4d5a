"""Losses of overlapping boxes (x1, y1, x2, y2), of which the first corner is the lesser in both coordinates.

I is the area of the intersection of two boxes, U that of their union, A that of the smallest box around both.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from lossd.declaration.alias import Alias
from lossd.declaration.constraint import Corners
from lossd.declaration.loss import Example, loss
from lossd.declaration.result import Result
from lossd.declaration.role import Role
from lossd.declaration.roles import NonNegative
from lossd.message import Array

Boxes = Annotated[Array, Role("(..., 4)")]
# An area below which the areas of its parts, and their quotients, may leave the range of float64.
_TINY_AREA = 1e-250


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
    constraints=(Corners("boxes1"), Corners("boxes2")),
    long_double=True,
)
def giou(boxes1: Boxes, boxes2: Boxes, *, eps: NonNegative = 1e-7) -> Result:
    """One less the intersection over union, and the part of the smallest box around both that neither covers.

    Boxes that do not overlap are drawn together by the second part. Where edges coincide, each box has half of the
    gradient; boxes that only touch have no gradient of their intersection.

    Settings:
        eps: Added to both denominators.
    """
    pair = _pair(boxes1, boxes2)
    areas = _areas(pair)
    union, around = areas.union + eps, areas.around + eps
    share, gap = areas.both / union / union, areas.uncovered / around
    differing = np.where(pair.overlap, (areas.differing + eps) / union, 1)

    def of(first: _Sides, second: _Sides) -> Array:
        """Return the slopes with the corners of ``first``; an edge bounds the intersection, or the box around both.

        With o the other side: that of the box around both moves A and the box's own area, by
        ``h_o J + (H_o U / A - h_o) / A``, J = I / U^2, with h the box's own side and H that of the box around. Where U
        is nearly A, ``H_o - h_o`` less ``H_o (A - U) / A`` keeps more digits. An edge of the intersection moves I and
        the box's own area, by ``-w_o / U + (h_o - w_o) (J - 1 / A)``.
        """
        own, beyond, whole, both = (
            side[:, ::-1] for side in (first.length, first.beyond, pair.around, pair.both)
        )
        covered = (areas.union + eps) / around
        change = np.where(gap[:, None] < 0.5, beyond - whole * gap[:, None], whole * covered[:, None] - own)
        outer = own * share[:, None] + change / around[:, None]
        apart = second.beyond[:, ::-1] * (share - 1 / around)[:, None] - both / union[:, None]
        inner = np.where(pair.overlap[:, None], apart, -own / around[:, None])
        low, high = _least(second.low, first.low), _least(first.high, second.high)
        return np.concatenate([-(low * inner + (1 - low) * outer), high * inner + (1 - high) * outer], axis=1)

    return Result(
        differing + gap,
        {"boxes1": lambda: of(pair.first, pair.second), "boxes2": lambda: of(pair.second, pair.first)},
    )


class _Sides(NamedTuple):
    """A box by axes, ``(rows, 2)`` each.

    Attributes:
        low: Its first corner.
        high: Its second corner.
        length: Its sides.
        beyond: By how much the sides of the box around both are longer.
    """

    low: Array
    high: Array
    length: Array
    beyond: Array


class _Pair(NamedTuple):
    """Two boxes, and the sides of what they have in common and of the box around both, ``(rows, 2)``.

    Attributes:
        first: One.
        second: The other.
        around: The sides of the box around both.
        both: The sides of the intersection; of boxes that are apart along an axis, minus the gap.
        overlap: Whether the boxes overlap, ``(rows,)``.
    """

    first: _Sides
    second: _Sides
    around: Array
    both: Array
    overlap: Array


class _Areas(NamedTuple):
    """The areas of two boxes: no number is the difference of two others, ``(rows,)`` each.

    Attributes:
        both: I.
        differing: U - I.
        union: U.
        around: A.
        uncovered: A - U.
    """

    both: Array
    differing: Array
    union: Array
    around: Array
    uncovered: Array


def _pair(boxes1: Array, boxes2: Array) -> _Pair:
    """Compare the corners of two boxes, in a type in whose range are products of four sides."""
    kind = np.result_type(boxes1, boxes2, np.float64)
    boxes = boxes1.astype(kind, copy=False), boxes2.astype(kind, copy=False)
    (low, high), (low2, high2) = ((box[:, :2], box[:, 2:]) for box in boxes)
    around = np.maximum(high, high2) - np.minimum(low, low2)
    area = around[:, 0] * around[:, 1]
    if kind == np.float64 and ((area < _TINY_AREA) & (around > 0).all(axis=1)).any():
        return _pair(*(box.astype(np.longdouble) for box in boxes))
    both = np.minimum(high, high2) - np.maximum(low, low2)
    beyond = np.maximum(high2 - high, 0) + np.maximum(low - low2, 0)
    beyond2 = np.maximum(high - high2, 0) + np.maximum(low2 - low, 0)
    return _Pair(
        _Sides(low, high, high - low, beyond),
        _Sides(low2, high2, high2 - low2, beyond2),
        around,
        both,
        ~(both <= 0).any(axis=1),
    )


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
    apart = np.where(w[0] <= 0, gaps[0], gaps[1])
    uncovered = np.where(pair.overlap, b[0] * c[1] + c[0] * b[1], apart)
    return _Areas(both, differing, both + differing, whole[0] * whole[1], uncovered)


def _least(one: Array, other: Array) -> Array:
    """Return how far the first number is the lesser of two: 1, a half where they tie, or 0."""
    share: Array = np.where(one == other, 0.5, one < other)
    return share
