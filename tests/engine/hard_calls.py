"""Calls that are hard to differentiate numerically: of any scale, near kinks, and near the borders of domains."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import pairwise

import numpy as np

from lossd.declaration.domain import Interval
from lossd.declaration.loss import Loss
from lossd.declaration.samples import CallForm, forms, sample_call
from lossd.engine import evaluate
from lossd.errors import InvalidCall
from lossd.message import Array, Call

_BATCH = (3,)
_TRIES = 20  # until a call is within the constraints of its loss
_PLACES, _POINTS, _HALVINGS = 4, 9, 52  # of a search for kinks
_JUMP = 1e-3  # of a slope at a kink, relative to the largest slope
# By declaration the gradient of a variance below `eps` is that at `eps`, and not the derivative.
_NOT_MOVED = {"gaussian_nll": {"var"}}

Places = Callable[[np.random.Generator, str, Interval, Mapping[str, Array]], Array]


def scaled(loss: Loss, factor: float) -> Call:
    """Draw a call, and multiply whatever may have any scale."""
    call = sample_call(loss, np.random.default_rng(3), batch=_BATCH)
    factors = {
        name: factor for name, interval in _intervals(loss, forms(loss)[0]).items() if interval.high == np.inf
    }
    arrays = {name: array * factors.get(name, 1) for name, array in call.arrays.items()}
    return Call(arrays, call.options)


def near_kinks(loss: Loss, distance: float) -> Iterator[Call]:
    """Yield calls in every form of a loss, one number of which is this far from a kink, above it or below it."""
    for call, name, place, kink in _kinks(loss):
        for way in (1, -1):
            moved = _with(call, name, place, kink + way * distance)
            if _is_allowed(loss, moved):
                yield moved


def near_ties(loss: Loss, distance: float) -> Iterator[Call]:
    """Draw calls of which half of the numbers are this far from where comparisons may change.

    These are 1 and -1, other numbers of the same array, and 0 and the numbers in the same place of other arrays, also
    with a setting added or subtracted.
    """
    settings = [d for _, d in loss.settings.values() if isinstance(d, float) and np.isfinite(d)]

    def kinks(rng: np.random.Generator, name: str, interval: Interval, arrays: Mapping[str, Array]) -> Array:
        shape = arrays[name].shape
        signs = rng.choice([-1.0, 1.0], shape)
        origins = [np.zeros(shape), *(a for n, a in arrays.items() if n != name and a.shape == shape)]
        found = [signs, rng.permutation(arrays[name].ravel()).reshape(shape)]
        found += [origin + offset * signs for origin in origins for offset in (0.0, *settings)]
        return np.take_along_axis(np.stack(found), rng.integers(len(found), size=(1, *shape)), 0)[0]

    yield from _moved(loss, kinks, distance)


def near_borders(loss: Loss, distance: float) -> Iterator[Call]:
    """Draw calls of which half of the numbers are this far from an end of the interval that they lie in."""

    def ends(rng: np.random.Generator, name: str, interval: Interval, arrays: Mapping[str, Array]) -> Array:
        finite = [end for end in (interval.low, interval.high) if np.isfinite(end)]
        return rng.choice(finite, arrays[name].shape) if finite else arrays[name]

    yield from _moved(loss, ends, distance)


@cache
def _kinks(loss: Loss) -> tuple[tuple[Call, str, tuple[int, ...], float], ...]:
    """Find kinks near the first few numbers of every argument of calls in every form of a loss."""
    rng = np.random.default_rng(5)
    defaults = {name: default for name, (_, default) in loss.settings.items()}
    found = []
    for form in forms(loss):
        call = sample_call(loss, rng, form=form, batch=_BATCH)
        constant = loss.stop_gradient_under({**defaults, **call.options})
        for name in _intervals(loss, form):
            if form.roles[name].differentiable and name not in constant:
                along = Call(call.arrays, {**call.options, "gradient": name})
                places = list(np.ndindex(call.arrays[name].shape))[:_PLACES]
                found += [(along, name, place, _kink(loss, along, name, place)) for place in places]
    return tuple(each for each in found if each[-1] is not None)


def _kink(loss: Loss, call: Call, name: str, place: tuple[int, ...]) -> float | None:
    """Bisect for a jump of the gradient within 1 of a number; None if it falls with the distance."""

    def slope(x: float) -> float:
        try:
            return float(evaluate(loss, _with(call, name, place, x)).gradient["mean"][name][place])
        except InvalidCall:
            return np.nan

    points = [(x, slope(x)) for x in call.arrays[name][place] + np.linspace(-1, 1, _POINTS)]
    pairs = [pair for pair in pairwise(points) if np.isfinite(pair[0][1] + pair[1][1])]
    if not pairs:
        return None
    (low, below), (high, above) = max(pairs, key=lambda pair: abs(pair[1][1] - pair[0][1]))
    largest = max(abs(slope) for _, slope in points if np.isfinite(slope))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        between = slope(middle)
        if abs(between - below) > abs(above - between):
            high, above = middle, between
        else:
            low, below = middle, between
    return float(high) if abs(above - below) > _JUMP * largest else None


def _with(call: Call, name: str, place: tuple[int, ...], x: float) -> Call:
    array = call.arrays[name].copy()
    array[place] = x
    return Call({**call.arrays, name: array}, call.options)


def _moved(loss: Loss, places: Places, distance: float) -> Iterator[Call]:
    """Draw a call in every form of a loss, and move half of its numbers to this far from places in their intervals."""
    rng = np.random.default_rng(5)
    for form in forms(loss):
        for _ in range(_TRIES):
            call = sample_call(loss, rng, form=form, batch=_BATCH)
            arrays = dict(call.arrays)
            for name, interval in _intervals(loss, form).items():
                array = arrays[name]
                moved = places(rng, name, interval, arrays) + distance * rng.choice([-1.0, 1.0], array.shape)
                outside = interval.forbidden(moved, {})
                chosen = rng.random(array.shape) < 0.5
                arrays[name] = np.where(chosen if outside is None else chosen & ~outside, moved, array)
            for constraint in loss.constraints:
                if all(name in arrays for name in constraint.arguments):
                    constraint.repair(arrays)
            if _is_allowed(loss, Call(arrays, call.options)):
                yield Call(arrays, call.options)
                break


def _intervals(loss: Loss, form: CallForm) -> dict[str, Interval]:
    """Return the intervals of the real arguments of a call."""
    return {
        name: role.domain
        for name, role in form.roles.items()
        if isinstance(role.domain, Interval) and name not in _NOT_MOVED.get(loss.name, ())
    }


def _is_allowed(loss: Loss, call: Call) -> bool:
    try:
        evaluate(loss, call)
    except InvalidCall:
        return False
    return True
