"""The alignments of labels with frames as a graph: states, and the steps between them.

A sample's states are its labels with blanks between them, ``K = 2S + 1``; an alignment goes through them in order,
one state a frame, and may skip a blank between two labels that differ. To go on to the end is to come from it,
with time and states reversed, so forward and backward are one recursion.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from lossd.message import Array


class Paths(NamedTuple):
    """The samples whose alignments are summed. They are the last axis, so that each step works on contiguous memory.

    Attributes:
        emitted: Log-weight of each state's symbol at each frame, ``(T, K, N)``. Its log-probability is that less
            ``highest`` less ``spread``.
        highest: The largest log-weight of each frame, ``(T, N)``; 0 where weights are probabilities.
        spread: The rest of the logarithm of each frame's normalizer, ``(T, N)``.
        skips: Whether each state may be entered past a blank, ``(K, N)``, as 1 and 0.
        skips_back: The same for labels last to first.
        frames: Number of frames of each sample, ``(N,)``.
        last: Index of each sample's last state, ``(N,)``.
    """

    emitted: Array
    highest: Array
    spread: Array
    skips: Array
    skips_back: Array
    frames: Array
    last: Array

    def of(self, samples: Array) -> Paths:
        """Return some of the samples."""
        return Paths(*(array[..., samples] for array in self))

    @property
    def past(self) -> Array:
        """Where frames lie past a sample's last, ``(T, N)``."""
        past: Array = np.arange(len(self.emitted))[:, None] >= self.frames
        return past


class Alignments(NamedTuple):
    """The sums over all alignments of each of N samples.

    Attributes:
        value: Minus the logarithm of their probability, ``(N,)``; infinity where there is none.
        posterior: Probability of each state at each frame given the labels, ``(T, K, N)``; undefined
            past a sample's last frame.
    """

    value: Array
    posterior: Array


def reverser(paths: Paths) -> Callable[[Array, float], Array]:
    """Return the function that reverses ``(T, K, N)`` in time and states, sample by sample.

    What lies past a sample's last frame or state becomes the second argument. Reversed twice, all else is as it was.
    """
    steps, width, count = paths.emitted.shape
    frame = paths.frames - 1 - np.arange(steps)[:, None]  # (T, N)
    state = paths.last - np.arange(width)[:, None]  # (K, N)
    if (frame[-1:] == 0).all() and (state[-1] == 0).all():
        return lambda values, outside: values[::-1, ::-1]
    source = np.maximum(frame, 0)[:, None], np.maximum(state, 0), np.arange(count)
    beyond = (frame < 0)[:, None] | (state < 0)

    def reverse(values: Array, outside: float) -> Array:
        reversed_: Array = values[source]
        reversed_[beyond] = outside
        return reversed_

    return reverse
