"""Linear-chain conditional random fields: how probable a sequence of tags is among all sequences."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from lossd.declaration.cost import Cost
from lossd.declaration.example import Example
from lossd.declaration.index_domain import Index, Length
from lossd.declaration.loss import loss
from lossd.declaration.picture import Picture
from lossd.declaration.result import Result
from lossd.declaration.role import Role
from lossd.losses.sequence.chains import chain_of, log_sum, score_of, ways_ahead, ways_behind
from lossd.message import Array
from lossd.numerics.stable import sums_of_others
from lossd.numerics.tiles import with_pauses

Emissions = Annotated[Array, Role("(..., T, K)")]
Tags = Annotated[Array, Role("(..., T)", domain=Index("K"), lengths="lengths")]
Transitions = Annotated[Array, Role("(K, K)")]
PerTag = Annotated[Array, Role("(K)")]
Lengths = Annotated[Array, Role(domain=Length("T"))]


@loss(
    formula=r"\ell = \log \sum_z e^{\phi(z)} - \phi(y)",
    where=(r"\phi(z) = s_{z_1} + \sum_t x_{t, z_t} + \sum_{t > 1} A_{z_{t-1}, z_t} + f_{z_T}",),
    source="Lafferty, McCallum and Pereira (2001), Conditional Random Fields; pytorch-crf",
    example=Example(
        emissions=[[[1.0, 0.25, -0.5], [0.5, 1.5, 0.0], [-1.0, 0.75, 1.25], [0.0, 0.5, 1.0]]],
        tags=[[0, 1, 1, 2]],
        transitions=[[0.5, 0.25, -1.0], [-0.5, 0.75, 0.5], [0.0, -0.25, 0.5]],
        value=[2.226620724651755],
    ),
    gradient=("emissions", "transitions", "start_transitions", "end_transitions"),
    cost=Cost(workspace="(6, T, K) + (8, K, K)", work="(4, T, K, K)", steps="(32, T)"),
    long_double=True,
    symbols={
        "emissions": "x",
        "tags": "y",
        "transitions": "A",
        "start_transitions": "s",
        "end_transitions": "f",
    },
    picture=Picture("lattice", "emissions", at=(0, 0, 1)),
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

    Use: Tagging, where neighbouring tags depend on each other: names, parts of speech.
    Avoid: Independent tags: cross_entropy by step is cheaper.
    """
    chain = chain_of(emissions, transitions, start_transitions, end_transitions, lengths)
    ahead = ways_ahead(chain)
    level = np.logaddexp(0, log_sum(ahead.others, 1))
    states = len(transitions)

    def marginals() -> Array:
        """Return the probability of each tag at each step, ``(rows, T, K)``."""
        found = [
            np.exp(weight + after - level[:, None])
            for weight, after in zip(ahead.every, ways_behind(chain), strict=True)
        ]
        return np.where(chain.valid[:, :, None], np.stack(found, axis=1), 0) if found else chain.steps

    def of_emissions() -> Array:
        """Return the probabilities less 1 at the tags."""
        fractions, ones = _less_one(marginals(), tags)
        return np.where(chain.valid[:, :, None], fractions + ones, 0)

    def of_transitions() -> Array:
        """Return likewise the probabilities of each two tags at adjacent steps, summed over these, ``(rows, K, K)``."""
        behind = ways_behind(chain)
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
        level - score_of(chain, tags),
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
