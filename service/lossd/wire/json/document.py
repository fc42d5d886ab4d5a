"""From bytes to a JSON object, or to an error that says where the bytes stop being one."""

from __future__ import annotations

import re
from typing import Any

import orjson

from lossd.errors import MalformedBody, malformed
from lossd.wire.codec import Body, Limits
from lossd.wire.json import buffers
from lossd.wire.json.keys import refuse_repeated_keys

_SHORT = 2048  # bytes that are sooner read as lists than proven to be arrays
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_NON_FINITE_TOKEN = re.compile(r"[+-]?(nan|inf(inity)?)\b", re.IGNORECASE)

# What was expected where orjson gave up, for the messages that need more than its own words.
_EXPECTED = {
    "depth limit exceeded": "at most 1024 levels of nesting",
    "number is infinity when parsed as double": "a number within the range of float64",
}


def read_object(body: Body, tensors: frozenset[str], limits: Limits) -> dict[str, Any]:
    """Parse a JSON object; lists of numbers under a name in ``tensors`` may already be arrays.

    Raises:
        MalformedBody: The body is not one JSON object in UTF-8, or an object in it repeats a key.
        BodyTooLarge: The arrays together exceed ``limits.max_elements``.
    """
    text = _text(body)
    document = buffers.read(text, tensors, limits) if len(text) > _SHORT and tensors else None
    return _loads(text) if document is None else document


def read_entries(
    body: Body, members: frozenset[str], tensors: frozenset[str], limits: Limits
) -> dict[str, Any]:
    """Parse a JSON object like `read_object`; the names in ``tensors`` are those of objects listed under ``members``.

    Raises:
        MalformedBody: The body is not one JSON object in UTF-8, or an object in it repeats a key.
        BodyTooLarge: The arrays together exceed ``limits.max_elements``.
    """
    text = _text(body)
    document = buffers.read_entries(text, members, tensors, limits) if len(text) > _SHORT else None
    return _loads(text) if document is None else document


def _text(body: Body) -> bytes | bytearray:
    text = bytes(body) if isinstance(body, memoryview) else body
    if not text:
        raise malformed("", "a JSON object", "an empty body")
    if text.startswith(_BYTE_ORDER_MARK):
        raise malformed("byte 0", "JSON without a byte order mark", "a byte order mark")
    return text


def _loads(text: bytes | bytearray) -> dict[str, Any]:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _syntax_error(text, error) from None
    if type(document) is not dict:
        raise malformed("", "a JSON object", f"a JSON {_KINDS[type(document)]}")
    refuse_repeated_keys(text, document)
    return document


_KINDS = {list: "array", str: "string", int: "number", float: "number", bool: "boolean", type(None): "null"}


def _syntax_error(text: bytes | bytearray, error: orjson.JSONDecodeError) -> MalformedBody:
    try:
        text.decode()
    except UnicodeDecodeError as undecodable:
        return malformed(f"byte {undecodable.start}", "JSON in UTF-8", undecodable.reason)
    place = f"line {error.lineno}, column {error.colno}"
    minus = (
        error.doc[error.pos - 1 : error.pos] == "-"
    )  # read before what follows it was found to be no digit
    if token := _NON_FINITE_TOKEN.match(error.doc, error.pos - minus):
        expected = 'a JSON value (non-finite numbers are the strings "NaN", "Infinity", "-Infinity")'
        return malformed(place, expected, f"the bare token {token[0]}")
    return malformed(place, _EXPECTED.get(error.msg, "JSON"), error.msg)
