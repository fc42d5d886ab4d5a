"""Connectionist temporal classification: how probable a sequence of labels is when its timing is unknown."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from lossd.declaration.alias import pytorch
from lossd.declaration.cost import Cost
from lossd.declaration.denominator import Denominator
from lossd.declaration.edge import Edge
from lossd.declaration.example import Example
from lossd.declaration.index_domain import Index, Length
from lossd.declaration.loss import loss
from lossd.declaration.picture import Picture
from lossd.declaration.result import Normalizer, Result, once
from lossd.declaration.role import Role
from lossd.losses.sequence.alignments import LIMITS, align
from lossd.losses.sequence.failing_paths import Trellis, failing, failing_given_symbol
from lossd.losses.sequence.paths import Paths
from lossd.losses.sequence.symbols import by_symbol, last_to_first, places, skips, states
from lossd.message import Array
from lossd.numerics.stable import softmax

Frames = Annotated[Array, Role("(T, ..., C)")]
Labels = Annotated[Array, Role("(..., S)", domain=Index("C", other_than="blank"), lengths="target_lengths")]
InputLengths = Annotated[Array, Role(domain=Length("T"))]
TargetLengths = Annotated[Array, Role(domain=Length("S"))]


def _per_label(target_lengths: Array) -> Normalizer:
    """Divide means by the number of samples, each of which is divided by its number of labels before."""
    return Normalizer(scale=1 / np.maximum(target_lengths, 1))


@loss(
    aliases=pytorch("CTCLoss", "ctc_loss"),
    formula=r"\ell = -\log \sum_{\pi \in B^{-1}(y)} \prod_t p_{t, \pi_t}",
    source=(
        "Graves et al. (2006), Connectionist Temporal Classification; "
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.CTCLoss.html"
    ),
    example=Example(
        logits=[[1.5, 0.5, -1.0], [-0.5, 2.0, 0.25], [1.0, 0.75, 0.5], [0.0, -1.0, 1.5], [1.25, -0.5, 0.5]],
        targets=[1, 2],
        input_lengths=5,
        target_lengths=2,
        value=0.5193006236953893,
    ),
    gradient=("log_probs", "logits"),
    one_of=("log_probs", "logits"),
    normalizer=_per_label,
    cost=Cost(
        workspace="(8, T, S) + (8, T, C)",
        work="(8, T, S) + (8, T, C)",
        steps="(2, T)",
        stepped="(4, T, S)",  # 2S + 1 states in both directions
    ),
    symbols={"targets": "y"},
    picture=Picture("lattice", "logits", at=(0, 1)),
    denominator=Denominator("sample", scaled_by="target_lengths"),
    edges=(
        Edge("degenerate", "more labels than frames", given={"input_lengths": 1}),
        Edge(
            "degenerate", "the same with `zero_infinity`", given={"input_lengths": 1, "zero_infinity": True}
        ),
        Edge("degenerate", "no labels", given={"target_lengths": 0}),
    ),
)
def ctc(
    log_probs: Frames,
    targets: Labels,
    input_lengths: InputLengths,
    target_lengths: TargetLengths,
    logits: Frames | None = None,
    *,
    blank: Annotated[int, Index("C")] = 0,
    zero_infinity: bool = False,
) -> Result:
    """Negative log-probability of a sequence of labels, over all its alignments with the frames.

    Give ``log_probs``, or ``logits`` to be normalised here. The gradient with respect to ``log_probs`` takes them as
    free variables: it is minus the posterior of each symbol, of which float64 may lose those below 1e-207. That with
    respect to ``logits`` is a symbol's probability less its posterior: where these are almost equal, it has only the
    absolute precision of both. The mean divides each sample by its number of labels, then by the number of samples.
    ``zero_infinity`` makes 0 of samples that have no alignment; without it their derivatives are NaN, for they have
    none. Frames past a sample's ``input_lengths`` may hold anything, and of ``log_probs`` only those of the blank and
    of the sample's labels are read; -inf rules a symbol out, +inf is NaN. Of ``logits`` one of +inf in a frame is
    certain, and two are NaN. ``targets`` may also be the labels of all samples one after the other.

    Use: Speech and handwriting: labels in order, without their times.
    Avoid: Labels with known times: cross_entropy by frame. More labels than frames: no alignment exists.

    Settings:
        blank: The class of frames without a label.
        zero_infinity: Whether samples that have no alignment are 0 in place of infinity.
    """
    frames = _weighed(log_probs) if logits is None else _normalised(logits)
    labels, skip = states(targets, target_lengths, blank), skips(targets)
    place = places(labels, frames.weight.shape)
    limits = LIMITS[(log_probs if logits is None else logits).dtype]
    value, appearance = align(
        Paths(
            emitted=np.take(frames.weight.reshape(-1), place).astype(np.float64, copy=False),
            highest=frames.highest.T,
            spread=frames.spread.T,
            skips=skip,
            skips_back=skips(last_to_first(targets, target_lengths)),
            frames=input_lengths,
            last=2 * target_lengths,
        ),
        limits if logits is None else limits._replace(least_value=-np.inf),
    )
    likely = np.flatnonzero(value < limits.least_value) if logits is not None else value[:0]
    if len(likely):
        trellis = Trellis(frames.probability, labels, skip, input_lengths, 2 * target_lengths).of(likely)
        fails = failing(trellis)
        value[likely] = -np.log1p(-fails.whole)
    impossible, finite = np.isposinf(value), np.isfinite(value)
    used = np.arange(frames.weight.shape[1]) < input_lengths[:, None]
    complete = np.count_nonzero(used) == used.size and np.count_nonzero(finite) == finite.size

    def settle(array: Array) -> Array:
        """Set, in ``(N, T, C)``, what belongs to samples without a finite loss and to frames past a sample's last."""
        if complete:
            return array
        array[~finite] = np.nan
        array[~used] = 0
        if zero_infinity:
            array[impossible] = 0
        return array

    @once
    def posterior() -> Array:
        """Return the probability of each symbol at each frame given the labels."""
        return settle(by_symbol(appearance, place, frames.weight.shape))

    @once
    def of_logits() -> Array:
        """Return ``s - posterior``; both sum to one, so the likeliest symbol's is minus the sum of the others'."""
        slope = frames.probability - posterior()
        if len(likely):
            whole = fails.whole[:, None, None]
            given = failing_given_symbol(trellis, fails)
            slope[likely] = trellis.probability * (given - whole) / (1 - whole)
        return settle(_balanced(slope, frames.likeliest))

    def curvature() -> Array:
        """Return minus the variance of each symbol's appearance, plus that under the softmax.

        ``s (1 - s) - p (1 - p) = (s - p) (1 - s - p)``, with the complement taken of the larger of the two.
        """
        appears = posterior()
        absent = _complement(appears)
        if logits is None:
            return -appears * absent
        neither = np.where(
            appears > frames.probability, absent - frames.probability, frames.complement - appears
        )
        return settle(of_logits() * neither)

    return Result(
        np.where(impossible, 0, value) if zero_infinity else value,
        {"log_probs": lambda: -posterior(), "logits": of_logits},
        {"log_probs" if logits is None else "logits": curvature},
    )


