"""Searches of JSON text for single bytes, which memchr finds at the speed of memory.

Counting a byte, or finding several in a row, looks at one byte after the other: ten times slower, and noticeable
beside the parsing of a large body. Only where the byte is frequent is one search per occurrence slower still.
"""

from __future__ import annotations

import numpy as np

_RARE = 256  # bytes of text for each occurrence
_FEW_NULLS = 64
# simdjson takes 7 us for a number of more than 19 digits with a large exponent, 100 times as long as orjson.
_FAST_CHARACTERS = 19
_FEW_SLOW_NUMBERS = 64
_BYTES_FOR_SLOW_NUMBER = 1 << 14
_IN_MANTISSA = np.isin(np.arange(256), np.frombuffer(b".0123456789", np.uint8))
_LOWER_CASE = 0x20


def holds_more(text: bytes | bytearray, mark: bytes, count: int) -> bool:
    """Tell whether the byte ``mark`` occurs more than ``count`` times."""
    at = -1
    for found in range(min(count, len(text) // _RARE) + 1):
        at = text.find(mark, at + 1)
        if at < 0:
            return False
        if found == count:
            return True
    return found + 1 + text.count(mark, at + 1) > count


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
    if not holds_more(text, b"e", most) and not holds_more(text, b"E", most):
        return False
    codes = np.frombuffer(text, np.uint8)
    exponents = np.flatnonzero((codes | _LOWER_CASE) == ord("e"))
    exponents = exponents[exponents > _FAST_CHARACTERS]
    # From the far end, where numbers of ordinary length leave at once.
    for distance in range(_FAST_CHARACTERS + 1, 0, -1):
        if len(exponents) <= most:
            return False
        exponents = exponents[_IN_MANTISSA[codes[exponents - distance]]]
    return len(exponents) > most
