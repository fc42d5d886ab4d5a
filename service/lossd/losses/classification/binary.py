"""Losses of one of two classes: how little probability the true one was given.

s is the sigmoid of a logit, sp the softplus.
"""

from __future__ import annotations

import numpy as np

from lossd.declaration.alias import catboost, keras, objective, optax, pytorch, tensorflow
from lossd.declaration.boosting import Boosting
from lossd.declaration.example import Example
from lossd.declaration.loss import loss
from lossd.declaration.result import Result
from lossd.declaration.roles import Factor, Probability, Real
from lossd.message import Array
from lossd.numerics.stable import sigmoid, softplus, times

_TORCH = "https://docs.pytorch.org/docs/stable/generated/torch.nn."
LOG_FLOOR = -100.0  # PyTorch's BCELoss defines its logarithms so
SLOPE_FLOOR = 1e-12  # and bounds its gradient so


@loss(
    aliases=(
        *pytorch("BCELoss", "binary_cross_entropy"),
        *keras(
            "BinaryCrossentropy",
            "binary_crossentropy",
            also="Keras' clip of probabilities to [1e-7, 1 - 1e-7] is not copied.",
            advice={"from_logits": "probabilities (call bce_with_logits for logits)"},
        ),
    ),
    formula=r"\ell = -w\,[\,t \log x + (1 - t) \log(1 - x)\,]",
    source=f"{_TORCH}BCELoss.html",
    long_double=True,
    example=Example(input=[0.5, 0.25], target=[1.0, 0.0], value=[0.6931471805599453, 0.2876820724517809]),
)
def bce(input: Probability, target: Probability, weight: Factor | None = None) -> Result:
    """Binary cross entropy of a probability.

    As its source defines them, logarithms are at least -100 and the gradient's denominator ``x (1 - x)`` is at
    least 1e-12, so loss and gradient stay finite at 0 and 1. The Hessian is the derivative of that gradient. Logits
    have no such limits: see ``bce_with_logits``.
    """
    missed = np.minimum(0 - np.log(input), -LOG_FLOOR)  # what a positive costs
    false = np.minimum(0 - np.log1p(-input), -LOG_FLOOR)  # what a negative costs
    return Result(
        target * missed + (1 - target) * false,
        {
            "input": lambda: (input - target) / np.maximum(input * (1 - input), SLOPE_FLOOR),
            "target": lambda: missed - false,
        },
        {
            "input": lambda: np.where(
                np.less(input * (1 - input), np.float64(SLOPE_FLOOR)),
                1 / SLOPE_FLOOR,
                _over_square(target, input) + _over_square(1 - target, 1 - input),
            )
        },
    ).times(weight)


def _over_square(weight: Array, value: Array) -> Array:
    """Return ``w / x^2``, at least in float64, by two divisions, for the square underflows; what has no weight is 0."""
    quotient: Array = weight.astype(np.result_type(weight, np.float64)) / value / value
    quotient[weight == 0] = 0
    return quotient


@loss(
    aliases=(
        *pytorch("BCEWithLogitsLoss", "binary_cross_entropy_with_logits"),
        *optax("sigmoid_binary_cross_entropy"),
        *tensorflow("sigmoid_cross_entropy_with_logits"),
        *objective("XGBoost", "binary:logistic"),
        *objective("LightGBM", "binary"),
        *catboost("Logloss", "CrossEntropy"),
    ),
    formula=(
        r"\ell = w\,[\,p\, t\, \mathrm{sp}(-x) + (1 - t)\, \mathrm{sp}(x)\,],\quad \mathrm{sp}(x) = \log(1 + e^x)"
    ),
    source=f"{_TORCH}BCEWithLogitsLoss.html",
    long_double=True,
    boosting=Boosting("XGBoost's binary:logistic and LightGBM's binary"),
    example=Example(input=[0.0, 0.0], target=[1.0, 0.0], value=[0.6931471805599453] * 2),
)
def bce_with_logits(
    input: Real, target: Probability, weight: Factor | None = None, pos_weight: Factor | None = None
) -> Result:
    """Binary cross entropy of a logit, exact for easy samples too.

    ``pos_weight`` multiplies the part of the positive class. Both parts are non-negative, so nothing cancels.
    """
    # In float64, where no product of two float32 numbers is subnormal.
    kind = np.result_type(target, np.float64)
    positive = target if pos_weight is None else times(target.astype(kind), pos_weight)
    negative = 1 - target
    missed, false = softplus(-input), softplus(input)  # what a positive costs, what a negative costs
    return Result(
        times(positive, missed) + times(negative, false),
        {
            "input": lambda: times(negative, sigmoid(input)) - times(positive, sigmoid(-input)),
            # sp(-x) - sp(x) = -x
            "target": lambda: 0 - input if pos_weight is None else times(pos_weight, missed) - false,
            "pos_weight": lambda: times(target, missed),
        },
        {"input": lambda: times(positive + negative, sigmoid(input) * sigmoid(-input))},
    ).times(weight)
