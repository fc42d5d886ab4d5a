"""The reductions: how each weighs the values of many rows, and what it divides their sum by.

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
from lossd.numerics.tree_sum import tree_total


@dataclass(frozen=True)
class ReductionInputs:
    """What the reductions of a call depend on besides the values; an absent weight is one everywhere.

    Attributes:
        shape: The shape of the unreduced loss.
        selected: Flat indices of the values that count; all if None.
        sample: The caller's weight of each value, flat as all that follow.
        normalizer: What each value adds to the denominator of the mean.
        mean_scale: Factor on each value in the mean.
        axes: The axes to reduce over; all if None.
        denominator: The caller's own.
        blocks: Slices of the values whose normalizers are summed first, where they are more than one.
    """

    shape: tuple[int, ...]
    selected: Array | None = None
    sample: Array | None = None
    normalizer: Array | None = None
    mean_scale: Array | None = None
    axes: tuple[int, ...] | None = None
    denominator: Number | None = None
    blocks: tuple[slice, ...] = ()


@dataclass(frozen=True)
class Reduction:
    """How one reduction weighs values.

    Attributes:
        keeps_values: Whether every value is kept.
        divisor: What the sum is divided by: a number, an array where axes are left, or None for 1.
        mean_scaled: Whether each value is multiplied by the loss's `ReductionInputs.mean_scale`.
        normalizer_weight: Gives what the divisor multiplies each value's normalizer with, None for 1; absent where
            the divisor does not depend on it.
    """

    keeps_values: bool = False
    divisor: Callable[[ReductionInputs], Number | Array] | None = None
    mean_scaled: bool = False
    normalizer_weight: Callable[[ReductionInputs], Array | None] | None = None


def count(inputs: ReductionInputs) -> int:
    """Return how many values count."""
    return math.prod(inputs.shape) if inputs.selected is None else len(inputs.selected)


def sum_over_axes(values: Array, inputs: ReductionInputs) -> Array:
    """Sum flat values over the caller's axes, in float64 or wider; the axes that are left remain."""
    summed = partial(np.add.reduce, values.reshape(inputs.shape), axis=inputs.axes)
    total: Array
    try:
        with trap(underflow=False):
            total = summed(dtype=np.result_type(values, np.float64))
    except FloatingPointError:
        total = summed(dtype=WIDE)
    return total


def of_selected(values: Array, inputs: ReductionInputs) -> Array:
    """Return flat ``values`` with 0 in place of those that do not count."""
    if inputs.selected is None:
        return values
    kept = np.zeros_like(values)
    kept[inputs.selected] = values[inputs.selected]
    return kept


def divisor_terms(name: str, inputs: ReductionInputs) -> list[Number]:
    """Return what each block of values adds to the divisor of a reduction; one term where blocks do not matter."""
    reduction = REDUCTIONS[name]
    assert reduction.divisor is not None
    if reduction.normalizer_weight is None:
        total: Any = reduction.divisor(inputs)
        return [total]
    return _normalizer_terms(inputs, reduction.normalizer_weight(inputs))


def _normalizer_sum(inputs: ReductionInputs, sample: Array | None) -> Number | Array:
    """Sum the values' normalizers, times their weight if one is given, over those that count."""
    if inputs.axes is not None:
        return sum_over_axes(_normalizers(inputs, sample), inputs)
    total: Any = tree_total(_normalizer_terms(inputs, sample))
    return total if total.dtype == WIDE else float(total)


def _normalizer_terms(inputs: ReductionInputs, sample: Array | None) -> list[Number]:
    """Return the sums of the normalizers of each block."""
    if sample is None and inputs.normalizer is None:
        return [np.float64(count(inputs))]
    whole = _normalizers(inputs, sample)
    return [np.add.reduce(whole[block]) for block in inputs.blocks or (...,)]


def _normalizers(inputs: ReductionInputs, sample: Array | None) -> Array:
    """Return what each value adds to the denominator of a mean, flat."""
    factors = [f.astype(np.result_type(f, np.float64)) for f in (inputs.normalizer, sample) if f is not None]
    return of_selected(reduce(np.multiply, factors or [np.ones(math.prod(inputs.shape))]), inputs)


def _batch_size(inputs: ReductionInputs) -> float:
    return float(inputs.shape[0]) if inputs.shape else 1.0


REDUCTIONS: Mapping[str, Reduction] = {
    "none": Reduction(keeps_values=True),
    "sum": Reduction(),
    "mean": Reduction(
        divisor=lambda inputs: _normalizer_sum(inputs, None),
        mean_scaled=True,
        normalizer_weight=lambda inputs: None,
    ),
    "batchmean": Reduction(divisor=_batch_size),
    "weighted_mean": Reduction(
        divisor=lambda inputs: _normalizer_sum(inputs, inputs.sample),
        normalizer_weight=lambda inputs: inputs.sample,
    ),
}


def widened(inputs: ReductionInputs) -> ReductionInputs:
    """Return the inputs in a type that holds their sums and products."""

    def extended(factor: Array | None) -> Array | None:
        return None if factor is None else factor.astype(WIDE)

    own = inputs.denominator
    return replace(
        inputs,
        sample=extended(inputs.sample),
        normalizer=extended(inputs.normalizer),
        mean_scale=extended(inputs.mean_scale),
        denominator=None if own is None else WIDE(own),
    )


def denominator(name: str, inputs: ReductionInputs, empty: str) -> Number | Array:
    """Return what the reduction ``name`` divides by; 0 where there are no elements.

    Raises:
        InvalidCall: The mean is over no elements and ``empty`` is ``error``.
    """
    divisor = REDUCTIONS[name].divisor
    if divisor is None:
        return 1.0
    if inputs.denominator is not None:
        return inputs.denominator
    total = divisor(inputs)
    if empty == "error" and holds_zero(total):
        expected = "something to average, or `empty` set to 'nan' or 'zero'"
        raise invalid(
            "reduction",
            expected,
            f"a {name} over no elements: {_why_nothing(inputs)}",
        )
    return total


def _why_nothing(inputs: ReductionInputs) -> str:
    """Say why nothing is averaged."""
    if not math.prod(inputs.shape):
        return f"the arrays are empty, with unreduced losses of shape {list(inputs.shape)}"
    return "each is masked, ignored or has zero weight"


def holds_zero(divisor: Number | Array) -> bool:
    """Return whether a divisor is zero, or holds a zero."""
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
