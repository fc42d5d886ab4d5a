"""Finds long strings in JSON text before a parser builds them: the data of arrays, and others, which no call needs.

One character outside of the Basic Multilingual Plane makes a parsed string four times as large as its text, and every
copy and error message of it holds the interpreter's lock. The base64 data of an array may have any length: it is ASCII.

Few quotes are found one by one at the speed of memory. Where they are frequent, or one is escaped, NumPy compares all
bytes of a block at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from lossd.errors import BodyTooLarge, ErrorDetail
from lossd.wire.codec import LONGEST_KEY, LONGEST_STRING
from lossd.wire.json.byte_search import next_byte
from lossd.wire.json.escapes import without_escapes
from lossd.wire.pieces import PIECE_BYTES

Text = bytes | bytearray

_QUOTE, _BACKSLASH = b'"\\'
_RARE = 2048  # bytes of text for each quote: NumPy compares as many in the time of one search
_ASCII = 0x80
_WHITE_SPACE = b" \t\r\n"
# Some writers escape the slash and the plus of base64.
_ESCAPED_OTHER_THAN_ASCII = re.compile(rb"\\u(?=[0-9a-fA-F]{4})(?:[^0]|0[^0]|00[^0-7])")
_LONGEST_ESCAPE = 6


def check_long_strings(text: Text) -> list[tuple[int, int]]:
    """Return where the quotes of each string of more than `LONGEST_STRING` bytes are: an array's base64 data.

    Raises:
        BodyTooLarge: There is another one, or a key above `LONGEST_KEY` bytes.
    """
    found: list[tuple[int, int]] = []
    if len(text) <= LONGEST_KEY:
        return found
    for start, stop in _long_strings(text):
        size = stop - start - 1
        if next_byte(text, stop + 1) == b":":
            raise _too_long(start, f"a key of at most {LONGEST_KEY} bytes", size)
        if size <= LONGEST_STRING:
            continue
        if not _is_data(text, start, stop):
            raise no_data(start, stop)
        found += ((start, stop),)
    return found


def no_data(start: int, stop: int) -> BodyTooLarge:
    """Build the error for a long string between these quotes that is not the data of an array."""
    expected = f"a string of at most {LONGEST_STRING} bytes, or the base64 `data` of an array"
    return _too_long(start, expected, stop - start - 1)


def _too_long(start: int, expected: str, size: int) -> BodyTooLarge:
    return BodyTooLarge(errors=[ErrorDetail(f"byte {start}", expected, f"one of {size}")])


def _long_strings(text: Text) -> Iterator[tuple[int, int]]:
    """Yield where the quotes of each string of more than `LONGEST_KEY` bytes are, or the text ends without one."""
    at = 0
    for _ in range(len(text) // _RARE + 1):
        start = text.find(b'"', at)
        if start < 0:
            return
        stop = text.find(b'"', start + 1)
        if stop > 0 and text[stop - 1] == _BACKSLASH:
            at = start
            break
        stop = stop if stop > 0 else len(text)
        if stop - start - 1 > LONGEST_KEY:
            yield start, stop
        at = stop + 1
    yield from _long_among_many(text, at)


def _long_among_many(text: Text, at: int) -> Iterator[tuple[int, int]]:
    """Yield long strings behind a place that is outside of strings."""
    last, count = at, 0  # the quote before a block, and how many there are
    while at < len(text):
        block = without_escapes(text, at)
        quotes = np.flatnonzero(np.frombuffer(block, np.uint8) == _QUOTE) + at
        if len(quotes):
            gaps = np.diff(quotes, prepend=last) > LONGEST_KEY + 1
            for index in np.flatnonzero(gaps).tolist():
                if (count + index) % 2:
                    yield int(quotes[index - 1]) if index else last, int(quotes[index])
            last = int(quotes[-1])
            count += len(quotes)
        at += len(block)
    if count % 2 and len(text) - last > LONGEST_KEY + 1:
        yield last, len(text)


def _is_data(text: Text, start: int, stop: int) -> bool:
    """Tell whether a string is under the name of an array's data, and ASCII once it is parsed."""
    before = bytes(text[max(0, start - PIECE_BYTES) : start]).rstrip(_WHITE_SPACE)
    if not (before.endswith(b":") and before[:-1].rstrip(_WHITE_SPACE).endswith(b'"data"')):
        return False
    codes = np.frombuffer(text, np.uint8)[start:stop]
    if codes.max() >= _ASCII:
        return False
    first = text.find(b"\\", start, stop)
    return first < 0 or not any(
        _ESCAPED_OTHER_THAN_ASCII.search(text, begin, min(begin + PIECE_BYTES + _LONGEST_ESCAPE - 1, stop))
        for begin in range(first, stop, PIECE_BYTES)
    )
