"""The symbols of CTC: from labels to states, and from states back to the classes of the frames."""

from __future__ import annotations

import numpy as np

from lossd.message import Array

_SYMBOLS_AT_A_TIME = 1 << 16  # 512 KiB


def states(targets: Array, lengths: Array, blank: int) -> Array:
    """Return the symbols of the states, blanks between labels, ``(2S + 1, N)``.

    States past a sample's last are blanks that nothing leads back from.
    """
    count, longest = targets.shape
    states = np.full((2 * longest + 1, count), blank, np.intp)
    states[1::2] = np.where(np.arange(longest)[:, None] < lengths, targets.T, blank)
    return states


def skips(targets: Array) -> Array:
    """Return where a label may be entered past a blank, as 1 and 0: where the label before differs."""
    count, longest = targets.shape
    skips = np.zeros((2 * longest + 1, count))
    skips[3::2] = (targets[:, 1:] != targets[:, :-1]).T
    return skips


def last_to_first(targets: Array, lengths: Array) -> Array:
    """Return each sample's labels last to first, still at the front of its row."""
    count, longest = targets.shape
    place = np.maximum(lengths[:, None] - 1 - np.arange(longest), 0)
    reversed_: Array = targets[np.arange(count)[:, None], place]
    return reversed_


def places(states: Array, shape: tuple[int, ...]) -> Array:
    """Return where in frames of ``shape`` ``(N, T, C)`` each state's symbol is at each step, ``(T, 2S + 1, N)``."""
    count, steps, classes = shape
    frame = np.arange(0, steps * classes, classes)[:, None, None]
    sample = np.arange(count) * (steps * classes)
    found: Array = frame + (states + sample)
    return found


def by_symbol(values: Array, place: Array, shape: tuple[int, ...]) -> Array:
    """Sum ``(T, K, N)`` by symbol to ``shape`` ``(N, T, C)``, as many samples at a time as fit in cache."""
    count, steps, classes = shape
    symbols: Array = np.empty(shape)
    few = max(1, _SYMBOLS_AT_A_TIME // max(steps * classes, 1))
    for first in range(0, count, few):
        part = slice(first, first + few)
        where = place[:, :, part] - first * steps * classes
        size = symbols[part].size
        summed = np.bincount(where.reshape(-1), values[:, :, part].reshape(-1), minlength=size)
        symbols[part] = summed.reshape(symbols[part].shape)
    return symbols
