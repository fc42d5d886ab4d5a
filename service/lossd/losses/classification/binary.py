"""Losses of one of two classes: how little probability the true one was given.

s is the sigmoid of a logit, sp the softplus.
"""

from __future__ import annotations

import numpy as np

from lossd.declaration.alias import catboost, keras, objective, optax, pytorch, tensorflow
from lossd.declaration.boosting import Boosting
from lossd.declaration.edge import Edge
from lossd.declaration.example import Example
from lossd.declaration.loss import loss
from lossd.declaration.picture import curve
from lossd.declaration.result import Result
from lossd.declaration.roles import Factor, Probability, Score
from lossd.message import Array
from lossd.numerics.stable import sigmoid, times

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
    picture=curve(0, 1, "input, a probability"),
    edges=(Edge("bound", "one, for a target of 0", 1.0, {"target": 0.0}),),
)
def bce(input: Probability, target: Probability, weight: Factor | None = None) -> Result:
    """Binary cross entropy of a probability.

    As its source defines them, logarithms are at least -100 and the gradient's denominator ``x (1 - x)`` is at
    least 1e-12, so loss and gradient stay finite at 0 and 1. The Hessian is the derivative of that gradient. Logits
    have no such limits: see ``bce_with_logits``.

    Use: One of two classes, from a probability that the model already returns.
    Avoid: Logits: bce_with_logits is exact in the tails, where a probability rounds to 0 or 1.
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
    formula=r"\ell = w\,[\,p\, t\, \mathrm{sp}(-x) + (1 - t)\, \mathrm{sp}(x)\,]",
    where=(r"\mathrm{sp}(x) = \log(1 + e^x)",),
    source=f"{_TORCH}BCEWithLogitsLoss.html",
    long_double=True,
    boosting=Boosting("XGBoost's binary:logistic and LightGBM's binary"),
    example=Example(input=[1.5, -0.5], target=[1.0, 0.0], value=[0.2014132779827524, 0.4740769841801067]),
    symbols={"pos_weight": "p"},
    picture=curve(-6, 6, "input, a logit"),
)
def bce_with_logits(
    input: Score, target: Probability, weight: Factor | None = None, pos_weight: Factor | None = None
) -> Result:
    """Binary cross entropy of a logit, exact for easy samples too.

    ``pos_weight`` multiplies the part of the positive class. Both parts are non-negative, so nothing cancels.

    Use: One of two classes, or many independent ones, from logits; ``pos_weight`` for rare positives.
    Avoid: Classes of which exactly one is true: cross_entropy.
    """
    # sp(x) = max(x, 0) + sp(-|x|): what both classes have in common does not depend on the target.
    rise, fall, shared = np.maximum(input, 0), np.maximum(-input, 0), np.log1p(np.exp(-np.abs(input)))
    missed, false = fall + shared, rise + shared  # what a positive costs, what a negative costs
    # In float64, where no product of two float32 numbers is subnormal.
    kind = np.result_type(target, np.float64)
    positive = target if pos_weight is None else times(target.astype(kind), pos_weight)
    negative = 1 - target
    value = (
        shared + (times(positive, fall) + times(negative, rise))
        if pos_weight is None
        # The target last: a small weight on a far logit is no small number, and an infinite product is noticed.
        else times(target, times(pos_weight.astype(kind), missed)) + times(negative, false)
    )
    return Result(
        value,
        {
            "input": lambda: times(negative, sigmoid(input)) - times(positive, sigmoid(-input)),
            # sp(-x) - sp(x) = -x
            "target": lambda: 0 - input if pos_weight is None else times(pos_weight, missed) - false,
            "pos_weight": lambda: times(target, missed),
        },
        {"input": lambda: times(positive + negative, sigmoid(input) * sigmoid(-input))},
    ).times(weight)
