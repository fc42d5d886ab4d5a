"""Sums over all sequences of tags of a linear chain: forward-backward recursion, relative to the likeliest tags."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lossd.message import Array
from lossd.numerics.tiles import with_pauses


class Chain(NamedTuple):
    """Scores relative to those of the likeliest tags, so that sequences are compared by the steps in which they differ.

    Attributes:
        steps: What each tag at each step adds, starts and ends too, ``(rows, T, K)``; 0 at the likeliest.
        transitions: The transitions, ``(K, K)``.
        taken: Those of the likeliest tags, which lead to each step, ``(rows, T)``.
        likeliest: The tags of the highest score, ``(rows, T)``.
        valid: Which steps a sample has, ``(rows, T)``.
    """

    steps: Array
    transitions: Array
    taken: Array
    likeliest: Array
    valid: Array

    def between(self, step: int) -> Array:
        """Return what each tag at a step adds behind each tag at the step before it, ``(rows, K, K)``."""
        return self.transitions - self.taken[:, step, None, None] + self.steps[:, step, None, :]


class WaysAhead(NamedTuple):
    """Logarithms of the weights of all ways to a tag.

    Attributes:
        every: At each step, ``(rows, K)`` each.
        others: At the sample's last step, without the way of the likeliest tags, ``(rows, K)``.
    """

    every: list[Array]
    others: Array


def chain_of(
    emissions: Array, transitions: Array, start: Array | None, end: Array | None, lengths: Array | None
) -> Chain:
    """Return the scores of a conditional random field relative to those of each sample's likeliest tags.

    Args:
        emissions: ``(rows, T, K)``.
        transitions: ``(K, K)``, from and to.
        start: What a sequence starts with, ``(K)``, if anything.
        end: What it ends with, likewise.
        lengths: How many steps each sample has, ``(rows,)``; T if absent.
    """
    rows, steps, _ = emissions.shape
    kind = np.result_type(emissions, np.float64)
    count = np.full(rows, steps) if lengths is None else lengths
    valid = np.arange(steps) < count[:, None]
    transitions = transitions.astype(kind, copy=False)
    parts = [emissions.astype(kind, copy=False)]
    if start is not None:
        parts.append(_at(np.arange(steps) == 0, start.astype(kind, copy=False), rows))
    if end is not None:
        parts.append(_at(np.arange(steps) == count[:, None] - 1, end.astype(kind, copy=False), rows))
    likeliest = _likeliest(sum(parts[1:], start=parts[0]), transitions, valid)
    relative = [part - np.take_along_axis(part, likeliest[:, :, None], axis=2) for part in parts]
    taken = transitions[np.roll(likeliest, 1, axis=1), likeliest]
    return Chain(sum(relative[1:], start=relative[0]), transitions, taken, likeliest, valid)


def _at(steps: Array, scores: Array, rows: int) -> Array:
    """Return scores at some of the steps and 0 at all others, ``(rows, T, K)``."""
    return np.where(np.broadcast_to(steps, (rows, steps.shape[-1]))[:, :, None], scores, 0)


def _likeliest(scores: Array, transitions: Array, valid: Array) -> Array:
    """Return the tags of the highest score, ``(rows, T)``: Viterbi's recursion."""
    rows, steps, states = scores.shape
    found, came = np.zeros((rows, steps), np.intp), []
    best = scores[:, :1].sum(axis=1)
    for step in with_pauses(range(1, steps)):
        ways = best[:, :, None] + transitions
        before = ways.argmax(axis=1)
        highest = np.take_along_axis(ways, before[:, None], axis=1)[:, 0] + scores[:, step]
        best = np.where(valid[:, step, None], highest, best)
        came.append(np.where(valid[:, step, None], before, np.arange(states)))
    tag = best.argmax(axis=1)
    for step in with_pauses(reversed(range(steps))):
        found[:, step] = tag
        if step:
            tag = came[step - 1][np.arange(rows), tag]
    return found


def score_of(chain: Chain, tags: Array) -> Array:
    """Return the score of a sample's own tags, less that of the likeliest."""
    steps = np.take_along_axis(chain.steps, tags[:, :, None], axis=2)[:, :, 0]
    joined = chain.transitions[np.roll(tags, 1, axis=1), tags] - chain.taken
    inner = chain.valid & (np.arange(tags.shape[1]) > 0)
    total: Array = np.where(chain.valid, steps, 0).sum(axis=1) + np.where(inner, joined, 0).sum(axis=1)
    return total


def ways_ahead(chain: Chain) -> WaysAhead:
    """Sum the ways to each tag: the likeliest of all apart, so that none is lost beside it."""
    rows, steps, states = chain.steps.shape
    places = np.arange(rows)
    every: list[Array] = []
    others = np.full((rows, states), -np.inf, chain.steps.dtype)
    for step in with_pauses(range(steps)):
        tag = chain.likeliest[:, step]
        if step:
            before = chain.likeliest[:, step - 1]
            between = chain.between(step)
            ways = every[-1][:, :, None] + between
            ways[places, before, tag] = others[places, before] + between[places, before, tag]
            reached = log_sum(ways, 1)
        else:
            reached = chain.steps[:, 0].copy()
            reached[places, tag] = -np.inf
        others = np.where(chain.valid[:, step, None], reached, others)
        whole = others.copy()
        whole[places, tag] = np.logaddexp(0, others[places, tag])
        every.append(whole)
    return WaysAhead(every, others)


def ways_behind(chain: Chain) -> list[Array]:
    """Return the logarithms of the weights of all ways from each tag to the end, at each step, ``(rows, K)`` each."""
    rows, steps, states = chain.steps.shape
    found = [np.zeros((rows, states), chain.steps.dtype)]
    for step in with_pauses(reversed(range(1, steps))):
        reached = log_sum(chain.between(step) + found[-1][:, None, :], 2)
        found.append(np.where(chain.valid[:, step, None], reached, 0))
    return found[:steps][::-1]


def log_sum(values: Array, axis: int) -> Array:
    """Return the logarithm of the sum of exponentials, -inf of nothing."""
    top = values.max(axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    total: Array = np.log(np.exp(values - top).sum(axis=axis)) + np.squeeze(top, axis)
    return total
