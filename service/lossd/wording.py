"""Values in the words of error messages: JSON's, whatever type of Python they are read as."""

from __future__ import annotations

import json
from collections.abc import Mapping
from json.encoder import encode_basestring, encode_basestring_ascii
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
        bytes: "raw bytes",  # which MessagePack has, and JSON has not
        bytearray: "raw bytes",
        memoryview: "raw bytes",
    }
)
"""Every type that a body may hold, by the Python type it is read as."""

_SCALARS = (str, bool, int, float)
_QUOTED = 20
_LONGEST_SHOWN = 40
_LARGEST_SHOWN = 10**18
_MOST_SIZES = 8


def type_name(value: Any) -> str:
    """Name the type of a value with its article; a type of lossd may say what it is read from, as ``READ_FROM``."""
    kind = getattr(type(value), "READ_FROM", type(value))
    return TYPE_NAMES.get(kind, f"a value of type {kind.__name__}")


def described(value: Any) -> str:
    """Describe a value where a number was expected: a string by its text, a list by its shape."""
    if type(value) is str:
        return f"the string {quoted(value, _QUOTED)}"
    if type(value) is list:
        return f"a list of shape {_shape_of_first(value)}"
    return type_name(value)


def shown(value: Any) -> str:
    """Show a value with its type: ``number -1``, ``string "2"``; of a long one only the type."""
    kind = type_name(value)
    text = _written(value)
    return kind if text is None or value is None else f"{kind.partition(' ')[2]} {text}"


def quoted(text: str, longest: int = _LONGEST_SHOWN) -> str:
    """Write a text as JSON's string, of a long one the beginning; what cannot be printed is escaped."""
    begun = text if len(text) <= longest else f"{text[:longest]}..."
    # What `json.dumps` calls, which makes an encoder for each text.
    return encode_basestring(begun) if begun.isprintable() else encode_basestring_ascii(begun)


def _written(value: Any) -> str | None:
    """Write a string, a number, a boolean, or a short list of them as JSON; return None for all else."""
    if type(value) is list:
        texts = [_written(item) if type(item) in _SCALARS else None for item in value[:_LONGEST_SHOWN]]
        text = f"[{', '.join(filter(None, texts))}]"
        return (
            text if None not in texts and len(value) == len(texts) and len(text) <= _LONGEST_SHOWN else None
        )
    if type(value) is str:
        return quoted(value)
    if type(value) is int and abs(value) >= _LARGEST_SHOWN:
        return None
    return json.dumps(value) if type(value) in _SCALARS else None


def _shape_of_first(value: Any) -> str:
    """Return the shape of a list as its first items have it; no more than eight sizes of it."""
    sizes: list[str] = []
    while type(value) is list and len(sizes) < _MOST_SIZES:
        sizes.append(str(len(value)))
        value = value[0] if value else None
    return f"[{', '.join(sizes)}]" if type(value) is not list else f"[{', '.join(sizes)}, ...]"
