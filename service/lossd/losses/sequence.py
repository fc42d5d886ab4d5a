"""This file is the sequence losses: how probable a sequence of labels is when its timing is unknown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np

from lossd.errors import invalid
from lossd.losses.domain import Length, Whole
from lossd.losses.spec import Arguments, Example, Lazy, Role, Settings, Terms, loss
from lossd.losses.stable import softmax
from lossd.message import Array

_FRAMES = Role(shape="(T, N, C) or (T, C)", core=("T", "C"), axes=(0, -1))
Frames = Annotated[Array, _FRAMES]
Labels = Annotated[
    Array,
    Role(
        shape="(N, S), (S) or (sum of target_lengths)",
        core=("S",),
        domain=Whole((1, 4)),
        differentiable=False,
    ),
]
InputLengths = Annotated[Array, Role(shape="(N) or ()", domain=Length("T"), differentiable=False)]
TargetLengths = Annotated[Array, Role(shape="(N) or ()", domain=Length("S"), differentiable=False)]

_PADDED_LIMIT = 1 << 27  # symbols: 1 GiB


def _prepare(request: Mapping[str, Any], settings: Settings) -> dict[str, Array]:
    """Check lengths and symbols, and bring concatenated targets to ``(N, S)``, padded with -1."""
    name = "log_probs" if request["log_probs"] is not None else "logits"
    frames, targets, lengths = request[name], request["targets"], request["target_lengths"]
    if frames is None:
        return {}  # the engine says that one of them is missing
    if frames.ndim not in (2, 3):
        raise invalid(name, f"shape {_FRAMES.shape}", f"{frames.ndim} axes")
    classes = frames.shape[-1]
    if not 0 <= settings["blank"] < classes:
        raise invalid("blank", f"a class in [0, {classes})", settings["blank"])
    concatenated = frames.ndim == 3 and targets.ndim == 1
    room = targets.size if concatenated else targets.shape[-1] if targets.ndim else 0
    _check_lengths(lengths, "target_lengths", room)
    longest = int(lengths.max(initial=0)) if concatenated else room
    if lengths.size * longest > _PADDED_LIMIT:
        raise invalid(
            "target_lengths", f"at most {_PADDED_LIMIT} symbols once padded", lengths.size * longest
        )
    if targets.dtype.kind not in "iu" and targets.size:
        raise invalid("targets", "whole numbers", f"{targets.dtype} numbers")
    if concatenated and lengths.sum() != targets.size:
        raise invalid("targets", f"{int(lengths.sum())} symbols, the sum of target_lengths", targets.size)
    if not concatenated and request["broadcast"] and lengths.shape != targets.shape[:-1]:
        raise invalid(
            "target_lengths", f"shape {targets.shape[:-1]}, for lengths do not broadcast", lengths.shape
        )
    padded = np.full((lengths.size, longest), -1, np.int64)
    used = np.arange(longest) < lengths.reshape(-1, 1)
    if concatenated:
        padded[used] = targets
    elif targets.shape == (*lengths.shape, longest):
        padded[used] = targets.reshape(padded.shape)[used]
    else:
        return {}
    _check_symbols(targets, padded, used, classes, settings["blank"], concatenated)
    return {"targets": padded.reshape(*lengths.shape, longest)}


def _check_lengths(lengths: Array, name: str, most: int) -> None:
    if lengths.dtype.kind not in "iu" and lengths.size:
        raise invalid(name, "whole numbers", f"{lengths.dtype} numbers")
    wrong = np.argwhere((lengths < 0) | (lengths > most))
    if len(wrong):
        place = tuple(int(i) for i in wrong[0])
        raise invalid(name + "".join(f"[{i}]" for i in place), f"a length in [0, {most}]", lengths[place])


def _check_symbols(
    targets: Array, padded: Array, used: Array, classes: int, blank: int, concatenated: bool
) -> None:
    wrong = np.argwhere(used & ((padded < 0) | (padded >= classes) | (padded == blank)))
    if not len(wrong):
        return
    sample, position = (int(i) for i in wrong[0])
    value = padded[sample, position]
    if concatenated:
        where = f"targets[{int(used[:sample].sum()) + position}]"
    else:
        where = f"targets[{sample}][{position}]" if targets.ndim == 2 else f"targets[{position}]"
    raise invalid(where, f"a class in [0, {classes}) other than blank, {blank}", value)


def _shares(arguments: Arguments, settings: Settings) -> Array:
    """Return the mean's factor on each sample: one over its number of labels."""
    lengths: Any = arguments["target_lengths"]
    shares: Array = 1 / np.maximum(lengths, 1)
    return shares


