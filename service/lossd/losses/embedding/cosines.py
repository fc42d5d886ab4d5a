"""Losses of the cosine between the vectors of a pair.

A vector of zeros has no direction: its cosine with any other is 0, and so is its gradient.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from lossd.declaration.alias import pytorch
from lossd.declaration.edge import Edge
from lossd.declaration.example import Example
from lossd.declaration.loss import loss
from lossd.declaration.picture import plane
from lossd.declaration.result import Result
from lossd.declaration.roles import Embedding, Sign
from lossd.declaration.signature import Differentiable
from lossd.message import Array
from lossd.numerics.directions import Directions, directions, tangent
from lossd.numerics.stable import times

# What a cosine lacks to 1 from which on a quotient of squares has as many digits.
_CLOSE = 0.01
_TORCH = "https://docs.pytorch.org/docs/stable/generated/torch.nn."


_ONE_PAIR = {"input1": [[3.0, 4.0]], "input2": [[4.0, 3.0]], "target": [-1.0]}


@loss(
    aliases=pytorch("CosineEmbeddingLoss", "cosine_embedding_loss"),
    formula=(
        r"\ell = \begin{cases} 1 - \cos(x_1, x_2) & t = 1 \\ \max(0,\ \cos(x_1, x_2) - m) & t = -1 \end{cases}"
    ),
    source=f"{_TORCH}CosineEmbeddingLoss.html",
    example=Example(
        input1=[[3.0, 4.0], [3.0, 4.0]],
        input2=[[4.0, 3.0], [8.0, 6.0]],
        target=[1.0, -1.0],
        margin=0.5,
        value=[0.04, 0.46],
    ),
    gradient=("input1", "input2"),
    long_double=True,
    symbols={"input1": "x_1", "input2": "x_2"},
    picture=plane("input1", at=(0, 1), rays=True),
    edges=(
        Edge("degenerate", "a vector of zeros", 0.0, {**_ONE_PAIR, "input1": [[0.0, 0.0]], "target": [1.0]}),
        Edge("tie", "a negative pair exactly at a `margin` of 0", -4.0, {**_ONE_PAIR, "margin": 0.0}),
    ),
)
def cosine_embedding(
    input1: Embedding, input2: Embedding, target: Sign, *, margin: Annotated[float, Differentiable] = 0.0
) -> Result:
    """Vectors of a pair should point the same way where the target is 1, and apart where it is -1.

    A pair that should be apart costs what its cosine exceeds ``margin`` by. At the margin the full gradient passes.
    Lengths do not matter: PyTorch adds 1e-12 to their squares, which changes the loss of vectors that are shorter
    than about 1e-3. The target chooses between two formulas, so its gradient is 0.

    Use: Pairs of vectors that are alike or not, whose lengths do not matter.
    Avoid: Batches with labels: supcon takes all pairs of the batch at once.

    Settings:
        margin: The cosine up to which a pair that should be apart costs nothing.
    """
    one, other = directions(input1), directions(input2)
    cosine = np.vecdot(one.unit, other.unit)
    lacking = _lacking(one, other, input1, input2, cosine)
    alike = target > 0
    # Near 1 a cosine has fewer digits than what it lacks to 1.
    excess = np.where(cosine > 0.5, (1 - margin) - lacking, cosine - margin)
    tied = np.flatnonzero(no_more_than_rounding(excess) & (lacking > _CLOSE))
    if len(tied):
        excess[tied] = _quotients(input1[tied], input2[tied]) - margin
    active = np.where(np.isnan(excess), excess, excess >= 0).astype(excess.dtype)
    slope = np.where(np.isnan(target), target, np.where(alike, -1, active)).astype(excess.dtype)

    def turned(vectors: Directions, towards: Directions) -> Array:
        return vectors.vjp(times(slope[:, None], towards.unit))

    return Result(
        np.where(np.isnan(target), target, np.where(alike, lacking, np.maximum(excess, 0))),
        {
            "input1": lambda: turned(one, other),
            "input2": lambda: turned(other, one),
            "target": lambda: np.zeros_like(slope),
            "margin": lambda: np.where(alike, 0, -active),
        },
    )


def no_more_than_rounding(excess: Array) -> Array:
    """Return where a cosine's rounding decides on which side of the margin it is."""
    near: Array = np.abs(excess) <= 8 * np.finfo(excess.dtype).eps
    return near


def _quotients(input1: Array, input2: Array) -> Array:
    """Return cosines by one root, which is exact for vectors of few digits: unit vectors are rounded twice."""
    one, other = (
        np.ldexp(each, -np.frexp(np.abs(each).max(axis=1, keepdims=True, initial=0))[1])
        for each in (input1, input2)
    )
    squares = np.vecdot(one, one) * np.vecdot(other, other)
    quotient: Array = np.vecdot(one, other) / np.sqrt(np.where(squares == 0, 1, squares))
    return quotient


def _lacking(one: Directions, other: Directions, input1: Array, input2: Array, cosine: Array) -> Array:
    """Return what the cosine of each pair of vectors ``(rows, D)`` lacks to 1, ``(rows,)``.

    Where it is small, it is ``sin^2 / (1 + cos)``. The sine is the length of the part of the vectors' difference at
    right angles to one of them, over the other's length: of two unit vectors, the rounded lengths would differ too.
    """
    apart = np.ldexp(input2, -other.exponent) - np.ldexp(input1, -one.exponent)
    directed = (one.norm * other.norm != 0)[:, 0]
    sine = tangent(one.unit, apart) / np.where(other.norm == 0, 1, other.norm)
    acute = np.vecdot(sine, sine) / (1 + np.abs(cosine))
    lacking: Array = np.where(directed & (cosine > 0.5), acute, 1 - cosine)
    return lacking
