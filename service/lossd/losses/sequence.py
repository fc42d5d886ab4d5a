"""This file is the sequence losses: how probable a sequence of labels is when its timing is unknown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np

from lossd.errors import invalid
from lossd.losses.alias import pytorch
from lossd.losses.alignments import IMPOSSIBLE, Paths, align
from lossd.losses.domain import Length, Whole
from lossd.losses.spec import Arguments, Example, Role, Settings, Terms, loss
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
_AT_A_TIME = 1 << 16  # symbols: 512 KiB
_STEP = 1024  # states that take longer to add up than a call into NumPy
_ROOM = 1 << 22  # symbols or states of a block: 32 MiB


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
    wrong = (lengths < 0) | (lengths > most)
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise invalid(name + "".join(f"[{i}]" for i in place), f"a length in [0, {most}]", lengths[place])


def _check_symbols(
    targets: Array, padded: Array, used: Array, classes: int, blank: int, concatenated: bool
) -> None:
    wrong = used & ((padded < 0) | (padded >= classes) | (padded == blank))
    if not wrong.any():
        return
    sample, position = (int(i) for i in np.argwhere(wrong)[0])
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


def _worth_a_step(sizes: Mapping[str, int]) -> int:
    """Return how many samples are worth a step from frame to frame, if there is room for them."""
    states = 2 * sizes["S"] + 1
    room = _ROOM // max(1, sizes["T"] * max(states, sizes["C"]))
    return min(_STEP // states + 1, max(1, room))


@loss(
    aliases=pytorch("CTCLoss", "ctc_loss"),
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
    least_rows=_worth_a_step,
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
    given = log_probs if logits is None else logits
    normalised = None if logits is None else softmax(logits.reshape(-1, logits.shape[-1]))
    frames = given if normalised is None else normalised.log.reshape(given.shape)
    states = _states(targets, target_lengths, blank)
    place = _places(states, frames)
    value, appearance = align(
        Paths(
            emitted=np.maximum(frames.reshape(-1)[place], IMPOSSIBLE, dtype=np.float64),
            skips=_skips(targets),
            skips_back=_skips(_last_to_first(targets, target_lengths)),
            frames=input_lengths,
            last=2 * target_lengths,
        )
    )
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
        return heard(_by_symbol(appearance, place, frames))

    def curvature() -> Array:
        """Return minus the variance of each symbol's appearance, plus that under the softmax."""
        appears = posterior()
        bend: Array = appears * (appears - 1)
        if normalised is None:
            return bend
        free = (normalised.probability * normalised.complement).reshape(frames.shape)
        return heard(free) + bend

    def of_logits() -> Array:
        """Return ``s - posterior``; both sum to one, so the likeliest symbol's is minus the sum of the others'."""
        assert normalised is not None
        slope = heard(normalised.probability.reshape(frames.shape).copy()) - posterior()
        likeliest = normalised.probability.argmax(axis=1).reshape(*frames.shape[:2], 1)
        np.put_along_axis(slope, likeliest, 0, axis=2)
        np.put_along_axis(slope, likeliest, -slope.sum(axis=2, keepdims=True), axis=2)
        return slope

    return Terms(
        value,
        {"log_probs": lambda: np.negative(found := posterior(), out=found), "logits": of_logits},
        curvature,
    )


def _states(targets: Array, lengths: Array, blank: int) -> Array:
    """Return the symbols of the states, blanks between labels, ``(2S + 1, N)``.

    States past a sample's last are blanks that nothing leads back from.
    """
    count, longest = targets.shape
    states = np.full((2 * longest + 1, count), blank, np.intp)
    states[1::2] = np.where(np.arange(longest)[:, None] < lengths, targets.T, blank)
    return states


def _skips(targets: Array) -> Array:
    """Return where a label may be entered past a blank, as 1 and 0: where the label before differs."""
    count, longest = targets.shape
    skips = np.zeros((2 * longest + 1, count))
    skips[3::2] = (targets[:, 1:] != targets[:, :-1]).T
    return skips


def _last_to_first(targets: Array, lengths: Array) -> Array:
    """Return each sample's labels last to first, still at the front of its row."""
    count, longest = targets.shape
    place = np.maximum(lengths[:, None] - 1 - np.arange(longest), 0)
    turned: Array = targets[np.arange(count)[:, None], place]
    return turned


def _places(states: Array, frames: Array) -> Array:
    """Return where in the frames ``(N, T, C)`` each state's symbol stands at each step, ``(T, 2S + 1, N)``."""
    count, steps, classes = frames.shape
    frame = np.arange(0, steps * classes, classes)[:, None, None]
    sample = np.arange(count) * (steps * classes)
    places: Array = frame + (states + sample)
    return places


def _by_symbol(appearance: Array, place: Array, frames: Array) -> Array:
    """Sum ``(T, K, N)`` by symbol to ``(N, T, C)``, as many samples at a time as fit in cache."""
    count, steps, classes = frames.shape
    symbols: Array = np.empty_like(frames)
    few = max(1, _AT_A_TIME // max(steps * classes, 1))
    for first in range(0, count, few):
        part = slice(first, first + few)
        where = place[:, :, part] - first * steps * classes
        size = symbols[part].size
        summed = np.bincount(where.reshape(-1), appearance[:, :, part].reshape(-1), minlength=size)
        symbols[part] = summed.reshape(symbols[part].shape)
    return symbols
