"""This file is the classification losses: how little belief was placed in what is true.

s is the softmax of a row's logits or the sigmoid of a single one, sp the softplus.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lossd.losses.alias import catboost, keras, objective, onnx, optax, pytorch, tensorflow
from lossd.losses.mass import ClassMass
from lossd.losses.roles import (
    LOGITS_LAST,
    TARGET_LAST,
    ClassIndex,
    ClassIndexOrBelief,
    ClassWeight,
    Factor,
    Fraction,
    Logits,
    LogProbability,
    Probability,
    Real,
)
from lossd.losses.scratch import Scratch
from lossd.losses.spec import Boosting, Example, Loss, Terms, forced, loss, tuned
from lossd.losses.stable import exp_below, sigmoid, softmax, softplus, sums_of_others, sums_of_products, times
from lossd.losses.sums import dot, total, total_of_any_sign
from lossd.message import Array

_TORCH = "https://docs.pytorch.org/docs/stable/generated/torch.nn."
_LOG_FLOOR = -100.0  # PyTorch's BCELoss defines its logarithms so
_SLOPE_FLOOR = 1e-12  # and bounds its gradient so
_ORDINARY = (1e-9, 1e9)  # sizes of weights whose products with probabilities are normal numbers
# Logits whose exponential and its inverse are both normal numbers.
_EXP_RANGE = {"f": 80.0, "d": 700.0}


@loss(
    aliases=(
        *pytorch("CrossEntropyLoss"),
        *onnx("SoftmaxCrossEntropyLoss"),
        *optax(
            "softmax_cross_entropy",
            "softmax_cross_entropy_with_integer_labels",
            also="Classes are the last axis.",
            forms={"input": LOGITS_LAST, "target": TARGET_LAST},
        ),
        *objective("XGBoost", "multi:softprob", "multi:softmax"),
        *catboost("MultiClass"),
    ),
    formula=(
        r"\ell = -\sum_c w_c\, q_c \log s_c(x),\quad q = (1-\epsilon)\, t + \epsilon / C,\quad "
        r"s_c(x) = e^{x_c} / \textstyle\sum_j e^{x_j}"
    ),
    source=f"{_TORCH}CrossEntropyLoss.html",
    example=Example(input=[[0.0, 0.0], [0.0, 0.0]], target=[0, 1], value=[0.6931471805599453] * 2),
    mass=ClassMass(),
    ignored=("target", "ignore_index"),
    boosting=Boosting(hessian=lambda hessian, weight: 2 * hessian),
)
def cross_entropy(
    input: Logits,
    target: ClassIndexOrBelief,
    weight: ClassWeight | None = None,
    *,
    ignore_index: int = -100,
    label_smoothing: Fraction = 0.0,
) -> Terms:
    """Negative log-probability of the true class under a softmax of the logits.

    The target is a class index per sample, or a probability per class. With indices the mean divides by the
    sum of the samples' class weights, with probabilities by the number of samples. Samples whose
    index is ``ignore_index`` take no part. A logit of minus infinity rules its class out; one of infinity
    makes it certain; a row with no possible class, or two certain ones, is NaN. For gradient boosting the
    Hessian is twice the diagonal.
    """
    log_s, s, complement = softmax(input)
    surprise = 0 - log_s
    kind = _type_of_products(input, weight, label_smoothing)
    factor = np.ones(input.shape[1], kind) if weight is None else weight.astype(kind, copy=False)
    q = _smoothed(target if target.ndim == 2 else _one_hot(target, input), label_smoothing, kind)
    weighted = q if weight is None else times(q, factor)

    def curved(direction: Array) -> Array:
        """Return ``Q s (v - sum s v)``, in which what cancels is taken out as in the gradient."""
        whole: Array = weighted.sum(axis=1, keepdims=True)
        product: Array = whole * s * (direction * complement - sums_of_others(s * direction))
        return product

    return Terms(
        sums_of_products(weighted, surprise),
        {
            # s Q - q, with what cancels taken out: s (Q - q) - (1 - s) q
            "input": lambda: s * sums_of_others(weighted) - weighted * complement,
            "target": lambda: times(times(1 - label_smoothing, factor), surprise),
            "weight": lambda: times(q, surprise),
        },
        lambda: weighted.sum(axis=1, keepdims=True) * (s * complement),
        curved,
    )


def _type_of_products(input: Array, weight: Array | None, label_smoothing: float) -> np.dtype[Any]:
    """Return the type for products with weights: float64 where those of float32 might leave its normal range."""
    sizes = np.abs([label_smoothing] if weight is None else [*weight, label_smoothing])
    ordinary = ((sizes > _ORDINARY[0]) & (sizes < _ORDINARY[1])) | (sizes == 0)
    return input.dtype if ordinary.all() else np.dtype(np.float64)


def _smoothed(probability: Array, label_smoothing: float, kind: np.dtype[Any]) -> Array:
    """Return the classes' probabilities ``(rows, C)`` with a part of each row given to all classes alike."""
    if label_smoothing == 0:
        return probability
    own = times(1 - label_smoothing, probability.astype(kind, copy=False))
    smoothed: Array = own + label_smoothing / probability.shape[1]
    return smoothed


