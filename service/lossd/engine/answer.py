"""Makes the answer of a call: its results rounded to the caller's type, and sorted by kind and reduction."""

from __future__ import annotations

from typing import Any

import numpy as np

from lossd.engine.bind import Bound
from lossd.engine.plan import Plan
from lossd.engine.precision import rounded, rounding_to
from lossd.engine.reduce import Reduced
from lossd.engine.reductions import count
from lossd.message import DERIVATIVES, Answer, Array

_UNNORMALIZED = "{}: some rows of probabilities do not sum to 1"


def make_answer(bound: Bound, plan: Plan, reduced: Reduced) -> Answer:
    """Round the results and derivatives of a call, and sort them."""
    found: dict[str, Any] = {kind: {} for kind in DERIVATIVES}
    for (kind, reduction, name), array in reduced.derivatives.items():
        found[kind].setdefault(reduction, {})[name] = in_own_type(array, type_of(name, bound))
    warnings = warnings_of(bound, plan, reduced.unnormalized)
    typed = {name: _typed(value, bound) for name, value in reduced.values.items()}
    return Answer(typed, count(plan.inputs), plan.denominator, warnings=warnings, **found)


def warnings_of(bound: Bound, plan: Plan, unnormalized: frozenset[str]) -> tuple[str, ...]:
    """Return warnings about what the call asks for, and about arguments with a row that does not sum to one."""
    found = [_UNNORMALIZED.format(name) for name in bound.arrays if name in unnormalized]
    return (*plan.wanted.warnings, *found)


def _typed(value: Any, bound: Bound) -> Any:
    """Return a result in the answer's type; a complex call has a real loss."""
    if isinstance(value, np.ndarray) and value.ndim:
        return rounded(value, bound.real)
    return rounding_to(bound.real)(value)


def type_of(name: str, bound: Bound) -> np.dtype[Any]:
    """Return the type of a derivative: complex for a complex argument, and real for all else, as in PyTorch."""
    return bound.storage if name in bound.complex else bound.real


def in_own_type(array: Array, storage: np.dtype[Any]) -> Array:
    """Round an array to the answer's type; of complex numbers, where that is real, the real part."""
    if array.dtype.kind == "c" and storage.kind != "c":
        array = array.real.copy(order="C")
    return rounded(array, storage)
