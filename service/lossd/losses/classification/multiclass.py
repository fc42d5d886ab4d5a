"""Losses of one class of many: how little probability the true one was given.

s is the softmax of a row's logits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lossd.declaration.alias import catboost, objective, onnx, optax, pytorch, tensorflow
from lossd.declaration.boosting import Boosting
from lossd.declaration.cost import Cost
from lossd.declaration.denominator import Denominator
from lossd.declaration.example import Example
from lossd.declaration.loss import loss
from lossd.declaration.picture import bars
from lossd.declaration.result import Normalizer, Result
from lossd.declaration.roles import (
    ClassIndex,
    ClassIndexOrProbabilities,
    ClassWeight,
    Fraction,
    Logits,
    LogProbabilities,
)
from lossd.message import Array
from lossd.numerics.stable import softmax, softmax_product, sums_of_others, sums_of_products, times

_TORCH = "https://docs.pytorch.org/docs/stable/generated/torch.nn."
_CLASSES_LAST = "The default of `class_axis` is -1: classes are the last axis."
_ORDINARY = (1e-9, 1e9)  # sizes of weights whose products with probabilities are normal numbers


def _class_weights(weight: Array | None, target: Array | None) -> Normalizer | None:
    """Divide means by the sum of the samples' class weights if there are such, else the number of samples."""
    if weight is None or target is None:
        return None
    index = target.astype(np.intp, copy=False)  # an empty list may have come as real numbers

    def of_classes(upstream: Array) -> Array:
        taken = np.flatnonzero(upstream)
        return np.bincount(index[taken], upstream[taken].astype(np.float64), minlength=len(weight))

    # An index out of range is found and named when its block is checked.
    return Normalizer(np.take(weight, index, mode="clip"), {"weight": of_classes})


@loss(
    aliases=(
        *pytorch("CrossEntropyLoss"),
        *onnx("SoftmaxCrossEntropyLoss"),
        *optax(
            "softmax_cross_entropy",
            "softmax_cross_entropy_with_integer_labels",
            also=_CLASSES_LAST,
            defaults={"class_axis": -1},
        ),
        *tensorflow(
            "softmax_cross_entropy_with_logits",
            "sparse_softmax_cross_entropy_with_logits",
            also=_CLASSES_LAST,
            defaults={"class_axis": -1},
        ),
        *objective("XGBoost", "multi:softprob", "multi:softmax"),
        *catboost("MultiClass", also="Its Hessian is p (1 - p); `convention` `gbm` has that of XGBoost."),
    ),
    formula=r"\ell = -\sum_c w_c\, q_c \log s_c(x)",
    where=(
        r"q = (1-\epsilon)\, t + \epsilon / C",
        r"s_c(x) = e^{x_c} / \textstyle\sum_j e^{x_j}",
    ),
    source=f"{_TORCH}CrossEntropyLoss.html",
    example=Example(
        input=[[1.25, 2.5, -1.5, 0.25, -0.75], [0.5, -0.25, 0.0, 2.0, -1.0]],
        target=[0, 3],
        value=[1.6208694315438843, 0.4145250997003818],
    ),
    normalizer=_class_weights,
    long_double=True,
    boosting=Boosting("XGBoost's multi:softprob", hessian=lambda hessian, weight: 2 * hessian),
    symbols={"label_smoothing": r"\epsilon"},
    picture=bars(),
    denominator=Denominator("sample", weight="weight", indexed_by="target"),
)
def cross_entropy(
    input: Logits,
    target: ClassIndexOrProbabilities,
    weight: ClassWeight | None = None,
    *,
    ignore_index: int = -100,
    label_smoothing: Fraction = 0.0,
) -> Result:
    """Negative log-probability of the true class under a softmax of the logits.

    The target is a class index per sample, or a probability per class. With indices the mean divides by the
    sum of the samples' class weights, with probabilities by the number of samples. Samples whose
    index is ``ignore_index`` take no part. A logit of minus infinity rules its class out; one of infinity
    makes it certain; a row with no possible class, or two certain ones, is NaN. For gradient boosting the
    Hessian is twice the diagonal.

    Use: One class of many, from logits; soft labels and distillation with a probability per class.
    Avoid: Several classes true at once: multilabel_soft_margin. Log-probabilities that exist already: nll.

    Settings:
        ignore_index: The index of samples that take no part.
        label_smoothing: Part of each sample's probability that is given to all classes alike.
    """
    log_s, s, complement = softmax(input)
    surprise = 0 - log_s
    kind = _type_of_products(input, weight, label_smoothing)
    factor = np.ones(input.shape[1], kind) if weight is None else weight.astype(kind, copy=False)
    q = _smoothed(target if target.ndim == 2 else _one_hot(target, input), label_smoothing, kind)
    weighted = q if weight is None else times(q, factor)
    # A weight times a small probability may be too small for the type, where a weight times a logarithm is not.
    cost = surprise if weight is None else times(factor, surprise)

    def curved(direction: Array) -> Array:
        return times(weighted.sum(axis=1, keepdims=True), softmax_product(s, direction))

    return Result(
        sums_of_products(q, cost),
        {
            # s Q - q, with what cancels taken out: s (Q - q) - (1 - s) q
            "input": lambda: times(sums_of_others(weighted), s) - times(weighted, complement),
            "target": lambda: times(times(1 - label_smoothing, factor), surprise),
            "weight": lambda: times(q, surprise),
        },
        {"input": lambda: times(weighted.sum(axis=1, keepdims=True), s * complement)},
        {"input": curved},
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


@loss(
    aliases=(*pytorch("NLLLoss", "nll_loss"), *onnx("NegativeLogLikelihoodLoss")),
    formula=r"\ell = -w_t\, x_t",
    source=f"{_TORCH}NLLLoss.html",
    example=Example(
        input=[[-1.5, -0.5, -2.5, -3.0], [-2.0, -4.0, -0.25, -3.0]], target=[0, 2], value=[1.5, 0.25]
    ),
    cost=Cost(work="(8)"),
    normalizer=_class_weights,
    long_double=True,
    picture=bars(low=-6.0, high=0.0),
    denominator=Denominator("sample", weight="weight", indexed_by="target"),
)
def nll(
    input: LogProbabilities,
    target: ClassIndex,
    weight: ClassWeight | None = None,
    *,
    ignore_index: int = -100,
) -> Result:
    """Negative log-likelihood: minus the log-probability that the input gives to the true class.

    The mean divides by the sum of the samples' class weights. Samples whose target is ``ignore_index`` take no part.

    Use: Models that return log-probabilities.
    Avoid: Logits or probabilities: it does not normalise and takes no logarithm. cross_entropy takes logits.

    Settings:
        ignore_index: The index of samples that take no part.
    """
    rows = np.arange(len(target))
    surprise = np.subtract(0, input[rows, target], dtype=np.result_type(input, np.float64))
    own: Array | float = 1.0 if weight is None else weight[target]

    def at_true_class(values: Array | float) -> Array:
        placed = np.zeros_like(input)
        placed[rows, target] = values
        return placed

    return Result(
        times(own, surprise),
        {"input": lambda: at_true_class(-own), "weight": lambda: at_true_class(surprise)},
        {"input": lambda: np.zeros_like(input)},
        {"input": lambda direction: np.zeros_like(input)},
    )


def _one_hot(target: Array, like: Array) -> Array:
    """Return ``(rows, C)`` with a one at each row's class."""
    probability = np.zeros_like(like)
    probability[np.arange(len(target)), target] = 1
    return probability
