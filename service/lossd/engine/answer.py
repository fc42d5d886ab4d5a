"""Makes the answer of a call from what its blocks add up to: divided, in the caller's shapes and type."""

from __future__ import annotations

from typing import Any

import numpy as np

from lossd.engine.bind import Bound, BoundArray
from lossd.engine.normalize import denominator_gradient
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
        if kind == "gradient" and name in plan.divided_by:
            owed = denominator_gradient(name, bound, plan, reduction, values[reduction])
            array = array if owed is None else array + owed
        found[kind].setdefault(reduction, {})[name] = _in_own_shape(array, name, bound)
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


def _in_own_shape(array: Array, name: str, bound: Bound) -> Array:
    """Sum a derivative over the axes that a broadcast made, and give it the answer's type.

    That is complex for a complex argument, and real for all else: the real part, as PyTorch has it.
    """
    given = bound.arrays.get(name)
    if given is not None and given.broadcast is not None:
        array = _sum_to(array, given)
    storage = bound.storage if name in bound.complex else bound.real
    if array.dtype.kind == "c" and storage.kind != "c":
        array = array.real.copy(order="C")
    return rounded(array, storage)


def _sum_to(array: Array, given: BoundArray) -> Array:
    """Sum an array of the broadcast shape over the axes that the broadcast made."""
    core_count = len(given.core)
    shape = list(given.array.shape)
    moved = [shape[axis] for axis in range(len(shape)) if axis not in given.core]
    moved += [shape[axis] for axis in given.core]
    lead = array.ndim - len(moved)
    accumulate = np.result_type(array, np.float64)
    array = np.add.reduce(array, axis=tuple(range(lead)), dtype=accumulate)
    stretched = tuple(a for a, size in enumerate(moved) if size == 1 and array.shape[a] != 1)
    array = np.add.reduce(array, axis=stretched, keepdims=True) if stretched else array
    return np.moveaxis(array, range(-core_count, 0), given.core) if core_count else array
