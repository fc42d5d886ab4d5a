"""Long base64 data of arrays: taken out of a text before it is parsed, and decoded in pieces by who reads the array.

A parser would copy such a string at once, and a decoder the copy, with the interpreter's lock held all the while.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson

from lossd.errors import LossdError
from lossd.wire.json.marks import marked
from lossd.wire.long_base64 import LongBase64
from lossd.wire.pieces import PIECE_BYTES
from lossd.wire.tensor import FIELDS

Text = bytes | bytearray

_LONGEST_ESCAPE = 6


def read(
    text: Text, places: list[tuple[int, int]], read_rest: Callable[[Text], dict[str, Any]]
) -> dict[str, Any] | None:
    """Parse a JSON object; the long data in it stays in the text. None if the object should be read as a whole.

    Args:
        text: The object.
        places: Where the quotes of each long string are.
        read_rest: Parses the text with short strings in their places.
    """
    rest, names = marked(text, [(start, stop + 1) for start, stop in places])
    try:
        document = read_rest(rest)
    except LossdError:
        return None  # its places are not those in the whole text
    found = {name: _long_base64(text, *place) for name, place in zip(names, places, strict=True)}
    _put(found, document)
    return None if found else document


def _long_base64(text: Text, opening: int, closing: int) -> LongBase64:
    return LongBase64(lambda: _pieces(text, opening + 1, closing), closing - opening - 1)


def _put(found: dict[str, LongBase64], document: dict[str, Any]) -> None:
    """Put long data into the tensors that it belongs to; what is not in a tensor stays in ``found``."""
    waiting: list[dict[str, Any]] = [document]
    while waiting and found:
        value = waiting.pop()
        if value.keys() == FIELDS and (name := value["data"]) in found:
            value["data"] = found.pop(name)
        for item in value.values():
            if type(item) is dict:
                waiting.append(item)
            elif type(item) is list and item and type(item[0]) is dict:
                waiting.extend(entry for entry in item if type(entry) is dict)


def _pieces(text: Text, start: int, stop: int) -> Iterator[bytes]:
    """Yield what a string of ASCII holds.

    Raises:
        ValueError: It has an escape that JSON has not.
    """
    while start < stop:
        end = min(start + PIECE_BYTES, stop)
        escape = text.rfind(b"\\", end - _LONGEST_ESCAPE + 1, end) if end < stop else -1
        end = escape if escape > start else end  # not within an escape
        piece = bytes(text[start:end])
        yield orjson.loads(b'"%s"' % piece).encode() if b"\\" in piece else piece
        start = end
