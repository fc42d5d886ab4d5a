"""This file is the sequence losses: how probable a sequence of labels is when its timing is unknown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import numpy as np

from lossd.errors import invalid
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
    least_rows=16,
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
    states, skips = _states(targets, target_lengths, blank)
    place = _places(states, frames)
    emitted = np.maximum(frames.reshape(-1).take(place), _IMPOSSIBLE, dtype=np.float64)  # (T, N, 2S + 1)
    forward = _reach(emitted, skips)
    value = -_total(forward, input_lengths, 2 * target_lengths)
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
        mirror = _mirror(emitted, input_lengths, target_lengths)
        reversed_skips = _states(_reversed(targets, target_lengths), target_lengths, blank)[1]
        backward = mirror(_reach(mirror(emitted), reversed_skips))
        # Both count the frame itself.
        path = forward + backward - emitted + np.where(impossible, np.nan, value)[:, None]
        by_symbol = np.bincount(place.reshape(-1), np.exp(path).reshape(-1), minlength=frames.size)
        return heard(by_symbol.reshape(frames.shape))

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

    return Terms(value, {"log_probs": lambda: -posterior(), "logits": of_logits}, curvature)


# The logarithm of zero, but a number: it can be subtracted from itself, and a million of them can be added up.
_IMPOSSIBLE = -1e30


def _states(targets: Array, lengths: Array, blank: int) -> tuple[Array, Array]:
    """Return the symbols of the states, blanks between labels, and whether they may be entered past a blank.

    Both are ``(N, 2S + 1)``, the second as the logarithm of 1 or 0, to be added. States past a sample's last are blanks
    that nothing leads back from.
    """
    count, longest = targets.shape
    states = np.full((count, 2 * longest + 1), blank, np.intp)
    states[:, 1::2] = np.where(np.arange(longest) < lengths[:, None], targets, blank)
    skips = np.full(states.shape, _IMPOSSIBLE)
    skips[:, 3::2][targets[:, 1:] != targets[:, :-1]] = 0
    return states, skips


def _places(states: Array, frames: Array) -> Array:
    """Return where in the frames ``(N, T, C)`` each state's symbol stands at each step, ``(T, N, 2S + 1)``."""
    count, steps, classes = frames.shape
    first = np.arange(count * steps).reshape(count, steps, 1) * classes
    return np.ascontiguousarray(first.swapaxes(0, 1)) + states


def _reach(emitted: Array, skips: Array) -> Array:
    """Return the log-probability, over all ways, of being in each state after each frame, that frame included.

    Three ways lead to a state: from itself, from the one before, and past a blank from the one before that.
    They are views of one buffer whose first two columns are impossible. What the two lesser ways add to the
    greatest is kept apart, so that the digits of a certain alignment, whose logarithm is near zero, are not lost.
    """
    steps, count, width = emitted.shape
    reach = np.full((steps, count, width + 2), _IMPOSSIBLE)
    reach[:1, :, 2:4] = emitted[:1, :, :2]
    lesser, greater, skip = np.empty((2, count, width)), np.empty((count, width)), np.empty((count, width))
    middle, least = lesser
    for step in range(1, steps):
        before, after = reach[step - 1], reach[step, :, 2:]
        stay, enter = before[:, 2:], before[:, 1:-1]
        np.add(before[:, :-2], skips, out=skip)
        np.maximum(stay, enter, out=greater)
        np.minimum(stay, enter, out=least)
        np.minimum(greater, skip, out=middle)
        np.maximum(greater, skip, out=greater)
        np.exp(np.subtract(lesser, greater, out=lesser), out=lesser)
        np.log1p(np.add(middle, least, out=middle), out=middle)
        np.add(np.add(greater, middle, out=greater), emitted[step], out=after)
    return reach[:, :, 2:]


def _reversed(targets: Array, lengths: Array) -> Array:
    """Return each sample's labels last to first, still at the front of its row."""
    place = lengths[:, None] - 1 - np.arange(targets.shape[1])
    return np.take_along_axis(targets, np.maximum(place, 0), axis=1)


def _mirror(like: Array, steps: Array, lengths: Array) -> Callable[[Array], Array]:
    """Return what turns ``(T, N, 2S + 1)`` around in time and states: to go on to the end is to come from it.

    What lies past a sample's last frame or state becomes impossible. Turned twice, all else is as it was.
    """
    frames, count, width = like.shape
    frame = steps - 1 - np.arange(frames)[:, None]  # (T, N)
    state = 2 * lengths[:, None] - np.arange(width)  # (N, 2S + 1)
    source = (np.maximum(frame, 0) * count + np.arange(count))[:, :, None] * width + np.maximum(state, 0)
    outside = (frame < 0)[:, :, None] | (state < 0)

    def turn(values: Array) -> Array:
        turned: Array = values.reshape(-1).take(source)
        turned[outside] = _IMPOSSIBLE
        return turned

    return turn


def _total(reach: Array, steps: Array, last: Array) -> Array:
    """Return the log-probability of all paths that end in the last label or in the blank behind it."""
    # Without a frame only the empty sequence is possible, and it is certain.
    nothing = np.where(last == 0, 0.0, -np.inf)
    if not len(reach):
        return nothing
    final = reach[np.maximum(steps - 1, 0), np.arange(len(steps))]
    blank = np.take_along_axis(final, last[:, None], axis=1)[:, 0]
    label = np.take_along_axis(final, np.maximum(last - 1, 0)[:, None], axis=1)[:, 0]
    found = np.logaddexp(blank, np.where(last > 0, label, _IMPOSSIBLE))
    found[found < _IMPOSSIBLE / 2] = -np.inf
    total: Array = np.where(steps > 0, found, nothing)
    return total
