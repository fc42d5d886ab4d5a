"""This file is a method for every loss, so that editors complete them; ``make client`` writes it, nobody else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, Literal, TypedDict, TypeVar, Unpack

from numpy.typing import ArrayLike

R = TypeVar("R")

Reduction = Literal["none", "sum", "mean", "batchmean", "weighted_mean"]
ARRAYS: Mapping[str, tuple[str, ...]] = {
    "mse": ("input", "target", "weight"),
    "l1": ("input", "target", "weight"),
    "huber": ("input", "target", "weight"),
    "smooth_l1": ("input", "target"),
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
    "multi:softprob",
    "multi:softmax",
    "binary:logistic",
    "binary",
)
"""Those that mean the derivatives of a boosting library's objective."""

GENERAL_ARRAYS = ("sample_weight", "mask", "upstream", "hvp")


class Options(TypedDict, total=False):
    """The general options."""

    reduction: Reduction | list[Reduction]
    """How the losses become a result; several names give several results."""
    gradient: bool | list[str]
    """Whether to return gradients, or the names of the arguments and settings to differentiate."""
    upstream: ArrayLike | None
    """Gradient of what follows with respect to each unreduced loss, for the reduction ``none``; ones if absent."""
    hessian: bool
    """Whether to return the diagonal of the Hessian."""
    hvp: ArrayLike | None
    """Direction to multiply the Hessian with, in the shape of the argument that is differentiated."""
    sample_weight: ArrayLike | None
    """Factor on each unreduced loss; broadcasts against it."""
    mask: ArrayLike | None
    """Which unreduced losses take part; what it leaves out reaches neither value nor gradient."""
    axis: int | list[int] | None
    """Axes of the unreduced loss to reduce over; all if absent."""
    denominator: float | None
    """What averages divide by, in place of the loss's own denominator."""
    empty: Literal["error", "nan", "zero"]
    """What a mean over nothing is."""
    broadcast: bool
    """Whether arrays of unequal shape broadcast as in NumPy, instead of being refused."""
    check_finite: bool
    """Whether NaN and infinity in an array are refused."""
    check_target: Literal["domain", "strict", "none"]
    """How far the values of the target are checked: also that probabilities sum to 1, or not at all."""
    dtype: Literal["float16", "bfloat16", "float32", "float64", "complex64", "complex128"] | None
    """Type to compute in and to answer in; that of the arrays if absent."""
    convention: Literal["gbm"] | None
    """``gbm``: gradient and Hessian diagonal of the sum, as gradient boosting libraries expect them."""
    size_average: bool | None
    """PyTorch's old spelling of ``reduction``."""
    reduce: bool | None
    """PyTorch's old spelling of ``reduction``."""


class OptionsWithoutAxis(TypedDict, total=False):
    """The general options but for axis."""

    reduction: Reduction | list[Reduction]
    """How the losses become a result; several names give several results."""
    gradient: bool | list[str]
    """Whether to return gradients, or the names of the arguments and settings to differentiate."""
    upstream: ArrayLike | None
    """Gradient of what follows with respect to each unreduced loss, for the reduction ``none``; ones if absent."""
    hessian: bool
    """Whether to return the diagonal of the Hessian."""
    hvp: ArrayLike | None
    """Direction to multiply the Hessian with, in the shape of the argument that is differentiated."""
    sample_weight: ArrayLike | None
    """Factor on each unreduced loss; broadcasts against it."""
    mask: ArrayLike | None
    """Which unreduced losses take part; what it leaves out reaches neither value nor gradient."""
    denominator: float | None
    """What averages divide by, in place of the loss's own denominator."""
    empty: Literal["error", "nan", "zero"]
    """What a mean over nothing is."""
    broadcast: bool
    """Whether arrays of unequal shape broadcast as in NumPy, instead of being refused."""
    check_finite: bool
    """Whether NaN and infinity in an array are refused."""
    check_target: Literal["domain", "strict", "none"]
    """How far the values of the target are checked: also that probabilities sum to 1, or not at all."""
    dtype: Literal["float16", "bfloat16", "float32", "float64", "complex64", "complex128"] | None
    """Type to compute in and to answer in; that of the arrays if absent."""
    convention: Literal["gbm"] | None
    """``gbm``: gradient and Hessian diagonal of the sum, as gradient boosting libraries expect them."""
    size_average: bool | None
    """PyTorch's old spelling of ``reduction``."""
    reduce: bool | None
    """PyTorch's old spelling of ``reduction``."""


