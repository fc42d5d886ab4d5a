"""The errors of a call that does not validate: where each is, what was expected there and what was there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from pydantic import ValidationError

from lossd.declaration.argument_names import meant
from lossd.declaration.loss import Loss
from lossd.engine.options import Options
from lossd.errors import MOST_DETAILS, QUOTED, ErrorDetail, InvalidCall, excerpt, invalid
from lossd.spelling import Names, hint_of, names_near, names_of
from lossd.wording import quoted, shown

_LONGEST_LIST = 64  # NumPy has no more axes
_HINTED = 3  # unknown names that are compared with the known ones
_LISTED = 10


class _Known(NamedTuple):
    """What a call of a loss may name.

    Attributes:
        names: Every argument, setting and option, to how it is compared with a misspelt one.
        expected: What is said to belong in the place of an unknown name.
    """

    names: Names
    expected: str


def excess_of(loss: Loss, given: Mapping[str, Any]) -> InvalidCall | None:
    """Return the error for a call with more names than there are, or with a list longer than any option takes.

    pydantic would report each name, and each element of a list for each member of a union.
    """
    known = _known(loss).names
    if len(given) > len(known):
        unknown = [name for name in given if name not in known]
        told = [
            _unknown(loss, name, given, hinted=place < _HINTED)
            for place, name in enumerate(unknown[:MOST_DETAILS])
        ]
        return InvalidCall(errors=told, left_out=len(unknown) - len(told), of_signature=True)
    for name, value in given.items():
        if value.__class__ is list and len(value) > _LONGEST_LIST:
            return invalid(name, f"at most {_LONGEST_LIST} items", len(value))
    return None


def error_of(loss: Loss, given: Mapping[str, Any], found: ValidationError) -> InvalidCall:
    """Return one error detail for each place: where it is, what was expected and what was given."""
    errors: dict[str, ErrorDetail] = {}
    unknown = 0
    for entry in found.errors(include_url=False):
        name, *path = entry["loc"]
        at = str(name) + "".join(f"[{part}]" for part in path if isinstance(part, int))
        if entry["type"] == "missing":
            detail = ErrorDetail(at, _describe(loss, str(name)), _absent(loss, given))
        elif entry["type"] == "extra_forbidden":
            unknown += 1
            if unknown > MOST_DETAILS:  # counted, and no more
                continue
            detail = _unknown(loss, at, given, hinted=unknown <= _HINTED)
        else:
            detail = ErrorDetail(at, expectation(entry), _shown(entry["input"]) + _choice_hint(entry))
        known = errors.get(at)
        errors[at] = known._replace(expected=f"{known.expected} or {detail.expected}") if known else detail
    # Where a list is wrong at an element, that it is no single value is beside the point.
    lists = {at.partition("[")[0] for at in errors if at.endswith("]")}
    told = [_with_scope(loss, detail) for at, detail in errors.items() if at not in lists]
    return InvalidCall(errors=told, left_out=max(unknown - MOST_DETAILS, 0), of_signature=True)


def _describe(loss: Loss, name: str) -> str:
    argument = next((a for a in loss.arguments if a.name == name), None)
    return f"{argument.domain} of shape {argument.shape}" if argument else f"the setting {name}"


def _with_scope(loss: Loss, detail: ErrorDetail) -> ErrorDetail:
    """Say where an alias narrows the reductions, and how to have all of them."""
    if loss.alias is None or not loss.alias.reductions or detail.at.partition("[")[0] != "reduction":
        return detail
    scope = f" under the name {loss.alias.name} ({loss.name} takes every reduction)"
    return detail._replace(expected=detail.expected + scope)


def _unknown(loss: Loss, name: str, given: Mapping[str, Any], *, hinted: bool) -> ErrorDetail:
    if loss.alias is not None and name in loss.alias.advice:
        return ErrorDetail(name, f"{loss.alias.advice[name]} under the name {loss.alias.name}", quoted(name))
    known = _known(loss)
    hint = _hint(loss, name, given) if hinted else ""
    return ErrorDetail(excerpt(name), known.expected, f"{quoted(name, QUOTED)}{hint}")


@cache
def _known(loss: Loss) -> _Known:
    own = [argument.name for argument in loss.arguments] + list(loss.settings)
    names = names_of([*own, *loss.array_names, *Options.model_fields])
    return _Known(names, f"an argument or setting of {loss.name} ({', '.join(own)}) or a general option")


def _hint(loss: Loss, name: str, given: Mapping[str, Any]) -> str:
    """Name the argument that another framework calls so, or else what the name resembles."""
    argument = meant(loss, name, given)
    return hint_of([argument] if argument else names_near(name, _known(loss).names))


_WORDS = {
    "float_type": "a number",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "string_type": "a string",
    "list_type": "a list",
    "finite_number": "a finite number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_parsing": "a number",
    "bool_parsing": "true or false",
}


# What people call a choice that has another name here.
_CHOICES = {"avg": "mean", "average": "mean", "total": "sum", "unreduced": "none"}


def _choice_hint(entry: Mapping[str, Any]) -> str:
    """Name the choice that a wrong word is another word for, or resembles."""
    word = entry["input"]
    if entry["type"] != "literal_error" or not isinstance(word, str):
        return ""
    choices = re.findall(r"'(\w+)'", entry["ctx"]["expected"])
    meant = _CHOICES.get(word.casefold(), "")
    return hint_of([meant] if meant in choices else names_near(word, names_of(choices)))


def expectation(entry: Mapping[str, Any]) -> str:
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
            return str(context["expected"]).replace("'", '"')  # JSON's strings
        case "value_error":
            return str(context["error"])
        case kind:
            return _WORDS.get(kind, str(entry["msg"]))


def _shown(value: Any) -> str:
    """Show a wrong value, briefly."""
    return f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else shown(value)


def _absent(loss: Loss, given: Mapping[str, Any]) -> str:
    """Say what a call without an array has in its place: the arrays, and names that are no one's."""
    names = [name for name in given if name not in loss.settings and name not in Options.model_fields]
    listed = ", ".join(sorted(excerpt(name, 40) for name in names[:_LISTED]))
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"nothing, only {listed}{more}" if names else "nothing"
