"""The probability that frames do not spell the labels: what a small CTC loss is made of.

A path of symbols is followed from state to state as long as it spells the labels: each state allows up to three
symbols, and any other fails for good. So the probability q of failing is a sum over the symbols that fail, all of
them positive, and ``-log(1 - q)`` keeps all digits where the labels are all but certain. With phi the probability of
failing given the symbol c of a frame, ``dq/dx_c = s_c (phi_c - q)`` for the logits x of its softmax s.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lossd.losses.sequence.symbols import by_symbol, places
from lossd.message import Array
from lossd.numerics.tiles import with_pauses


class Trellis(NamedTuple):
    """Samples whose symbols are drawn frame by frame.

    Attributes:
        probability: Of each symbol, ``(N, T, C)``.
        states: Symbol of each state, ``(K, N)``; past a sample's last state the blank.
        skips: Whether each state may be entered past a blank, ``(K, N)``, as 1 and 0.
        frames: Number of frames of each sample, ``(N,)``.
        last: Index of each sample's last state, ``(N,)``.
    """

    probability: Array
    states: Array
    skips: Array
    frames: Array
    last: Array

    def of(self, samples: Array) -> Trellis:
        """Return some of the samples."""
        probability, *others = self
        return Trellis(probability[samples], *(array[..., samples] for array in others))


class Failing(NamedTuple):
    """Probabilities of failing.

    Attributes:
        whole: Of each sample, ``(N,)``.
        ahead: After each frame, from each state, ``(T, K, N)``.
        next: At each frame, from each state of the frame before, ``(T, K, N)``.
        emitted: Probability of each state's symbol, ``(T, K, N)``.
    """

    whole: Array
    ahead: Array
    next: Array
    emitted: Array


def failing(trellis: Trellis) -> Failing:
    """Follow the probability of failing back from the end, where all but the last two states have failed."""
    skips, frames, last = trellis.skips, trellis.frames, trellis.last
    emitted = _of_states(trellis)
    steps, width, count = emitted.shape
    fails = _fails_next(trellis)
    place = np.arange(width)[:, None]
    at_end = np.where(place < last - 1, 1.0, 0.0)
    ahead = np.empty(emitted.shape)
    now, through = at_end, np.zeros((width + 2, count))
    skip = np.concatenate([skips[2:], np.zeros((min(2, width), count))])
    for step in with_pauses(reversed(range(steps))):
        ahead[step] = now
        np.multiply(emitted[step], now, out=through[:width])
        onward = through[:width] + through[1 : width + 1] + skip * through[2 : width + 2] + fails[step]
        now = np.where(step < frames, onward, at_end)
    return Failing(now[0], ahead, fails, emitted)


def failing_given_symbol(trellis: Trellis, found: Failing) -> Array:
    """Return the probability of failing given each symbol at each frame, ``(N, T, C)``."""
    probability, states, skips, _, last = trellis
    past = np.arange(len(states))[:, None] > last
    before, arrivals = _follow(found.emitted, skips)
    np.copyto(before, 0, where=past)
    failed = np.zeros((before.shape[0], before.shape[2]))
    np.cumsum(np.add.reduce(before * found.next, axis=1)[:-1], axis=0, out=failed[1:])
    # Past the last state come blanks that the last one allows already.
    onward = np.where(past, 0, arrivals * found.ahead)
    given = by_symbol(onward, places(states, probability.shape), probability.shape)
    named = _named(states)
    now = np.matmul(before.transpose(2, 0, 1), _forbidden(named, states, skips).transpose(0, 2, 1))
    now += failed.T[:, :, None]
    sample, place = np.nonzero(named >= 0)
    given[sample, :, named[sample, place]] += now[sample, :, place]
    np.copyto(given, 1, where=~_is_named(trellis)[:, None])
    return given


def _of_states(trellis: Trellis) -> Array:
    """Return the probability of each state's symbol at each frame, ``(T, K, N)``."""
    sample = np.arange(trellis.states.shape[1])
    found: Array = np.ascontiguousarray(trellis.probability[sample, :, trellis.states].transpose(2, 0, 1))
    return found


def _fails_next(trellis: Trellis) -> Array:
    """Return the probability of the symbols that each state does not allow at each frame, ``(T, K, N)``."""
    probability, states, skips, _, last = trellis
    named = _named(states)
    sample = np.arange(len(named))[:, None]
    among = np.where(named[..., None] >= 0, probability[sample, :, named], 0).transpose(0, 2, 1)
    others = np.add.reduce(np.where(_is_named(trellis)[:, None], 0, probability), axis=2)
    fails = np.matmul(among, _forbidden(named, states, skips)) + others[:, :, None]
    found = np.ascontiguousarray(fails.transpose(1, 2, 0))
    np.copyto(found, 0, where=np.arange(len(states))[:, None] > last)
    return found


def _named(states: Array) -> Array:
    """Return the symbols that each sample's states have, each once, ``(N, L)``, padded with -1."""
    symbols = np.sort(states.T, axis=1)
    again = symbols[:, 1:] == symbols[:, :-1]
    np.copyto(symbols[:, 1:], -1, where=again)
    most = symbols.shape[1] - int(np.add.reduce(again, axis=1).min(initial=again.shape[1]))
    symbols.sort(axis=1)
    return np.ascontiguousarray(symbols[:, ::-1][:, :most])


def _is_named(trellis: Trellis) -> Array:
    """Return whether a sample's states have a symbol, ``(N, C)``."""
    count, _, classes = trellis.probability.shape
    named = np.zeros((count, classes), bool)
    named[np.arange(count), trellis.states] = True
    return named


def _forbidden(named: Array, states: Array, skips: Array) -> Array:
    """Return whether a symbol is not allowed from a state, ``(N, L, K)``, as 1 and 0.

    Allowed are the state's own, the next one's, and past a blank that of the one after that.
    """
    stay = states.T
    enter, skip = stay.copy(), stay.copy()
    enter[:, :-1] = stay[:, 1:]
    np.copyto(skip[:, :-2], stay[:, 2:], where=skips.T[:, 2:] > 0)
    symbol = named[:, :, None]
    forbidden = (symbol != stay[:, None]) & (symbol != enter[:, None]) & (symbol != skip[:, None])
    return np.asarray(forbidden, np.float64)


def _follow(emitted: Array, skips: Array) -> tuple[Array, Array]:
    """Return the probabilities of each state before each frame and of all ways to it there, ``(T, K, N)`` each.

    Before the first frame a path is in the first state.
    """
    steps, width, count = emitted.shape
    before, arrivals = np.zeros((2, steps, width, count))
    reach = np.zeros((width + 2, count))
    reach[2] = 1
    for step in with_pauses(range(steps)):
        before[step] = reach[2:]
        arrivals[step] = reach[2:] + reach[1:-1] + skips * reach[:-2]
        np.multiply(arrivals[step], emitted[step], out=reach[2:])
    return before, arrivals
