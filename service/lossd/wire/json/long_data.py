"""Long base64 data of arrays: taken out of a text before it is parsed, and decoded in pieces by who reads the array.

A parser would copy such a string at once, and a decoder the copy, with the interpreter's lock held all the while.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import orjson

from lossd.errors import LossdError, malformed
from lossd.wire.json.long_strings import no_data
from lossd.wire.json.marks import marked, place_in_whole
from lossd.wire.long_base64 import LongBase64
from lossd.wire.pieces import PIECE_BYTES

Text = bytes | bytearray

_DATA = "data"
_LONGEST_ESCAPE = 6
_FIRST_IN_STRINGS = ord(" ")  # those before it are control characters


def read(
    text: Text, places: list[tuple[int, int]], read_rest: Callable[[Text], dict[str, Any]]
) -> dict[str, Any]:
    """Parse a JSON object; the long data in it stays in the text.

    Args:
        text: The object.
        places: Where the quotes of each long string are.
        read_rest: Parses the text with short strings in their places.

    Raises:
        MalformedBody: A long string has an escape, or a character, that JSON has not.
        LossdError: As by ``read_rest``, with the place in the whole text.
        BodyTooLarge: A long string is not the data of an array.
    """
    for start, stop in places:
        _check_string(text, start + 1, stop)
    rest, names = marked(text, [(start, stop + 1) for start, stop in places])
    try:
        document = read_rest(rest)
    except LossdError as error:
        raise error.moved(lambda at: place_in_whole(at, text, places, names)) from None
    found = dict(zip(names, places, strict=True))
    _put(found, document, text)
    for start, stop in found.values():
        raise no_data(start, stop)
    return document


def _long_base64(text: Text, opening: int, closing: int) -> LongBase64:
    return LongBase64(lambda: _pieces(text, opening + 1, closing), closing - opening - 1)


def _put(found: dict[str, tuple[int, int]], document: dict[str, Any], text: Text) -> None:
    """Put long data into the objects that it belongs to; what is not in an object where arrays are stays in ``found``.

    Whether the object has the other fields of an array is seen by who reads it.
    """
    waiting: list[dict[str, Any]] = [document]
    while waiting and found:
        value = waiting.pop()
        if type(name := value.get(_DATA)) is str and name in found:
            value[_DATA] = _long_base64(text, *found.pop(name))
        for item in value.values():
            if type(item) is dict:
                waiting.append(item)
            elif type(item) is list and item and type(item[0]) is dict:
                waiting.extend(entry for entry in item if type(entry) is dict)


def _check_string(text: Text, start: int, stop: int) -> None:
    """Raise MalformedBody if what is between two quotes is no string of JSON: nobody may read it later."""
    codes = np.frombuffer(text, np.uint8)[start:stop]
    if text.find(b"\\", start, stop) < 0 and codes.min() >= _FIRST_IN_STRINGS:
        return
    for begin, end in _ends_of_pieces(text, start, stop):
        try:
            orjson.loads(b'"%s"' % bytes(text[begin:end]))
        except orjson.JSONDecodeError as error:
            raise malformed(f"byte {begin + error.pos - 1}", "JSON", error.msg) from None


def _pieces(text: Text, start: int, stop: int) -> Iterator[bytes]:
    """Yield what a string of ASCII holds, which was checked."""
    for begin, end in _ends_of_pieces(text, start, stop):
        piece = bytes(text[begin:end])
        yield orjson.loads(b'"%s"' % piece).encode() if b"\\" in piece else piece


def _ends_of_pieces(text: Text, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield where each piece of a string begins and ends, which is not within an escape."""
    while start < stop:
        end = min(start + PIECE_BYTES, stop)
        escape = text.rfind(b"\\", end - _LONGEST_ESCAPE + 1, end) if end < stop else -1
        if escape > start:
            before = bytes(text[start:escape])
            is_escaped = (len(before) - len(before.rstrip(b"\\"))) % 2
            end = escape + is_escaped
        yield start, end
        start = end
