"""Losses of the order in which lists put their items: the relevant ones should come first.

Lists may differ in length: one after the other with the option ``group``, or padded with a ``mask`` of their items.
"""

from __future__ import annotations

from math import log, nan
from typing import Annotated

import numpy as np
from pydantic import Field

from lossd.declaration.alias import Alias
from lossd.declaration.boosting import Boosting
from lossd.declaration.cost import Cost
from lossd.declaration.domain import Interval, Whole
from lossd.declaration.edge import Edge
from lossd.declaration.example import Example
from lossd.declaration.loss import loss
from lossd.declaration.picture import bars
from lossd.declaration.result import Result
from lossd.declaration.role import Role
from lossd.declaration.roles import Positive
from lossd.declaration.signature import Differentiable
from lossd.message import Array
from lossd.numerics.stable import (
    sigmoid,
    softmax,
    softmax_product,
    softplus,
    sums_of_others,
    sums_of_products,
    times,
)

# Grades whose gains of 2^grade - 1 boosting libraries have.
_GRADES = 31

Scores = Annotated[Array, Role("(..., L)", holds="score")]
Relevance = Annotated[Array, Role("(..., L)", domain=Interval(0.0, typical=(0.0, 1.0)), weighs=True)]
Grades = Annotated[Array, Role("(..., L)", domain=Whole(typical=(0, 4), low=0, high=_GRADES))]


@loss(
    aliases=(
        Alias(
            "SoftmaxLoss",
            "TensorFlow Ranking",
            "Padding is said by `mask`; there a negative label is padding, here it is refused.",
        ),
    ),
    formula=r"\ell = -\sum_i t_i \log s_i(x)",
    where=(r"s_i(x) = e^{x_i} / \textstyle\sum_j e^{x_j}",),
    source="Cao et al. (2007), Learning to Rank: From Pairwise Approach to Listwise Approach; "
    "https://www.tensorflow.org/ranking/api_docs/python/tfr/keras/losses/SoftmaxLoss",
    example=Example(
        input=[[0.5, 1.5, -0.25, 0.75]], target=[[2.0, 0.0, 1.0, 0.0]], value=[5.850398080899368]
    ),
    long_double=True,
    picture=bars(ranked=True),
    edges=(Edge("degenerate", "nothing is relevant", given={"target": [[0.0, 0.0, 0.0, 0.0]]}),),
)
def ranking_softmax(input: Scores, target: Relevance) -> Result:
    """Softmax cross entropy between the scores of a list and the relevance of its items.

    The relevance need not sum to one: a list counts by its sum. The mean is over the lists that have items.

    Use: Search results with few relevant items: smooth, and cheap for long lists.
    Avoid: Grades whose top ranks alone matter: rank_ndcg weighs by rank.
    """
    log_s, s, complement = softmax(input)
    surprise = 0 - log_s
    return Result(
        sums_of_products(target, surprise),
        {
            # s T - t with T the sum of the t, what cancels taken out: s (T - t) - (1 - s) t
            "input": lambda: times(sums_of_others(target), s) - times(target, complement),
            "target": lambda: surprise,
        },
        {"input": lambda: times(target.sum(axis=1, keepdims=True), s * complement)},
        {"input": lambda v: times(target.sum(axis=1, keepdims=True), softmax_product(s, v))},
    )


