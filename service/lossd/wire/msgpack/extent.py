"""Finds where values of MessagePack end, without building them; in large ones piece by piece.

msgspec passes over values at up to 7 ns a byte, with the interpreter's lock held until it returns. So it is given some
items of a long list at a time, behind a header of their own: as many as a window of the body has.
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Raw

from lossd.wire.codec import MOST_NAMES
from lossd.wire.msgpack.headers import header_size, is_list, is_map, list_header, stated_length

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, MemoryError)
"""What msgspec raises for bytes that are not MessagePack, or not of the type that was asked for."""

_WINDOWS: tuple[int, ...] = (1 << 12, 1 << 15, 1 << 18)  # bytes; the last takes at most 2 ms
_WINDOWS_OF_MAP = _WINDOWS[:2]  # in a larger one, there are mostly the bytes of arrays, which take no time
_FEWER = 8  # by how many times items are fewer that shall fit into a window
_MOST_LEVELS = 128  # of values larger than a window; each may take some windows again
_TRUNCATED = "Input data was truncated"
_BEHIND = re.compile(r"trailing characters \(byte (\d+)\)$")
_BYTE = re.compile(r" \(byte (\d+)\)$")

_pass_over = msgspec.msgpack.Decoder(Raw).decode


def end_of(view: memoryview, start: int, count: int = 1, levels: int = _MOST_LEVELS) -> int:
    """Return where so many values end.

    Args:
        view: The bytes.
        start: Where the first value begins.
        count: How many values there are.
        levels: How deep lists and maps may nest that are larger than a window.

    Raises:
        DecodeError: They are not whole values of MessagePack.
        RecursionError: They nest deeper than that.
    """
    end, step = start, min(count, _WINDOWS[-1])
    while count:
        step = min(step, count)
        begin, found = end, _end_of_some(view, end, step)
        if found is None and step > 1:
            step = max(step // _FEWER, 1)
            continue
        end = _end_of_large(view, begin, levels) if found is None else found
        count -= step
        step = max(step * _WINDOWS[-1] // (end - begin), 1)
    return end


def _end_of_some(view: memoryview, start: int, count: int) -> int | None:
    """Return where so many values end; None if they are larger than a window, or may be."""
    windows = _WINDOWS
    if count == 1 and start < len(view):
        if is_map(view[start:]):
            windows = _WINDOWS_OF_MAP
        elif not is_list(view[start:]):
            return _end_within(view, start, len(view), b"")
    for size in windows:
        end = _end_within(view, start, min(start + size, len(view)), list_header(count))
        if end is not None:
            return end
    return None


def _end_within(view: memoryview, start: int, stop: int, header: bytes) -> int | None:
    """Return where values end that have that header before them; None if that is not before ``stop``."""
    piece = b"".join((header, view[start:stop])) if header else view[start:stop]
    try:
        _pass_over(piece)
    except msgspec.DecodeError as error:
        message = str(error)
        if behind := _BEHIND.search(message):
            return start + int(behind[1]) - len(header)
        if message == _TRUNCATED and stop < len(view):
            return None
        raise _relocated(message, start - len(header)) from None
    return stop


def _end_of_large(view: memoryview, start: int, levels: int) -> int:
    """Return where a list or a map ends."""
    if not levels:
        raise RecursionError
    value = view[start:]
    first = start + header_size(value)
    if first > len(view):
        raise msgspec.DecodeError(_TRUNCATED)
    length = stated_length(value)
    if not is_map(value):
        return end_of(view, first, length, levels - 1)
    if length > MOST_NAMES:
        return end_of(view, first, 2 * length, levels - 1)
    for _ in range(2 * length):  # one by one, as the bytes of an array may be among them
        first = end_of(view, first, 1, levels - 1)
    return first


def _relocated(message: str, offset: int) -> msgspec.DecodeError:
    """Return the error of a piece with its place in the whole."""
    return msgspec.DecodeError(_BYTE.sub(lambda byte: f" (byte {int(byte[1]) + offset})", message))
