"""Tells whether a plain value is in the range that the catalogue gives for a setting or an option."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

_BOUNDS: Mapping[str, Callable[[Any, Any], bool]] = {
    "exclusiveMinimum": operator.gt,
    "minimum": operator.ge,
    "exclusiveMaximum": operator.lt,
    "maximum": operator.le,
}


def allows(schema: Any, value: Any) -> bool:
    """Tell whether a JSON Schema of the catalogue allows a number, a string, a boolean or None.

    It allows any other value, and a schema of another kind any at all: the server decides about those.
    """
    if type(value) not in (bool, int, float, str):
        return True
    match schema:
        case {"anyOf": [*parts]}:
            return any(allows(part, value) for part in parts)
        case {"enum": [*choices]}:
            return value in choices
        case {"const": choice}:
            return bool(value == choice)
        case {"type": "number"}:
            return type(value) in (int, float) and math.isfinite(value) and _within(schema, value)
        case {"type": "integer"}:
            return type(value) is int and _within(schema, value)
        case {"type": "boolean"}:
            return type(value) is bool
        case {"type": "string"}:
            return type(value) is str
        case {"type": "null" | "array" | "object"}:
            return False
        case _:
            return True


def _within(schema: Mapping[str, Any], value: float) -> bool:
    """Tell whether a number is within the bounds of a schema."""
    bounds = [(holds, schema.get(key)) for key, holds in _BOUNDS.items()]
    return all(holds(value, bound) for holds, bound in bounds if isinstance(bound, int | float))
