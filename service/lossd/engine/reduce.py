"""How the values of many rows become the result that a caller asked for.

Every reduction is linear: a result is the sum of the values, each times its own factor, divided
by a denominator. So a gradient is the values' partial derivatives times the same factors, and one
pass over the data serves value and gradient, for any number of reductions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import Any

import numpy as np

from lossd.engine.precision import WIDE, Number, trap
from lossd.errors import invalid
from lossd.message import Array


@dataclass(frozen=True)
class Weights:
    """What weighs the values of a call; an absent one is one everywhere.

    Attributes:
        shape: The shape of the unreduced loss.
        selected: Flat indices of the values that count; all if None.
        sample: The caller's weight of each value, flat as all that follow.
        normalizer: What each value adds to the denominator of the mean.
        mean_scale: Factor on each value in the mean.
        axes: The axes to reduce over; all if None.
        denominator: The caller's own.
    """

    shape: tuple[int, ...]
    selected: Array | None = None
    sample: Array | None = None
    normalizer: Array | None = None
    mean_scale: Array | None = None
    axes: tuple[int, ...] | None = None
    denominator: Number | None = None


@dataclass(frozen=True)
class Reduction:
    """How one reduction weighs values.

    Attributes:
        keeps_values: Whether every value is kept.
        divisor: What the sum is divided by: a number, an array where axes are left, or None for 1.
        mean_scaled: Whether each value is multiplied by the loss's `Weights.mean_scale`.
        normalizer_weight: Gives what the divisor multiplies each value's normalizer with, None for 1; absent where
            the divisor does not depend on it.
    """

    keeps_values: bool = False
    divisor: Callable[[Weights], Number | Array] | None = None
    mean_scaled: bool = False
    normalizer_weight: Callable[[Weights], Array | None] | None = None


def count(weights: Weights) -> int:
    """Return how many values count."""
    return math.prod(weights.shape) if weights.selected is None else len(weights.selected)


def sum_over_axes(values: Array, weights: Weights) -> Array:
    """Sum flat values over the caller's axes, in float64 or wider; the axes that are left remain."""
    summed = partial(np.add.reduce, values.reshape(weights.shape), axis=weights.axes)
    total: Array
    try:
        with trap(underflow=False):
            total = summed(dtype=np.result_type(values, np.float64))
    except FloatingPointError:
        total = summed(dtype=WIDE)
    return total


def of_selected(values: Array, weights: Weights) -> Array:
    """Clear what belongs to values that do not count, flat."""
    if weights.selected is None:
        return values
    kept = np.zeros_like(values)
    kept[weights.selected] = values[weights.selected]
    return kept


def _normalizer_sum(weights: Weights, sample: Array | None) -> Number | Array:
    """Sum the values' normalizers, times their weight if one is given, over those that count."""
    if weights.axes is None and sample is None and weights.normalizer is None:
        return float(count(weights))
    factors = [f.astype(np.result_type(f, np.float64)) for f in (weights.normalizer, sample) if f is not None]
    whole = of_selected(reduce(np.multiply, factors or [np.ones(math.prod(weights.shape))]), weights)
    if weights.axes is None:
        total: Any = np.add.reduce(whole)
        return total if total.dtype == WIDE else float(total)
    return sum_over_axes(whole, weights)


def _batch_size(weights: Weights) -> float:
    return float(weights.shape[0]) if weights.shape else 1.0


REDUCTIONS: Mapping[str, Reduction] = {
    "none": Reduction(keeps_values=True),
    "sum": Reduction(),
    "mean": Reduction(
        divisor=lambda weights: _normalizer_sum(weights, None),
        mean_scaled=True,
        normalizer_weight=lambda weights: None,
    ),
    "batchmean": Reduction(divisor=_batch_size),
    "weighted_mean": Reduction(
        divisor=lambda weights: _normalizer_sum(weights, weights.sample),
        normalizer_weight=lambda weights: weights.sample,
    ),
}


def widened(weights: Weights) -> Weights:
    """Return the weights in a type that holds their sums and products."""

    def wide(factor: Array | None) -> Array | None:
        return None if factor is None else factor.astype(WIDE)

    own = weights.denominator
    return replace(
        weights,
        sample=wide(weights.sample),
        normalizer=wide(weights.normalizer),
        mean_scale=wide(weights.mean_scale),
        denominator=None if own is None else WIDE(own),
    )


def denominator(name: str, weights: Weights, empty: str) -> Number | Array:
    """Return what the reduction ``name`` divides by; over nothing, what makes ``empty`` come out.

    Raises:
        InvalidCall: The mean is over nothing and ``empty`` is ``error``.
    """
    divisor = REDUCTIONS[name].divisor
    if divisor is None:
        return 1.0
    if weights.denominator is not None:
        return weights.denominator
    total = divisor(weights)
    if empty == "error" and holds_zero(total):
        expected = "something to average, or empty: 'nan' or 'zero' to say what comes of nothing"
        raise invalid("reduction", expected, f"a {name} of which no element takes part or all weigh zero")
    return total


def holds_zero(divisor: Number | Array) -> bool:
    """Return whether there is anything that is divided by zero."""
    return not (divisor.all() if isinstance(divisor, np.ndarray) else divisor)


def legacy_reduction(size_average: bool | None, reduce: bool | None) -> str:
    """Return the reduction that PyTorch's ``size_average`` and ``reduce`` mean."""
    if reduce is False:
        return "none"
    return "sum" if size_average is False else "mean"


def normalise_axes(axis: int | list[int] | None, rank: int) -> tuple[int, ...] | None:
    """Return ``axis`` as a tuple of non-negative axes of an unreduced loss of ``rank`` axes."""
    if axis is None:
        return None
    axes: Any = [axis] if isinstance(axis, int) else axis
    for place in axes:
        if not -rank <= place < rank:
            raise invalid("axis", f"axes of the unreduced loss, which has {rank}", place)
    unique = {place % rank for place in axes}
    if len(unique) != len(axes):
        raise invalid("axis", "every axis once", axes)
    return tuple(sorted(unique))
