"""Decoded values in the words of error messages."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

TYPE_NAMES: Mapping[type, str] = MappingProxyType(
    {
        dict: "an object",
        list: "a list",
        str: "a string",
        bool: "a boolean",
        int: "a number",
        float: "a number",
        type(None): "null",
    }
)
"""Every type that JSON has, by the Python type it is read as."""

_QUOTED = 20
_MOST_SIZES = 8


def type_name(value: Any) -> str:
    """Name the type of a value with its article."""
    return TYPE_NAMES.get(type(value), f"a value of type {type(value).__name__}")  # MessagePack has more


def described(value: Any) -> str:
    """Describe a value where a number was expected: a string by its text, a list by its shape."""
    if type(value) is str:
        return f'the string "{value[:_QUOTED]}{"..." if len(value) > _QUOTED else ""}"'
    if type(value) is list:
        return f"a list of shape {_shape_of_first(value)}"
    return type_name(value)


def _shape_of_first(value: Any) -> str:
    """Return the shape of a list as its first items have it; no more than eight sizes of it."""
    sizes: list[str] = []
    while type(value) is list and len(sizes) < _MOST_SIZES:
        sizes.append(str(len(value)))
        value = value[0] if value else None
    return f"[{', '.join(sizes)}]" if type(value) is not list else f"[{', '.join(sizes)}, ...]"
