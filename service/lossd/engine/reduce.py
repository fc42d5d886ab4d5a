"""Reduces what the blocks of a call add up to: the results of its reductions, and their derivatives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossd.engine.bind import Bound
from lossd.engine.broadcasts import in_own_shape
from lossd.engine.denominator_gradient import through_denominator
from lossd.engine.factors import Factors
from lossd.engine.plan import Plan
from lossd.engine.reductions import REDUCTIONS, sum_over_axes
from lossd.engine.run import Key, Totals
from lossd.message import Array


@dataclass(frozen=True, slots=True)
class Reduced:
    """The results of a call, not yet rounded to the type of its answer.

    Attributes:
        values: Reduction to its result in float64 or wider: a number, or an array where axes are left.
        derivatives: Every derivative that was asked for, in the shape of its argument.
        distributions: Whether every row of probabilities summed to one.
    """

    values: Mapping[str, Any]
    derivatives: Mapping[Key, Array]
    distributions: bool


def reduce(bound: Bound, plan: Plan, totals: Totals) -> Reduced:
    """Divide the sums, and add to the derivatives what the denominators depend on."""
    values = {name: _value(name, plan, totals) for name in plan.factors}
    derivatives: dict[Key, Array] = {}
    for key, array in totals.derivatives.items():
        kind, reduction, name = key
        given = bound.arrays.get(name)
        own = array if given is None else in_own_shape(array, given)
        if kind == "gradient" and name in plan.divided_by:
            own = through_denominator(own, name, bound, plan, reduction, values[reduction])
        derivatives[key] = own
    return Reduced(values, derivatives, totals.distributions)


def _value(name: str, plan: Plan, totals: Totals) -> Any:
    """Return the result of one reduction."""
    value = totals.values[name]
    if REDUCTIONS[name].keeps_values:
        return value.reshape(plan.inputs.shape)
    if plan.inputs.axes is not None:
        value = sum_over_axes(value, plan.inputs)
    return _divide(value, plan.factors[name], plan.empty)


def _divide(value: Any, factors: Factors, empty: str) -> Any:
    divisor = factors.divisor
    if not isinstance(divisor, np.ndarray) and divisor:
        return value / divisor
    quotient = np.divide(value, divisor)
    return np.where(np.equal(divisor, 0), 0.0 if empty == "zero" else np.nan, quotient)
