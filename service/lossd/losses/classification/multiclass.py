"""The losses of one class of many: how little belief was placed in the true one.

s is the softmax of a row's logits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lossd.losses.alias import catboost, objective, onnx, optax, pytorch
from lossd.losses.classification.fallback import leave_to_kernel
from lossd.losses.mass import ClassMass
from lossd.losses.roles import (
    LOGITS_LAST,
    TARGET_LAST,
    ClassIndex,
    ClassIndexOrBelief,
    ClassWeight,
    Fraction,
    Logits,
    LogProbability,
)
from lossd.losses.scratch import Scratch
from lossd.losses.spec import Boosting, Example, Terms, loss, tuned
from lossd.losses.stable import EXP_RANGE, softmax, sums_of_others, sums_of_products, times
from lossd.losses.sums import total, total_of_any_sign
from lossd.message import Array

_TORCH = "https://docs.pytorch.org/docs/stable/generated/torch.nn."
_ORDINARY = (1e-9, 1e9)  # sizes of weights whose products with probabilities are normal numbers


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
        *catboost("MultiClass", also="Its Hessian is p (1 - p); `convention` `gbm` has that of XGBoost."),
    ),
    formula=(
        r"\ell = -\sum_c w_c\, q_c \log s_c(x),\quad q = (1-\epsilon)\, t + \epsilon / C,\quad "
        r"s_c(x) = e^{x_c} / \textstyle\sum_j e^{x_j}"
    ),
    source=f"{_TORCH}CrossEntropyLoss.html",
    example=Example(input=[[0.0, 0.0], [0.0, 0.0]], target=[0, 1], value=[0.6931471805599453] * 2),
    mass=ClassMass(),
    ignored=("target", "ignore_index"),
    extended=True,
    boosting=Boosting("XGBoost's multi:softprob", hessian=lambda hessian, weight: 2 * hessian),
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
        """Return ``Q s (v - sum s v)``, with v less that of the likeliest class: its own share cancels nothing then."""
        likeliest = s.argmax(axis=1)[:, None]
        v = direction - np.take_along_axis(direction, likeliest, axis=1)
        return times(weighted.sum(axis=1, keepdims=True), s * (v - np.vecdot(s, v)[:, None]))

    return Terms(
        sums_of_products(weighted, surprise),
        {
            # s Q - q, with what cancels taken out: s (Q - q) - (1 - s) q
            "input": lambda: times(sums_of_others(weighted), s) - times(weighted, complement),
            "target": lambda: times(times(1 - label_smoothing, factor), surprise),
            "weight": lambda: times(q, surprise),
        },
        lambda: times(weighted.sum(axis=1, keepdims=True), s * complement),
        curved,
    )


def _type_of_products(input: Array, weight: Array | None, label_smoothing: float) -> np.dtype[Any]:
    """Return the type for products with weights: at least float64 where those of float32 may be out of its range."""
    sizes = np.abs(np.append([] if weight is None else weight, label_smoothing))
    ordinary = ((sizes > _ORDINARY[0]) & (sizes < _ORDINARY[1])) | (sizes == 0)
    return input.dtype if ordinary.all() else np.result_type(input, np.float64)


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
        and (np.minimum.reduce(normaliser) > 0.25 or np.minimum.reduce(input, axis=None) > -EXP_RANGE[kind])
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
        return leave_to_kernel(cross_entropy, input, target, scale, out)  # a certain or a meaningless logit
    power = np.subtract(input, top[:, None], out=scratch.empty("power", input))
    below = power.reshape(-1)[true]
    np.exp(power, out=power)
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
    extended=True,
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
    surprise = np.subtract(0, input[rows, target], dtype=np.result_type(input, np.float64))
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


def _one_hot(target: Array, like: Array) -> Array:
    """Return ``(rows, C)`` with a one at each row's class."""
    probability = np.zeros_like(like)
    probability[np.arange(len(target)), target] = 1
    return probability
