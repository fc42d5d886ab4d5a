"""Other frameworks' names for a loss, each with what its framework means differently by it.

A name that would mean another number is not offered, but listed in `NOT_OFFERED` with what to call instead. The
functions below hold what is common to a framework's names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Alias:
    """A framework's name for a loss.

    Attributes:
        name: The name.
        framework: Whose it is.
        difference: What differs under this name from the loss under its own, in whole sentences; empty if nothing does.
        defaults: Settings and general options whose default is another.
        reductions: The only reductions that mean the same in the framework; all of them if empty.
        weighs_samples: Whether a sample weight with fewer axes than the losses has their first axes, not their last.
        advice: Arguments of the framework that are not taken, and what is expected in their place.
    """

    name: str
    framework: str
    difference: str = ""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    reductions: tuple[str, ...] = ()
    weighs_samples: bool = False
    advice: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_plain(self) -> bool:
        """Whether a call means the same under this name as under the loss's own."""
        return self == Alias(self.name, self.framework, self.difference)


Aliases = tuple[Alias, ...]

_WEIGHTED = "The default reduction is `weighted_mean`: sample weights enter the denominator."
_UNREDUCED = "The default reduction is `none`: every loss is returned."
_OBJECTIVE = "`reduction` is `sum` and `convention` `gbm` by default: derivatives are those of the objective."
_FIRST_AXES = "A sample weight belongs to the first axes."
_LAST_AXIS_FIRST = "Only means are taken: Keras averages the last axis before it sums or returns a batch."


def pytorch(*names: str, also: str = "") -> Aliases:
    """Return PyTorch's names: arguments, defaults and shapes are its own; ``also`` says what differs."""
    return _of("PyTorch", names, also)


def onnx(*names: str) -> Aliases:
    """Return names of ONNX operators."""
    return _of("ONNX", names)


def scikit_learn(*names: str) -> Aliases:
    """Return scikit-learn's names: a mean divides by the sum of the sample weights, one for each row of outputs."""
    difference = f"{_WEIGHTED} {_FIRST_AXES}"
    return _of(
        "scikit-learn", names, difference, defaults={"reduction": "weighted_mean"}, weighs_samples=True
    )


def catboost(*names: str, also: str = "") -> Aliases:
    """Return CatBoost's names: a mean divides by the sum of the sample weights; ``also`` says what else differs."""
    return _of("CatBoost", names, f"{_WEIGHTED} {also}".strip(), defaults={"reduction": "weighted_mean"})


def keras(*names: str, also: str = "", advice: Mapping[str, str] | None = None) -> Aliases:
    """Return Keras' names of losses that it averages over the last axis; ``also`` says what else differs."""
    difference = f"{_LAST_AXIS_FIRST} {_FIRST_AXES} {also}".strip()
    return _of(
        "Keras",
        names,
        difference,
        reductions=("mean", "weighted_mean"),
        weighs_samples=True,
        advice=advice or {},
    )


def optax(*names: str, also: str = "", defaults: Mapping[str, Any] | None = None) -> Aliases:
    """Return optax's names of losses that it leaves unreduced; ``also`` says what else differs."""
    return _unreduced("optax", names, also, defaults or {})


def tensorflow(*names: str, also: str = "", defaults: Mapping[str, Any] | None = None) -> Aliases:
    """Return names of ``tf.nn``, which leaves losses unreduced; ``also`` says what else differs."""
    return _unreduced("TensorFlow", names, also, defaults or {})


def objective(framework: str, *names: str, also: str = "") -> Aliases:
    """Return names of a boosting library's objectives, which are a gradient and a Hessian of the sum."""
    defaults = {"convention": "gbm", "reduction": "sum"}
    return _of(framework, names, f"{_OBJECTIVE} {also}".strip(), defaults=defaults, reductions=("sum",))


def _unreduced(framework: str, names: tuple[str, ...], also: str, defaults: Mapping[str, Any]) -> Aliases:
    return _of(framework, names, f"{_UNREDUCED} {also}".strip(), defaults={"reduction": "none", **defaults})


def _of(framework: str, names: tuple[str, ...], difference: str = "", **fields: Any) -> Aliases:
    return tuple(Alias(name, framework, difference, **fields) for name in names)


_CLASS_PROBABILITIES = (
    "takes probabilities of classes in Keras unless from_logits is true; call cross_entropy with logits, "
    "nll with the logarithms of probabilities, or bce for a single probability"
)
_RMSE = "is the square root of a mean, which has no value per element; call mse and take the root of its mean"
_MSLE = "is the squared error of logarithms; call mse with log(1 + x) of both arrays"
_MAPE = (
    "divides each error by the size of its target; call l1 with sample_weight 1 / |target|, "
    "and multiply by 100 for percent"
)
_IOU = "leaves out the enclosing box, or weighs it otherwise; call giou where the generalised loss will do"
_KL_DIVERGENCE = (
    "takes probabilities twice in Keras; call kl_div with the logarithms of the predicted ones as input"
)
_DICE = "differs between frameworks in activation, axes and smoothing; call dice with probabilities, axis and smooth"

NOT_OFFERED: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "CategoricalCrossentropy",
            "categorical_crossentropy",
            "SparseCategoricalCrossentropy",
            "sparse_categorical_crossentropy",
        ),
        _CLASS_PROBABILITIES,
    ),
    "log_loss": "takes probabilities of classes in scikit-learn; call bce with the probability of the second of two "
    "classes, or nll with the logarithms for more",
    "squared_error": "is the squared error in optax and half of it in scikit-learn; call mse, or optax.squared_error",
    **dict.fromkeys(
        ("l2_loss", "L2Loss"),
        "is half the squared error, in TensorFlow of the sum and elsewhere of each element; call mse and halve it",
    ),
    "multiclass": "has a Hessian of K / (K - 1) p (1 - p) in LightGBM; call cross_entropy, whose Hessian is p (1 - p), "
    "or multi:softprob for XGBoost's 2 p (1 - p)",
    **dict.fromkeys(
        ("MQLoss", "MultiQuantile"),
        "averages over the quantiles; call multi_quantile, which sums over them, and divide by their number",
    ),
    "DiceLoss": _DICE,
    "dice_loss": _DICE,
    **dict.fromkeys(("rmse", "RootMeanSquaredError"), _RMSE),
    **dict.fromkeys(("msle", "MeanSquaredLogarithmicError", "mean_squared_log_error"), _MSLE),
    **dict.fromkeys(("mape", "MeanAbsolutePercentageError"), _MAPE),
    **dict.fromkeys(("iou", "diou", "ciou", "box_iou"), _IOU),
    **dict.fromkeys(("KLDivergence", "kl_divergence"), _KL_DIVERGENCE),
    "Poisson": "takes rates in Keras and their logarithms in CatBoost; call poisson_nll with log_input false for rates",
    "CTC": "takes batches first in Keras and does not divide by the lengths of targets; call ctc with logits, frames "
    "first, and the reduction batchmean",
    "ArcFaceLoss": "takes its margin in degrees in pytorch-metric-learning; call arcface with the margin in radians",
    "sigmoid_cross_entropy": "divides by the number of non-zero weights in TensorFlow and skips the label -1 in "
    "Chainer; call bce_with_logits",
}
"""Names that callers bring along and that would mean another number here, with what to call instead."""
