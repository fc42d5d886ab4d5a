"""Losses of cosines: between the vectors of a pair, and between a vector and the prototypes of the classes.

A vector of zeros has no direction: its cosine with any other is 0, and so is its gradient.
"""

from __future__ import annotations

from math import cos, pi, sin
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field

from lossd.declaration.alias import pytorch
from lossd.declaration.cost import Cost
from lossd.declaration.example import Example
from lossd.declaration.index_domain import Index
from lossd.declaration.loss import loss
from lossd.declaration.result import Pullback, Result
from lossd.declaration.role import Role
from lossd.declaration.roles import Embedding, Positive, Sign
from lossd.declaration.signature import Differentiable
from lossd.message import Array
from lossd.numerics.directions import Directions, directions, half_square, tangent
from lossd.numerics.stable import softmax, times
from lossd.numerics.sums import row_products

_TORCH = "https://docs.pytorch.org/docs/stable/generated/torch.nn."

Label = Annotated[Array, Role(domain=Index("C"))]
Prototypes = Annotated[Array, Role("(C, D)")]
Angle = Annotated[float, Field(ge=0, le=pi)]


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
)
def cosine_embedding(
    input1: Embedding, input2: Embedding, target: Sign, *, margin: Annotated[float, Differentiable] = 0.0
) -> Result:
    """Vectors of a pair should point the same way where the target is 1, and apart where it is -1.

    A pair that should be apart costs what its cosine exceeds ``margin`` by. At the margin the full gradient passes.
    Lengths do not matter: PyTorch adds 1e-12 to their squares, which changes the loss of vectors that are shorter
    than about 1e-3. The target chooses between two formulas, so its gradient is 0.

    Settings:
        margin: The cosine up to which a pair that should be apart costs nothing.
    """
    one, other = directions(input1), directions(input2)
    cosine, lacking = _cosines(one, other)
    alike = target > 0
    # Near 1 a cosine has fewer digits than what it lacks to 1.
    excess = np.where(cosine > 0.5, (1 - margin) - lacking, cosine - margin)
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


def _cosines(one: Directions, other: Directions) -> tuple[Array, Array]:
    """Return the cosine of each pair of directions, and what it lacks to 1, ``(rows,)`` each."""
    cosine = np.vecdot(one.unit, other.unit)
    directed = (one.norm * other.norm != 0)[:, 0]
    return cosine, np.where(directed, half_square(one.unit, other.unit), 1 - cosine)


@loss(
    formula=(
        r"\ell = \log\bigl(1 + \textstyle\sum_{j \ne t} e^{s (\cos\theta_j - \phi)}\bigr),\quad "
        r"\phi = \begin{cases} \cos(\theta_t + m) & \theta_t + m \le \pi \\ \cos\theta_t - m \sin m & \text{else}"
        r"\end{cases}"
    ),
    source=(
        "Deng et al. (2019), ArcFace: Additive Angular Margin Loss for Deep Face Recognition; "
        "pytorch_metric_learning.losses.ArcFaceLoss"
    ),
    example=Example(
        embeddings=[[2.0, 0.0]],
        labels=[0],
        prototypes=[[1.0, 0.0], [0.0, 3.0]],
        margin=0.0,
        scale=1.0,
        value=[0.31326168751822286],  # log(1 + 1/e)
    ),
    gradient=("embeddings", "prototypes"),
    cost=Cost(workspace="(9, C) + (12, D)", work="(3, C) + (5, D)", products="(C, D)"),
)
def arcface(
    embeddings: Embedding,
    labels: Label,
    prototypes: Prototypes,
    *,
    margin: Annotated[Angle, Differentiable] = 0.5,
    scale: Annotated[Positive, Differentiable] = 64.0,
) -> Result:
    """The angle to the prototype of a vector's own class should be less than to any other, by ``margin``.

    It is the cross entropy of cosines times ``scale``, of which the own class's is that of an angle larger by the
    margin. Where that angle would exceed a half turn, the cosine is made less by a fixed amount instead. A vector that
    points exactly at its prototype is at the tip of a cone: the gradient of its angle is 0 there.

    Settings:
        margin: The margin, in radians.
        scale: What the cosines are multiplied with.
    """
    rows = np.arange(len(labels))
    points, classes = directions(embeddings), directions(prototypes)
    own = Directions(*(part[labels] for part in classes))
    angle = _own_angle(points, own, margin)
    cosine = row_products(points.unit, classes.unit.T)
    ahead = cosine - cosine[rows, labels][:, None] + angle.cost[:, None]
    ahead[rows, labels] = 0
    found = softmax(scale * ahead)
    others = found.probability.copy()  # what the other classes were given
    others[rows, labels] = 0
    lacking = found.complement[rows, labels]

    def of_embeddings() -> Array:
        towards_own = points.vjp(own.unit) * (lacking * angle.steepness)[:, None]
        slopes: Array = scale * (points.vjp(row_products(others, classes.unit)) - towards_own)
        return slopes

    def of_prototypes(upstream: Array) -> Array:
        weight = (scale * upstream.astype(points.unit.dtype))[:, None]
        units = np.where(weight == 0, 0, points.unit)
        turned = times(weight, others).T @ units
        steepness = times(weight, (lacking * angle.steepness)[:, None])
        drawn = times(steepness, tangent(own.unit, points.unit))
        np.add.at(turned, labels, -drawn)
        return classes.vjp(turned)

    return Result(
        0 - found.log[rows, labels],
        {
            "embeddings": of_embeddings,
            "prototypes": Pullback(of_prototypes),
            "margin": lambda: scale * lacking * angle.by_margin,
            "scale": lambda: np.vecdot(others, ahead),
        },
    )


class _OwnAngle(NamedTuple):
    """What the margin makes of the angle to the own class's prototype, ``(rows,)`` each.

    Attributes:
        cost: By how much it lessens the cosine.
        steepness: The slope of the lessened cosine with the cosine.
        by_margin: The slope of the cost with the margin.
    """

    cost: Array
    steepness: Array
    by_margin: Array


def _own_angle(points: Directions, own: Directions, margin: float) -> _OwnAngle:
    """Take the sine from the distances to the prototype and to its opposite, which are exact where it is small.

    ``cos a - cos(a + m) = 2 sin(m / 2) sin(a + m / 2)``.
    """
    cosine, lacking = _cosines(points, own)
    directed = (points.norm * own.norm != 0)[:, 0]
    near, far = np.sqrt(2 * lacking), np.sqrt(2 * half_square(points.unit, -own.unit))
    sine = np.where(directed, near * far / 2, 1)
    larger = sine * cos(margin) + cosine * sin(margin)  # sin(a + m)
    within = larger >= 0
    cost = 2 * sin(margin / 2) * (sine * cos(margin / 2) + cosine * sin(margin / 2))
    steep = np.divide(larger, sine, out=np.zeros_like(sine), where=sine != 0)
    return _OwnAngle(
        np.where(within, cost, margin * sin(margin)),
        np.where(within, steep, 1),
        np.where(within, larger, sin(margin) + margin * cos(margin)),
    )