@loss(
    aliases=("CTCLoss", "ctc_loss", "CTC"),
    formula=r"\ell = -\log \sum_{\pi \in B^{-1}(y)} \prod_t p_{t, \pi_t}",
    source=(
        "Graves et al. (2006), Connectionist Temporal Classification; "
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.CTCLoss.html"
    ),
    example=Example(
        logits=[[0.0, 0.0], [0.0, 0.0]],
        targets=[1],
        input_lengths=2,
        target_lengths=1,
        value=0.2876820724517809,  # three of the four equally likely paths: -log(3/4)
    ),
    gradient=("log_probs", "logits"),
    one_of=("log_probs", "logits"),
    mean_scale=_shares,
    prepare=_prepare,
    work=lambda sizes, rows: rows * sizes["T"] * (2 * sizes["S"] + 1 + sizes["C"]),
)
def ctc(
    log_probs: Frames,
    targets: Labels,
    input_lengths: InputLengths,
    target_lengths: TargetLengths,
    logits: Frames | None = None,
    *,
    blank: int = 0,
    zero_infinity: bool = False,
) -> Terms:
    """Negative log-probability of a sequence of labels, over all its alignments with the frames.

    Give ``log_probs``, or ``logits`` to be normalised here. The gradient with respect to ``log_probs`` takes them as
    free variables: it is minus the posterior of each symbol. The mean divides each sample by its number of
    labels, then by the number of samples. ``zero_infinity`` makes 0 of samples that have no alignment.
    """
    normalised = (
        softmax(logits.reshape(-1, logits.shape[-1])) if log_probs is None and logits is not None else None
    )
    frames = log_probs if normalised is None else normalised.log.reshape(logits.shape)
    states, skips = _states(targets, target_lengths, blank)
    emitted = np.take_along_axis(frames, states[:, None, :], axis=2)  # (N, T, 2S + 1)
    last = 2 * target_lengths
    forward = _forward(emitted, skips, input_lengths, np.zeros_like(last))
    value = -_total(forward, input_lengths, last)
    impossible = np.isposinf(value)
    if zero_infinity:
        value = np.where(impossible, 0, value)

    def heard(array: Array) -> Array:
        """Clear, in ``(N, T, C)``, what lies past a sample's frames, and samples that are let off."""
        array[np.arange(array.shape[1]) >= input_lengths[:, None]] = 0
        if zero_infinity:
            array[impossible] = 0
        return array

    def posterior() -> Array:
        """Return the probability of each symbol at each frame given the labels, ``(N, T, C)``."""
        backward = _backward(emitted, skips, input_lengths, last)
        path = np.exp(forward + backward + value[:, None, None])
        return _by_symbol(heard(path), states, frames)

    def curvature() -> Array:
        """Return minus the variance of each symbol's appearance, plus that under the softmax."""
        given = posterior()
        bend: Array = given * (given - 1)
        if normalised is None:
            return bend
        free = (normalised.probability * normalised.complement).reshape(frames.shape)
        return heard(free) + bend

    gradient: dict[str, Lazy] = {"log_probs": lambda: -posterior()}
    if normalised is not None:
        free = normalised.probability.reshape(frames.shape)
        gradient = {"logits": lambda: heard(free.copy()) - posterior()}
    return Terms(value, gradient, curvature)


