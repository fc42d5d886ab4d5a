"""Makes the answer of a call from what its blocks add up to: divided, in the caller's shapes and type."""

from __future__ import annotations

from typing import Any

import numpy as np

from lossd.engine.bind import Bound
from lossd.engine.broadcasts import in_own_shape
from lossd.engine.normalize import through_denominator
from lossd.engine.plan import Plan, Scale
from lossd.engine.precision import rounded, rounding_to
from lossd.engine.reduce import REDUCTIONS, count, sum_over_axes
from lossd.engine.request import Request
from lossd.engine.run import Totals
from lossd.message import Answer, Array

_NOT_DISTRIBUTIONS = "target: some rows of probabilities do not sum to 1"


def answer(request: Request, bound: Bound, plan: Plan, totals: Totals) -> Answer:
    """Divide the sums, add what the denominators depend on, and sort the derivatives."""
    values = {name: _value(name, plan, totals, request.options.empty) for name in plan.scales}
    found: dict[str, dict[str, dict[str, Array]]] = {"gradient": {}, "hessian": {}, "hvp": {}}
    for (kind, reduction, name), array in totals.derivatives.items():
        given = bound.arrays.get(name)
        own = array if given is None else in_own_shape(array, given)
        if kind == "gradient" and name in plan.divided_by:
            own = through_denominator(own, name, bound, plan, reduction, values[reduction])
        found[kind].setdefault(reduction, {})[name] = _in_own_type(own, name, bound)
    warnings = plan.warnings if totals.distributions else (*plan.warnings, _NOT_DISTRIBUTIONS)
    typed = {name: _typed(value, bound) for name, value in values.items()}
    return Answer(typed, count(plan.weights), plan.denominator, warnings=warnings, **found)


def _value(name: str, plan: Plan, totals: Totals, empty: str) -> Any:
    """Return a reduction's result in float64 or wider: a number, or an array where axes are left."""
    scale, value = plan.scales[name], totals.values[name]
    if REDUCTIONS[name].keeps_values:
        return value.reshape(plan.weights.shape)
    if plan.weights.axes is not None:
        value = sum_over_axes(value, plan.weights)
    return _divide(value, scale, empty)


def _divide(value: Any, scale: Scale, empty: str) -> Any:
    divisor = scale.divisor
    if not isinstance(divisor, np.ndarray) and divisor:
        return value / divisor
    quotient = np.divide(value, divisor)
    return np.where(np.equal(divisor, 0), 0.0 if empty == "zero" else np.nan, quotient)


def _typed(value: Any, bound: Bound) -> Any:
    """Return a result in the answer's type; a complex call has a real loss."""
    if isinstance(value, np.ndarray) and value.ndim:
        return rounded(value, bound.real)
    return rounding_to(bound.real)(value)


def _in_own_type(array: Array, name: str, bound: Bound) -> Array:
    """Give a derivative the answer's type.

    That is complex for a complex argument, and real for all else: the real part, as PyTorch has it.
    """
    storage = bound.storage if name in bound.complex else bound.real
    if array.dtype.kind == "c" and storage.kind != "c":
        array = array.real.copy(order="C")
    return rounded(array, storage)
