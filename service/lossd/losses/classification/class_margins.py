"""Losses of classes that should outdo others by a margin, and of several true classes at once.

The mean divides by the number of samples; each loss is divided by the number of classes.
"""

from __future__ import annotations

from math import nan
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np

from lossd.declaration.alias import pytorch
from lossd.declaration.cost import Cost
from lossd.declaration.domain import PROBABILITY
from lossd.declaration.edge import Edge
from lossd.declaration.example import Example
from lossd.declaration.index_domain import Index
from lossd.declaration.loss import loss
from lossd.declaration.picture import bars
from lossd.declaration.result import Result
from lossd.declaration.role import Role
from lossd.declaration.roles import CLASS_AXIS, ClassWeight, Logits
from lossd.declaration.signature import Differentiable
from lossd.message import Array
from lossd.numerics.stable import sigmoid, softplus, sums_of_products, times

_TORCH = "https://docs.pytorch.org/docs/stable/generated/torch.nn."

TrueClass = Annotated[Array, Role(domain=Index("C"))]
# Where a sample may have several true classes, its classes are the last axis if the caller does not say, as in PyTorch.
_LAST: dict[str, Any] = {"axes": CLASS_AXIS, "default_axis": -1}
LogitsLast = Annotated[Array, Role("(..., C)", holds="score", **_LAST)]
TrueClasses = Annotated[Array, Role("(..., C)", Index("C", padding=-1), **_LAST)]
LabelsLast = Annotated[Array, Role("(..., C)", PROBABILITY, **_LAST)]


@loss(
    aliases=pytorch("MultiMarginLoss", "multi_margin_loss"),
    formula=r"\ell = \frac{w_t}{C} \sum_{c \ne t} \max(0,\ m - x_t + x_c)^p",
    source=f"{_TORCH}MultiMarginLoss.html",
    example=Example(input=[[0.5, 1.0, -2.0, 0.25], [3.0, 0.0, 0.0, 0.0]], target=[0, 0], value=[0.5625, 0.0]),
    long_double=True,
    picture=bars(),
    edges=(
        Edge("tie", "exactly `margin` above the next", 2.0),
        Edge("degenerate", "one class, of any score", given={"input": [[nan]], "target": [0]}),
    ),
)
def multi_margin(
    input: Logits,
    target: TrueClass,
    weight: ClassWeight | None = None,
    *,
    p: Literal[1, 2] = 1,
    margin: Annotated[float, Differentiable] = 1.0,
) -> Result:
    """The score of the true class should exceed every other by ``margin``.

    Each other class costs what it lacks to that margin, or its square, times the true class's weight. At the margin
    the gradient is 0. One class alone has no other, so its score is not used: the loss is 0 also of NaN.

    Use: One class of many by scores with a margin, as in multiclass support vector machines.
    Avoid: Probabilities: scores beyond the margin have no gradient. cross_entropy always has one.

    Settings:
        p: The power of what is lacking: 1 or 2.
        margin: By how much the true class's score should exceed the others.
    """
    rows, classes = np.arange(len(target)), input.shape[1]
    lacking = np.maximum(input - input[rows, target][:, None] + margin, 0)
    lacking[rows, target] = 0
    own: Array = np.ones(len(target), input.dtype) if weight is None else weight[target]
    share = (own / classes)[:, None]
    active = np.where(np.isnan(lacking), lacking, lacking > 0).astype(lacking.dtype)
    slopes = active if p == 1 else 2 * lacking
    bend = active * (0 if p == 1 else 2)

    def placed(others: Array) -> Array:
        """Return slopes of the scores from those of the other classes' margins: the true class has minus their sum."""
        whole = others.copy()
        whole[rows, target] = -others.sum(axis=1)
        return times(share, whole)

    def of_weight() -> Array:
        cost = np.zeros_like(input)
        cost[rows, target] = (lacking**p).sum(axis=1) / classes
        return cost

    def curvature() -> Array:
        whole = bend.copy()
        whole[rows, target] = bend.sum(axis=1)
        return times(share, whole)

    return Result(
        times(own, (lacking**p).sum(axis=1)) / classes,
        {
            "input": lambda: placed(slopes),
            "weight": of_weight,
            "margin": lambda: times(share[:, 0], slopes.sum(axis=1)),
        },
        {"input": curvature},
        {"input": lambda v: placed(bend * (v - v[rows, target][:, None]))},
    )