class Losses(Generic[R]):
    """A method for every loss; ``R`` is what evaluating one returns."""

    def evaluate(self, loss: str, /, **values: Any) -> R:
        """Evaluate any loss by its name or an alias."""
        raise NotImplementedError

    def mse(
        self,
        input: ArrayLike,
        target: ArrayLike,
        weight: ArrayLike | None = None,
        **options: Unpack[Options],
    ) -> R:
        """Squared error: one large mistake costs more than many small ones.

        The mean divides by the sum of ``weight`` where there is one. For gradient boosting gradient and
        Hessian are those of half the square, as in the libraries' own squared error.

        - ``input``: numbers, of shape (...)
        - ``target``: numbers, of shape (...)
        - ``weight``: numbers, of shape (...)
        """
        return self.evaluate(
            "mse",
            input=input,
            target=target,
            weight=weight,
            **options,
        )

    def l1(
        self,
        input: ArrayLike,
        target: ArrayLike,
        weight: ArrayLike | None = None,
        **options: Unpack[Options],
    ) -> R:
        """Absolute error: the median's loss, which outliers pull with constant force.

        The subgradient at zero is 0. The mean divides by the sum of ``weight`` where there is one.

        - ``input``: numbers, of shape (...)
        - ``target``: numbers, of shape (...)
        - ``weight``: numbers, of shape (...)
        """
        return self.evaluate(
            "l1",
            input=input,
            target=target,
            weight=weight,
            **options,
        )

    def huber(
        self,
        input: ArrayLike,
        target: ArrayLike,
        weight: ArrayLike | None = None,
        *,
        delta: float = 1.0,
        **options: Unpack[Options],
    ) -> R:
        """Squared near zero, linear beyond ``delta``: a squared error that outliers cannot dominate.

        - ``input``: numbers, of shape (...)
        - ``target``: numbers, of shape (...)
        - ``weight``: numbers, of shape (...)
        """
        return self.evaluate(
            "huber",
            input=input,
            target=target,
            weight=weight,
            delta=delta,
            **options,
        )

    def smooth_l1(
        self,
        input: ArrayLike,
        target: ArrayLike,
        *,
        beta: float = 1.0,
        **options: Unpack[Options],
    ) -> R:
        """Absolute error with a squared foot of half-width ``beta``; l1 where ``beta`` is 0.

        - ``input``: numbers, of shape (...)
        - ``target``: numbers, of shape (...)
        """
        return self.evaluate(
            "smooth_l1",
            input=input,
            target=target,
            beta=beta,
            **options,
        )

    def cross_entropy(
        self,
        input: ArrayLike,
        target: ArrayLike,
        weight: ArrayLike | None = None,
        *,
        ignore_index: int = -100,
        label_smoothing: float = 0.0,
        **options: Unpack[Options],
    ) -> R:
        """Negative log-probability of the true class under a softmax of the logits.

        The target is a class index per sample, or a probability per class. With indices the mean
        divides by the sum of the samples' class weights, with probabilities by the number of samples.
        Samples whose index is ``ignore_index`` take no part. For gradient boosting the Hessian is twice
        the diagonal.

        - ``input``: numbers, of shape (C), (N, C) or (N, C, d1, ..., dK)
        - ``target``: whole numbers in [0, C), or numbers in [0, 1], of shape (), (N) or (N, d1, ...,
          dK) or (C), (N, C) or (N, C, d1, ..., dK)
        - ``weight``: numbers, of shape (C)
        """
        return self.evaluate(
            "cross_entropy",
            input=input,
            target=target,
            weight=weight,
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
            **options,
        )

    def nll(
        self,
        input: ArrayLike,
        target: ArrayLike,
        weight: ArrayLike | None = None,
        *,
        ignore_index: int = -100,
        **options: Unpack[Options],
    ) -> R:
        """Negative log-likelihood: minus the log-probability that the input gives to the true class.

        The mean divides by the sum of the samples' class weights. Samples whose target is
        ``ignore_index`` take no part.

        - ``input``: numbers, of shape (C), (N, C) or (N, C, d1, ..., dK)
        - ``target``: whole numbers in [0, C), of shape (), (N) or (N, d1, ..., dK)
        - ``weight``: numbers, of shape (C)
        """
        return self.evaluate(
            "nll",
            input=input,
            target=target,
            weight=weight,
            ignore_index=ignore_index,
            **options,
        )

    def bce(
        self,
        input: ArrayLike,
        target: ArrayLike,
        weight: ArrayLike | None = None,
        **options: Unpack[Options],
    ) -> R:
        """Binary cross entropy of a probability.

        As its source defines them, logarithms are at least -100 and the gradient's denominator ``x (1 -
        x)`` is at least 1e-12, so the loss stays finite at 0 and 1. Logits have no such limits: see
        ``bce_with_logits``.

        - ``input``: numbers in [0, 1], of shape (...)
        - ``target``: numbers in [0, 1], of shape (...)
        - ``weight``: numbers, of shape broadcast to (...)
        """
        return self.evaluate(
            "bce",
            input=input,
            target=target,
            weight=weight,
            **options,
        )

    def bce_with_logits(
        self,
        input: ArrayLike,
        target: ArrayLike,
        weight: ArrayLike | None = None,
        pos_weight: ArrayLike | None = None,
        **options: Unpack[Options],
    ) -> R:
        """Binary cross entropy of a logit, exact for easy samples too.

        ``pos_weight`` multiplies the part of the positive class. Both parts are non-negative, so
        nothing cancels.

        - ``input``: numbers, of shape (...)
        - ``target``: numbers in [0, 1], of shape (...)
        - ``weight``: numbers, of shape broadcast to (...)
        - ``pos_weight``: numbers, of shape broadcast to (...)
        """
        return self.evaluate(
            "bce_with_logits",
            input=input,
            target=target,
            weight=weight,
            pos_weight=pos_weight,
            **options,
        )

    def multi_quantile(
        self,
        input: ArrayLike,
        target: ArrayLike,
        *,
        quantiles: ArrayLike,
        **options: Unpack[Options],
    ) -> R:
        """Pinball loss of several quantiles of one target at once, summed over the quantiles.

        Where a prediction equals its target the slope is that of a prediction too low.

        - ``input``: numbers, of shape (..., Q)
        - ``target``: numbers, of shape (...)
        - ``quantiles``: numbers in (0, 1), of shape (Q)
        """
        return self.evaluate(
            "multi_quantile",
            input=input,
            target=target,
            quantiles=quantiles,
            **options,
        )

    def dice(
        self,
        input: ArrayLike,
        target: ArrayLike,
        *,
        axis: int | list[int] | None = None,
        smooth: float = 1e-07,
        **options: Unpack[OptionsWithoutAxis],
    ) -> R:
        """One minus the Dice coefficient of the pixels along ``axis``, all of them if it is absent.

        ``axis`` takes the place of the general option of that name: the axes that it leaves are the
        unreduced loss.

        - ``input``: numbers in [0, 1], of shape (...)
        - ``target``: numbers in [0, 1], of shape (...)
        """
        return self.evaluate(
            "dice",
            input=input,
            target=target,
            axis=axis,
            smooth=smooth,
            **options,
        )

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
        **options: Unpack[Options],
    ) -> R:
        """The positive should be nearer to the anchor than the negative is, by ``margin``.

        With ``swap`` the negative's distance is the lesser of those to the anchor and to the positive.
        At the margin the full gradient passes.

        - ``anchor``: numbers, of shape (..., D)
        - ``positive``: numbers, of shape (..., D)
        - ``negative``: numbers, of shape (..., D)
        """
        return self.evaluate(
            "triplet_margin",
            anchor=anchor,
            positive=positive,
            negative=negative,
            margin=margin,
            p=p,
            eps=eps,
            swap=swap,
            **options,
        )

    def nt_xent(
        self,
        embeddings: ArrayLike,
        labels: ArrayLike,
        *,
        temperature: float = 0.07,
        **options: Unpack[Options],
    ) -> R:
        """Each item should be more like those of its own label P than like those of other labels N.

        An item's loss is the sum over its positives, each against all its negatives; the mean divides
        by the number of pairs. Likeness is the cosine, over ``temperature``.

        - ``embeddings``: numbers, of shape (N, D)
        - ``labels``: whole numbers, of shape (N)
        """
        return self.evaluate(
            "nt_xent",
            embeddings=embeddings,
            labels=labels,
            temperature=temperature,
            **options,
        )

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
        **options: Unpack[Options],
    ) -> R:
        """Negative log-probability of a sequence of labels, over all its alignments with the frames.

        Give ``log_probs``, or ``logits`` to be normalised here. The gradient with respect to
        ``log_probs`` takes them as free variables: it is minus the posterior of each symbol. The mean
        divides each sample by its number of labels, then by the number of samples. ``zero_infinity``
        makes 0 of samples that have no alignment.

        - ``log_probs``: numbers, of shape (T, N, C) or (T, C)
        - ``targets``: whole numbers, of shape (N, S), (S) or (sum of target_lengths)
        - ``input_lengths``: whole numbers in [0, T], of shape (N) or ()
        - ``target_lengths``: whole numbers in [0, S], of shape (N) or ()
        - ``logits``: numbers, of shape (T, N, C) or (T, C)
        """
        return self.evaluate(
            "ctc",
            log_probs=log_probs,
            targets=targets,
            input_lengths=input_lengths,
            target_lengths=target_lengths,
            logits=logits,
            blank=blank,
            zero_infinity=zero_infinity,
            **options,
        )
