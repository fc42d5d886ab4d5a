"""Gives each case its truth: row by row, in exact arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from lossd.declaration.domain import WEIGHT
from lossd.engine import evaluate
from lossd.losses import LOSSES
from lossd.message import Call
from tests.oracle.case import Case
from tests.oracle.cases import draw_cases
from tests.oracle.exact import numbers, summed, worst
from tests.oracle.formulas import Truth
from tests.oracle.records import ORACLES

WHOLE_BATCH = {name for name, loss in LOSSES.items() if loss.whole_batch}
# Loss to the arguments that all rows share.
SHARED = {
    name: {a.name for a in loss.arguments if a.role.forms[0].shared}
    for name, loss in LOSSES.items()
    if not loss.whole_batch
}
# Loss to the arguments that are factors.
WEIGHTS = {
    name: {a.name for a in loss.arguments if a.role.weighs or a.role.domain == WEIGHT}
    for name, loss in LOSSES.items()
}
FRAMES = {  # (T, N, C): the rows are not in front
    a.name for loss in LOSSES.values() for a in loss.arguments if a.role.forms[0].pattern.before
}


def weighs(name: str, argument: str) -> bool:
    """Return whether an argument of a loss is a factor on others."""
    return argument in WEIGHTS[name]


def split_rows(name: str, exact: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what the oracle takes at once: the arguments of every row, or those of all rows together."""
    if name in WHOLE_BATCH:
        return [dict(exact)]
    shared = shared_in(name, exact)
    count = next(len(array) for key, array in exact.items() if key not in shared)
    return [{key: a if key in shared else a[i] for key, a in exact.items()} for i in range(count)]


def oracle_rows(name: str, exact: Mapping[str, Any], settings: Any) -> list[Truth]:
    """Return what the oracle says of every row."""
    oracle = ORACLES[name].formula
    found = [oracle(**row, **settings) for row in split_rows(name, exact)]
    return found[0] if name in WHOLE_BATCH else found


def shared_in(name: str, arrays: Mapping[str, Any]) -> set[str]:
    """Return which arguments of a call all rows share; some may be given so, or one for each row."""
    found = set()
    for argument in LOSSES[name].arguments:
        shared = [form for form in argument.role.forms if form.shared]
        if shared and argument.name in arrays:
            array = arrays[argument.name]
            axes = array.ndim if isinstance(array, np.ndarray) else _depth(array)
            if axes == len(shared[0].pattern.core):
                found.add(argument.name)
    return found


def _depth(nested: Any) -> int:
    return 1 + (_depth(nested[0]) if nested else 0) if isinstance(nested, list) else 0


def truth(name: str, case: Case) -> tuple[list[Any], dict[str, Any]]:
    """Return the exact value of every row, and the exact gradient of their sum by argument and setting."""
    exact = {key: numbers(array) for key, array in case.arrays.items()}
    rows = oracle_rows(name, exact, case.settings)
    by_row = set(exact) - shared_in(name, exact) if name not in WHOLE_BATCH else set()
    gradient = {}
    for key in rows[0].gradient:
        parts = [row.gradient[key] for row in rows]
        if key in LOSSES[name].differentiable_settings or (
            key in exact and case.arrays[key].dtype.kind == "f"
        ):
            gradient[key] = parts if key in by_row else summed(parts)
    return [row.value for row in rows], gradient


@cache
def known_cases(name: str, dtype: type) -> list[tuple[Case, list[Any], dict[str, Any]]]:
    """Return every case of a loss with its truth."""
    return [(case, *truth(name, case)) for case in draw_cases(name, dtype)]


def call_of(case: Case, **options: Any) -> Call:
    """Return the call of a case, frames with time in front, as the loss has them."""
    arrays = {key: np.moveaxis(a, 0, 1) if key in FRAMES else a for key, a in case.arrays.items()}
    asked = {key: value for key, value in options.items() if not isinstance(value, np.ndarray)}
    general = {key: value for key, value in options.items() if isinstance(value, np.ndarray)}
    return Call({**arrays, **general}, {**case.settings, **asked})


def ask(name: str, case: Case, **options: Any) -> tuple[Any, dict[str, Any]]:
    """Evaluate a case; frames go in, and their gradients come out, with time in front as the loss has it."""
    answer = evaluate(LOSSES[name], call_of(case, **options))
    ((reduction, value),) = answer.loss.items()
    if reduction == "none":  # also of a batch that has one loss together
        value = np.atleast_1d(value)
    gradient = answer.gradient.get(reduction, {})
    return value, {key: np.moveaxis(g, 1, 0) if key in FRAMES else g for key, g in gradient.items()}


def assert_exact(
    name: str, case: Case, got: Any, by: dict[str, Any], values: Any, gradients: Any, *, added: int = 1
) -> None:
    """Hold a value, of ``added`` equal rows, and its gradients against the truth."""
    for what, array, exact in [("value", got, values), *((key, by[key], gradients[key]) for key in by)]:
        assert array.dtype == case.dtype
        error, place, shown = worst(array, exact)
        allowed = ORACLES[name].ulps(case) + (added / 2 if what == "value" and added > 1 else 0)
        assert error <= allowed, f"{name}, {case.name}, {what}: {shown}{row_of(name, case, array, place)}"


def row_of(name: str, case: Case, found: Any, place: tuple[int, ...]) -> str:
    """Show the inputs of the row that a place of an answer belongs to; nothing where it belongs to all."""
    by_row = {key: array for key, array in case.arrays.items() if key not in shared_in(name, case.arrays)}
    rows = {len(array) for array in by_row.values()}
    if not place or name in WHOLE_BATCH or rows != {len(found)}:
        return ""
    shown = ", ".join(f"{key}[{place[0]}] = {array[place[0]]!r}" for key, array in by_row.items())
    return f"; {shown}; {dict(case.settings) or 'defaults'}"
