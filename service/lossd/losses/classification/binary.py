"""The losses of one of two classes: how little belief was placed in the true one.

s is the sigmoid of a logit, sp the softplus.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lossd.losses.alias import catboost, keras, objective, optax, pytorch, tensorflow
from lossd.losses.classification.fallback import leave_to_kernel
from lossd.losses.roles import Factor, Probability, Real
from lossd.losses.scratch import Scratch
from lossd.losses.spec import Boosting, Example, Terms, loss, tuned
from lossd.losses.stable import EXP_RANGE, sigmoid, softplus, times
from lossd.losses.sums import dot, total
from lossd.message import Array

_TORCH = "https://docs.pytorch.org/docs/stable/generated/torch.nn."
_LOG_FLOOR = -100.0  # PyTorch's BCELoss defines its logarithms so
_SLOPE_FLOOR = 1e-12  # and bounds its gradient so


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
    extended=True,
    example=Example(input=[0.5, 0.25], target=[1.0, 0.0], value=[0.6931471805599453, 0.2876820724517809]),
)
def bce(input: Probability, target: Probability, weight: Factor | None = None) -> Terms:
    """Binary cross entropy of a probability.

    As its source defines them, logarithms are at least -100 and the gradient's denominator ``x (1 - x)`` is at
    least 1e-12, so loss and gradient stay finite at 0 and 1. The Hessian is the derivative of that gradient. Logits
    have no such limits: see ``bce_with_logits``.
    """
    missed = np.minimum(0 - np.log(input), -_LOG_FLOOR)  # what a positive costs
    false = np.minimum(0 - np.log1p(-input), -_LOG_FLOOR)  # what a negative costs
    return Terms(
        target * missed + (1 - target) * false,
        {
            "input": lambda: (input - target) / np.maximum(input * (1 - input), _SLOPE_FLOOR),
            "target": lambda: missed - false,
        },
        lambda: np.where(
            np.less(input * (1 - input), np.float64(_SLOPE_FLOOR)),
            1 / _SLOPE_FLOOR,
            _over_square(target, input) + _over_square(1 - target, 1 - input),
        ),
    ).times(weight)


def _over_square(weight: Array, value: Array) -> Array:
    """Return ``w / x^2``, at least in float64, by two divisions, for the square underflows; what has no weight is 0."""
    quotient: Array = weight.astype(np.result_type(weight, np.float64)) / value / value
    quotient[weight == 0] = 0
    return quotient


@tuned(bce)
def bce_block(input: Array, target: Array, *, scale: Any, out: Array, scratch: Scratch) -> float:
    """Take one logarithm where a target is 0 or 1: log1p of wrong over right, (x - t) / (1 - t - x).

    The slope is 1 / (1 - t - x). Nothing cancels, and the bounds are out of reach of probabilities that are not
    themselves next to one.
    """
    rest = np.subtract(1, target, out=scratch.empty("rest", input))
    if not _are_labels(target, rest) or not _are_unbounded(input):
        return _soft_bce(input, target, rest, scale, out, scratch)
    right = np.subtract(rest, input, out=rest)
    odds = np.subtract(input, target, out=scratch.empty("odds", input))
    value = total(np.log1p(np.divide(odds, right, out=odds), out=odds))
    np.divide(scale, right, out=out)
    return value


def _are_unbounded(input: Array) -> bool:
    """Return whether the bounds on logarithms and on the gradient are far from all probabilities."""
    least, most = float(np.minimum.reduce(input)), float(np.maximum.reduce(input))
    return least > 2 * _SLOPE_FLOOR and 1 - most > 2 * _SLOPE_FLOOR


def _soft_bce(input: Array, target: Array, rest: Array, scale: Any, out: Array, scratch: Scratch) -> float:
    """Weigh the two logarithms by dot products."""
    one, floor = scratch.full(1.0, input), scratch.full(_LOG_FLOOR, input)
    logarithm = np.log(input, out=scratch.empty("logarithm", input))
    value = dot(target, np.maximum(logarithm, floor, out=logarithm))
    np.log1p(np.negative(input, out=logarithm), out=logarithm)
    value += dot(rest, np.maximum(logarithm, floor, out=logarithm))
    spread = np.multiply(np.subtract(one, input, out=logarithm), input, out=logarithm)
    np.maximum(spread, scratch.full(_SLOPE_FLOOR, input), out=spread)
    np.subtract(input, target, out=out)
    np.divide(out, spread, out=out)
    np.multiply(out, scale, out=out)
    return -value


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
    extended=True,
    boosting=Boosting("XGBoost's binary:logistic and LightGBM's binary"),
    example=Example(input=[0.0, 0.0], target=[1.0, 0.0], value=[0.6931471805599453] * 2),
)
def bce_with_logits(
    input: Real, target: Probability, weight: Factor | None = None, pos_weight: Factor | None = None
) -> Terms:
    """Binary cross entropy of a logit, exact for easy samples too.

    ``pos_weight`` multiplies the part of the positive class. Both parts are non-negative, so nothing cancels.
    """
    # In float64, where no product of two float32 numbers is subnormal.
    kind = np.result_type(target, np.float64)
    positive = target if pos_weight is None else times(target.astype(kind), pos_weight)
    negative = 1 - target
    missed, false = softplus(-input), softplus(input)  # what a positive costs, what a negative costs
    return Terms(
        times(positive, missed) + times(negative, false),
        {
            "input": lambda: times(negative, sigmoid(input)) - times(positive, sigmoid(-input)),
            # sp(-x) - sp(x) = -x
            "target": lambda: 0 - input if pos_weight is None else times(pos_weight, missed) - false,
            "pos_weight": lambda: times(target, missed),
        },
        lambda: times(positive + negative, sigmoid(input) * sigmoid(-input)),
    ).times(weight)


@tuned(bce_with_logits)
def bce_with_logits_block(input: Array, target: Array, *, scale: Any, out: Array, scratch: Scratch) -> float:
    """Share one exponential between loss and gradient.

    A target of 0 or 1 makes the loss sp(z) and the slope s(z) of z = x or -x, the logit of being wrong.
    """
    rest = np.subtract(1, target, out=scratch.empty("rest", input))
    if not _are_labels(target, rest):
        return _soft_bce_with_logits(input, target, rest, scale, out, scratch)
    sign = np.subtract(rest, target, out=rest)
    odds = np.multiply(sign, input, out=scratch.empty("odds", input))
    np.exp(odds, out=odds)
    whole = scratch.empty("whole", input)
    value = total(np.log1p(odds, out=whole))
    if not value < np.inf:
        return leave_to_kernel(bce_with_logits, input, target, scale, out)
    np.add(odds, 1, out=whole)
    np.divide(odds, whole, out=odds)
    np.multiply(sign, scale, out=sign)
    np.multiply(odds, sign, out=out)
    return value


def _soft_bce_with_logits(
    input: Array, target: Array, rest: Array, scale: Any, out: Array, scratch: Scratch
) -> float:
    """Do the same for targets between 0 and 1, and reach both tails by minima in place of branches.

    With e = exp(x): exp(-|x|) = min(e, 1/e), and s(x) = min(e, 1) / (1 + exp(-|x|)).
    """
    least, most = np.minimum.reduce(input), np.maximum.reduce(input)
    reach = EXP_RANGE[input.dtype.char]
    if not (-reach < least and most < reach):
        return leave_to_kernel(bce_with_logits, input, target, scale, out)
    one = scratch.full(1.0, input)
    positive = np.maximum(input, scratch.full(0.0, input), out=scratch.empty("positive", input))
    value = dot(rest, positive)
    negative = np.subtract(positive, input, out=positive)
    value += dot(target, negative)
    up = np.exp(input, out=scratch.empty("odds", input))
    down = np.divide(one, up, out=scratch.empty("down", input))
    small = np.minimum(up, down, out=negative)
    value += total(np.log1p(small, out=scratch.empty("whole", input)))
    np.minimum(up, one, out=up)
    np.minimum(down, one, out=down)
    np.multiply(up, rest, out=up)
    np.multiply(down, target, out=down)
    np.subtract(up, down, out=up)
    np.add(small, one, out=small)
    np.divide(up, small, out=up)
    np.multiply(up, scale, out=out)
    return value


def _are_labels(target: Array, rest: Array) -> bool:
    """Return whether every target is 0 or 1, given what it leaves of 1: in between, both are positive."""
    return dot(rest, target) == 0
