"""A method for every loss, so that editors complete them; ``make client`` writes this file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike

R = TypeVar("R")

Reduction = Literal["none", "sum", "mean", "batchmean", "weighted_mean"]
DType = Literal["float16", "bfloat16", "float32", "float64", "complex64", "complex128"]
ARRAYS: Mapping[str, tuple[str, ...]] = {
    "mse": ("input", "target", "weight"),
    "l1": ("input", "target", "weight"),
    "huber": ("input", "target", "weight"),
    "smooth_l1": ("input", "target"),
    "pseudo_huber": ("input", "target"),
    "cross_entropy": ("input", "target", "weight"),
    "nll": ("input", "target", "weight"),
    "bce": ("input", "target", "weight"),
    "bce_with_logits": ("input", "target", "weight", "pos_weight"),
    "multi_quantile": ("input", "target", "quantiles"),
    "dice": ("input", "target"),
    "triplet_margin": ("anchor", "positive", "negative"),
    "nt_xent": ("embeddings", "labels"),
    "ctc": ("log_probs", "targets", "input_lengths", "target_lengths", "logits"),
}
"""The arrays of each loss, its arguments first."""

ALIASES: Mapping[str, str] = {
    "MSELoss": "mse",
    "mse_loss": "mse",
    "mean_squared_error": "mse",
    "MeanSquaredError": "mse",
    "optax.squared_error": "mse",
    "reg:squarederror": "mse",
    "regression_l2": "mse",
    "L1Loss": "l1",
    "l1_loss": "l1",
    "mean_absolute_error": "l1",
    "absolute_error": "l1",
    "MeanAbsoluteError": "l1",
    "mae": "l1",
    "MAE": "l1",
    "reg:absoluteerror": "l1",
    "regression_l1": "l1",
    "HuberLoss": "huber",
    "huber_loss": "huber",
    "Huber": "huber",
    "optax.huber_loss": "huber",
    "SmoothL1Loss": "smooth_l1",
    "smooth_l1_loss": "smooth_l1",
    "reg:pseudohubererror": "pseudo_huber",
    "CrossEntropyLoss": "cross_entropy",
    "SoftmaxCrossEntropyLoss": "cross_entropy",
    "softmax_cross_entropy": "cross_entropy",
    "softmax_cross_entropy_with_integer_labels": "cross_entropy",
    "multi:softprob": "cross_entropy",
    "multi:softmax": "cross_entropy",
    "MultiClass": "cross_entropy",
    "NLLLoss": "nll",
    "nll_loss": "nll",
    "NegativeLogLikelihoodLoss": "nll",
    "BCELoss": "bce",
    "binary_cross_entropy": "bce",
    "BinaryCrossentropy": "bce",
    "binary_crossentropy": "bce",
    "BCEWithLogitsLoss": "bce_with_logits",
    "binary_cross_entropy_with_logits": "bce_with_logits",
    "sigmoid_binary_cross_entropy": "bce_with_logits",
    "sigmoid_cross_entropy_with_logits": "bce_with_logits",
    "binary:logistic": "bce_with_logits",
    "binary": "bce_with_logits",
    "Logloss": "bce_with_logits",
    "CrossEntropy": "bce_with_logits",
    "Dice": "dice",
    "TripletMarginLoss": "triplet_margin",
    "triplet_margin_loss": "triplet_margin",
    "NTXentLoss": "nt_xent",
    "ntxent": "nt_xent",
    "CTCLoss": "ctc",
    "ctc_loss": "ctc",
}
"""Other names of the losses."""

OBJECTIVES = (
    "reg:squarederror",
    "regression_l2",
    "reg:absoluteerror",
    "regression_l1",
    "reg:pseudohubererror",
    "multi:softprob",
    "multi:softmax",
    "binary:logistic",
    "binary",
)
"""Those that mean the derivatives of a boosting library's objective."""

