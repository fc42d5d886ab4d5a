"""What the first bytes of a value of MessagePack say of it."""

from __future__ import annotations

from msgspec import Raw

from lossd.wire.codec import Body

_TEXT_LENGTHS = {0xD9: 1, 0xDA: 2, 0xDB: 4}  # bytes of the length behind the first byte


def is_map(raw: Body | Raw) -> bool:
    """Whether a value is a map, by its first byte."""
    first = memoryview(raw)[0]
    return 0x80 <= first <= 0x8F or first in (0xDE, 0xDF)


def is_list(raw: Body | Raw) -> bool:
    """Whether a value is a list, by its first byte."""
    first = memoryview(raw)[0]
    return 0x90 <= first <= 0x9F or first in (0xDC, 0xDD)


def stated_length(raw: Body | Raw) -> int:
    """Return the number of entries that the header of a map or list states."""
    view = memoryview(raw)
    if view[0] < 0xA0:
        return view[0] & 0x0F
    return int.from_bytes(view[1:3] if view[0] in (0xDC, 0xDE) else view[1:5], "big")


def header_size(raw: Body | Raw) -> int:
    """Return the number of bytes before the first entry of a map or list."""
    first = memoryview(raw)[0]
    return 1 if first < 0xA0 else 3 if first in (0xDC, 0xDE) else 5


def list_header(length: int) -> bytes:
    """Return the header of a list of so many items."""
    return b"\xdd" + length.to_bytes(4, "big")


def text_length(head: memoryview) -> int:
    """Return the bytes of a text behind its header, from its first five; 0 for another type."""
    if not head:
        return 0
    if 0xA0 <= head[0] <= 0xBF:
        return head[0] - 0xA0
    length = _TEXT_LENGTHS.get(head[0])
    return int.from_bytes(head[1 : 1 + length], "big") if length else 0