@loss(
    formula=r"\ell = \sum_{t_i > t_j} \Delta_{ij} \log(1 + e^{-\sigma (x_i - x_j)})",
    where=(
        (
            r"\Delta_{ij} = \frac{2^{t_i} - 2^{t_j}}{\mathrm{IDCG}} \left|\frac{1}{\log_2(1 + r_i)} - "
            r"\frac{1}{\log_2(1 + r_j)}\right|"
        ),
    ),
    source="Burges (2010), From RankNet to LambdaRank to LambdaMART; LightGBM, objective lambdarank",
    example=Example(input=[[0.5, 1.5, -0.25, 0.75]], target=[[3, 0, 1, 2]], value=[0.8156944368790926]),
    cost=Cost(workspace="(8, truncation_level|L, L)", work="(2, truncation_level|L, L)"),
    boosting=Boosting("LightGBM's lambdarank with lambdarank_norm=false"),
    long_double=True,
    picture=bars(ranked=True),
    edges=(
        Edge("tie", "equal to another score", 0.75),
        Edge("degenerate", "nothing is relevant", given={"target": [[0, 0, 0, 0]]}),
        Edge("degenerate", "one item, of any score", given={"input": [[nan]], "target": [[3]]}),
    ),
)
def rank_ndcg(
    input: Scores,
    target: Grades,
    *,
    sigma: Annotated[Positive, Differentiable] = 1.0,
    truncation_level: Annotated[int, Field(ge=1)] = 30,
) -> Result:
    """LambdaRank: the logistic loss of every pair in the wrong order, by what swapping the two changes of NDCG.

    An item's gain is two to the power of its grade, less 1, and r is its rank by score, from 1; of equal scores the
    first in the list ranks first. IDCG is the discounted gain of the best order. Ranks change in steps, so derivatives
    take the weights of pairs for constants. A list whose grades are all alike, or of one item, has no pair, so its
    scores are not used: the loss is 0 also of NaN.

    Use: Search and recommendation that is judged by NDCG; gradient boosting of rankers.
    Avoid: A value to compare between steps: pairs change their weights as ranks change. Watch NDCG itself.

    Settings:
        sigma: Steepness of the logistic function, called sigmoid in LightGBM.
        truncation_level: Pairs of which neither item ranks up to here do not count, nor do further ranks in IDCG.
    """
    order = np.argsort(-input, axis=1, kind="stable")
    top = min(truncation_level, input.shape[1])
    score = np.take_along_axis(input, order, axis=1)
    unknown = np.isnan(score[:, -1:])  # NaN ranks last, but its rank means nothing
    score = np.where(unknown, np.nan, score)
    apart = (
        score[:, :top, None] - score[:, None, :]
    )  # of an item that ranks up to the truncation, and any other
    sign, delta = _swaps(np.take_along_axis(target, order, axis=1), top)
    delta = delta.astype(np.result_type(input, np.float64), copy=False)
    if unknown.any():
        delta = np.where(unknown[:, :, None] & delta.any(axis=(1, 2), keepdims=True), np.nan, delta)
    margin = sigma * (sign * apart)

    def by_item(of_pairs: Array, other: float) -> Array:
        """Sum what pairs give to their first item, and ``other`` times that to their second, in the list's order."""
        of_ranks = other * of_pairs.sum(axis=1)
        of_ranks[:, :top] += of_pairs.sum(axis=2)
        sums: Array = np.empty_like(of_ranks)
        np.put_along_axis(sums, order, of_ranks, axis=1)
        return sums

    def slopes() -> Array:
        return times(delta, -sigmoid(-margin) * sign)

    return Result(
        times(delta, softplus(-margin)).sum(axis=(1, 2)),
        {
            "input": lambda: by_item(sigma * slopes(), -1.0),
            "sigma": lambda: times(slopes(), apart).sum(axis=(1, 2)),
        },
        {"input": lambda: by_item(times(delta, sigmoid(margin) * sigmoid(-margin)) * sigma * sigma, 1.0)},
    )


def _swaps(grades: Array, top: int) -> tuple[Array, Array]:
    """Return which item of a pair is the better, 1 for the first or -1, and what swapping them changes of NDCG.

    Args:
        grades: Grades in the order of the ranks, ``(rows, L)``.
        top: How many ranks the first items of pairs have. A pair counts where its second item ranks below the first.

    Returns:
        The signs and the changes, 0 for what is no pair, ``(rows, top, L)``.
    """
    rank = np.arange(grades.shape[1])
    logs = np.log(rank + 2.0)
    # 1 / log2(a) - 1 / log2(b) = log(2) log(b / a) / (log(a) log(b)), where nothing cancels
    discounts = log(2) * np.log1p((rank - rank[:top, None]) / (rank[:top, None] + 2.0))
    discounts = discounts / (logs[:top, None] * logs)
    gain = np.exp2(grades) - 1
    best = np.sort(gain, axis=1)[:, : -top - 1 : -1]
    ideal = (best * (log(2) / logs[:top])).sum(axis=1)
    ideal[ideal == 0] = 1  # no gain, so no pair
    change = gain[:, :top, None] - gain[:, None, :]
    delta = np.where(rank > rank[:top, None], discounts * np.abs(change), 0) / ideal[:, None, None]
    return np.sign(change), delta
