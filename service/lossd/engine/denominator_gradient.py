"""The gradient of a mean with respect to what its denominator depends on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lossd.engine.bind import Bound
from lossd.engine.broadcasts import in_own_shape
from lossd.engine.heaviest import correct_heaviest
from lossd.engine.plan import Plan
from lossd.engine.reductions import REDUCTIONS, ReductionInputs, of_selected
from lossd.message import Array
from lossd.numerics.stable import times


def through_denominator(
    array: Array, name: str, bound: Bound, plan: Plan, reduction: str, value: Any
) -> Array:
    """Return the gradient of a mean ``L = N / D`` with respect to an argument w: ``(dN/dw - L dD/dw) / D``.

    Args:
        array: ``dN/dw / D``, in the shape of w.
        name: w, an argument that D depends on.
        bound: The call's arrays.
        plan: Its plan.
        reduction: Which mean.
        value: L.
    """
    weighted_by = REDUCTIONS[reduction].normalizer_weight
    if plan.normalizer is None or weighted_by is None or plan.inputs.denominator is not None:
        return array
    inputs, divisor = plan.inputs, plan.factors[reduction].divisor
    # Over nothing the value is what the caller made of it, 0 or NaN, and so is this.
    divided_by = np.where(np.equal(divisor, 0), 1, divisor)
    sample = weighted_by(inputs)
    share = np.broadcast_to(1.0, math.prod(inputs.shape)) if sample is None else sample
    given = bound.arrays[name]
    if inputs.axes is None:
        rate = _denominator_slope(share, name, bound, plan)
        part = rate * (value / divided_by)
        if not np.isfinite(value / divided_by):  # an infinite mean is nothing to those that take no part
            part = times(rate / divided_by, np.asarray(value))
        slope = np.asarray(
            array - part
        )  # of arrays without an axis it is a number, which cannot be written to
    else:
        per_value_part = _per_value(np.asarray(value), inputs) * (share / _per_value(divided_by, inputs))
        slope = array - _denominator_slope(per_value_part, name, bound, plan)
        if given.rows is None or given.broadcast is not None:
            return slope  # a weight has a part in several results
        rate = of_selected(share, inputs).reshape(array.shape)
    correct_heaviest(slope, array, rate, given.array, inputs, divisor)
    return slope


def _denominator_slope(of_values: Array, name: str, bound: Bound, plan: Plan) -> Array:
    """Return the gradient with respect to an argument of the values' normalizers, each times its factor."""
    assert plan.normalizer is not None
    given = bound.arrays[name]
    found = plan.normalizer.gradient[name](of_selected(of_values, plan.inputs))
    whole: Array = found.reshape(given.broadcast or given.array.shape)
    return in_own_shape(whole, given)


def _per_value(result: Array, inputs: ReductionInputs) -> Array:
    """Return for each value the number of the result that it belongs to."""
    if inputs.axes is not None:
        result = np.expand_dims(result, inputs.axes)
    return np.broadcast_to(result, inputs.shape).reshape(-1)
