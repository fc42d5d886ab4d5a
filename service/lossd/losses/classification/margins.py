"""Losses of the margin m = t x: of the score x of one of two classes, whose labels t are -1 and 1."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from lossd.declaration.alias import keras, optax, pytorch, scikit_learn
from lossd.declaration.cost import Cost
from lossd.declaration.edge import Edge
from lossd.declaration.example import Example
from lossd.declaration.families import Curve, margin_loss
from lossd.declaration.loss import loss
from lossd.declaration.picture import curve
from lossd.declaration.result import Result
from lossd.declaration.roles import Real, Sign
from lossd.declaration.signature import Differentiable
from lossd.message import Array
from lossd.numerics.stable import sigmoid, sigmoid_times, softplus

_TORCH = "https://docs.pytorch.org/docs/stable/generated/torch.nn."
_KERAS = "https://keras.io/api/losses/hinge_losses/"
# A product and a clip, in one or two ns where logarithms take ten.
_FEW_PASSES = Cost(speed=3)
_LABELS = "Labels are -1 and 1: those of 0 and 1, which Keras converts, are not taken."


@margin_loss(
    aliases=pytorch("SoftMarginLoss", "soft_margin_loss"),
    formula=r"\ell = \log(1 + e^{-m})",
    source=f"{_TORCH}SoftMarginLoss.html",
    example=Example(input=[0.0, 1.0], target=[1.0, -1.0], value=[0.6931471805599453, 1.3132616875182228]),
)
def soft_margin(m: Array) -> Curve:
    """Binary cross entropy of a logit for labels of -1 and 1, exact in both tails.

    Use: Logistic regression with labels of -1 and 1.
    Avoid: Labels of 0 and 1: bce_with_logits.
    """
    size = np.abs(m)
    return Curve(
        softplus(-m),
        lambda: -sigmoid(-m),
        lambda: sigmoid(m) * sigmoid(-m),
        slope_times=lambda factor: -sigmoid_times(-m, factor),
        curvature_times=lambda factor: sigmoid_times(-size, factor * sigmoid(size)),
    )


@margin_loss(
    aliases=(
        *scikit_learn("hinge_loss"),
        *keras("Hinge", also=_LABELS),
        *optax("optax.hinge_loss"),
    ),
    formula=r"\ell = \max(0, 1 - m)",
    source=f"Cortes and Vapnik (1995), Support-Vector Networks; {_KERAS}#hinge-class",
    example=Example(input=[0.5, -2.0, 3.0], target=[1.0, 1.0, 1.0], value=[0.5, 3.0, 0.0]),
    edges=(Edge("tie", "exactly 1", 1.0),),
    cost=_FEW_PASSES,
)
def hinge(m: Array) -> Curve:
    """Linear below a margin of 1, zero beyond: the loss of support vector machines.

    At the kink the slope is that of a smaller margin.

    Use: Maximum-margin classifiers, where samples beyond the margin should cost nothing.
    Avoid: Calibrated probabilities: a hinge has none. soft_margin has.
    """
    return Curve(np.maximum(1 - m, 0), lambda: _step(m, np.where(m <= 1, -1, 0)), lambda: _step(m, 0))


@margin_loss(
    aliases=keras("SquaredHinge", also=_LABELS),
    formula=r"\ell = \max(0, 1 - m)^2",
    source=f"{_KERAS}#squaredhinge-class",
    example=Example(input=[0.5, -2.0, 3.0], target=[1.0, 1.0, 1.0], value=[0.25, 9.0, 0.0]),
    edges=(Edge("tie", "exactly 1", 1.0),),
    cost=_FEW_PASSES,
)
def squared_hinge(m: Array) -> Curve:
    """Squared below a margin of 1, zero beyond: a hinge that is smooth at its kink.

    Use: Maximum-margin classifiers whose optimiser needs a continuous slope.
    Avoid: Mislabelled samples: they cost the square of what they lack. hinge is linear.
    """
    gap = np.maximum(1 - m, 0)
    return Curve(gap * gap, lambda: -2 * gap, lambda: _step(m, np.where(m < 1, 2, 0)))


@loss(
    aliases=pytorch("HingeEmbeddingLoss", "hinge_embedding_loss"),
    formula=r"\ell = \begin{cases} x & t = 1 \\ \max(0,\ m - x) & t = -1 \end{cases}",
    source=f"{_TORCH}HingeEmbeddingLoss.html",
    example=Example(input=[0.5, 0.25, 3.0], target=[1.0, -1.0, -1.0], value=[0.5, 0.75, 0.0]),
    picture=curve(-1, 3, "input, a distance"),
    edges=(Edge("tie", "exactly `margin`, for a target of −1", "margin", {"target": -1.0}),),
)
def hinge_embedding(input: Real, target: Sign, *, margin: Annotated[float, Differentiable] = 1.0) -> Result:
    """A distance, which should be small where the target is 1, and at least ``margin`` where it is -1.

    At the kink the slope is that of a smaller distance.

    Use: Pairs with a distance of your own: alike or not.
    Avoid: Vectors: cosine_embedding takes them as they are, and has no distance to compute.

    Settings:
        margin: The distance from which on a negative pair costs nothing.
    """
    gap = margin - input
    like, unlike = target != -1, target != 1  # what is neither label counts as both, as in PyTorch
    nothing = target * 0  # or NaN

    def active() -> Array:
        slope: Array = np.where(unlike, _step(gap, gap >= 0), 0) + nothing
        return slope

    return Result(
        np.where(like, input, 0) + np.where(unlike, np.maximum(gap, 0), 0) + nothing,
        {
            "input": lambda: like - active(),
            "target": lambda: nothing,
            "margin": active,
        },
        {
            "input": lambda: np.where(unlike, _step(gap, 0), 0) + nothing,
            "target": lambda: nothing,
        },
    )


def _step(argument: Array, slope: Array | float) -> Array:
    """Return a derivative that is constant on either side of a kink; that at NaN is NaN."""
    return np.where(np.isnan(argument), argument, slope).astype(argument.dtype, copy=False)
