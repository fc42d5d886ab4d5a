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

_NOT_DISTRIBUTIONS = "target: some rows of probabilities do not sum to 1"


def make_answer(bound: Bound, plan: Plan, reduced: Reduced) -> Answer:
    """Round the results and derivatives of a call, and sort them."""
    found: dict[str, dict[str, dict[str, Array]]] = {kind: {} for kind in DERIVATIVES}
    for (kind, reduction, name), array in reduced.derivatives.items():
        found[kind].setdefault(reduction, {})[name] = _in_own_type(array, name, bound)
    warnings = plan.wanted.warnings if reduced.distributions else (*plan.wanted.warnings, _NOT_DISTRIBUTIONS)
    typed = {name: _typed(value, bound) for name, value in reduced.values.items()}
    return Answer(typed, count(plan.inputs), plan.denominator, warnings=warnings, **found)


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