@loss(
    aliases=pytorch("MultiLabelMarginLoss", "multilabel_margin_loss"),
    formula=r"\ell = \frac{1}{C} \sum_{t \in T} \sum_{c \notin T} \max(0,\ 1 - x_t + x_c)",
    source=f"{_TORCH}MultiLabelMarginLoss.html",
    example=Example(input=[[0.125, 0.25, 0.5, 1.0]], target=[[3, 0, -1, 1]], value=[0.8125]),
    cost=Cost(work="(20|C, C)"),
    long_double=True,
    picture=bars(),
    edges=(
        Edge("tie", "exactly 1 above the largest of the others", 1.5),
        Edge("degenerate", "no class is true", given={"target": [[-1, -1, -1, -1]]}),
        Edge("degenerate", "one class, of any score, is true", given={"input": [[nan]], "target": [[0]]}),
    ),
)
def multilabel_margin(input: LogitsLast, target: TrueClasses) -> Result:
    """The score of every true class should exceed that of every other class by 1.

    A row of the target lists the true classes; those after the first -1 are not used. At the margin the gradient
    is 0. Where no class is true, or all are, there is no pair and no score is used: the loss is 0 also of NaN.

    Use: Ranking the true classes of a sample above all others.
    Avoid: A decision per class: multilabel_soft_margin has one for each.
    """
    times_listed = _times_listed(target)
    ranks = _ranks(input, times_listed)

    def flat() -> Array:
        return np.where(np.isnan(ranks.slopes), ranks.slopes, 0)

    return Result(
        ranks.loss,
        {"input": lambda: ranks.slopes},
        {"input": flat},
        {"input": lambda v: flat()},
    )


def _times_listed(target: Array) -> Array:
    """Return how often each class is listed in front of the first -1 of its row, ``(rows, C)``."""
    rows, classes = target.shape
    listed = np.logical_and.accumulate(target >= 0, axis=1)
    row, place = np.nonzero(listed)
    counts = np.bincount(row * classes + target[row, place], minlength=rows * classes)
    return counts.reshape(rows, classes)


class _Ranks(NamedTuple):
    """What follows from the order of a row's scores, those of true classes less the margin.

    Attributes:
        loss: The loss of each row, ``(rows,)``.
        slopes: Its gradient, ``(rows, C)``.
    """

    loss: Array
    slopes: Array


def _ranks(input: Array, times_listed: Array) -> _Ranks:
    """Sum over all pairs of a true class and another by sorting: ``C log C`` steps, and nothing cancels.

    Between two neighbours in falling order the sum over pairs grows by their difference for every pair with the other
    class above and the true class below. The order is that in float64 at least, where the margin of float32 numbers
    of ordinary size is exact.
    """
    classes = input.shape[1]
    is_true: Array = times_listed > 0
    wide = input.astype(np.result_type(input, np.float64), copy=False)
    order = np.argsort(is_true - wide, axis=1)
    score, listed = np.take_along_axis(wide, order, axis=1), np.take_along_axis(times_listed, order, axis=1)
    true = listed > 0
    level = score - true
    others_above = np.cumsum(~true, axis=1)
    true_below = times_listed.sum(axis=1, keepdims=True) - np.cumsum(listed, axis=1)
    # Differences of the scores themselves, then of the margins: the margin is exact where scores are close.
    with_margin = np.diff(true.astype(np.int8), axis=1)
    gaps = np.where(level[:, 1:] == level[:, :-1], 0, score[:, :-1] - score[:, 1:] + with_margin)
    pairs = (others_above * true_below)[:, :-1].astype(wide.dtype)
    total = sums_of_products(pairs, np.maximum(gaps, 0)) / classes
    strictly = _strictly(level, others_above, true_below)
    slope = np.where(true, -listed * strictly.others_above, strictly.true_below) / classes
    unsure = np.isnan(wide).any(axis=1)
    found = np.empty_like(input)
    np.put_along_axis(found, order, slope.astype(input.dtype), axis=1)
    if unsure.any():
        _spread_nan(input, is_true, unsure, total, found)
    return _Ranks(total, found)


