"""What a long JSON text takes as Python objects, found from its bytes before a parser builds them.

A mark within a string counts as well, so the size may be too large; it is never too small by much. A string with one
character outside of the Basic Multilingual Plane takes four bytes for each of its characters.
"""

from __future__ import annotations

import re

from lossd.errors import BodyTooLarge, ErrorDetail
from lossd.wire.codec import LONGEST_STRING
from lossd.wire.json.byte_search import count_up_to

Text = bytes | bytearray

# Bytes of a number with its places in the list that it is parsed into, in the flat list of its level, and in the array;
# of a string beside its characters; of a list or an object.
_VALUE_BYTES, _STRING_BYTES, _CONTAINER_BYTES = 48, 32, 100
_WIDEST_CHARACTER = 4

_LONGEST_NUMBER, _LONGEST_SPACE = 1 << 18, 1 << 22
_WHITE_SPACE = re.compile(rb"[ \t\r\n]")


def parsed_size(text: Text) -> int:
    """Return about how many bytes the values of a text take once they are parsed, the arrays made of them included."""
    values, quotes, lists, objects = (count_up_to(text, mark, len(text)) for mark in (b",", b'"', b"[", b"{"))
    strings = quotes // 2
    characters = min(len(text) - 2 * values, strings * LONGEST_STRING)
    wide = not text.isascii() or b"\\" in text
    return (
        values * _VALUE_BYTES
        + strings * _STRING_BYTES
        + (lists + objects) * _CONTAINER_BYTES
        + characters * (_WIDEST_CHARACTER if wide else 1)
    )


def refuse_long_gaps(text: Text, strings: list[tuple[int, int]]) -> None:
    """Refuse a text that goes on for long without a comma: a parser reads one number, or white space, at once.

    Args:
        text: The text.
        strings: Where the quotes of its long strings are.

    Raises:
        BodyTooLarge: It does, outside of these strings.
    """
    without_comma = 0  # bytes
    for start in range(0, len(text) - _LONGEST_NUMBER, _LONGEST_NUMBER):
        stop = start + _LONGEST_NUMBER
        if text.find(b",", start, stop) >= 0 or any(
            first < stop and last >= start for first, last in strings
        ):
            without_comma = 0
            continue
        without_comma += _LONGEST_NUMBER
        if without_comma >= _LONGEST_SPACE:
            raise _too_long(start, f"white space of at most {_LONGEST_SPACE} bytes")
        if _WHITE_SPACE.search(text, start, stop) is None:
            raise _too_long(start, f"a number of at most {_LONGEST_NUMBER} bytes")


def _too_long(start: int, expected: str) -> BodyTooLarge:
    return BodyTooLarge(errors=[ErrorDetail(f"byte {start}", expected, "more")])
