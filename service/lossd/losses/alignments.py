"""This file is the sum over all alignments of labels with frames, by which CTC is defined.

A sample's states are its labels with blanks between them, ``K = 2S + 1``; an alignment goes through them in order,
one state a frame, and may skip a blank between two labels that differ. Forward and backward are one
recursion: to go on to the end is to come from it, with time and states turned around.

Sums of probabilities take a quarter of the time of sums of logarithms, but may vanish, and near certainty the
logarithm of their total has few digits. So every sample is tried by probabilities, and the few that
fail are done again by logarithms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from lossd.message import Array

# The logarithm of zero, but a number: it can be subtracted from itself, and a million of them can be added up.
IMPOSSIBLE = -1e30
# Steps between two looks at how small the probabilities became.
_STRIDE = 8
# What is lost as too small for a float64, 1e-290 of the largest ways to a frame and from it, is nothing to such a sum.
_LEAST_SUM = 1e-250
# Below this loss the logarithm of a probability near 1 has too few digits.
_CERTAIN = 0.1


class Alignments(NamedTuple):
    """What all alignments of each of N samples come to.

    Attributes:
        value: Minus the logarithm of their probability, ``(N,)``; infinity where there is none.
        posterior: Probability of each state at each frame given the labels, ``(T, K, N)``; of what
            lies past a sample's last frame it says nothing.
    """

    value: Array
    posterior: Array


class Paths(NamedTuple):
    """The samples whose alignments are summed. They stand last, so that a step from state to state is one in memory.

    Attributes:
        emitted: Log-probability of each state's symbol at each frame, ``(T, K, N)``, at least `IMPOSSIBLE`.
        skips: Whether each state may be entered past a blank, ``(K, N)``, as 1 and 0.
        skips_back: The same for labels last to first.
        frames: Number of frames of each sample, ``(N,)``.
        last: Place of each sample's last state, ``(N,)``.
    """

    emitted: Array
    skips: Array
    skips_back: Array
    frames: Array
    last: Array

    def of(self, samples: Array) -> Paths:
        """Return some of the samples."""
        return Paths(*(array[..., samples] for array in self))


def align(paths: Paths) -> Alignments:
    """Sum over all alignments of each sample."""
    found, failed = by_probabilities(paths)
    again = np.flatnonzero(failed)
    if len(again):
        value, posterior = by_logarithms(paths.of(again))
        found.value[again] = value
        found.posterior[:, :, again] = posterior
    return found


def by_probabilities(paths: Paths) -> tuple[Alignments, Array]:
    """Sum probabilities, each frame's over the largest of it, and say for which samples that failed."""
    emitted, skips, skips_back, frames, _ = paths
    steps, count = len(emitted), len(frames)
    if not steps:
        return Alignments(np.empty(count), np.empty(emitted.shape)), np.ones(count, bool)
    turn = _turning(paths)
    top = np.maximum.reduce(emitted, axis=1)
    chance = _Chain.empty(emitted)
    np.exp(np.subtract(emitted, top[:, None], out=chance.onward), out=chance.onward)
    chance.back[:] = turn(chance.onward, 0.0)
    arrivals, shrunk = _arrive(chance, skips, skips_back)
    posterior = arrivals.onward
    np.multiply(posterior, chance.onward, out=posterior)
    np.multiply(posterior, turn(arrivals.back, 0.0), out=posterior)
    sums = np.add.reduce(posterior, axis=1)
    past = np.arange(steps)[:, None] >= frames
    sums[past] = 1
    np.divide(posterior, sums[:, None], out=posterior)
    # At the first frame all that shrank did so on the way back from the end.
    value = -(np.log(sums[0]) + np.add.reduce(shrunk + top, axis=0, where=~past))
    fine = (np.minimum.reduce(sums, axis=0) > _LEAST_SUM) & (value > _CERTAIN) & (value < -IMPOSSIBLE / 2)
    return Alignments(value, posterior), ~fine | (frames == 0)


class _Chain(NamedTuple):
    """What is known of each state in both directions, ``(T, K + 2 + K, N)``, and views of each, ``(T, K, N)``.

    In memory one direction follows the other, so that a step is one for both. The two states between
    them are impossible: nothing comes from one to the other.
    """

    whole: Array
    onward: Array
    back: Array

    @classmethod
    def empty(cls, like: Array) -> _Chain:
        steps, width, count = like.shape
        whole = np.empty((steps, 2 * width + 2, count))
        whole[:, width : width + 2] = 0
        return cls(whole, whole[:, :width], whole[:, width + 2 :])


