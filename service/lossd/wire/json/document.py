"""Parses a body as one JSON object; an error says where the body stops being one.

Numbers go through `buffers` where it is sure of them, everything else through orjson.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson

from lossd.errors import BodyTooLarge, MalformedBody, malformed
from lossd.wire.codec import MOST_CONTAINERS, Body, DecodeLimits, reserve_lists, too_many_containers
from lossd.wire.garbage import without_collections
from lossd.wire.json import buffers, long_data, long_lists, long_text
from lossd.wire.json.byte_search import count_up_to
from lossd.wire.json.keys import count_colons, refuse_repeated_keys
from lossd.wire.json.long_strings import check_long_strings
from lossd.wire.json.parsed_size import parsed_size, refuse_long_gaps
from lossd.wire.numbers import COMPLEX_PARTS
from lossd.wording import TYPE_NAMES

Text = bytes | bytearray
_Reader = Callable[[Text], dict[str, Any] | None]

_SHORT = 2048  # bytes: reading them as lists takes less time than proving their shape
_LONG = 1 << 19  # bytes: below, no parser keeps the interpreter's lock for long
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_NON_FINITE_TOKEN = re.compile(r"[+-]?(nan|inf(inity)?)\b", re.IGNORECASE)

# Bytes that orjson may need for each byte of a text: 12 for its tree, and the strings. It looks at whether it gets the
# tree's, but not at whether it gets a string's (orjson 3.11).
_WORST_BYTES = 14
# What was expected where orjson gave up, for the messages that need more than its own words.
_EXPECTED = {
    "depth limit exceeded": "at most 1024 levels of nesting",
    "number is infinity when parsed as double": "a number within the range of float64",
}


def read_object(body: Body, array_names: frozenset[str], limits: DecodeLimits) -> dict[str, Any]:
    """Parse a JSON object; lists of numbers under a name in ``array_names`` may already be arrays.

    Raises:
        MalformedBody: The body is not one JSON object in UTF-8, or an object in it repeats a key.
        BodyTooLarge: The arrays together exceed ``limits.max_elements``, or lists and objects `MOST_CONTAINERS`,
            or a key or a string is too long.
    """

    def holders(document: dict[str, Any]) -> long_lists.Holders:
        yield document, array_names
        for name in array_names & document.keys():
            if type(document[name]) is dict:
                yield document[name], COMPLEX_PARTS

    return _read(
        body,
        lambda text: buffers.read(text, array_names, limits) if array_names else None,
        holders if array_names else None,
        limits,
    )


def read_entries(
    body: Body, members: frozenset[str], array_names: frozenset[str], limits: DecodeLimits
) -> dict[str, Any]:
    """Parse a JSON object like `read_object`; ``array_names`` are those of objects listed under ``members``.

    Raises:
        MalformedBody: The body is not one JSON object in UTF-8, or an object in it repeats a key.
        BodyTooLarge: The arrays together exceed ``limits.max_elements``, or lists and objects `MOST_CONTAINERS`,
            or a key or a string is too long.
    """

    def holders(document: dict[str, Any]) -> long_lists.Holders:
        for name in members & document.keys():
            if type(document[name]) is list:
                yield from ((entry, array_names) for entry in document[name] if type(entry) is dict)

    return _read(body, lambda text: buffers.read_entries(text, members, array_names, limits), holders, limits)


def _read(
    body: Body,
    read_fast: _Reader,
    holders: Callable[[dict[str, Any]], long_lists.Holders] | None,
    limits: DecodeLimits,
) -> dict[str, Any]:
    text = bytes(body) if isinstance(body, memoryview) else body
    if not text:
        raise malformed("", "a JSON object", "an empty body")
    if text.startswith(_BYTE_ORDER_MARK):
        raise malformed("byte 0", "JSON without a byte order mark", "a byte order mark")
    _refuse_many_containers(text)
    places = check_long_strings(text)
    refuse_long_gaps(text, places)

    def read(text: Text) -> dict[str, Any]:
        return _read_lists(text, read_fast, holders, limits)

    return long_data.read(text, places, read) if places and len(text) > _LONG else read(text)


def _read_lists(
    text: Text,
    read_fast: _Reader,
    holders: Callable[[dict[str, Any]], long_lists.Holders] | None,
    limits: DecodeLimits,
) -> dict[str, Any]:
    if len(text) <= _LONG:
        return _read_text(text, read_fast)
    if holders is not None:
        document = long_lists.read(text, lambda rest: _read_text(rest, read_fast), holders, limits)
        if document is not None:
            return document
    colons = count_colons(text)
    _reserve_objects(text, limits)
    return _checked(text, colons, _loads_long)


def _reserve_objects(text: Text, limits: DecodeLimits) -> None:
    """Reserve what a parser makes of a text; of one that is too large and is no JSON, say where it is not."""
    try:
        reserve_lists(parsed_size(text), len(text), limits)
    except BodyTooLarge:
        _checked(text, 0, long_text.check)
        raise


def _read_text(text: Text, read_fast: _Reader) -> dict[str, Any]:
    colons = count_colons(text)
    if len(text) <= _SHORT:
        return _checked(text, colons, orjson.loads)
    document = read_fast(text)
    return document if document is not None else _checked(text, colons, _loads_long)


def _refuse_many_containers(text: Text) -> None:
    """Refuse lists and objects before a parser builds them; a bracket in a string counts, too."""
    if len(text) > MOST_CONTAINERS:
        lists = count_up_to(text, b"[", MOST_CONTAINERS)
        if lists + count_up_to(text, b"{", MOST_CONTAINERS) > MOST_CONTAINERS:
            raise too_many_containers("lists and objects")


def _loads_long(text: Text) -> Any:
    np.empty(_WORST_BYTES * len(text), np.uint8)  # raises MemoryError, where orjson would end the process
    return without_collections(lambda: long_text.loads(text)[0])


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
    if error.msg.startswith("Not enough memory"):
        raise MemoryError
    if undecodable := long_text.first_undecodable(text):
        byte, reason = undecodable
        return malformed(f"byte {byte}", "JSON in UTF-8", reason)
    place = f"line {error.lineno}, column {error.colno}"
    # orjson reads a minus before it finds that no digit follows.
    minus = error.doc[error.pos - 1 : error.pos] == "-"
    if token := _NON_FINITE_TOKEN.match(error.doc, error.pos - minus):
        expected = 'a JSON value (non-finite numbers are the strings "NaN", "Infinity", "-Infinity")'
        return malformed(place, expected, f"the bare token {token[0]}")
    return malformed(place, _EXPECTED.get(error.msg, "JSON"), error.msg)