GENERAL_ARRAYS = ("sample_weight", "mask", "upstream", "hvp")
DEFAULTS: Mapping[str, Any] = {
    "reduction": "mean",
    "gradient": False,
    "upstream": None,
    "hessian": False,
    "hvp": None,
    "sample_weight": None,
    "mask": None,
    "axis": None,
    "denominator": None,
    "empty": "error",
    "broadcast": False,
    "check_finite": False,
    "check_target": "domain",
    "dtype": None,
    "convention": None,
    "size_average": None,
    "reduce": None,
}
"""The general options."""


class Losses(Generic[R]):
    """A method for every loss; ``R`` is what evaluating one returns."""

    def evaluate(self, loss: str, /, **values: Any) -> R:
        """Evaluate any loss by its name or an alias."""
        raise NotImplementedError

    def _evaluate(self, loss: str, values: dict[str, Any]) -> R:
        # A method's locals are its parameters; a general option at its default need not be sent.
        sent = {
            name: value
            for name, value in values.items()
            if name != "self" and (name not in DEFAULTS or value is not DEFAULTS[name])
        }
        return self.evaluate(loss, **sent)

    def mse(
        self,
        input: ArrayLike,
        target: ArrayLike,
        weight: ArrayLike | None = None,
        *,
        reduction: Reduction | list[Reduction] = "mean",
        gradient: bool | str | list[str] = False,
        upstream: ArrayLike | None = None,
        hessian: bool | str | list[str] = False,
        hvp: ArrayLike | Mapping[str, ArrayLike] | None = None,
        sample_weight: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        axis: int | list[int] | None = None,
        denominator: float | None = None,
        empty: Literal["error", "nan", "zero"] = "error",
        broadcast: bool = False,
        check_finite: bool = False,
        check_target: Literal["domain", "strict", "none"] = "domain",
        dtype: DType | type[np.generic] | np.dtype[Any] | None = None,
        convention: Literal["gbm"] | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
    ) -> R:
        """Squared error: one large mistake costs more than many small ones.

        The mean divides by the sum of `weight` where there is one. For gradient boosting gradient and
        Hessian are those of half the square, as in the libraries' own squared error.

        Args:
            input: numbers, of shape (...)
            target: numbers, of shape (...)
            weight: numbers, of shape (...)
            reduction: How the losses become a result; several names give several results.
            gradient: Whether to return gradients, or the name or names of the arguments and settings to differentiate.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Whether to return the diagonal of the Hessian, or the name or names of the arguments whose it is.
            hvp: Direction to multiply the Hessian with, in the shape of the argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: Which unreduced losses take part; what it leaves out reaches neither value nor gradient.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: What a mean over nothing is.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far the values of the target are checked: also that probabilities sum to 1, or not at all.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`.
            reduce: PyTorch's old spelling of `reduction`.
        """
        return self._evaluate("mse", locals())

    def l1(
        self,
        input: ArrayLike,
        target: ArrayLike,
        weight: ArrayLike | None = None,
        *,
        reduction: Reduction | list[Reduction] = "mean",
        gradient: bool | str | list[str] = False,
        upstream: ArrayLike | None = None,
        hessian: bool | str | list[str] = False,
        hvp: ArrayLike | Mapping[str, ArrayLike] | None = None,
        sample_weight: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        axis: int | list[int] | None = None,
        denominator: float | None = None,
        empty: Literal["error", "nan", "zero"] = "error",
        broadcast: bool = False,
        check_finite: bool = False,
        check_target: Literal["domain", "strict", "none"] = "domain",
        dtype: DType | type[np.generic] | np.dtype[Any] | None = None,
        convention: Literal["gbm"] | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
    ) -> R:
        """Absolute error: the median's loss, which outliers pull with constant force.

        The subgradient at zero is 0. The mean divides by the sum of `weight` where there is one.

        Args:
            input: numbers, of shape (...)
            target: numbers, of shape (...)
            weight: numbers, of shape (...)
            reduction: How the losses become a result; several names give several results.
            gradient: Whether to return gradients, or the name or names of the arguments and settings to differentiate.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Whether to return the diagonal of the Hessian, or the name or names of the arguments whose it is.
            hvp: Direction to multiply the Hessian with, in the shape of the argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: Which unreduced losses take part; what it leaves out reaches neither value nor gradient.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: What a mean over nothing is.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far the values of the target are checked: also that probabilities sum to 1, or not at all.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`.
            reduce: PyTorch's old spelling of `reduction`.
        """
        return self._evaluate("l1", locals())

    def huber(
        self,
        input: ArrayLike,
        target: ArrayLike,
        weight: ArrayLike | None = None,
        *,
        delta: float = 1.0,
        reduction: Reduction | list[Reduction] = "mean",
        gradient: bool | str | list[str] = False,
        upstream: ArrayLike | None = None,
        hessian: bool | str | list[str] = False,
        hvp: ArrayLike | Mapping[str, ArrayLike] | None = None,
        sample_weight: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        axis: int | list[int] | None = None,
        denominator: float | None = None,
        empty: Literal["error", "nan", "zero"] = "error",
        broadcast: bool = False,
        check_finite: bool = False,
        check_target: Literal["domain", "strict", "none"] = "domain",
        dtype: DType | type[np.generic] | np.dtype[Any] | None = None,
        convention: Literal["gbm"] | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
    ) -> R:
        """Squared near zero, linear beyond `delta`: a squared error that outliers cannot dominate.

        Args:
            input: numbers, of shape (...)
            target: numbers, of shape (...)
            weight: numbers, of shape (...)
            delta: setting, a number > 0; 1.0 by default
            reduction: How the losses become a result; several names give several results.
            gradient: Whether to return gradients, or the name or names of the arguments and settings to differentiate.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Whether to return the diagonal of the Hessian, or the name or names of the arguments whose it is.
            hvp: Direction to multiply the Hessian with, in the shape of the argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: Which unreduced losses take part; what it leaves out reaches neither value nor gradient.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: What a mean over nothing is.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far the values of the target are checked: also that probabilities sum to 1, or not at all.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`.
            reduce: PyTorch's old spelling of `reduction`.
        """
        return self._evaluate("huber", locals())

    def smooth_l1(
        self,
        input: ArrayLike,
        target: ArrayLike,
        *,
        beta: float = 1.0,
        reduction: Reduction | list[Reduction] = "mean",
        gradient: bool | str | list[str] = False,
        upstream: ArrayLike | None = None,
        hessian: bool | str | list[str] = False,
        hvp: ArrayLike | Mapping[str, ArrayLike] | None = None,
        sample_weight: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        axis: int | list[int] | None = None,
        denominator: float | None = None,
        empty: Literal["error", "nan", "zero"] = "error",
        broadcast: bool = False,
        check_finite: bool = False,
        check_target: Literal["domain", "strict", "none"] = "domain",
        dtype: DType | type[np.generic] | np.dtype[Any] | None = None,
        convention: Literal["gbm"] | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
    ) -> R:
        """Absolute error with a squared foot of half-width `beta`; l1 where `beta` is 0.

        Args:
            input: numbers, of shape (...)
            target: numbers, of shape (...)
            beta: setting, a number >= 0; 1.0 by default
            reduction: How the losses become a result; several names give several results.
            gradient: Whether to return gradients, or the name or names of the arguments and settings to differentiate.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Whether to return the diagonal of the Hessian, or the name or names of the arguments whose it is.
            hvp: Direction to multiply the Hessian with, in the shape of the argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: Which unreduced losses take part; what it leaves out reaches neither value nor gradient.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: What a mean over nothing is.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far the values of the target are checked: also that probabilities sum to 1, or not at all.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`.
            reduce: PyTorch's old spelling of `reduction`.
        """
        return self._evaluate("smooth_l1", locals())

    def pseudo_huber(
        self,
        input: ArrayLike,
        target: ArrayLike,
        *,
        delta: float = 1.0,
        reduction: Reduction | list[Reduction] = "mean",
        gradient: bool | str | list[str] = False,
        upstream: ArrayLike | None = None,
        hessian: bool | str | list[str] = False,
        hvp: ArrayLike | Mapping[str, ArrayLike] | None = None,
        sample_weight: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        axis: int | list[int] | None = None,
        denominator: float | None = None,
        empty: Literal["error", "nan", "zero"] = "error",
        broadcast: bool = False,
        check_finite: bool = False,
        check_target: Literal["domain", "strict", "none"] = "domain",
        dtype: DType | type[np.generic] | np.dtype[Any] | None = None,
        convention: Literal["gbm"] | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
    ) -> R:
        """Squared near zero, linear far beyond `delta`, and smooth everywhere between.

        Args:
            input: numbers, of shape (...)
            target: numbers, of shape (...)
            delta: setting, a number > 0; 1.0 by default
            reduction: How the losses become a result; several names give several results.
            gradient: Whether to return gradients, or the name or names of the arguments and settings to differentiate.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Whether to return the diagonal of the Hessian, or the name or names of the arguments whose it is.
            hvp: Direction to multiply the Hessian with, in the shape of the argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: Which unreduced losses take part; what it leaves out reaches neither value nor gradient.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: What a mean over nothing is.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far the values of the target are checked: also that probabilities sum to 1, or not at all.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`.
            reduce: PyTorch's old spelling of `reduction`.
        """
        return self._evaluate("pseudo_huber", locals())

    def cross_entropy(
        self,
        input: ArrayLike,
        target: ArrayLike,
        weight: ArrayLike | None = None,
        *,
        ignore_index: int = -100,
        label_smoothing: float = 0.0,
        class_axis: int = 1,
        reduction: Reduction | list[Reduction] = "mean",
        gradient: bool | str | list[str] = False,
        upstream: ArrayLike | None = None,
        hessian: bool | str | list[str] = False,
        hvp: ArrayLike | Mapping[str, ArrayLike] | None = None,
        sample_weight: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        axis: int | list[int] | None = None,
        denominator: float | None = None,
        empty: Literal["error", "nan", "zero"] = "error",
        broadcast: bool = False,
        check_finite: bool = False,
        check_target: Literal["domain", "strict", "none"] = "domain",
        dtype: DType | type[np.generic] | np.dtype[Any] | None = None,
        convention: Literal["gbm"] | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
    ) -> R:
        """Negative log-probability of the true class under a softmax of the logits.

        The target is a class index per sample, or a probability per class. With indices the mean
        divides by the sum of the samples' class weights, with probabilities by the number of samples.
        Samples whose index is `ignore_index` take no part. A logit of minus infinity rules its class
        out; one of infinity makes it certain; a row with no possible class, or two certain ones, is
        NaN. For gradient boosting the Hessian is twice the diagonal.

        Args:
            input: numbers, of shape (..., C)
            target: whole numbers in [0, C), or numbers in [0, 1], of shape (...) or (..., C)
            weight: numbers, of shape (C)
            ignore_index: setting, a whole number; -100 by default
            label_smoothing: setting, a number >= 0 and <= 1; 0.0 by default
            class_axis: setting, a whole number; 1 by default
            reduction: How the losses become a result; several names give several results.
            gradient: Whether to return gradients, or the name or names of the arguments and settings to differentiate.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Whether to return the diagonal of the Hessian, or the name or names of the arguments whose it is.
            hvp: Direction to multiply the Hessian with, in the shape of the argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: Which unreduced losses take part; what it leaves out reaches neither value nor gradient.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: What a mean over nothing is.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far the values of the target are checked: also that probabilities sum to 1, or not at all.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`.
            reduce: PyTorch's old spelling of `reduction`.
        """
        return self._evaluate("cross_entropy", locals())

    def nll(
        self,
        input: ArrayLike,
        target: ArrayLike,
        weight: ArrayLike | None = None,
        *,
        ignore_index: int = -100,
        class_axis: int = 1,
        reduction: Reduction | list[Reduction] = "mean",
        gradient: bool | str | list[str] = False,
        upstream: ArrayLike | None = None,
        hessian: bool | str | list[str] = False,
        hvp: ArrayLike | Mapping[str, ArrayLike] | None = None,
        sample_weight: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        axis: int | list[int] | None = None,
        denominator: float | None = None,
        empty: Literal["error", "nan", "zero"] = "error",
        broadcast: bool = False,
        check_finite: bool = False,
        check_target: Literal["domain", "strict", "none"] = "domain",
        dtype: DType | type[np.generic] | np.dtype[Any] | None = None,
        convention: Literal["gbm"] | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
    ) -> R:
        """Negative log-likelihood: minus the log-probability that the input gives to the true class.

        The mean divides by the sum of the samples' class weights. Samples whose target is
        `ignore_index` take no part.

        Args:
            input: numbers, of shape (..., C)
            target: whole numbers in [0, C), of shape (...)
            weight: numbers, of shape (C)
            ignore_index: setting, a whole number; -100 by default
            class_axis: setting, a whole number; 1 by default
            reduction: How the losses become a result; several names give several results.
            gradient: Whether to return gradients, or the name or names of the arguments and settings to differentiate.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Whether to return the diagonal of the Hessian, or the name or names of the arguments whose it is.
            hvp: Direction to multiply the Hessian with, in the shape of the argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: Which unreduced losses take part; what it leaves out reaches neither value nor gradient.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: What a mean over nothing is.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far the values of the target are checked: also that probabilities sum to 1, or not at all.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`.
            reduce: PyTorch's old spelling of `reduction`.
        """
        return self._evaluate("nll", locals())

    def bce(
        self,
        input: ArrayLike,
        target: ArrayLike,
        weight: ArrayLike | None = None,
        *,
        reduction: Reduction | list[Reduction] = "mean",
        gradient: bool | str | list[str] = False,
        upstream: ArrayLike | None = None,
        hessian: bool | str | list[str] = False,
        hvp: ArrayLike | Mapping[str, ArrayLike] | None = None,
        sample_weight: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        axis: int | list[int] | None = None,
        denominator: float | None = None,
        empty: Literal["error", "nan", "zero"] = "error",
        broadcast: bool = False,
        check_finite: bool = False,
        check_target: Literal["domain", "strict", "none"] = "domain",
        dtype: DType | type[np.generic] | np.dtype[Any] | None = None,
        convention: Literal["gbm"] | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
    ) -> R:
        """Binary cross entropy of a probability.

        As its source defines them, logarithms are at least -100 and the gradient's denominator `x (1 -
        x)` is at least 1e-12, so loss and gradient stay finite at 0 and 1. The Hessian is the
        derivative of that gradient. Logits have no such limits: see `bce_with_logits`.

        Args:
            input: numbers in [0, 1], of shape (...)
            target: numbers in [0, 1], of shape (...)
            weight: numbers, of shape broadcast to (...)
            reduction: How the losses become a result; several names give several results.
            gradient: Whether to return gradients, or the name or names of the arguments and settings to differentiate.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Whether to return the diagonal of the Hessian, or the name or names of the arguments whose it is.
            hvp: Direction to multiply the Hessian with, in the shape of the argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: Which unreduced losses take part; what it leaves out reaches neither value nor gradient.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: What a mean over nothing is.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far the values of the target are checked: also that probabilities sum to 1, or not at all.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`.
            reduce: PyTorch's old spelling of `reduction`.
        """
        return self._evaluate("bce", locals())

    def bce_with_logits(
        self,
        input: ArrayLike,
        target: ArrayLike,
        weight: ArrayLike | None = None,
        pos_weight: ArrayLike | None = None,
        *,
        reduction: Reduction | list[Reduction] = "mean",
        gradient: bool | str | list[str] = False,
        upstream: ArrayLike | None = None,
        hessian: bool | str | list[str] = False,
        hvp: ArrayLike | Mapping[str, ArrayLike] | None = None,
        sample_weight: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        axis: int | list[int] | None = None,
        denominator: float | None = None,
        empty: Literal["error", "nan", "zero"] = "error",
        broadcast: bool = False,
        check_finite: bool = False,
        check_target: Literal["domain", "strict", "none"] = "domain",
        dtype: DType | type[np.generic] | np.dtype[Any] | None = None,
        convention: Literal["gbm"] | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
    ) -> R:
        """Binary cross entropy of a logit, exact for easy samples too.

        `pos_weight` multiplies the part of the positive class. Both parts are non-negative, so nothing
        cancels.

        Args:
            input: numbers, of shape (...)
            target: numbers in [0, 1], of shape (...)
            weight: numbers, of shape broadcast to (...)
            pos_weight: numbers, of shape broadcast to (...)
            reduction: How the losses become a result; several names give several results.
            gradient: Whether to return gradients, or the name or names of the arguments and settings to differentiate.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Whether to return the diagonal of the Hessian, or the name or names of the arguments whose it is.
            hvp: Direction to multiply the Hessian with, in the shape of the argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: Which unreduced losses take part; what it leaves out reaches neither value nor gradient.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: What a mean over nothing is.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far the values of the target are checked: also that probabilities sum to 1, or not at all.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`.
            reduce: PyTorch's old spelling of `reduction`.
        """
        return self._evaluate("bce_with_logits", locals())

    def multi_quantile(
        self,
        input: ArrayLike,
        target: ArrayLike,
        *,
        quantiles: ArrayLike,
        reduction: Reduction | list[Reduction] = "mean",
        gradient: bool | str | list[str] = False,
        upstream: ArrayLike | None = None,
        hessian: bool | str | list[str] = False,
        hvp: ArrayLike | Mapping[str, ArrayLike] | None = None,
        sample_weight: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        axis: int | list[int] | None = None,
        denominator: float | None = None,
        empty: Literal["error", "nan", "zero"] = "error",
        broadcast: bool = False,
        check_finite: bool = False,
        check_target: Literal["domain", "strict", "none"] = "domain",
        dtype: DType | type[np.generic] | np.dtype[Any] | None = None,
        convention: Literal["gbm"] | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
    ) -> R:
        """Pinball loss of several quantiles of one target at once, summed over the quantiles.

        Where a prediction equals its target the slope is that of a prediction too low; for gradient
        boosting it is that of one too high, `1 - q`, and the Hessian is 1.

        Args:
            input: numbers, of shape (..., Q)
            target: numbers, of shape (...)
            quantiles: numbers in (0, 1), of shape (Q)
            reduction: How the losses become a result; several names give several results.
            gradient: Whether to return gradients, or the name or names of the arguments and settings to differentiate.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Whether to return the diagonal of the Hessian, or the name or names of the arguments whose it is.
            hvp: Direction to multiply the Hessian with, in the shape of the argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: Which unreduced losses take part; what it leaves out reaches neither value nor gradient.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: What a mean over nothing is.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far the values of the target are checked: also that probabilities sum to 1, or not at all.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`.
            reduce: PyTorch's old spelling of `reduction`.
        """
        return self._evaluate("multi_quantile", locals())

    def dice(
        self,
        input: ArrayLike,
        target: ArrayLike,
        *,
        smooth: float = 1e-07,
        reduction: Reduction | list[Reduction] = "mean",
        gradient: bool | str | list[str] = False,
        upstream: ArrayLike | None = None,
        hessian: bool | str | list[str] = False,
        hvp: ArrayLike | Mapping[str, ArrayLike] | None = None,
        sample_weight: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        axis: int | list[int] | None = None,
        denominator: float | None = None,
        empty: Literal["error", "nan", "zero"] = "error",
        broadcast: bool = False,
        check_finite: bool = False,
        check_target: Literal["domain", "strict", "none"] = "domain",
        dtype: DType | type[np.generic] | np.dtype[Any] | None = None,
        convention: Literal["gbm"] | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
    ) -> R:
        """One minus the Dice coefficient of the pixels along `axis`, all of them if it is absent.

        The axes that `axis` leaves are the unreduced loss.

        Args:
            input: numbers in [0, 1], of shape (..., P)
            target: numbers in [0, 1], of shape (..., P)
            smooth: setting, a number >= 0; 1e-07 by default
            reduction: How the losses become a result; several names give several results.
            gradient: Whether to return gradients, or the name or names of the arguments and settings to differentiate.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Whether to return the diagonal of the Hessian, or the name or names of the arguments whose it is.
            hvp: Direction to multiply the Hessian with, in the shape of the argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: Which unreduced losses take part; what it leaves out reaches neither value nor gradient.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: What a mean over nothing is.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far the values of the target are checked: also that probabilities sum to 1, or not at all.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`.
            reduce: PyTorch's old spelling of `reduction`.
        """
        return self._evaluate("dice", locals())

    def triplet_margin(
        self,
        anchor: ArrayLike,
        positive: ArrayLike,
        negative: ArrayLike,
        *,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-06,
        swap: bool = False,
        reduction: Reduction | list[Reduction] = "mean",
        gradient: bool | str | list[str] = False,
        upstream: ArrayLike | None = None,
        hessian: bool | str | list[str] = False,
        hvp: ArrayLike | Mapping[str, ArrayLike] | None = None,
        sample_weight: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        axis: int | list[int] | None = None,
        denominator: float | None = None,
        empty: Literal["error", "nan", "zero"] = "error",
        broadcast: bool = False,
        check_finite: bool = False,
        check_target: Literal["domain", "strict", "none"] = "domain",
        dtype: DType | type[np.generic] | np.dtype[Any] | None = None,
        convention: Literal["gbm"] | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
    ) -> R:
        """The positive should be nearer to the anchor than the negative is, by `margin`.

        With `swap` the negative's distance is the lesser of those to the anchor and to the positive. At
        the margin the full gradient passes.

        Args:
            anchor: numbers, of shape (..., D)
            positive: numbers, of shape (..., D)
            negative: numbers, of shape (..., D)
            margin: setting, a number; 1.0 by default
            p: setting, a number > 0; 2.0 by default
            eps: setting, a number; 1e-06 by default
            swap: setting, true or false; False by default
            reduction: How the losses become a result; several names give several results.
            gradient: Whether to return gradients, or the name or names of the arguments and settings to differentiate.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Whether to return the diagonal of the Hessian, or the name or names of the arguments whose it is.
            hvp: Direction to multiply the Hessian with, in the shape of the argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: Which unreduced losses take part; what it leaves out reaches neither value nor gradient.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: What a mean over nothing is.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far the values of the target are checked: also that probabilities sum to 1, or not at all.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`.
            reduce: PyTorch's old spelling of `reduction`.
        """
        return self._evaluate("triplet_margin", locals())

    def nt_xent(
        self,
        embeddings: ArrayLike,
        labels: ArrayLike,
        *,
        temperature: float = 0.07,
        reduction: Reduction | list[Reduction] = "mean",
        gradient: bool | str | list[str] = False,
        upstream: ArrayLike | None = None,
        hessian: bool | str | list[str] = False,
        hvp: ArrayLike | Mapping[str, ArrayLike] | None = None,
        sample_weight: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        axis: int | list[int] | None = None,
        denominator: float | None = None,
        empty: Literal["error", "nan", "zero"] = "error",
        broadcast: bool = False,
        check_finite: bool = False,
        check_target: Literal["domain", "strict", "none"] = "domain",
        dtype: DType | type[np.generic] | np.dtype[Any] | None = None,
        convention: Literal["gbm"] | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
    ) -> R:
        """Each item should be more like those of its own label P than like those of other labels N.

        An item's loss is the sum over its positives, each against all its negatives; the mean divides
        by the number of pairs. The similarity is the cosine, over `temperature`. Rounding the
        embeddings, or the cosines made of them, changes a loss by up to about 1 / `temperature` units
        in the last place: where `temperature` is small, float64 keeps more digits.

        Args:
            embeddings: numbers, of shape (N, D)
            labels: whole numbers, of shape (N)
            temperature: setting, a number > 0; 0.07 by default
            reduction: How the losses become a result; several names give several results.
            gradient: Whether to return gradients, or the name or names of the arguments and settings to differentiate.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Whether to return the diagonal of the Hessian, or the name or names of the arguments whose it is.
            hvp: Direction to multiply the Hessian with, in the shape of the argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: Which unreduced losses take part; what it leaves out reaches neither value nor gradient.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: What a mean over nothing is.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far the values of the target are checked: also that probabilities sum to 1, or not at all.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`.
            reduce: PyTorch's old spelling of `reduction`.
        """
        return self._evaluate("nt_xent", locals())

    def ctc(
        self,
        log_probs: ArrayLike | None = None,
        targets: ArrayLike | None = None,
        input_lengths: ArrayLike | None = None,
        target_lengths: ArrayLike | None = None,
        logits: ArrayLike | None = None,
        *,
        blank: int = 0,
        zero_infinity: bool = False,
        reduction: Reduction | list[Reduction] = "mean",
        gradient: bool | str | list[str] = False,
        upstream: ArrayLike | None = None,
        hessian: bool | str | list[str] = False,
        hvp: ArrayLike | Mapping[str, ArrayLike] | None = None,
        sample_weight: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        axis: int | list[int] | None = None,
        denominator: float | None = None,
        empty: Literal["error", "nan", "zero"] = "error",
        broadcast: bool = False,
        check_finite: bool = False,
        check_target: Literal["domain", "strict", "none"] = "domain",
        dtype: DType | type[np.generic] | np.dtype[Any] | None = None,
        convention: Literal["gbm"] | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
    ) -> R:
        """Negative log-probability of a sequence of labels, over all its alignments with the frames.

        Give `log_probs`, or `logits` to be normalised here. The gradient with respect to `log_probs`
        takes them as free variables: it is minus the posterior of each symbol. The mean divides each
        sample by its number of labels, then by the number of samples. `zero_infinity` makes 0 of
        samples that have no alignment; without it their derivatives are NaN, for they have none. Frames
        past a sample's `input_lengths` may hold anything, and of `log_probs` only those of the blank
        and of the sample's labels are read; -inf rules a symbol out, +inf is NaN. Of `logits` one of
        +inf in a frame is certain, and two are NaN. `targets` may also be the labels of all samples one
        after the other.

        Args:
            log_probs: numbers, of shape (T, ..., C)
            targets: whole numbers in [0, C) other than blank, of shape (..., S)
            input_lengths: whole numbers in [0, T], of shape (...)
            target_lengths: whole numbers in [0, S], of shape (...)
            logits: numbers, of shape (T, ..., C)
            blank: setting, a whole number; 0 by default
            zero_infinity: setting, true or false; False by default
            reduction: How the losses become a result; several names give several results.
            gradient: Whether to return gradients, or the name or names of the arguments and settings to differentiate.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Whether to return the diagonal of the Hessian, or the name or names of the arguments whose it is.
            hvp: Direction to multiply the Hessian with, in the shape of the argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: Which unreduced losses take part; what it leaves out reaches neither value nor gradient.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: What a mean over nothing is.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far the values of the target are checked: also that probabilities sum to 1, or not at all.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`.
            reduce: PyTorch's old spelling of `reduction`.
        """
        return self._evaluate("ctc", locals())