def _arrive(chance: _Chain, skips: Array, skips_back: Array) -> tuple[_Chain, Array]:
    """Return the probability of all ways to each state at each frame, that frame's own not included.

    Three ways lead to a state: from itself, from the one before, and past a blank from the one before that. They are
    views of one buffer whose first two states are impossible. Every few steps a sample's probabilities are divided by
    their largest; the second result, ``(T, N)``, is its logarithm there on the way back.
    """
    arrivals = _Chain.empty(chance.onward)
    steps, width, count = chance.onward.shape
    for direction in (arrivals.onward, arrivals.back):
        direction[0] = 0
        direction[0, :2] = 1
    skip = np.concatenate([skips, np.zeros((2, count)), skips_back])
    shrunk = np.zeros((steps, count))
    reach = np.zeros((2 * width + 4, count))
    past_blank, before, here = reach[:-2], reach[1:-1], reach[2:]
    both = reach.reshape(2, width + 2, count)
    np.multiply(arrivals.whole[0], chance.whole[0], out=here)
    for step in range(1, steps):
        if step % _STRIDE == 0:
            largest = np.maximum.reduce(both, axis=1, keepdims=True)
            largest[largest == 0] = 1
            np.divide(both, largest, out=both)
            shrunk[step] = np.log(largest[1, 0])
        arriving = arrivals.whole[step]
        np.multiply(past_blank, skip, out=arriving)
        np.add(arriving, before, out=arriving)
        np.add(arriving, here, out=arriving)
        np.multiply(arriving, chance.whole[step], out=here)
    return arrivals, shrunk


def by_logarithms(paths: Paths) -> Alignments:
    """Sum logarithms: nothing vanishes, and a certain alignment keeps its digits."""
    emitted, skips, skips_back, frames, last = paths
    turn = _turning(paths)
    forward = _reach(emitted, np.where(skips > 0, 0.0, IMPOSSIBLE))
    backward = _reach(turn(emitted, IMPOSSIBLE), np.where(skips_back > 0, 0.0, IMPOSSIBLE))
    value = -_total(forward, frames, last)
    possible = np.where(np.isposinf(value), np.nan, value)
    # Both count the frame itself.
    return Alignments(value, np.exp(forward + turn(backward, IMPOSSIBLE) - emitted + possible))


def _reach(emitted: Array, skips: Array) -> Array:
    """Return the log-probability, over all ways, of being in each state after each frame, that frame included.

    The three ways are added as in `_arrive`. What the two lesser ways add to the greatest is kept apart, so that
    the digits of a certain alignment, whose logarithm is near zero, are not lost.
    """
    steps, width, count = emitted.shape
    reach = np.full((steps, width + 2, count), IMPOSSIBLE)
    reach[:1, 2:4] = emitted[:1, :2]
    lesser, greater, skip = np.empty((2, width, count)), np.empty((width, count)), np.empty((width, count))
    middle, least = lesser
    for step in range(1, steps):
        before, after = reach[step - 1], reach[step, 2:]
        stay, enter = before[2:], before[1:-1]
        np.add(before[:-2], skips, out=skip)
        np.maximum(stay, enter, out=greater)
        np.minimum(stay, enter, out=least)
        np.minimum(greater, skip, out=middle)
        np.maximum(greater, skip, out=greater)
        np.exp(np.subtract(lesser, greater, out=lesser), out=lesser)
        np.log1p(np.add(middle, least, out=middle), out=middle)
        np.add(np.add(greater, middle, out=greater), emitted[step], out=after)
    return reach[:, 2:]


def _turning(paths: Paths) -> Callable[[Array, float], Array]:
    """Return what turns ``(T, K, N)`` around in time and states, sample by sample.

    What lies past a sample's last frame or state becomes the second argument. Turned twice, all else is as it was.
    """
    steps, width, count = paths.emitted.shape
    frame = paths.frames - 1 - np.arange(steps)[:, None]  # (T, N)
    state = paths.last - np.arange(width)[:, None]  # (K, N)
    if (frame[-1:] == 0).all() and (state[-1] == 0).all():
        return lambda values, outside: values[::-1, ::-1]
    source = np.maximum(frame, 0)[:, None], np.maximum(state, 0), np.arange(count)
    beyond = (frame < 0)[:, None] | (state < 0)

    def turn(values: Array, outside: float) -> Array:
        turned: Array = values[source]
        turned[beyond] = outside
        return turned

    return turn


def _total(reach: Array, frames: Array, last: Array) -> Array:
    """Return the log-probability of all paths that end in the last label or in the blank behind it."""
    # Without a frame only the empty sequence is possible, and it is certain.
    nothing = np.where(last == 0, 0.0, -np.inf)
    if not len(reach):
        return nothing
    samples, end = np.arange(len(frames)), np.maximum(frames - 1, 0)
    label = np.where(last > 0, reach[end, np.maximum(last - 1, 0), samples], IMPOSSIBLE)
    found = np.logaddexp(reach[end, last, samples], label)
    found[found < IMPOSSIBLE / 2] = -np.inf
    total: Array = np.where(frames > 0, found, nothing)
    return total
