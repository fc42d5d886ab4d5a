"""Sums over alignments by logarithms, relative to the likeliest alignment.

Every weight is taken relative to that of the likeliest alignment's symbol at the same frame. Along it all logarithms
are then zero: alignments that differ from it are compared by the frames in which they differ, however large the
numbers in all other frames, and where it is all but certain the sum keeps the digits of the others.
"""

from __future__ import annotations

import numpy as np

from lossd.losses.sequence.paths import Alignments, Paths, reverser
from lossd.message import Array
from lossd.numerics.tiles import with_pauses

_LOWEST = -np.finfo(np.float64).max


def by_logarithms(paths: Paths) -> Alignments:
    """Sum logarithms: nothing underflows, whatever the magnitude of the weights."""
    past = paths.past
    likeliest = np.where(past, 0, _likeliest(paths))
    levels = np.where(past, 0, likeliest - paths.highest - paths.spread)
    likeliest[np.isneginf(likeliest)] = 0  # no alignment: nothing is relative to it
    relative = paths.emitted - likeliest[:, None]
    reverse = reverser(paths)
    forward = _arrivals(relative, paths.skips)
    backward = _arrivals(reverse(relative, -np.inf), paths.skips_back)
    weight = forward + relative
    total = _total(weight, paths)
    value = np.where(np.isneginf(total), np.inf, -(np.add.reduce(levels, axis=0) + total))
    undefined = np.logical_or.reduce(~(paths.emitted < np.inf), axis=1)  # also where no alignment leads
    value[np.logical_or.reduce(undefined, axis=0, where=~past)] = np.nan
    np.add(weight, reverse(backward, -np.inf), out=weight)
    np.subtract(weight, np.maximum.reduce(weight, axis=1, keepdims=True), out=weight)
    posterior = np.exp(weight, out=weight)
    posterior /= np.add.reduce(posterior, axis=1, keepdims=True)
    return Alignments(value, posterior)


def _likeliest(paths: Paths) -> Array:
    """Return the log-weight of the likeliest alignment's symbol at each frame, ``(T, N)``.

    The recursion is Viterbi's: ``came[t, k]`` is how many states before ``k`` the best way to it was.
    """
    emitted, frames, last = paths.emitted, paths.frames, paths.last
    steps, width, count = emitted.shape
    closed = np.where(paths.skips > 0, 0.0, -np.inf)
    came = np.zeros(emitted.shape, np.int8)
    best = np.full((steps, width + 2, count), -np.inf)
    best[:1, 2:4] = emitted[:1, :2]
    for step in with_pauses(range(1, steps)):
        stay, enter, skip = best[step - 1, 2:], best[step - 1, 1:-1], best[step - 1, :-2] + closed
        greater = np.maximum(stay, enter)
        came[step] = np.where(skip > greater, 2, enter > stay)
        np.add(np.maximum(greater, skip), emitted[step], out=best[step, 2:])
    samples = np.arange(count)
    end, before = np.maximum(frames - 1, 0), np.maximum(last - 1, 0)
    state = last
    if steps:
        state = np.where(best[end, before + 2, samples] > best[end, last + 2, samples], before, last)
    found = np.empty((steps, count))
    for step in with_pauses(reversed(range(steps))):
        found[step] = emitted[step, state, samples]
        state = np.where(step < frames, state - came[step, state, samples], state)
    return found


def _arrivals(relative: Array, skips: Array) -> Array:
    """Return the log-weight of all ways to each state at each frame, that frame's own not included.

    Three ways lead to a state: from itself, from the one before, and past a blank from the one before that. What the
    two lesser ways add to the greatest is kept apart, so that the digits of a logarithm near zero are not lost.
    """
    steps, width, count = relative.shape
    closed = np.where(skips > 0, 0.0, -np.inf)
    arrivals = np.full(relative.shape, -np.inf)
    arrivals[:1, :2] = 0
    reach = np.full((width + 2, count), -np.inf)
    past_blank, before, here = reach[:-2], reach[1:-1], reach[2:]
    lesser, greater, skip = np.empty((2, width, count)), np.empty((width, count)), np.empty((width, count))
    middle, least = lesser
    for step in with_pauses(range(1, steps)):
        np.add(arrivals[step - 1], relative[step - 1], out=here)
        np.add(past_blank, closed, out=skip)
        np.maximum(here, before, out=greater)
        np.minimum(here, before, out=least)
        np.minimum(greater, skip, out=middle)
        np.maximum(greater, skip, out=greater)
        # Where no way leads here, infinity less itself would be NaN.
        np.exp(np.subtract(lesser, np.maximum(greater, _LOWEST, out=skip), out=lesser), out=lesser)
        np.log1p(np.add(middle, least, out=middle), out=middle)
        np.add(greater, middle, out=arrivals[step])
    return arrivals


def _total(weight: Array, paths: Paths) -> Array:
    """Return the log-weight of all paths that end in the last label or in the blank behind it."""
    frames, last = paths.frames, paths.last
    # Without a frame only the empty sequence is possible, and it is certain.
    nothing = np.where(last == 0, 0.0, -np.inf)
    if not len(weight):
        return nothing
    samples, end = np.arange(len(frames)), np.maximum(frames - 1, 0)
    label = np.where(last > 0, weight[end, np.maximum(last - 1, 0), samples], -np.inf)
    total: Array = np.where(frames > 0, np.logaddexp(weight[end, last, samples], label), nothing)
    return total
