"""What each value is multiplied with: the factors of every reduction.

They are known from the weights, the mask and the shapes before any kernel runs, so a kernel's derivatives can be
scaled while they are in cache, and value and gradient take one pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossd.declaration.result import Normalizer
from lossd.engine.bind import Bound
from lossd.engine.blocks import row_slices
from lossd.engine.dtypes import real_numbers
from lossd.engine.layout import Block
from lossd.engine.masks import per_value
from lossd.engine.precision import Number, keeps_digits, trap
from lossd.engine.reductions import (
    REDUCTIONS,
    ReductionInputs,
    denominator,
    holds_zero,
    normalise_axes,
    widened,
)
from lossd.engine.request import Request
from lossd.engine.selection import Selection
from lossd.errors import invalid
from lossd.message import Array

Factor = Number | Array  # one for all values, or one each


@dataclass(frozen=True, slots=True)
class Factors:
    """What one reduction multiplies each value and its derivatives with.

    Attributes:
        value: Factor on a value before the sum.
        divisor: What the sum is divided by; an array where ``axis`` leaves axes.
        derivative: Factor on a value's derivatives: value * upstream / divisor.
    """

    value: Factor
    divisor: Number | Array
    derivative: Factor

    @property
    def are_numbers(self) -> bool:
        """Whether each is one number for all values."""
        return not any(isinstance(each, np.ndarray) for each in (self.value, self.divisor, self.derivative))


def factors_of(
    names: tuple[str, ...], inputs: ReductionInputs, request: Request, bound: Bound
) -> tuple[dict[str, Factors], ReductionInputs]:
    """Return the factors of every reduction, and what they were made of: in `WIDE` if a narrower type loses digits."""
    found = _exact_factors(names, inputs, request, bound)
    if found is not None:
        return found, inputs
    inputs = widened(inputs)
    return {name: _factors(name, inputs, request, bound) for name in names}, inputs


def reduction_inputs(
    request: Request, bound: Bound, selection: Selection, normalizer: Normalizer | None, block_rows: int
) -> ReductionInputs:
    """Gather what the reductions of a call depend on besides the values."""
    sample = _sample_weight(request, bound, selection)
    weighs = sample is not None or normalizer is not None
    return ReductionInputs(
        shape=bound.unreduced,
        selected=selection.values,
        sample=sample,
        normalizer=None if normalizer is None else normalizer.value,
        mean_scale=None if normalizer is None else normalizer.scale,
        axes=normalise_axes(None if "axis" in bound.placing else request.options.axis, len(bound.unreduced)),
        denominator=request.options.denominator,
        blocks=_value_slices(bound, block_rows) if weighs else (),
    )


def block_factor(factor: Factor, block: Block, bound: Bound) -> Factor:
    """Return the part of a factor that belongs to a block, in the shape of its values."""
    if not isinstance(factor, np.ndarray):
        return factor
    if not bound.loss.value.batched and not bound.loss.value.by_item:
        return factor.reshape(bound.unreduced)
    part: Array = factor.reshape(bound.count, *bound.value_core)[block]
    return part


def _value_slices(bound: Bound, block_rows: int) -> tuple[slice, ...]:
    """Return the slices of values that belong to blocks of rows; none where blocks are not cut from rows in order."""
    if bound.loss.whole_batch or bound.lists is not None or not bound.loss.value.batched:
        return ()
    width = math.prod(bound.value_core)
    return tuple(slice(rows.start * width, rows.stop * width) for rows in row_slices(bound, block_rows))


def _sample_weight(request: Request, bound: Bound, selection: Selection) -> Array | None:
    """Return the caller's weight of each value, 0 for values that do not count in rows that take part."""
    weight, alias = request.sample_weight, bound.loss.alias
    counts = selection.values
    partial = (
        counts is not None and selection.rows is not None and bound.value_core and not bound.loss.whole_batch
    )
    if weight is None and not partial:
        return None
    found = np.ones(bound.unreduced).reshape(-1)
    if weight is not None:
        if alias is not None and alias.weighs_samples:
            weight = weight.reshape(weight.shape + (1,) * (len(bound.unreduced) - weight.ndim))
        found = per_value(real_numbers(weight, "sample_weight"), bound.unreduced, "sample_weight")
    if not partial:
        return found
    kept = np.zeros_like(found)
    kept[counts] = found[counts]
    return kept


def _exact_factors(
    names: tuple[str, ...], inputs: ReductionInputs, request: Request, bound: Bound
) -> dict[str, Factors] | None:
    """Return the factors of every reduction, or None if some lose digits in float64 or in the call's arithmetic."""
    try:
        with trap(underflow=True):
            found = {name: _factors(name, inputs, request, bound) for name in names}
    except FloatingPointError:
        return None
    factors = (factor for each in found.values() for factor in (each.value, each.derivative))
    return found if all(keeps_digits(factor, bound.computing) for factor in factors) else None


def _factors(name: str, inputs: ReductionInputs, request: Request, bound: Bound) -> Factors:
    """Return the factors of one reduction."""
    reduction, empty = REDUCTIONS[name], request.options.empty
    value: Factor = 1.0 if inputs.sample is None else inputs.sample
    if reduction.keeps_values:
        upstream = _upstream(request, bound)
        return Factors(value, 1.0, value if upstream is None else value * upstream)
    if reduction.mean_scaled and inputs.mean_scale is not None:
        value = value * inputs.mean_scale
    divisor = denominator(name, inputs, empty)
    per_value_divisor = divisor
    if isinstance(divisor, np.ndarray):
        lost = inputs.axes or ()
        kept = np.expand_dims(divisor, lost) if len(lost) else divisor
        per_value_divisor = np.broadcast_to(kept, inputs.shape).reshape(-1)
    return Factors(value, divisor, _over(value, per_value_divisor, empty))


def _over(value: Factor, divisor: Factor, empty: str) -> Factor:
    """Divide, where a divisor of zero gives what ``empty`` says."""
    if not holds_zero(divisor):
        quotient: Any = np.divide(value, divisor)  # which reports an overflow, as Python's division does not
        return float(quotient) if isinstance(quotient, float) else quotient
    nothing = 0.0 if empty == "zero" else np.nan
    return np.where(np.equal(divisor, 0), nothing, np.divide(value, divisor)) + np.zeros(np.shape(value))


def _upstream(request: Request, bound: Bound) -> Array | None:
    upstream = request.upstream
    if upstream is None:
        return None
    if upstream.shape != bound.unreduced:
        raise invalid("upstream", f"the shape of the unreduced loss, {bound.unreduced}", upstream.shape)
    return real_numbers(upstream, "upstream").reshape(-1)
