"""Parses a body as one JSON object; an error says where the body stops being one.

Numbers go through `buffers` where it is sure of them, everything else through orjson.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson

from lossd.errors import MalformedBody, malformed
from lossd.wire.codec import Body, DecodeLimits
from lossd.wire.garbage import without_collections
from lossd.wire.json import buffers
from lossd.wire.json.keys import count_colons, refuse_repeated_keys
from lossd.wire.value import TYPE_NAMES

Text = bytes | bytearray

_SHORT = 2048  # bytes: reading them as lists takes less time than proving their shape
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_NON_FINITE_TOKEN = re.compile(r"[+-]?(nan|inf(inity)?)\b", re.IGNORECASE)

# What was expected where orjson gave up, for the messages that need more than its own words.
_EXPECTED = {
    "depth limit exceeded": "at most 1024 levels of nesting",
    "number is infinity when parsed as double": "a number within the range of float64",
}


def read_object(body: Body, array_names: frozenset[str], limits: DecodeLimits) -> dict[str, Any]:
    """Parse a JSON object; lists of numbers under a name in ``array_names`` may already be arrays.

    Raises:
        MalformedBody: The body is not one JSON object in UTF-8, or an object in it repeats a key.
        BodyTooLarge: The arrays together exceed ``limits.max_elements``.
    """
    return _read(body, lambda text: buffers.read(text, array_names, limits) if array_names else None)


def read_entries(
    body: Body, members: frozenset[str], array_names: frozenset[str], limits: DecodeLimits
) -> dict[str, Any]:
    """Parse a JSON object like `read_object`; ``array_names`` are those of objects listed under ``members``.

    Raises:
        MalformedBody: The body is not one JSON object in UTF-8, or an object in it repeats a key.
        BodyTooLarge: The arrays together exceed ``limits.max_elements``.
    """
    return _read(body, lambda text: buffers.read_entries(text, members, array_names, limits))


def _read(body: Body, read_fast: Callable[[Text], dict[str, Any] | None]) -> dict[str, Any]:
    text = bytes(body) if isinstance(body, memoryview) else body
    if not text:
        raise malformed("", "a JSON object", "an empty body")
    if text.startswith(_BYTE_ORDER_MARK):
        raise malformed("byte 0", "JSON without a byte order mark", "a byte order mark")
    colons = count_colons(text)
    if len(text) <= _SHORT:
        return _checked(text, colons, orjson.loads)
    document = read_fast(text)
    return document if document is not None else _checked(text, colons, _loads_long)


def _loads_long(text: Text) -> Any:
    return without_collections(lambda: orjson.loads(text))


def _checked(text: Text, colons: int, loads: Callable[[Text], Any]) -> dict[str, Any]:
    try:
        document = loads(text)
    except orjson.JSONDecodeError as error:
        raise _syntax_error(text, error) from None
    if type(document) is not dict:
        raise malformed("", "a JSON object", TYPE_NAMES[type(document)])
    refuse_repeated_keys(text, colons, document)
    return document


def _syntax_error(text: Text, error: orjson.JSONDecodeError) -> MalformedBody:
    try:
        text.decode()
    except UnicodeDecodeError as undecodable:
        return malformed(f"byte {undecodable.start}", "JSON in UTF-8", undecodable.reason)
    place = f"line {error.lineno}, column {error.colno}"
    # orjson reads a minus before it finds that no digit follows.
    minus = error.doc[error.pos - 1 : error.pos] == "-"
    if token := _NON_FINITE_TOKEN.match(error.doc, error.pos - minus):
        expected = 'a JSON value (non-finite numbers are the strings "NaN", "Infinity", "-Infinity")'
        return malformed(place, expected, f"the bare token {token[0]}")
    return malformed(place, _EXPECTED.get(error.msg, "JSON"), error.msg)
