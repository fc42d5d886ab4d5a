"""The sum over all alignments of labels with frames, by which CTC is defined.

Sums of probabilities take a quarter of the time of sums of logarithms, but may underflow. So every sample is
tried by probabilities, and the few that fail are computed again by logarithms.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lossd.losses.sequence.log_alignments import by_logarithms
from lossd.losses.sequence.paths import Alignments, Paths, reverser
from lossd.message import Array
from lossd.numerics.tiles import with_pauses

# Steps between two looks at how small the probabilities became.
_STRIDE = 8


class Limits(NamedTuple):
    """When sums of probabilities are exact to the last digit of a type.

    Attributes:
        least_value: Least loss: that of a sum near one has the absolute error of the sum.
        least_sum: Least sum over the states of a frame: what underflows is below 1e-307 of the largest ways to a
            frame and from it, so posteriors below 1e-307 of the inverse of such a sum are lost.
    """

    least_value: float
    least_sum: float


LIMITS = {np.dtype(np.float64): Limits(0.25, 1e-100), np.dtype(np.float32): Limits(1e-6, 1e-250)}


def align(paths: Paths, limits: Limits) -> Alignments:
    """Sum over all alignments of each sample."""
    found, failed = by_probabilities(paths, limits)
    again = np.flatnonzero(failed)
    if len(again):
        value, posterior = by_logarithms(paths.of(again))
        found.value[again] = value
        found.posterior[:, :, again] = posterior
    return found


def by_probabilities(paths: Paths, limits: Limits) -> tuple[Alignments, Array]:
    """Sum probabilities, each frame's over the largest of it, and say which samples are not within the limits."""
    emitted, highest, spread, skips, skips_back, frames, _ = paths
    steps, count = len(emitted), len(frames)
    if not steps:
        return Alignments(np.empty(count), np.empty(emitted.shape)), np.ones(count, bool)
    reverse = reverser(paths)
    top = np.maximum.reduce(emitted, axis=1)
    chance = _Chain.empty(emitted)
    np.exp(np.subtract(emitted, top[:, None], out=chance.onward), out=chance.onward)
    chance.back[:] = reverse(chance.onward, 0.0)
    arrivals, shrunk = _arrive(chance, skips, skips_back)
    posterior = arrivals.onward
    np.multiply(posterior, chance.onward, out=posterior)
    np.multiply(posterior, reverse(arrivals.back, 0.0), out=posterior)
    sums = np.add.reduce(posterior, axis=1)
    past = paths.past
    used = ~past
    sums[past] = 1
    np.divide(posterior, sums[:, None], out=posterior)
    # At the first frame all that shrank did so on the way back from the end.
    largest = (top - highest) - spread
    value = -(np.log(sums[0]) + np.add.reduce(shrunk + largest, axis=0, where=used))
    # Weights that are no probabilities may be large where their sum is not; those of probabilities are at most 0.
    above = np.add.reduce(np.maximum(largest, 0), axis=0, where=used)
    within = (
        (np.minimum.reduce(sums, axis=0) > limits.least_sum)
        & (value > np.maximum(limits.least_value, above))
        & (value < np.inf)
        & (frames > 0)
    )
    return Alignments(value, posterior), ~within


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
    for step in with_pauses(range(1, steps)):
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
