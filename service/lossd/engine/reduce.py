"""Reduces what the blocks of a call add up to: the results of its reductions, and their derivatives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossd.engine.bind import Bound
from lossd.engine.broadcasts import in_own_shape
from lossd.engine.denominator_gradient import through_denominator
from lossd.engine.plan import Plan
from lossd.engine.precision import Number
from lossd.engine.reductions import REDUCTIONS, sum_over_axes
from lossd.engine.run import Key, Totals
from lossd.message import Array


@dataclass(frozen=True, slots=True)
class Reduced:
    """The results of a call, not yet rounded to the type of its answer.

    Attributes:
        values: Reduction to its result in float64 or wider: a number, or an array where axes are left.
        derivatives: Every derivative that was asked for, in the shape of its argument.
        unnormalized: Arguments with a row of probabilities that does not sum to one.
    """

    values: Mapping[str, Any]
    derivatives: Mapping[Key, Array]
    unnormalized: frozenset[str]


def reduce(bound: Bound, plan: Plan, totals: Totals) -> Reduced:
    """Divide the sums, and add to the derivatives what the denominators depend on."""
    values = {name: _value(name, plan, totals) for name in plan.factors}
    derivatives: dict[Key, Array] = {}
    for key, array in totals.arrays.items():
        kind, reduction, name = key
        if key in totals.shared and (total := totals.shared[key].total()) is not None:
            array += total
        given = bound.arrays.get(name)
        own = array if given is None else in_own_shape(array, given)
        if kind == "gradient" and name in plan.divided_by:
            own = through_denominator(own, name, bound, plan, reduction, values[reduction])
        derivatives[key] = own
    return Reduced(values, derivatives, totals.unnormalized)


def _value(name: str, plan: Plan, totals: Totals) -> Any:
    """Return the result of one reduction."""
    if name in totals.sums:
        total = totals.sums[name].total()  # perhaps in a wider type than planned: what it divides to may fit
        return divide(
            plan.sum_type(0) + (0 if total is None else total), plan.factors[name].divisor, plan.empty
        )
    value = totals.kept[name].reshape(-1)
    if REDUCTIONS[name].keeps_values:
        return value.reshape(plan.inputs.shape)
    return divide(sum_over_axes(value, plan.inputs), plan.factors[name].divisor, plan.empty)


def divide(value: Any, divisor: Number | Array, empty: str) -> Any:
    """Divide a sum; a mean over no elements is what ``empty`` says."""
    if not isinstance(divisor, np.ndarray) and divisor:
        return value / divisor
    quotient = np.divide(value, divisor)
    return np.where(np.equal(divisor, 0), 0.0 if empty == "zero" else np.nan, quotient)