# Sums of exponentials, and what one is to another, whose products below are all normal numbers.
_SUM_RANGE = {"f": (1e-18, 1e18), "d": (1e-150, 1e150)}
# Factors on the gradient that leave it normal when they are divided by such a sum.
_LEAST_SCALE = {"f": 1e-10, "d": 1e-100}


@tuned(cross_entropy)
def cross_entropy_block(input: Array, target: Array, *, scale: Any, out: Array, scratch: Scratch) -> float:
    """Set the true class apart, and no row's maximum is needed.

    With e the true class's exponential and o the sum of the others', the loss is log1p(o / e), the true slope
    -o / (o + e): nothing cancels, however sure the row is. The ranges of e and o are looked at afterwards, once a row.
    """
    true = scratch.starts(input) + target
    power = np.exp(input, out=scratch.empty("power", input))
    own, others, normaliser = _split(power, true, scratch)
    odds = others / own
    kind = input.dtype.char
    least, most = _SUM_RANGE[kind]
    if not (
        normaliser @ normaliser < most**2
        and odds @ odds < most**2
        and np.minimum.reduce(others) > least
        and _LEAST_SCALE[kind] < abs(scale) <= 1
        # What of a subnormal power is rounded off stays below what the smallest numbers round off.
        and (np.minimum.reduce(normaliser) > 0.25 or np.minimum.reduce(input, axis=None) > -_EXP_RANGE[kind])
    ):
        return _cross_entropy_below_top(input, target, scale, out, scratch)
    _slopes(power, true, others, normaliser, scale, out)
    return total(np.log1p(odds, out=odds))


def _cross_entropy_below_top(input: Array, target: Array, scale: Any, out: Array, scratch: Scratch) -> float:
    """Do the same with exponentials of how far each logit is below the row's largest, which cannot overflow.

    Where e vanishes, the loss is log(o + e) less how far the true class is below: two terms that are not negative.
    """
    true = scratch.starts(input) + target
    top = np.maximum.reduce(input, axis=1)
    if not top @ top < np.inf:
        return _leave_to_kernel(cross_entropy, input, target, scale, out)  # a certain or a meaningless logit
    difference = np.subtract(input, top[:, None], out=scratch.empty("power", input))
    below = difference.reshape(-1)[true]
    power = exp_below(input, top, difference)
    own, others, normaliser = _split(power, true, scratch)
    seen = own > _SUM_RANGE[input.dtype.char][0]
    value = np.where(seen, np.log1p(others / own), np.log(normaliser) - below)
    _slopes(power, true, others, normaliser, scale, out)
    return total(value)


def _split(power: Array, true: Array, scratch: Scratch) -> tuple[Array, Array, Array]:
    """Return each row's exponential of the true class, the sum of the others', and both; clear the first."""
    flat = power.reshape(-1)
    own = flat[true]
    flat[true] = 0
    others = power @ scratch.full(1.0, power[0])
    return own, others, others + own


def _slopes(power: Array, true: Array, others: Array, normaliser: Array, scale: Any, out: Array) -> None:
    """Write the scaled probabilities, and for the true class minus that of the others together."""
    power.reshape(-1)[true] = np.negative(others)
    np.multiply(power, (scale / normaliser)[:, None], out=out)


