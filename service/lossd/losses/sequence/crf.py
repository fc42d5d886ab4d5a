"""Linear-chain conditional random fields: how probable a sequence of tags is among all sequences."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from lossd.declaration.cost import Cost
from lossd.declaration.example import Example
from lossd.declaration.index_domain import Index, Length
from lossd.declaration.loss import loss
from lossd.declaration.result import Result
from lossd.declaration.role import Role
from lossd.message import Array
from lossd.numerics.stable import sums_of_others
from lossd.numerics.tiles import with_pauses

Emissions = Annotated[Array, Role("(..., T, K)")]
Tags = Annotated[Array, Role("(..., T)", domain=Index("K"), lengths="lengths")]
Transitions = Annotated[Array, Role("(K, K)")]
PerTag = Annotated[Array, Role("(K)")]
Lengths = Annotated[Array, Role(domain=Length("T"))]


@loss(
    formula=(
        r"\ell = \log \sum_z e^{\phi(z)} - \phi(y),\quad "
        r"\phi(z) = s_{z_1} + \sum_t x_{t, z_t} + \sum_{t > 1} A_{z_{t-1}, z_t} + f_{z_T}"
    ),
    source="Lafferty, McCallum and Pereira (2001), Conditional Random Fields; pytorch-crf",
    example=Example(
        emissions=[[[0.0, 0.0], [0.0, 0.0]]],
        tags=[[0, 1]],
        transitions=[[0.0, 0.0], [0.0, 0.0]],
        value=[1.3862943611198906],  # one of four sequences: log 4
    ),
    gradient=("emissions", "transitions", "start_transitions", "end_transitions"),
    cost=Cost(workspace="(6, T, K) + (8, K, K)", work="(4, T, K, K)", steps="(32, T)"),
    long_double=True,
)
def crf(
    emissions: Emissions,
    tags: Tags,
    transitions: Transitions,
    start_transitions: PerTag | None = None,
    end_transitions: PerTag | None = None,
    lengths: Lengths | None = None,
) -> Result:
    """Negative log-probability of a sequence of tags, over all sequences of tags.

    A sequence's score sums an emission for each step, a transition ``(from, to)`` for each two steps, and what it
    starts and ends with. Steps past a sample's ``lengths`` may hold anything; a sample without a step has a loss of 0.
    A score of -inf rules out a step, and one of infinity makes the loss NaN. With ``lengths``, ``tags`` may also be
    those of all samples one after the other.
    """
    chain = _relative(emissions, transitions, start_transitions, end_transitions, lengths)
    ahead = _ahead(chain)
    level = np.logaddexp(0, _log_sum(ahead.others, 1))
    states = len(transitions)

    def marginals() -> Array:
        """Return the probability of each tag at each step, ``(rows, T, K)``."""
        found = [
            np.exp(weight + after - level[:, None])
            for weight, after in zip(ahead.every, _behind(chain), strict=True)
        ]
        return np.where(chain.valid[:, :, None], np.stack(found, axis=1), 0) if found else chain.steps

    def of_emissions() -> Array:
        """Return the probabilities less 1 at the tags."""
        fractions, ones = _less_one(marginals(), tags)
        return np.where(chain.valid[:, :, None], fractions + ones, 0)

    def of_transitions() -> Array:
        """Return likewise the probabilities of each two tags at adjacent steps, summed over these, ``(rows, K, K)``."""
        behind = _behind(chain)
        shape = (len(tags), states * states)
        total, ones = np.zeros(shape, chain.steps.dtype), np.zeros(shape, np.intp)
        for step in with_pauses(range(1, tags.shape[1])):
            both = ahead.every[step - 1][:, :, None] + chain.between(step) + behind[step][:, None, :]
            pairs = np.exp(both - level[:, None, None])
            own = tags[:, step - 1] * states + tags[:, step]
            valid = chain.valid[:, step, None]
            fractions, ones_here = _less_one(pairs.reshape(shape), own)
            total = total + np.where(valid, fractions, 0)
            ones += np.where(valid, ones_here, 0)
        return (total + ones).reshape(-1, states, states)

    def of_end() -> Array:
        """Return the slopes of each sample's last step."""
        slope = of_emissions()
        last = np.maximum(chain.valid.sum(axis=1) - 1, 0)
        found: Array = slope[np.arange(len(tags)), last] if tags.shape[1] else slope.sum(axis=1)
        return found

    def curvature() -> Array:
        appears = marginals()
        rows = appears.reshape(-1, appears.shape[2])
        bend = appears * sums_of_others(rows).reshape(appears.shape)
        return np.where(chain.valid[:, :, None], bend, 0)

    return Result(
        level - _score(chain, tags),
        {
            "emissions": of_emissions,
            "transitions": of_transitions,
            "start_transitions": lambda: of_emissions()[:, :1].sum(axis=1),
            "end_transitions": of_end,
        },
        {"emissions": curvature},
    )


