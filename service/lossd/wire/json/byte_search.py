"""Searches of JSON text for single bytes, which memchr finds at the speed of memory.

Counting a byte, or finding several in a row, looks at one byte after the other: ten times slower, and a part of
what a large body costs. Only where the byte is not rare is a search for each occurrence slower still.
"""

from __future__ import annotations

_RARE = 256  # bytes of text for each occurrence
_FEW = 64


def holds_more(text: bytes | bytearray, mark: bytes, count: int) -> bool:
    """Tell whether the byte ``mark`` occurs more than ``count`` times."""
    if count * _RARE > len(text):
        return text.count(mark) > count
    at = -1
    for _ in range(count + 1):
        at = text.find(mark, at + 1)
        if at < 0:
            return False
    return True


def holds_null(text: bytes) -> bool:
    """Tell whether ``null`` occurs, which has a letter that numbers lack and the names around them hardly have."""
    at = -1
    for _ in range(_FEW):
        at = text.find(b"u", at + 1)
        if at < 0:
            return False
        if text[at - 1 : at + 3] == b"null":
            return True
    return text.find(b"null", at) >= 0  # this is base64
