"""A method for every loss, so that editors complete them; ``make client`` writes this file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from lossd.client.keywords import hinted
from lossd.message import Partial

R = TypeVar("R")

Reduction = Literal["none", "sum", "mean", "batchmean", "weighted_mean"]
DType = Literal["float16", "bfloat16", "float32", "float64", "complex64", "complex128"]
ARRAYS: Mapping[str, tuple[str, ...]] = {
    "mse": ("input", "target", "weight"),
    "l1": ("input", "target", "weight"),
    "huber": ("input", "target", "weight"),
    "smooth_l1": ("input", "target"),
    "pseudo_huber": ("input", "target"),
    "log_cosh": ("input", "target"),
    "cauchy": ("input", "target"),
    "fair": ("input", "target"),
    "cross_entropy": ("input", "target", "weight"),
    "nll": ("input", "target", "weight"),
    "bce": ("input", "target", "weight"),
    "bce_with_logits": ("input", "target", "weight", "pos_weight"),
    "soft_margin": ("input", "target"),
    "hinge": ("input", "target"),
    "squared_hinge": ("input", "target"),
    "hinge_embedding": ("input", "target"),
    "multi_margin": ("input", "target", "weight"),
    "multilabel_margin": ("input", "target"),
    "multilabel_soft_margin": ("input", "target", "weight"),
    "sigmoid_focal": ("input", "target"),
    "multi_quantile": ("input", "target", "quantiles"),
    "poisson_nll": ("input", "target"),
    "gaussian_nll": ("input", "target", "var"),
    "kl_div": ("input", "target"),
    "dice": ("input", "target"),
    "giou": ("boxes1", "boxes2"),
    "triplet_margin": ("anchor", "positive", "negative"),
    "triplet_margin_with_distance": ("anchor", "positive", "negative"),
    "cosine_embedding": ("input1", "input2", "target"),
    "arcface": ("embeddings", "labels", "prototypes"),
    "nt_xent": ("embeddings", "labels"),
    "supcon": ("embeddings", "labels"),
    "barlow_twins": ("z1", "z2"),
    "margin_ranking": ("input1", "input2", "target"),
    "ranking_softmax": ("input", "target", "group"),
    "rank_ndcg": ("input", "target", "group"),
    "ctc": ("log_probs", "targets", "input_lengths", "target_lengths", "logits"),
    "crf": ("emissions", "tags", "transitions", "start_transitions", "end_transitions", "lengths"),
    "cox": ("log_h", "durations", "events"),
    "td_lambda": ("v_tm1", "r_t", "discount_t", "v_t", "lambda_"),
    "sinkhorn": ("input", "target", "cost"),
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
    "LogCosh": "log_cosh",
    "optax.log_cosh": "log_cosh",
    "CrossEntropyLoss": "cross_entropy",
    "SoftmaxCrossEntropyLoss": "cross_entropy",
    "softmax_cross_entropy": "cross_entropy",
    "softmax_cross_entropy_with_integer_labels": "cross_entropy",
    "softmax_cross_entropy_with_logits": "cross_entropy",
    "sparse_softmax_cross_entropy_with_logits": "cross_entropy",
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
    "SoftMarginLoss": "soft_margin",
    "soft_margin_loss": "soft_margin",
    "hinge_loss": "hinge",
    "Hinge": "hinge",
    "optax.hinge_loss": "hinge",
    "SquaredHinge": "squared_hinge",
    "HingeEmbeddingLoss": "hinge_embedding",
    "hinge_embedding_loss": "hinge_embedding",
    "MultiMarginLoss": "multi_margin",
    "multi_margin_loss": "multi_margin",
    "MultiLabelMarginLoss": "multilabel_margin",
    "multilabel_margin_loss": "multilabel_margin",
    "MultiLabelSoftMarginLoss": "multilabel_soft_margin",
    "multilabel_soft_margin_loss": "multilabel_soft_margin",
    "sigmoid_focal_loss": "sigmoid_focal",
    "optax.sigmoid_focal_loss": "sigmoid_focal",
    "PoissonNLLLoss": "poisson_nll",
    "poisson_nll_loss": "poisson_nll",
    "count:poisson": "poisson_nll",
    "poisson": "poisson_nll",
    "GaussianNLLLoss": "gaussian_nll",
    "gaussian_nll_loss": "gaussian_nll",
    "KLDivLoss": "kl_div",
    "Dice": "dice",
    "generalized_box_iou_loss": "giou",
    "TripletMarginLoss": "triplet_margin",
    "triplet_margin_loss": "triplet_margin",
    "TripletMarginWithDistanceLoss": "triplet_margin_with_distance",
    "triplet_margin_with_distance_loss": "triplet_margin_with_distance",
    "CosineEmbeddingLoss": "cosine_embedding",
    "cosine_embedding_loss": "cosine_embedding",
    "NTXentLoss": "nt_xent",
    "ntxent": "nt_xent",
    "SupConLoss": "supcon",
    "MarginRankingLoss": "margin_ranking",
    "margin_ranking_loss": "margin_ranking",
    "SoftmaxLoss": "ranking_softmax",
    "CTCLoss": "ctc",
    "ctc_loss": "ctc",
    "rlax.td_lambda": "td_lambda",
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
    "count:poisson",
    "poisson",
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
    "partial": None,
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

    @hinted
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """Squared error: one large mistake costs more than many small ones.

        The mean divides by the sum of `weight` where there is one. For gradient boosting gradient and
        Hessian are those of half the square, as in the libraries' own squared error.

        Args:
            input: numbers, of shape (...)
            target: numbers, of shape (...)
            weight: numbers, of shape (...)
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("mse", locals())

    @hinted
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """Absolute error: the median's loss, which outliers pull with constant force.

        The subgradient at zero is 0. The mean divides by the sum of `weight` where there is one.

        Args:
            input: numbers, of shape (...)
            target: numbers, of shape (...)
            weight: numbers, of shape (...)
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("l1", locals())

    @hinted
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """Squared near zero, linear beyond `delta`: a squared error that outliers cannot dominate.

        Args:
            input: numbers, of shape (...)
            target: numbers, of shape (...)
            weight: numbers, of shape (...)
            delta: setting, a number > 0; 1.0 by default
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("huber", locals())

    @hinted
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """Absolute error with a squared foot of half-width `beta`; l1 where `beta` is 0.

        Args:
            input: numbers, of shape (...)
            target: numbers, of shape (...)
            beta: setting, a number >= 0; 1.0 by default
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("smooth_l1", locals())

    @hinted
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """Squared near zero, linear far beyond `delta`, and smooth everywhere between.

        Args:
            input: numbers, of shape (...)
            target: numbers, of shape (...)
            delta: setting, a number > 0; 1.0 by default
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("pseudo_huber", locals())

    @hinted
    def log_cosh(
        self,
        input: ArrayLike,
        target: ArrayLike,
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """Half the square near zero, the absolute value less log 2 far away, and smooth everywhere.

        Args:
            input: numbers, of shape (...)
            target: numbers, of shape (...)
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("log_cosh", locals())

    @hinted
    def cauchy(
        self,
        input: ArrayLike,
        target: ArrayLike,
        *,
        scale: float = 1.0,
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """Half the square near zero, a logarithm beyond `scale`: far outliers hardly pull at all.

        It is the negative logarithm of the Cauchy distribution's density, times `scale` squared over 2.
        It is not convex.

        Args:
            input: numbers, of shape (...)
            target: numbers, of shape (...)
            scale: setting, a number > 0; 1.0 by default
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("cauchy", locals())

    @hinted
    def fair(
        self,
        input: ArrayLike,
        target: ArrayLike,
        *,
        c: float = 1.0,
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """Half the square near zero, nearly linear far beyond `c`, with three smooth derivatives.

        Args:
            input: numbers, of shape (...)
            target: numbers, of shape (...)
            c: setting, a number > 0; 1.0 by default
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("fair", locals())

    @hinted
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
        partial: Partial | Mapping[str, Any] | None = None,
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
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("cross_entropy", locals())

    @hinted
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
        partial: Partial | Mapping[str, Any] | None = None,
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
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("nll", locals())

    @hinted
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """Binary cross entropy of a probability.

        As its source defines them, logarithms are at least -100 and the gradient's denominator `x (1 -
        x)` is at least 1e-12, so loss and gradient stay finite at 0 and 1. The Hessian is the
        derivative of that gradient. Logits have no such limits: see `bce_with_logits`.

        Args:
            input: numbers in [0, 1], of shape (...)
            target: numbers in [0, 1], of shape (...)
            weight: numbers, of shape broadcast to (...)
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("bce", locals())

    @hinted
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """Binary cross entropy of a logit, exact for easy samples too.

        `pos_weight` multiplies the part of the positive class. Both parts are non-negative, so nothing
        cancels.

        Args:
            input: numbers, of shape (...)
            target: numbers in [0, 1], of shape (...)
            weight: numbers, of shape broadcast to (...)
            pos_weight: numbers, of shape broadcast to (...)
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("bce_with_logits", locals())

    @hinted
    def soft_margin(
        self,
        input: ArrayLike,
        target: ArrayLike,
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """Binary cross entropy of a logit for labels of -1 and 1, exact in both tails.

        Args:
            input: numbers, of shape (...)
            target: numbers that are -1 or 1, of shape (...)
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("soft_margin", locals())

    @hinted
    def hinge(
        self,
        input: ArrayLike,
        target: ArrayLike,
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """Linear below a margin of 1, zero beyond: the loss of support vector machines.

        At the kink the slope is that of a smaller margin.

        Args:
            input: numbers, of shape (...)
            target: numbers that are -1 or 1, of shape (...)
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("hinge", locals())

    @hinted
    def squared_hinge(
        self,
        input: ArrayLike,
        target: ArrayLike,
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """Squared below a margin of 1, zero beyond: a hinge that is smooth at its kink.

        Args:
            input: numbers, of shape (...)
            target: numbers that are -1 or 1, of shape (...)
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("squared_hinge", locals())

    @hinted
    def hinge_embedding(
        self,
        input: ArrayLike,
        target: ArrayLike,
        *,
        margin: float = 1.0,
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """A distance, which should be small where the target is 1, and at least `margin` where it is -1.

        At the kink the slope is that of a smaller distance.

        Args:
            input: numbers, of shape (...)
            target: numbers that are -1 or 1, of shape (...)
            margin: setting, a number; 1.0 by default
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("hinge_embedding", locals())

    @hinted
    def multi_margin(
        self,
        input: ArrayLike,
        target: ArrayLike,
        weight: ArrayLike | None = None,
        *,
        p: Literal[1, 2] = 1,
        margin: float = 1.0,
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """The score of the true class should exceed every other by `margin`.

        Each other class costs what it lacks to that margin, or its square, times the true class's
        weight. At the margin the gradient is 0. One class alone has no other, so its score is not used:
        the loss is 0 also of NaN.

        Args:
            input: numbers, of shape (..., C)
            target: whole numbers in [0, C), of shape (...)
            weight: numbers, of shape (C)
            p: setting, a whole number; 1 by default
            margin: setting, a number; 1.0 by default
            class_axis: setting, a whole number; 1 by default
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("multi_margin", locals())

    @hinted
    def multilabel_margin(
        self,
        input: ArrayLike,
        target: ArrayLike,
        *,
        class_axis: int = -1,
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """The score of every true class should exceed that of every other class by 1.

        A row of the target lists the true classes; those after the first -1 are not used. At the margin
        the gradient is 0. Where no class is true, or all are, there is no pair and no score is used:
        the loss is 0 also of NaN.

        Args:
            input: numbers, of shape (..., C)
            target: whole numbers in [0, C), padded with -1, of shape (..., C)
            class_axis: setting, a whole number; -1 by default
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("multilabel_margin", locals())

    @hinted
    def multilabel_soft_margin(
        self,
        input: ArrayLike,
        target: ArrayLike,
        weight: ArrayLike | None = None,
        *,
        class_axis: int = -1,
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """Binary cross entropy of the logit of every class, averaged over the classes.

        Args:
            input: numbers, of shape (..., C)
            target: numbers in [0, 1], of shape (..., C)
            weight: numbers, of shape (C)
            class_axis: setting, a whole number; -1 by default
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("multilabel_soft_margin", locals())

    @hinted
    def sigmoid_focal(
        self,
        input: ArrayLike,
        target: ArrayLike,
        *,
        alpha: float = 0.25,
        gamma: float = 2.0,
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """Binary cross entropy of a logit times a power of q, the probability of being wrong.

        Args:
            input: numbers, of shape (...)
            target: numbers in [0, 1], of shape (...)
            alpha: setting, a number >= -1 and <= 1; 0.25 by default
            gamma: setting, a number >= 0; 2.0 by default
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("sigmoid_focal", locals())

    @hinted
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """Pinball loss of several quantiles of one target at once, summed over the quantiles.

        Where a prediction equals its target the slope is that of a prediction too low; for gradient
        boosting it is that of one too high, `1 - q`, and the Hessian is 1.

        Args:
            input: numbers, of shape (..., Q)
            target: numbers, of shape (...)
            quantiles: numbers in (0, 1), of shape (Q)
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("multi_quantile", locals())

    @hinted
    def poisson_nll(
        self,
        input: ArrayLike,
        target: ArrayLike,
        *,
        log_input: bool = True,
        full: bool = False,
        eps: float = 1e-08,
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """Negative log likelihood of a count under the Poisson distribution of a rate, or of its logarithm.

        Without `full` what does not depend on the rate, `log t!`, is left out; with it, it is
        Stirling's approximation for targets above 1, and 0 for others.

        Args:
            input: numbers, of shape (...)
            target: numbers >= 0, of shape (...)
            log_input: setting, true or false; True by default
            full: setting, true or false; False by default
            eps: setting, a number >= 0; 1e-08 by default
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("poisson_nll", locals())

    @hinted
    def gaussian_nll(
        self,
        input: ArrayLike,
        target: ArrayLike,
        var: ArrayLike,
        *,
        full: bool = False,
        eps: float = 1e-06,
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """Negative log likelihood of a number under the normal distribution of a mean and a variance.

        `input` is the mean, `var` the variance; one variance for each row of a matrix has a last axis
        of length 1, or lacks that axis. As its source defines it, the gradient with respect to a
        variance below `eps` is that at `eps`, not 0. The Hessian is the derivative of that gradient.

        Args:
            input: numbers, of shape (...)
            target: numbers, of shape (...)
            var: numbers >= 0, of shape broadcast to (...)
            full: setting, true or false; False by default
            eps: setting, a number >= 0; 1e-06 by default
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("gaussian_nll", locals())

    @hinted
    def kl_div(
        self,
        input: ArrayLike,
        target: ArrayLike,
        *,
        log_target: bool = False,
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """How much a distribution differs from the true one, of which each element is a summand.

        `input` is the logarithm of a probability, `target` a probability. A target of probability 0
        adds nothing, whatever the input. The reduction `batchmean` gives the divergence; `mean` also
        divides by the number of elements of a row.

        Args:
            input: numbers, of shape (...)
            target: numbers, of shape (...)
            log_target: setting, true or false; False by default
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("kl_div", locals())

    @hinted
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """One minus the Dice coefficient of the pixels along `axis`, all of them if it is absent.

        The axes that `axis` leaves are the unreduced loss.

        Args:
            input: numbers in [0, 1], of shape (..., P)
            target: numbers in [0, 1], of shape (..., P)
            smooth: setting, a number >= 0; 1e-07 by default
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("dice", locals())

    @hinted
    def giou(
        self,
        boxes1: ArrayLike,
        boxes2: ArrayLike,
        *,
        eps: float = 1e-07,
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """One minus the intersection over union, and the part of the smallest box around both that neither covers.

        A box is its corners, `(x1, y1, x2, y2)` with x1 <= x2 and y1 <= y2. Boxes that do not overlap
        are drawn together by the second part. Where edges coincide, each box has half of the gradient,
        and its second derivatives are those of this half; boxes that only touch have no gradient of
        their intersection. Where the sides of two boxes along an axis differ by a factor of 2^53, the
        Hessian and its products may have no digits.

        Args:
            boxes1: numbers, of shape (..., 4)
            boxes2: numbers, of shape (..., 4)
            eps: setting, a number >= 0; 1e-07 by default
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("giou", locals())

    @hinted
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """The positive should be nearer to the anchor than the negative is, by `margin`.

        With `swap` the negative's distance is the lesser of those to the anchor and to the positive. At
        the margin the full gradient passes. However far the anchor is from both others, loss and
        derivatives keep their digits. Only where two sides have nearly one direction and unequal
        lengths, and `p` is neither 1 nor 2 or `swap` is set, derivatives are as exact as a difference
        of numbers near 1.

        Args:
            anchor: numbers, of shape (..., D)
            positive: numbers, of shape (..., D)
            negative: numbers, of shape (..., D)
            margin: setting, a number; 1.0 by default
            p: setting, a number > 0; 2.0 by default
            eps: setting, a number; 1e-06 by default
            swap: setting, true or false; False by default
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("triplet_margin", locals())

    @hinted
    def triplet_margin_with_distance(
        self,
        anchor: ArrayLike,
        positive: ArrayLike,
        negative: ArrayLike,
        *,
        distance: Literal["euclidean", "cosine", "squared", "manhattan"] = "euclidean",
        margin: float = 1.0,
        swap: bool = False,
        eps: float = 1e-06,
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """The positive should be nearer to the anchor than the negative is, by `margin`, in a distance of choice.

        The Euclidean distance is that of `triplet_margin`, as it is PyTorch's default. Squared is its
        square without `eps`, Manhattan the sum of the absolute differences, and cosine 1 less the
        cosine, which is 0 with a vector of zeros. With `swap` the negative's distance is the lesser of
        those to the anchor and to the positive. At the margin the full gradient passes.

        Args:
            anchor: numbers, of shape (..., D)
            positive: numbers, of shape (..., D)
            negative: numbers, of shape (..., D)
            distance: setting, a string; "euclidean" by default
            margin: setting, a number; 1.0 by default
            swap: setting, true or false; False by default
            eps: setting, a number; 1e-06 by default
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("triplet_margin_with_distance", locals())

    @hinted
    def cosine_embedding(
        self,
        input1: ArrayLike,
        input2: ArrayLike,
        target: ArrayLike,
        *,
        margin: float = 0.0,
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """Vectors of a pair should point the same way where the target is 1, and apart where it is -1.

        A pair that should be apart costs what its cosine exceeds `margin` by. At the margin the full
        gradient passes. Lengths do not matter: PyTorch adds 1e-12 to their squares, which changes the
        loss of vectors that are shorter than about 1e-3. The target chooses between two formulas, so
        its gradient is 0.

        Args:
            input1: numbers, of shape (..., D)
            input2: numbers, of shape (..., D)
            target: numbers that are -1 or 1, of shape (...)
            margin: setting, a number; 0.0 by default
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("cosine_embedding", locals())

    @hinted
    def arcface(
        self,
        embeddings: ArrayLike,
        labels: ArrayLike,
        prototypes: ArrayLike,
        *,
        margin: float = 0.5,
        scale: float = 64.0,
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """The angle to the prototype of a vector's own class should be less than to any other, by `margin`.

        It is the cross entropy of cosines times `scale`, of which the own class's is that of an angle
        larger by the margin. Where that angle would exceed a half turn, the cosine is made less by a
        fixed amount instead. A vector that points exactly at its prototype is at the tip of a cone: the
        gradient of its angle is 0 there. Next to it, the angle has as many digits as the rounded
        vectors leave it: at 1e-12 about four in float64, and so have its derivatives. Second
        derivatives are sums of parts as large as `scale` over the square of the vector's length: where
        prototypes that are nearly alike or opposite make them cancel, they have an error of about 1e-16
        of that in float64. Coordinates of unit vectors below the type's smallest number are 0, also
        where a gradient divides by such an angle. For vectors of one number, a margin of `pi` is
        exactly a half turn.

        Args:
            embeddings: numbers, of shape (..., D)
            labels: whole numbers in [0, C), of shape (...)
            prototypes: numbers, of shape (C, D)
            margin: setting, a number >= 0 and <= 3.14159; 0.5 by default
            scale: setting, a number > 0; 64.0 by default
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("arcface", locals())

    @hinted
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """Each item should be more like those of its own label P than like those of other labels N.

        An item's loss is the sum over its positives, each against all its negatives; the mean divides
        by the number of pairs. The similarity is the cosine, over `temperature`. Rounding the
        embeddings, or the cosines made of them, changes a loss by up to about 1 / `temperature` units
        in the last place: where `temperature` is small, float64 keeps more digits. Of equal items the
        Hessian's terms cancel: those of an item beside them have the absolute precision of the largest.

        Args:
            embeddings: numbers, of shape (N, D)
            labels: whole numbers, of shape (N)
            temperature: setting, a number > 0; 0.07 by default
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("nt_xent", locals())

    @hinted
    def supcon(
        self,
        embeddings: ArrayLike,
        labels: ArrayLike,
        *,
        temperature: float = 0.1,
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """Each item should be more like those of its own label P than like all other items of the batch.

        An item's loss is the mean over its positives of minus the logarithm of the positive's share in
        a softmax over all others of the cosines over `temperature`. The mean is over the items that
        have a positive; others have no loss. A batch of a single label has a loss too, as in the paper;
        pytorch-metric-learning has 0 there. A share in a softmax below the type's smallest number is 0,
        also where derivatives would divide it by the length of a short vector. Second derivatives of
        nearly equal vectors have fewer digits.

        Args:
            embeddings: numbers, of shape (N, D)
            labels: whole numbers, of shape (N)
            temperature: setting, a number > 0; 0.1 by default
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("supcon", locals())

    @hinted
    def barlow_twins(
        self,
        z1: ArrayLike,
        z2: ArrayLike,
        *,
        lambd: float = 0.0051,
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """Each dimension of one view should correlate with the same dimension of the other, and with none else.

        It is one number of the whole batch. A dimension in which all items are equal correlates with
        nothing: its correlations are 0, and so are their gradients.

        Args:
            z1: numbers, of shape (N, D)
            z2: numbers, of shape (N, D)
            lambd: setting, a number >= 0; 0.0051 by default
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("barlow_twins", locals())

    @hinted
    def margin_ranking(
        self,
        input1: ArrayLike,
        input2: ArrayLike,
        target: ArrayLike,
        *,
        margin: float = 0.0,
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """Of two scores the first should be higher by `margin` where the target is 1, the second where it is -1.

        At the kink the slope is that of a pair in the wrong order.

        Args:
            input1: numbers, of shape (...)
            input2: numbers, of shape (...)
            target: numbers that are -1 or 1, of shape (...)
            margin: setting, a number; 0.0 by default
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("margin_ranking", locals())

    @hinted
    def ranking_softmax(
        self,
        input: ArrayLike,
        target: ArrayLike,
        *,
        group: ArrayLike | None = None,
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """Softmax cross entropy between the scores of a list and the relevance of its items.

        The relevance need not sum to one: a list counts by its sum. The mean is over the lists that
        have items.

        Args:
            input: numbers, of shape (..., L)
            target: numbers >= 0, of shape (..., L)
            group: Sizes of lists of unequal length, (N); their items come one after the other, in arrays without a
                batch axis.
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("ranking_softmax", locals())

    @hinted
    def rank_ndcg(
        self,
        input: ArrayLike,
        target: ArrayLike,
        *,
        group: ArrayLike | None = None,
        sigma: float = 1.0,
        truncation_level: int = 30,
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """LambdaRank: the logistic loss of every pair in the wrong order, by what swapping the two changes of NDCG.

        An item's gain is two to the power of its grade, less 1, and r is its rank by score, from 1; of
        equal scores the first in the list ranks first. IDCG is the discounted gain of the best order.
        Ranks change in steps, so derivatives take the weights of pairs for constants. A list whose
        grades are all alike, or of one item, has no pair, so its scores are not used: the loss is 0
        also of NaN.

        Args:
            input: numbers, of shape (..., L)
            target: whole numbers in [0, 31], of shape (..., L)
            group: Sizes of lists of unequal length, (N); their items come one after the other, in arrays without a
                batch axis.
            sigma: setting, a number > 0; 1.0 by default
            truncation_level: setting, a whole number >= 1; 30 by default
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("rank_ndcg", locals())

    @hinted
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """Negative log-probability of a sequence of labels, over all its alignments with the frames.

        Give `log_probs`, or `logits` to be normalised here. The gradient with respect to `log_probs`
        takes them as free variables: it is minus the posterior of each symbol, of which float64 may
        lose those below 1e-207. That with respect to `logits` is a symbol's probability less its
        posterior: where these are almost equal, it has only the absolute precision of both. The mean
        divides each sample by its number of labels, then by the number of samples. `zero_infinity`
        makes 0 of samples that have no alignment; without it their derivatives are NaN, for they have
        none. Frames past a sample's `input_lengths` may hold anything, and of `log_probs` only those of
        the blank and of the sample's labels are read; -inf rules a symbol out, +inf is NaN. Of `logits`
        one of +inf in a frame is certain, and two are NaN. `targets` may also be the labels of all
        samples one after the other.

        Args:
            log_probs: numbers, of shape (T, ..., C)
            targets: whole numbers in [0, C) other than blank, of shape (..., S)
            input_lengths: whole numbers in [0, T], of shape (...)
            target_lengths: whole numbers in [0, S], of shape (...)
            logits: numbers, of shape (T, ..., C)
            blank: setting, a whole number; 0 by default
            zero_infinity: setting, true or false; False by default
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("ctc", locals())

    @hinted
    def crf(
        self,
        emissions: ArrayLike,
        tags: ArrayLike,
        transitions: ArrayLike,
        start_transitions: ArrayLike | None = None,
        end_transitions: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """Negative log-probability of a sequence of tags, over all sequences of tags.

        A sequence's score sums an emission for each step, a transition `(from, to)` for each two steps,
        and what it starts and ends with. Steps past a sample's `lengths` may hold anything; a sample
        without a step has a loss of 0. A score of -inf rules out a step, and one of infinity makes the
        loss NaN. With `lengths`, `tags` may also be those of all samples one after the other.

        Args:
            emissions: numbers, of shape (..., T, K)
            tags: whole numbers in [0, K), of shape (..., T)
            transitions: numbers, of shape (K, K)
            start_transitions: numbers, of shape (K)
            end_transitions: numbers, of shape (K)
            lengths: whole numbers in [0, T], of shape (...)
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("crf", locals())

    @hinted
    def cox(
        self,
        log_h: ArrayLike,
        durations: ArrayLike,
        events: ArrayLike,
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """Negative logarithm of Cox's partial likelihood: each event against all that were still at risk.

        The item of an event has the loss, any other 0. Events at the same time are tied as Breslow has
        it: all of them are at risk until then. The mean divides by the number of events. Durations
        matter by their order alone, so their derivatives are 0; one that is no number has no place in
        the order, and every loss is NaN.

        Args:
            log_h: numbers, of shape (N)
            durations: numbers, of shape (N)
            events: true and false, or 1 and 0, of shape (N)
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("cox", locals())

    @hinted
    def td_lambda(
        self,
        v_tm1: ArrayLike,
        r_t: ArrayLike,
        discount_t: ArrayLike,
        v_t: ArrayLike,
        lambda_: ArrayLike,
        *,
        stop_target_gradients: bool = True,
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """Temporal difference error of every step: its lambda-return less its estimated value.

        The error is signed, as its source returns it. With the reduction `none` and the errors as
        `upstream`, the gradient is that of half their squares. A discount of 0 ends an episode: nothing
        behind it matters. The mean divides by the number of steps of all rows together.

        Args:
            v_tm1: numbers, of shape (..., T)
            r_t: numbers, of shape (..., T)
            discount_t: numbers >= 0, of shape (..., T)
            v_t: numbers, of shape (..., T)
            lambda_: numbers in [0, 1], of shape () or (..., T)
            stop_target_gradients: setting, true or false; True by default
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("td_lambda", locals())

    @hinted
    def sinkhorn(
        self,
        input: ArrayLike,
        target: ArrayLike,
        cost: ArrayLike,
        *,
        epsilon: float = 0.1,
        iterations: int = 100,
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
        partial: Partial | Mapping[str, Any] | None = None,
    ) -> R:
        """Cost of transport between two histograms, with the entropy of the plan relative to that of no plan.

        It is the dual objective after a fixed number of iterations, each an update of f and one of g,
        which starts at 0. Once these have converged, it is the least of `<P, C> + epsilon KL(P | a b)`
        over all plans P. Derivatives are those of the number that is returned: through all iterations,
        not those of the limit. The cost is one matrix, or one for each row. A potential is rounded
        beside the costs: where they exceed `epsilon` by a factor of R, what the entropy adds to a slope
        has an error of about 1e-16 R times `epsilon`. So have second derivatives, which are made of
        that alone: where R is 1e16, they have no digits, and so where `epsilon` exceeds the costs by as
        much. A bin without mass may have slopes beyond the range of floats where R is 100 or more:
        second derivatives of such a row are then infinite or NaN.

        Histograms should sum to 1. Others are taken as they are, with a warning, also two of unequal
        sums, between which there is no plan: the value is then the formula's number and no cost of
        transport. `check_target: strict` refuses them.

        Args:
            input: numbers in [0, 1], of shape (..., B)
            target: numbers in [0, 1], of shape (..., B)
            cost: numbers, of shape (B, B) or (..., B, B)
            epsilon: setting, a number > 0; 0.1 by default
            iterations: setting, a whole number >= 1 and <= 10000; 100 by default
            reduction: `none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the
                size of axis 0, `weighted_mean` by the sum of the weights; several names give several results.
            gradient: Gradients to return: those that the loss's source takes if true, or those by the arguments and
                settings named.
            upstream: Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if
                absent.
            hessian: Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments
                named.
            hvp: Direction to multiply the Hessian with, in the shape of the first argument that is differentiated.
            sample_weight: Factor on each unreduced loss; broadcasts against it.
            mask: True for each unreduced loss that takes part; the others reach neither value nor gradient. It
                broadcasts.
            axis: Axes of the unreduced loss to reduce over; all if absent.
            denominator: What averages divide by, in place of the loss's own denominator.
            empty: Result of a mean over zero elements: a 422, NaN or 0.
            broadcast: Whether arrays of unequal shape broadcast as in NumPy, instead of being refused.
            check_finite: Whether NaN and infinity in an array are refused.
            check_target: How far values are checked: `strict` also that probabilities sum to 1, `none` no real values
                of the target.
            dtype: Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the
                arrays.
            convention: `gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's
                entry names.
            size_average: PyTorch's old spelling of `reduction`, with `reduce`.
            reduce: PyTorch's old spelling of `reduction`, with `size_average`.
            partial: The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of
                the whole batch it begins, and how many rows that has. The answer has a `part`, which `/combine` takes
                with those of the other rows.
        """
        return self._evaluate("sinkhorn", locals())
