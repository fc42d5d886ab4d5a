"""What a mean divides by where that is not the number of values, and how it depends on arguments."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from lossd.declaration.result import Normalizer
from lossd.engine.bind import Bound
from lossd.engine.broadcasts import in_own_shape
from lossd.engine.heaviest import correct_heaviest
from lossd.engine.reduce import REDUCTIONS, Weights, of_selected
from lossd.message import Array
from lossd.numerics.stable import times

if TYPE_CHECKING:
    from lossd.engine.plan import Plan


def has_normalizer(bound: Bound) -> bool:
    """Return whether values of the call's arrays say what its rows add to the mean's denominator."""
    loss = bound.loss
    return loss.normalizer is not None and all(
        name in bound.arrays or not loss.by_name[name].optional for name in loss.normalized_by
    )


def normalizer_of(bound: Bound, rows: Array | None) -> Normalizer | None:
    """Return the normalizer of a call, with whole arrays; rows that take no part may hold anything, and add 0."""
    loss = bound.loss
    assert loss.normalizer is not None
    found = loss.normalizer(**_arguments(bound, rows))
    if found is None or rows is None:
        return found
    return Normalizer(
        _spread(found.value, rows, bound.count),
        {name: _of_rows(pull, rows, name, bound) for name, pull in found.gradient.items()},
        _spread(found.scale, rows, bound.count),
    )


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
    if plan.normalizer is None or weighted_by is None or plan.weights.denominator is not None:
        return array
    weights, divisor = plan.weights, plan.scales[reduction].divisor
    # Over nothing the value is what the caller made of it, 0 or NaN, and so is this.
    divided_by = np.where(np.equal(divisor, 0), 1, divisor)
    sample = weighted_by(weights)
    share = np.broadcast_to(1.0, math.prod(weights.shape)) if sample is None else sample
    given = bound.arrays[name]
    if weights.axes is None:
        rate = _denominator_slope(share, name, bound, plan)
        part = rate * (value / divided_by)
        if not np.isfinite(value / divided_by):  # an infinite mean is nothing to those that take no part
            part = times(rate / divided_by, np.asarray(value))
        slope: Array = array - part
    else:
        per_value_part = _per_value(np.asarray(value), weights) * (share / _per_value(divided_by, weights))
        slope = array - _denominator_slope(per_value_part, name, bound, plan)
        if given.rows is None or given.broadcast is not None:
            return slope  # a weight has a part in several results
        rate = of_selected(share, weights).reshape(array.shape)
    correct_heaviest(slope, array, rate, given.array, weights, divisor)
    return slope


def _denominator_slope(of_values: Array, name: str, bound: Bound, plan: Plan) -> Array:
    """Return the gradient with respect to an argument of the values' normalizers, each times its factor."""
    assert plan.normalizer is not None
    given = bound.arrays[name]
    found = plan.normalizer.gradient[name](of_selected(of_values, plan.weights))
    whole: Array = found.reshape(given.broadcast or given.array.shape)
    return in_own_shape(whole, given)


def _arguments(bound: Bound, rows: Array | None) -> dict[str, Any]:
    """Return the arguments that the normalizer depends on: ``(rows,)``, or as they are where rows share them."""
    found: dict[str, Any] = {}
    for name in bound.loss.normalized_by:
        given = bound.arrays.get(name)
        if given is None or (
            given.role.pattern.core[given.role.pattern.by_item :] and given.rows is not None
        ):
            found[name] = None
        elif given.rows is None:
            found[name] = given.array
        else:
            whole = given.rows.read(slice(0, bound.count), None)
            found[name] = whole if rows is None else whole[rows]
    return found


def _spread(values: Any, rows: Array, count: int) -> Any:
    """Return values of some rows among 0 for all others."""
    if values is None:
        return None
    whole = np.zeros(count, np.float64)
    whole[rows] = values
    return whole


def _of_rows(pull: Any, rows: Array, name: str, bound: Bound) -> Any:
    """Return a pullback for all rows from one for some."""

    def pulled(upstream: Array) -> Array:
        found: Array = pull(upstream[rows])
        given = bound.arrays[name]
        return found if given.rows is None else _spread(found, rows, bound.count)

    return pulled


def _per_value(result: Array, weights: Weights) -> Array:
    """Return for each value the number of the result that it belongs to."""
    if weights.axes is not None:
        result = np.expand_dims(result, weights.axes)
    return np.broadcast_to(result, weights.shape).reshape(-1)
