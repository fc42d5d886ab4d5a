"""The errors of a call that does not validate: where each is, what was expected there and what was there."""

from __future__ import annotations

from collections.abc import Mapping
from reprlib import Repr
from typing import Any

import numpy as np
from pydantic import ValidationError

from lossd.declaration.loss import Loss
from lossd.engine.options import Options
from lossd.errors import MOST_DETAILS, ErrorDetail, InvalidCall, excerpt, invalid
from lossd.spelling import did_you_mean

# What pydantic is asked to check: of more, it would report each element of each member of a union.
_MOST_NAMES = 100
_LONGEST_LIST = 64  # NumPy has no more axes
_HINTED = 3  # unknown names that are compared with the known ones
_LISTED = 10
_LONGEST_SHOWN = 40


def excess_of(loss: Loss, model: type[Options], given: Mapping[str, Any]) -> InvalidCall | None:
    """Return the error of a call with more names than there are, or with a list longer than any option has."""
    if len(given) > _MOST_NAMES:
        unknown = [name for name in given if name not in model.model_fields]
        return InvalidCall(
            faults=[
                _unknown(loss, name, place < _HINTED) for place, name in enumerate(unknown[:MOST_DETAILS])
            ],
            left_out=len(unknown[MOST_DETAILS:]),
        )
    for name, value in given.items():
        if value.__class__ is list and len(value) > _LONGEST_LIST:
            return invalid(name, f"at most {_LONGEST_LIST} items", len(value))
    return None


def errors_of(loss: Loss, given: Mapping[str, Any], error: ValidationError) -> list[ErrorDetail]:
    """Say of each failure where it is, what belongs there and what was there, in one fault a place."""
    faults: dict[str, ErrorDetail] = {}
    unknown = 0
    for entry in error.errors(include_url=False):
        name, *path = entry["loc"]
        at = str(name) + "".join(f"[{part}]" for part in path if isinstance(part, int))
        if entry["type"] == "missing":
            fault = ErrorDetail(at, f"{_describe(loss, str(name))}", _absent(loss, given))
        elif entry["type"] == "extra_forbidden":
            fault = _unknown(loss, at, unknown < _HINTED)
            unknown += 1
        else:
            fault = ErrorDetail(at, _expectation(entry), _shown(entry["input"]))
        known = faults.get(at)
        faults[at] = known._replace(expected=f"{known.expected} or {fault.expected}") if known else fault
    # Where a list is wrong at an element, that it is no single value is beside the point.
    lists = {at.partition("[")[0] for at in faults if at.endswith("]")}
    return [
        fault._replace(expected=fault.expected + _scope(loss, at))
        for at, fault in faults.items()
        if at not in lists
    ]


def _describe(loss: Loss, name: str) -> str:
    argument = next((a for a in loss.arguments if a.name == name), None)
    return f"{argument.domain} of shape {argument.shape}" if argument else f"the setting {name}"


def _scope(loss: Loss, at: str) -> str:
    """Say where an alias narrows the reductions, and how to have all of them."""
    if loss.alias is None or not loss.alias.reductions or at.partition("[")[0] != "reduction":
        return ""
    return f" under the name {loss.alias.name} ({loss.name} takes every reduction)"


def _unknown(loss: Loss, name: str, hinted: bool) -> ErrorDetail:
    if loss.alias is not None and name in loss.alias.advice:
        return ErrorDetail(name, f"{loss.alias.advice[name]} under the name {loss.alias.name}", repr(name))
    own = [a.name for a in loss.arguments] + list(loss.settings)
    hint = did_you_mean(name, [*own, *Options.model_fields]) if hinted else ""
    expected = f"an argument or setting of {loss.name} ({', '.join(own)}) or a general option"
    return ErrorDetail(excerpt(name), expected, f"{excerpt(name)!r}{hint}")


_WORDS = {
    "float_type": "a number",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "string_type": "a string",
    "list_type": "a list",
    "finite_number": "a finite number",
    "int_from_float": "a whole number",
}


def _expectation(entry: Mapping[str, Any]) -> str:
    """Complete "expected ..." for one of pydantic's errors."""
    context = entry.get("ctx", {})
    match entry["type"]:
        case "greater_than":
            return f"a number > {context['gt']:g}"
        case "greater_than_equal":
            return f"a number >= {context['ge']:g}"
        case "less_than":
            return f"a number < {context['lt']:g}"
        case "less_than_equal":
            return f"a number <= {context['le']:g}"
        case "literal_error":
            return str(context["expected"])
        case "value_error":
            return str(context["error"])
        case kind:
            return _WORDS.get(kind, str(entry["msg"]))


_repr = Repr()
_repr.maxstring = _repr.maxother = 42


def _shown(value: Any) -> str:
    """Show a wrong value, briefly."""
    if value is None:
        return "null"
    kind = type(value).__name__
    text = "" if isinstance(value, np.ndarray) else _repr.repr(value)
    return f"{kind} {text}" if 0 < len(text) <= _LONGEST_SHOWN else kind


def _absent(loss: Loss, given: Mapping[str, Any]) -> str:
    """Say what a call without an array has in its place: the arrays, and names that are no one's."""
    names = [name for name in given if name not in loss.settings and name not in Options.model_fields]
    listed = ", ".join(sorted(excerpt(name, 40) for name in names[:_LISTED]))
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"nothing, only {listed}{more}" if names else "nothing"