class _Frames(NamedTuple):
    """What is known of the symbols at each frame, ``(N, T, C)``, and of each frame, ``(N, T)``.

    Attributes:
        weight: Logarithms of the symbols' weights; their log-probability is that less ``highest`` less ``spread``.
        highest: The largest of them, or 0 where weights are probabilities.
        spread: The rest of the logarithm of the sum of weights.
        likeliest: Index of the likeliest symbol.
        probability: The softmax. Where weights are probabilities, it and the fields around it mean nothing.
        complement: One less the softmax.
    """

    weight: Array
    highest: Array
    spread: Array
    likeliest: Array
    probability: Array
    complement: Array


def _weighed(log_probs: Array) -> _Frames:
    nothing = np.zeros(log_probs.shape[:2])
    return _Frames(log_probs, nothing, nothing, nothing, nothing, nothing)


def _normalised(logits: Array) -> _Frames:
    """Take the softmax of frames in float64, and the logits themselves as weights.

    Their differences have the logits' own digits, also where another symbol's logit is far above. A logit of infinity
    is a symbol that is certain; two of them in a frame are NaN.
    """
    shape = logits.shape
    rows = logits.reshape(-1, shape[-1]).astype(np.float64, copy=False)
    row, likeliest = np.arange(len(rows)), rows.argmax(axis=1)
    highest = rows[row, likeliest]
    # Rounded as the differences of the paths' weights are, so that a posterior of 1 is a softmax of 1.
    normalised = softmax(rows - np.where(np.isfinite(highest), highest, 0)[:, None])
    spread = -normalised.log[row, likeliest]
    infinite = np.isinf(highest)
    if infinite.any():
        rows = np.where(infinite[:, None], normalised.log, rows)
        highest = np.where(infinite, 0, highest)
    return _Frames(
        rows.reshape(shape),
        highest.reshape(shape[:2]),
        spread.reshape(shape[:2]),
        likeliest.reshape(shape[:2]),
        normalised.probability.reshape(shape),
        normalised.complement.reshape(shape),
    )


def _balanced(slope: Array, likeliest: Array) -> Array:
    """Make the likeliest symbol's element of each frame minus the sum of the others'."""
    rows, top = slope.reshape(-1, slope.shape[-1]), likeliest.reshape(-1)
    row = np.arange(len(rows))
    rows[row, top] = 0
    rows[row, top] = -np.add.reduce(rows, axis=1)
    return slope


def _complement(probability: Array) -> Array:
    """Return one less each probability, for the largest of each frame as the sum of the others."""
    others = probability.reshape(-1, probability.shape[-1]).copy()
    row, top = np.arange(len(others)), others.argmax(axis=1)
    complement = 1 - others
    others[row, top] = 0
    complement[row, top] = np.add.reduce(others, axis=1)
    return complement.reshape(probability.shape)
