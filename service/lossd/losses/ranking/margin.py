"""Losses of two scores, of which one should be the higher."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from lossd.declaration.alias import pytorch
from lossd.declaration.edge import Edge
from lossd.declaration.example import Example
from lossd.declaration.loss import loss
from lossd.declaration.picture import Slider, curve
from lossd.declaration.result import Result
from lossd.declaration.roles import Real, Sign
from lossd.declaration.signature import Differentiable
from lossd.message import Array
from lossd.numerics.stable import times


@loss(
    aliases=pytorch("MarginRankingLoss", "margin_ranking_loss"),
    formula=r"\ell = \max(0,\ m - t\,(x_1 - x_2))",
    source="https://docs.pytorch.org/docs/stable/generated/torch.nn.MarginRankingLoss.html",
    example=Example(input1=[1.0, 3.0], input2=[2.0, 1.0], target=[1.0, 1.0], margin=0.5, value=[1.5, 0.0]),
    gradient=("input1", "input2"),
    long_double=True,
    symbols={"input1": "x_1", "input2": "x_2"},
    picture=curve(-4, 4, "input1, with an input2 of 0", argument="input1", symbol="x_1"),
    edges=(Edge("tie", "exactly `margin`", "margin"),),
)
def margin_ranking(
    input1: Real,
    input2: Real,
    target: Sign,
    *,
    margin: Annotated[float, Differentiable, Slider(0.0, 2.0)] = 0.0,
) -> Result:
    """Of two scores the first should be higher by ``margin`` where the target is 1, the second where it is -1.

    At the kink the slope is that of a pair in the wrong order.

    Use: Pairs of which it is known which should score higher.
    Avoid: Whole lists: ranking_softmax and rank_ndcg see all of their items at once.

    Settings:
        margin: By how much the one score should exceed the other.
    """
    lead = input1 - input2
    gap = margin - target * lead

    def active() -> Array:
        slope: Array = np.where(np.isnan(gap), gap, gap >= 0)
        return slope

    def flat() -> Array:
        return np.where(np.isnan(gap), gap, 0)

    return Result(
        np.maximum(gap, 0),
        {
            "input1": lambda: -target * active(),
            "input2": lambda: target * active(),
            "target": lambda: -times(active(), lead),
            "margin": active,
        },
        {"input1": flat, "input2": flat, "target": flat},
    )
