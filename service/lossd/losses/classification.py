"""This file is the classification losses: how little belief was placed in what is true.

s is the softmax of a row's logits or the sigmoid of a single one, sp the softplus.
"""

from __future__ import annotations

import numpy as np

from lossd.losses.mass import ClassMass
from lossd.losses.roles import (
    ClassIndex,
    ClassIndexOrBelief,
    ClassWeight,
    Factor,
    Fraction,
    LogProbability,
    Logits,
    Probability,
    Real,
)
from lossd.losses.spec import Arguments, Boosting, Example, Settings, Terms, loss
from lossd.losses.stable import sigmoid, softmax, softplus, times
from lossd.message import Array

_TORCH = "https://docs.pytorch.org/docs/stable/generated/torch.nn."
_LOG_FLOOR = -100.0  # PyTorch's BCELoss defines its logarithms so
_SLOPE_FLOOR = 1e-12  # and bounds its gradient so


def _ignored(arguments: Arguments, settings: Settings) -> Array | None:
    """Mark the samples whose class index is ``ignore_index``."""
    target = arguments.get("target")
    return None if target is None else np.equal(target, settings["ignore_index"])


@loss(
    aliases=(
        "CrossEntropyLoss", "softmax_cross_entropy", "softmax_cross_entropy_with_integer_labels",
        "SparseCategoricalCrossentropy", "sparse_categorical_crossentropy", "CategoricalCrossentropy",
        "categorical_crossentropy", "SoftmaxCrossEntropyLoss", "multi:softprob", "multi:softmax", "multiclass",
        "MultiClass",
    ),
    formula=(
        r"\ell = -\sum_c w_c\, q_c \log s_c(x),\quad q = (1-\epsilon)\, t + \epsilon / C,\quad "
        r"s_c(x) = e^{x_c} / \textstyle\sum_j e^{x_j}"
    ),
    source=f"{_TORCH}CrossEntropyLoss.html",
    example=Example(input=[[0.0, 0.0], [0.0, 0.0]], target=[0, 1], value=[0.6931471805599453] * 2),
    mass=ClassMass(),
    ignored=_ignored,
    boosting=Boosting(hessian=lambda hessian: 2 * hessian),
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
    index is ``ignore_index`` take no part. For gradient boosting the Hessian is twice the diagonal.
    """
    log_s, s, complement = softmax(input)
    belief = target if target.ndim == 2 else _one_hot(target, input)
    classes = input.shape[1]
    q = belief if label_smoothing == 0 else (1 - label_smoothing) * belief + label_smoothing / classes
    weighted = q if weight is None else q * weight
    mass = weighted.sum(axis=1, keepdims=True)
    return Terms(
        -times(weighted, log_s).sum(axis=1),
        {
            # s Q - q without cancellation: both terms are exact where s rounds to 1
            "input": lambda: s * (mass - weighted) - weighted * complement,
            "target": lambda: (label_smoothing - 1) * times(np.ones_like(s) if weight is None else weight, log_s),
            "weight": lambda: -times(q, log_s),
        },
        lambda: mass * s * complement,
        lambda direction: mass * s * (direction - (s * direction).sum(axis=1, keepdims=True)),
    )


@loss(
    aliases=("NLLLoss", "nll_loss", "negative_log_likelihood", "NegativeLogLikelihoodLoss"),
    formula=r"\ell = -w_t\, x_t",
    source=f"{_TORCH}NLLLoss.html",
    example=Example(input=[[-0.5, -1.0], [-2.0, -0.25]], target=[0, 1], value=[0.5, 0.25]),
    mass=ClassMass(),
    ignored=_ignored,
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
    true = np.take_along_axis(input, target[:, None], axis=1)
    own = 1 if weight is None else weight[target][:, None]

    def spread(values: Array | int) -> Array:
        spread = np.zeros_like(input)
        np.put_along_axis(spread, target[:, None], values, axis=1)
        return spread

    return Terms(
        (-true * own)[:, 0],
        {"input": lambda: -spread(own), "weight": lambda: -spread(true)},
        lambda: np.zeros_like(input),
        lambda direction: np.zeros_like(input),
    )


@loss(
    aliases=(
        "BCELoss", "binary_cross_entropy", "BinaryCrossentropy", "binary_crossentropy", "log_loss",
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
    log_x = np.maximum(np.log(input), _LOG_FLOOR)
    log_rest = np.maximum(np.log1p(-input), _LOG_FLOOR)
    return Terms(
        -(target * log_x + (1 - target) * log_rest),
        {
            "input": lambda: (input - target) / np.maximum(input * (1 - input), _SLOPE_FLOOR),
            "target": lambda: log_rest - log_x,
        },
        lambda: times(target, input**-2) + times(1 - target, (1 - input) ** -2),
    ).times(weight)


@loss(
    aliases=(
        "BCEWithLogitsLoss", "binary_cross_entropy_with_logits", "sigmoid_binary_cross_entropy",
        "sigmoid_cross_entropy", "sigmoid_cross_entropy_with_logits", "binary:logistic", "binary",
        "Logloss", "CrossEntropy",
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
    positive = target if pos_weight is None else target * pos_weight
    negative = 1 - target
    missed, false = softplus(-input), softplus(input)  # what a positive costs, what a negative costs
    return Terms(
        times(positive, missed) + times(negative, false),
        {
            "input": lambda: negative * sigmoid(input) - positive * sigmoid(-input),
            "target": lambda: (missed if pos_weight is None else pos_weight * missed) - false,
            "pos_weight": lambda: times(target, missed),
        },
        lambda: (positive + negative) * sigmoid(input) * sigmoid(-input),
    ).times(weight)


def _one_hot(target: Array, like: Array) -> Array:
    """Return ``(rows, C)`` with a one at each row's class."""
    belief = np.zeros_like(like)
    belief[np.arange(len(target)), target] = 1
    return belief
