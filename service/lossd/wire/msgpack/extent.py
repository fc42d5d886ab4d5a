"""Finds where values of MessagePack end, without building them; in large ones piece by piece.

msgspec passes over values at up to 7 ns a byte, with the interpreter's lock held until it returns. So it is given some
items of a long list at a time, behind a header of their own: as many as a window of the body has. How many these are
is a guess, and a wrong one costs a window.
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Raw

from lossd.wire.codec import MOST_NAMES
from lossd.wire.msgpack.headers import header_size, is_list, is_map, list_header, stated_length


class Uneven(Exception):
    """Large lists and maps are so mixed that to pass over them in pieces would take far longer than to read them."""


UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, MemoryError, Uneven)
"""What is raised for bytes that are not MessagePack, or not of the type that was asked for."""

_WINDOWS: tuple[int, ...] = (1 << 12, 1 << 15, 1 << 18)  # bytes; the last takes at most 2 ms
_WINDOWS_OF_MAP = _WINDOWS[:2]  # in a larger one, there are mostly the bytes of arrays, which take no time
_FACTOR = 8  # by which the items of a step become fewer where they do not fit into a window, and at most more
_MOST_LEVELS = 64  # of values larger than a window
# Windows in which values may fail to end before any did, and bytes of such windows for each byte of values that ended.
# Arrays and batches that were tried need 16 windows and 5 bytes at most; lists made to be passed over for ever, any.
_SPARE_WINDOWS, _MOST_IN_VAIN = 32, 8
_TRUNCATED = "Input data was truncated"
_BEHIND = re.compile(r"trailing characters \(byte (\d+)\)$")
_BYTE = re.compile(r" \(byte (\d+)\)$")

_pass_over = msgspec.msgpack.Decoder(Raw).decode


class Walk:
    """Passes over the values of a large list or map.

    Attributes:
        view: The bytes.
    """

    def __init__(self, view: memoryview) -> None:
        self.view = view
        self._in_vain = -_SPARE_WINDOWS * _WINDOWS[-1]

    def end_of(self, start: int, count: int = 1, levels: int = _MOST_LEVELS) -> int:
        """Return where so many values end.

        Args:
            start: Where the first of them begins.
            count: How many values there are.
            levels: How deep lists and maps may nest that are larger than a window.

        Raises:
            DecodeError: They are not whole values of MessagePack.
            RecursionError: They nest deeper than that.
            Uneven: They are too mixed.
        """
        end, step = start, min(count, _WINDOWS[-1])
        doubtful = 0  # the next items, of which one is large; steps become no longer before it is behind
        while count:
            step = min(step, count)
            begin, found = end, self._end_of_some(end, step)
            if found is None and step > 1:
                doubtful, step = step, max(step // _FACTOR, 1)
                continue
            end = self._end_of_large(begin, levels) if found is None else found
            count -= step
            doubtful = 0 if found is None else max(doubtful - step, 0)
            if not doubtful:
                step = max(min(step * _WINDOWS[-1] // (end - begin), step * _FACTOR), 1)
        return end

    def _end_of_some(self, start: int, count: int) -> int | None:
        """Return where so many values end; None if they are larger than a window, or may be."""
        windows, left = _WINDOWS, len(self.view) - start
        if count == 1 and left:
            if is_map(self.view[start:]):
                windows = _WINDOWS_OF_MAP
            elif not is_list(self.view[start:]):
                return _end_within(self.view, start, len(self.view), b"")
        for size in windows:
            end = _end_within(self.view, start, start + min(size, left), list_header(count))
            if end is not None:
                return end
            self._in_vain += size
        if self._in_vain > _MOST_IN_VAIN * start:
            raise Uneven
        return None

    def _end_of_large(self, start: int, levels: int) -> int:
        """Return where a list or a map ends."""
        if not levels:
            raise RecursionError
        value = self.view[start:]
        first = start + header_size(value)
        if first > len(self.view):
            raise msgspec.DecodeError(_TRUNCATED)
        length = stated_length(value)
        entries = 2 * length if is_map(value) else length
        if entries == 1 and first < len(self.view) and is_list(self.view[first:]):  # then it is as large
            return self._end_of_large(first, levels - 1)
        if is_list(value) or length > MOST_NAMES:
            return self.end_of(first, entries, levels - 1)
        for _ in range(entries):  # one by one, as the bytes of an array may be among them
            first = self.end_of(first, 1, levels - 1)
        return first


def _end_within(view: memoryview, start: int, stop: int, header: bytes) -> int | None:
    """Return where values end that have that header before them; None if that is behind ``stop``."""
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


def _relocated(message: str, offset: int) -> msgspec.DecodeError:
    """Return the error of a piece with its place in the whole."""
    return msgspec.DecodeError(_BYTE.sub(lambda byte: f" (byte {int(byte[1]) + offset})", message))
