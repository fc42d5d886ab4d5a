"""Losses of the angles between a vector and the prototypes of the classes.

A vector of zeros has no direction: its cosine with any other is 0, and so is its gradient.
"""

from __future__ import annotations

from math import cos, frexp, pi, sin
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field

from lossd.declaration.cost import Cost
from lossd.declaration.edge import Edge
from lossd.declaration.example import Example
from lossd.declaration.index_domain import Index
from lossd.declaration.loss import loss
from lossd.declaration.picture import plane
from lossd.declaration.result import Pullback, Result
from lossd.declaration.role import Role
from lossd.declaration.roles import Embedding, Positive
from lossd.declaration.signature import Differentiable
from lossd.message import Array
from lossd.numerics.directions import Directions, directions, tangent
from lossd.numerics.stable import softmax, times
from lossd.numerics.sums import row_products

# Differences of unit vectors' coordinates at least this large are computed from the other coordinates, which keeps more
# digits.
_LONG = 0.5

Label = Annotated[Array, Role(domain=Index("C"))]
Prototypes = Annotated[Array, Role("(C, D)")]
Angle = Annotated[float, Field(ge=0, le=pi)]


@loss(
    formula=r"\ell = \log\bigl(1 + \textstyle\sum_{j \ne t} e^{s (\cos\theta_j - \phi)}\bigr)",
    where=(
        (
            r"\phi = \begin{cases} \cos(\theta_t + m) & \theta_t + m \le \pi \\ \cos\theta_t - m \sin m & "
            r"\text{else} \end{cases}"
        ),
        r"\theta_j = \angle(x, p_j)",
    ),
    source=(
        "Deng et al. (2019), ArcFace: Additive Angular Margin Loss for Deep Face Recognition; "
        "pytorch_metric_learning.losses.ArcFaceLoss"
    ),
    example=Example(
        embeddings=[[2.0, 1.5], [-0.75, 1.0]],
        labels=[0, 1],
        prototypes=[[3.0, 0.0], [0.0, 2.0], [-4.0, -3.0]],
        margin=0.5,
        scale=4.0,
        value=[1.1328115677270807, 0.1888646116774754],
    ),
    gradient=("embeddings", "prototypes"),
    cost=Cost(workspace="(11, C) + (12, D)", work="(3, C) + (2, D)", products="(C, D)"),
    symbols={"labels": "t", "prototypes": "p_j"},
    picture=plane("embeddings", at=(0, 1), rays=True),
    edges=(Edge("degenerate", "a vector of zeros", 0.0, {"embeddings": [[0.0, 0.0], [-0.75, 1.0]]}),),
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
    points exactly at its prototype is at the tip of a cone: the gradient of its angle is 0 there. Next to it, the angle
    has as many digits as the rounded vectors leave it: at 1e-12 about four in float64, and so have its derivatives.
    Second derivatives are sums of parts as large as ``scale`` over the square of the vector's length: where prototypes
    that are nearly alike or opposite make them cancel, they have an error of about 1e-16 of that in float64.
    Coordinates of unit vectors below the type's smallest number are 0, also where a gradient divides by such an angle.
    For vectors of one number, a margin of ``pi`` is exactly a half turn.

    Use: Recognition of faces and other open sets: classes should be compact cones.
    Avoid: The start of training with a large ``scale``: begin with a margin of 0 and raise it.

    Settings:
        margin: The margin, in radians.
        scale: What the cosines are multiplied with.
    """
    rows = np.arange(len(labels))
    points, classes = directions(embeddings), directions(prototypes)
    own = Directions(*(part[labels] for part in classes))
    angle = _own_angle(points, own, margin)
    cosine = row_products(points.unit, classes.unit.T)
    lessened = cosine.copy()
    lessened[rows, labels] = cosine[rows, labels] - angle.cost
    # Less that of the likeliest class: others may be far closer to it than all of them are to the own class.
    relative = _less_one(cosine, points, classes, lessened.argmax(axis=1))
    relative[rows, labels] = relative[rows, labels] - angle.cost
    ahead = relative - relative[rows, labels][:, None]
    found = softmax(scale * relative)
    others = found.probability.copy()  # what the other classes were given
    others[rows, labels] = 0
    lacking = found.complement[rows, labels]
    factor, power = frexp(scale)

    def of_embeddings() -> Array:
        towards_own = lacking[:, None] * angle.drawn
        return points.vjp(factor * (row_products(others, classes.unit) - towards_own), power)

    def of_prototypes(upstream: Array) -> Array:
        weight = (factor * upstream.astype(points.unit.dtype))[:, None]
        units = np.where(weight == 0, 0, points.unit)
        turned = times(weight, others).T @ units
        drawn = times(times(weight, lacking[:, None]), angle.own_drawn)
        np.add.at(turned, labels, -drawn)
        return classes.vjp(turned, power, upstream.dtype)

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
    """What the margin makes of the angle to the own class's prototype.

    Attributes:
        cost: By how much it lessens the cosine, ``(rows,)``.
        by_margin: The slope of the cost with the margin, ``(rows,)``.
        drawn: The gradient of the lessened cosine along the unit vector, ``(rows, D)``, at right angles to it.
        own_drawn: That along the prototype's, ``(rows, D)``, likewise.
    """

    cost: Array
    by_margin: Array
    drawn: Array
    own_drawn: Array


def _own_angle(points: Directions, own: Directions, margin: float) -> _OwnAngle:
    """Take the sine, and where to turn, from one unit vector's part at right angles to the other.

    Next to the prototype or its opposite, the difference from that is exact, and has the same part.
    ``cos a - cos(a + m) = 2 sin(m / 2) sin(a + m / 2)``. The part is ``sin a`` times the direction to turn in, and a
    gradient is ``sin(a + m)`` times that: ``cos m`` times the part, which is smooth at a = 0, and ``cos a sin m`` times
    the direction.
    """
    cosine = np.vecdot(points.unit, own.unit)
    directed = (points.norm * own.norm != 0)[:, 0]
    side = np.rint(cosine)[:, None]  # 1 next to the prototype, -1 next to its opposite, 0 at right angles
    part = tangent(points.unit, own.unit - side * points.unit)
    part_of_own = tangent(own.unit, points.unit - side * own.unit)
    turn, turn_of_own = directions(part), directions(part_of_own)
    sine = np.where(directed, np.ldexp(turn.norm, turn.exponent)[:, 0], 1)
    larger = sine * cos(margin) + cosine * sin(margin)  # sin(a + m)
    within = larger >= 0
    of_part = np.where(within, cos(margin), 1)[:, None]
    of_turn = np.where(within, cosine * sin(margin), 0)[:, None]
    cost = 2 * sin(margin / 2) * (sine * cos(margin / 2) + cosine * sin(margin / 2))
    return _OwnAngle(
        np.where(within, cost, margin * sin(margin)),
        np.where(within, larger, sin(margin) + margin * cos(margin)),
        of_part * part + times(of_turn, turn.unit),
        of_part * part_of_own + times(of_turn, turn_of_own.unit),
    )


def _less_one(cosine: Array, points: Directions, classes: Directions, one: Array) -> Array:
    """Return the cosines ``(rows, C)`` of vectors with all prototypes, less that with one of them, ``(rows,)``.

    Along the longest coordinate k of all prototypes p, unit vectors of one sign are ``p_jk - p_ik = (q_i - q_j) /
    (p_ik + p_jk)`` apart, with q the sums of their other squares: a difference of small numbers where both are close
    to the axis, and not of numbers that are nearly 1.
    """
    rows = np.arange(len(one))
    if not _are_alike(classes.unit):
        less: Array = cosine - cosine[rows, one][:, None]
        return less
    longest = np.abs(classes.unit).sum(axis=0).argmax()
    others, along = classes.unit.copy(), classes.unit[:, longest]
    others[:, longest] = 0
    of_one, squares = along[one][:, None], np.vecdot(others, others)
    alike = (np.abs(along) >= _LONG) & (np.abs(of_one) >= _LONG) & (along * of_one > 0)
    apart = (squares[one][:, None] - squares) / np.where(alike, along + of_one, 1)
    across = row_products(points.unit, others.T)
    relative: Array = across - across[rows, one][:, None]
    relative += points.unit[:, longest][:, None] * np.where(alike, apart, along - of_one)
    return relative


def _are_alike(unit: Array) -> bool:
    """Return whether one coordinate makes much of several unit vectors."""
    long = np.count_nonzero(np.abs(unit) >= _LONG, axis=0)
    return bool(long.max(initial=0) > 1)