@loss(
    aliases=(*pytorch("NLLLoss", "nll_loss"), *onnx("NegativeLogLikelihoodLoss")),
    formula=r"\ell = -w_t\, x_t",
    source=f"{_TORCH}NLLLoss.html",
    example=Example(input=[[-0.5, -1.0], [-2.0, -0.25]], target=[0, 1], value=[0.5, 0.25]),
    mass=ClassMass(),
    ignored=("target", "ignore_index"),
)
def nll(
    input: LogProbability,
    target: ClassIndex,
    weight: ClassWeight | None = None,
    *,
    ignore_index: int = -100,
) -> Terms:
    """Negative log-likelihood: minus the log-probability that the input gives to the true class.

    The mean divides by the sum of the samples' class weights. Samples whose target is ``ignore_index`` take no part.
    """
    rows = np.arange(len(target))
    surprise = np.subtract(0, input[rows, target], dtype=np.float64)
    own: Array | float = 1.0 if weight is None else weight[target]

    def at_true_class(values: Array | float) -> Array:
        placed = np.zeros_like(input)
        placed[rows, target] = values
        return placed

    return Terms(
        times(own, surprise),
        {"input": lambda: at_true_class(-own), "weight": lambda: at_true_class(surprise)},
        lambda: np.zeros_like(input),
        lambda direction: np.zeros_like(input),
    )


@tuned(nll)
def nll_block(input: Array, target: Array, *, scale: Any, out: Array, scratch: Scratch) -> float:
    """Read one number a row, and write one into a block that was cleared while it is in cache."""
    true = scratch.starts(input) + target
    value = -total_of_any_sign(input.reshape(-1)[true])
    out.fill(0)
    out.reshape(-1)[true] = -scale
    return value


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
    example=Example(input=[0.5, 0.25], target=[1.0, 0.0], value=[0.6931471805599453, 0.2876820724517809]),
)
def bce(input: Probability, target: Probability, weight: Factor | None = None) -> Terms:
    """Binary cross entropy of a probability.

    As its source defines them, logarithms are at least -100 and the gradient's denominator ``x (1 - x)`` is at
    least 1e-12, so the loss stays finite at 0 and 1. Logits have no such limits: see ``bce_with_logits``.
    """
    missed = np.minimum(0 - np.log(input), -_LOG_FLOOR)  # what a positive costs
    false = np.minimum(0 - np.log1p(-input), -_LOG_FLOOR)  # what a negative costs
    return Terms(
        target * missed + (1 - target) * false,
        {
            "input": lambda: (input - target) / np.maximum(input * (1 - input), _SLOPE_FLOOR),
            "target": lambda: missed - false,
        },
        lambda: _over_square(target, input) + _over_square(1 - target, 1 - input),
    ).times(weight)


def _over_square(weight: Array, value: Array) -> Array:
    """Return ``w / x^2``, in float64 and by two divisions, for the square underflows first; what has no weight is 0."""
    quotient: Array = weight.astype(np.float64) / value / value
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
    example=Example(input=[0.0, 0.0], target=[1.0, 0.0], value=[0.6931471805599453] * 2),
)
def bce_with_logits(
    input: Real, target: Probability, weight: Factor | None = None, pos_weight: Factor | None = None
) -> Terms:
    """Binary cross entropy of a logit, exact for easy samples too.

    ``pos_weight`` multiplies the part of the positive class. Both parts are non-negative, so nothing cancels.
    """
    # In float64, where no product of two float32 numbers is subnormal.
    positive = target if pos_weight is None else times(target.astype(np.float64), pos_weight)
    negative = 1 - target
    missed, false = softplus(-input), softplus(input)  # what a positive costs, what a negative costs
    return Terms(
        times(positive, missed) + times(negative, false),
        {
            "input": lambda: negative * sigmoid(input) - positive * sigmoid(-input),
            # sp(-x) - sp(x) = -x
            "target": lambda: 0 - input if pos_weight is None else times(pos_weight, missed) - false,
            "pos_weight": lambda: times(target, missed),
        },
        lambda: (positive + negative) * sigmoid(input) * sigmoid(-input),
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
        return _leave_to_kernel(bce_with_logits, input, target, scale, out)
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
    reach = _EXP_RANGE[input.dtype.char]
    if not (-reach < least and most < reach):
        return _leave_to_kernel(bce_with_logits, input, target, scale, out)
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


def _one_hot(target: Array, like: Array) -> Array:
    """Return ``(rows, C)`` with a one at each row's class."""
    probability = np.zeros_like(like)
    probability[np.arange(len(target)), target] = 1
    return probability


def _leave_to_kernel(declared: Loss, input: Array, target: Array, scale: Any, out: Array) -> float:
    """Compute a block whose exponentials overflow, or mean nothing, as the declaration does."""
    terms = declared.kernel(input, target)
    value = total(terms.value)
    np.multiply(forced(terms.gradient["input"]), scale, out=out)
    return value