class _Strictly(NamedTuple):
    """How many classes are above and below each in falling order, without those of the same level."""

    others_above: Array
    true_below: Array


def _strictly(level: Array, others_above: Array, true_below: Array) -> _Strictly:
    """Take the counts of neighbours with another level: those at a margin have a slope of 0."""
    rows, classes = level.shape
    place = np.broadcast_to(np.arange(classes), level.shape)
    new = np.ones((rows, classes + 1), bool)
    new[:, 1:-1] = level[:, 1:] != level[:, :-1]
    first = np.maximum.accumulate(np.where(new[:, :-1], place, 0), axis=1)
    last = np.minimum.accumulate(np.where(new[:, 1:], place, classes)[:, ::-1], axis=1)[:, ::-1]
    before = np.take_along_axis(others_above, np.maximum(first - 1, 0), axis=1)
    return _Strictly(np.where(first > 0, before, 0), np.take_along_axis(true_below, last, axis=1))


def _spread_nan(input: Array, is_true: Array, unsure: Array, total: Array, slopes: Array) -> None:
    """Put NaN in the loss of rows with a pair of one, and in the slopes of all classes that are paired with it."""
    nan: Array = np.isnan(input)
    of_true: Array = np.any(nan & is_true, axis=1)
    of_others: Array = np.any(nan & ~is_true, axis=1)
    paired: Array = np.any(is_true, axis=1) & ~np.all(is_true, axis=1)
    total[unsure] = np.where(paired[unsure], np.nan, 0)
    reached = np.where(is_true, of_others[:, None], of_true[:, None]) | nan
    slopes[reached & paired[:, None]] = np.nan
    slopes[unsure & ~paired] = 0


@loss(
    aliases=pytorch("MultiLabelSoftMarginLoss", "multilabel_soft_margin_loss"),
    formula=r"\ell = \frac{1}{C} \sum_c w_c\,[\,t_c\, \mathrm{sp}(-x_c) + (1 - t_c)\, \mathrm{sp}(x_c)\,]",
    where=(r"\mathrm{sp}(x) = \log(1 + e^x)",),
    source=f"{_TORCH}MultiLabelSoftMarginLoss.html",
    example=Example(
        input=[[1.5, -0.5, 0.75, -2.0]], target=[[1.0, 0.0, 0.0, 1.0]], value=[0.9848223198301829]
    ),
    long_double=True,
    picture=bars(),
)
def multilabel_soft_margin(
    input: LogitsLast, target: LabelsLast, weight: ClassWeight | None = None
) -> Result:
    """Binary cross entropy of the logit of every class, averaged over the classes.

    Use: Samples with several true classes, each decided on its own.
    Avoid: Exactly one true class: cross_entropy.
    """
    classes = input.shape[1]
    # In float64, where no product of two float32 numbers is subnormal.
    kind = np.result_type(target, np.float64)
    positive, negative = target.astype(kind, copy=False), 1 - target
    missed, false = softplus(-input), softplus(input)  # what a positive costs, what a negative costs
    cost = times(positive, missed) + times(negative, false)
    factor: Array = np.ones(classes, kind) if weight is None else weight.astype(kind)

    def curvature() -> Array:
        bend: Array = times(factor, sigmoid(input) * sigmoid(-input)) / classes
        return bend

    return Result(
        sums_of_products(np.broadcast_to(factor, cost.shape), cost) / classes,
        {
            "input": lambda: (
                times(factor, times(negative, sigmoid(input)) - times(positive, sigmoid(-input))) / classes
            ),
            "target": lambda: times(factor, 0 - input) / classes,  # sp(-x) - sp(x) = -x
            "weight": lambda: cost / classes,
        },
        {"input": curvature},
        {"input": lambda direction: times(curvature(), direction)},
    )
