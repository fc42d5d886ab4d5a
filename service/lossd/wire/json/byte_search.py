"""Searches of JSON text for single bytes, which memchr finds at the speed of memory.

``bytes.count``, and finding several in a row, look at one byte after the other: ten times slower, and noticeable
beside the parsing of a large body. Where the byte is frequent, so is one search per occurrence; there NumPy compares
all bytes at once.
"""

from __future__ import annotations

import numpy as np

from lossd.wire.pieces import PIECE_BYTES

_RARE = 2048  # bytes of text for each occurrence: NumPy compares as many in the time of one search
_FEW_NULLS = 64
# simdjson takes 7 us for a number of more than 19 digits with a large exponent, 100 times as long as orjson.
_LONG = 20
_BEGINNING = 4
_FEW_SLOW_NUMBERS = 64
_BYTES_FOR_SLOW_NUMBER = 1 << 14
_CODES_IN_NUMBERS = 12  # from the point to 9, with a slash that JSON has in strings alone
_BLOCK = 1 << 17
_WHITE_SPACE = b" \t\r\n"


def count_up_to(text: bytes | bytearray, mark: bytes, most: int) -> int:
    """Count the byte ``mark``; the result may stop at any number above ``most``."""
    if len(text) < _RARE:
        return text.count(mark)
    at = -1
    for found in range(min(most, len(text) // _RARE) + 1):
        at = text.find(mark, at + 1)
        if at < 0:
            return found
    return found + 1 if found == most else found + 1 + count_within(text, mark, at + 1, len(text))


def count_within(text: bytes | bytearray, mark: bytes, start: int, stop: int) -> int:
    """Count the byte ``mark`` where it is frequent."""
    codes, code = np.frombuffer(text, np.uint8), ord(mark)
    pieces = [codes[begin : min(begin + PIECE_BYTES, stop)] for begin in range(start, stop, PIECE_BYTES)]
    return sum([int(np.count_nonzero(piece == code)) for piece in pieces])


def holds_more(text: bytes | bytearray, mark: bytes, count: int) -> bool:
    """Tell whether the byte ``mark`` occurs more than ``count`` times."""
    return count_up_to(text, mark, count) > count


def holds_null(text: bytes) -> bool:
    """Tell whether ``null`` occurs, which has a letter that numbers lack and the names around them hardly have."""
    at = -1
    for _ in range(_FEW_NULLS):
        at = text.find(b"u", at + 1)
        if at < 0:
            return False
        if text[at - 1 : at + 3] == b"null":
            return True
    return text.find(b"null", at) >= 0  # this is base64


def holds_slow_numbers(text: bytes | bytearray) -> bool:
    """Tell whether numbers that simdjson reads slowly would take as long as all else in the text."""
    most = _FEW_SLOW_NUMBERS + len(text) // _BYTES_FOR_SLOW_NUMBER
    # Numbers have commas between them, base64 has none.
    return holds_more(text, b",", most) and any(
        holds_more(text, letter, most) and _follows_many_digits(text, letter, most) for letter in (b"e", b"E")
    )


def _follows_many_digits(text: bytes | bytearray, letter: bytes, most: int) -> bool:
    """Tell whether the letter stands behind 20 characters of a number, which shortest digits never take, too often."""
    codes = np.frombuffer(text, np.uint8)
    count = 0
    for start in range(0, len(codes), _BLOCK):
        block = codes[max(0, start - _LONG) : start + _BLOCK]
        in_number = block - ord(".") < _CODES_IN_NUMBERS
        # Numbers of about 17 digits are ruled out by their beginning, a byte at a time but for all at once.
        found = block[_LONG:] == ord(letter)
        for offset in range(_BEGINNING):
            found &= in_number[offset : offset - _LONG]
        places = np.flatnonzero(found)
        for offset in range(_BEGINNING, _LONG):
            places = places[in_number[places + offset]]
        count += len(places)
        if count > most:
            return True
    return False


def next_byte(text: bytes | bytearray, start: int) -> bytes:
    """Return the next byte that is not white space; none at the end."""
    for begin in range(start, len(text), PIECE_BYTES):
        if rest := bytes(text[begin : begin + PIECE_BYTES]).lstrip(_WHITE_SPACE):
            return rest[:1]
    return b""