def _less_one(probabilities: Array, own: Array) -> tuple[Array, Array]:
    """Return probabilities along the last axis, less 1 at ``own``, as fractions and ones that add up to it.

    One above a half is 1 less the sum of the others: so neither it nor its tangent cancels.
    """
    others, top = probabilities.copy(), probabilities.argmax(axis=-1)[..., None]
    np.put_along_axis(others, top, 0, axis=-1)
    likely = _one_at(top, others.shape) * (probabilities > 0.5)
    fractions = np.where(likely, -others.sum(axis=-1, keepdims=True), probabilities)
    return fractions, likely - _one_at(own[..., None], others.shape)


def _one_at(places: Array, shape: tuple[int, ...]) -> Array:
    """Return 1 at the places along the last axis, 0 at all others."""
    found: Array = np.arange(shape[-1]) == places
    return found.astype(np.int8)


class _Chain(NamedTuple):
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


class _Ahead(NamedTuple):
    """Logarithms of the weights of all ways to a tag.

    Attributes:
        every: At each step, ``(rows, K)`` each.
        others: At the sample's last step, without the way of the likeliest tags, ``(rows, K)``.
    """

    every: list[Array]
    others: Array


def _relative(
    emissions: Array, transitions: Array, start: Array | None, end: Array | None, lengths: Array | None
) -> _Chain:
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
    return _Chain(sum(relative[1:], start=relative[0]), transitions, taken, likeliest, valid)


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


def _score(chain: _Chain, tags: Array) -> Array:
    """Return the score of a sample's own tags, less that of the likeliest."""
    steps = np.take_along_axis(chain.steps, tags[:, :, None], axis=2)[:, :, 0]
    joined = chain.transitions[np.roll(tags, 1, axis=1), tags] - chain.taken
    inner = chain.valid & (np.arange(tags.shape[1]) > 0)
    total: Array = np.where(chain.valid, steps, 0).sum(axis=1) + np.where(inner, joined, 0).sum(axis=1)
    return total


def _ahead(chain: _Chain) -> _Ahead:
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
            reached = _log_sum(ways, 1)
        else:
            reached = chain.steps[:, 0].copy()
            reached[places, tag] = -np.inf
        others = np.where(chain.valid[:, step, None], reached, others)
        whole = others.copy()
        whole[places, tag] = np.logaddexp(0, others[places, tag])
        every.append(whole)
    return _Ahead(every, others)


def _behind(chain: _Chain) -> list[Array]:
    """Return the logarithms of the weights of all ways from each tag to the end, at each step, ``(rows, K)`` each."""
    rows, steps, states = chain.steps.shape
    found = [np.zeros((rows, states), chain.steps.dtype)]
    for step in with_pauses(reversed(range(1, steps))):
        reached = _log_sum(chain.between(step) + found[-1][:, None, :], 2)
        found.append(np.where(chain.valid[:, step, None], reached, 0))
    return found[:steps][::-1]


def _log_sum(values: Array, axis: int) -> Array:
    """Return the logarithm of the sum of exponentials, -inf of nothing."""
    top = values.max(axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    total: Array = np.log(np.exp(values - top).sum(axis=axis)) + np.squeeze(top, axis)
    return total