def _states(targets: Array, lengths: Array, blank: int) -> tuple[Array, Array]:
    """Return the symbols of the states, blanks between labels, and which may be entered past a blank.

    Both are ``(N, 2S + 1)``; states past a sample's last are blanks that nothing leads back from.
    """
    count, longest = targets.shape
    states = np.full((count, 2 * longest + 1), blank, np.intp)
    states[:, 1::2] = np.where(np.arange(longest) < lengths[:, None], targets, blank)
    skips = np.zeros(states.shape, bool)
    skips[:, 3::2] = targets[:, 1:] != targets[:, :-1]
    return states, skips


def _forward(emitted: Array, skips: Array, steps: Array, first: Array) -> Array:
    """Return ``log`` of the summed probability of all ways to be in each state after each frame, ``(N, T, 2S + 1)``."""
    alpha = np.full_like(emitted, -np.inf)
    if not emitted.shape[1]:
        return alpha
    alpha[:, 0, :2] = emitted[:, 0, :2]
    for step in range(1, emitted.shape[1]):
        before = alpha[:, step - 1]
        alpha[:, step] = emitted[:, step] + _merge(before, _shift(before, 1), _shift(before, 2, skips))
    return alpha


def _backward(emitted: Array, skips: Array, steps: Array, last: Array) -> Array:
    """Return ``log`` of the summed probability of all ways to go on from each state to the end, that frame excluded."""
    count, frames, width = emitted.shape
    beta = np.full_like(emitted, -np.inf)
    final = np.full((count, width), -np.inf, emitted.dtype)
    samples = np.arange(count)
    final[samples, last] = 0
    final[samples, np.maximum(last - 1, 0)] = 0
    into = np.zeros_like(skips)
    into[:, :-2] = skips[:, 2:]
    for step in range(frames - 1, -1, -1):
        if step + 1 < frames:
            after = beta[:, step + 1] + emitted[:, step + 1]
            beta[:, step] = _merge(after, _unshift(after, 1), _unshift(after, 2, into))
        beta[:, step] = np.where((steps == step + 1)[:, None], final, beta[:, step])
    return beta


def _merge(stay: Array, step: Array, skip: Array) -> Array:
    """Add three probabilities given by their logarithms, around the largest."""
    top = np.maximum(np.maximum(stay, step), skip)
    safe = np.where(np.isneginf(top), 0, top)
    whole = np.exp(stay - safe) + np.exp(step - safe) + np.exp(skip - safe)
    merged: Array = top + np.log1p(np.maximum(whole - 1, 0))
    return merged


def _shift(values: Array, by: int, allowed: Array | None = None) -> Array:
    """Move values to later states; what enters, or is not allowed, is impossible."""
    moved = np.full_like(values, -np.inf)
    moved[:, by:] = values[:, :-by]
    return moved if allowed is None else np.where(allowed, moved, -np.inf)


def _unshift(values: Array, by: int, allowed: Array | None = None) -> Array:
    """Move values to earlier states."""
    moved = np.full_like(values, -np.inf)
    moved[:, :-by] = values[:, by:]
    return moved if allowed is None else np.where(allowed, moved, -np.inf)


def _total(forward: Array, steps: Array, last: Array) -> Array:
    """Return the log-probability of all paths that end in the last label or in the blank behind it."""
    samples = np.arange(len(steps))
    if not forward.shape[1]:
        return np.where(last == 0, 0.0, -np.inf).astype(forward.dtype)
    final = forward[samples, np.maximum(steps - 1, 0)]
    blank, label = final[samples, last], final[samples, np.maximum(last - 1, 0)]
    label = np.where(last > 0, label, -np.inf)
    found = np.logaddexp(blank, label)
    # Without a frame only the empty sequence is possible, and it is certain.
    return np.where(steps > 0, found, np.where(last == 0, 0.0, -np.inf)).astype(forward.dtype)


def _by_symbol(path: Array, states: Array, like: Array) -> Array:
    """Sum the probabilities of the states that stand for the same symbol."""
    count, frames, classes = like.shape
    place = (np.arange(count * frames).reshape(count, frames, 1) * classes + states[:, None, :]).reshape(-1)
    summed = np.bincount(place, path.reshape(-1), minlength=count * frames * classes)
    return summed.reshape(like.shape).astype(like.dtype)
