"""From bytes of MessagePack to values, checked: what msgspec forgives, refuses oddly or would copy.

msgspec first walks over the bytes without building anything (`Raw`), so that every length in them is known
to be true before memory is spent on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec
import numpy as np
from msgspec import Raw

from lossd.errors import MalformedBody, invalid, malformed
from lossd.wire.codec import Body, Budget, Limits

_PLAIN = (str, int, float, bool, type(None))
_LONGEST_OPTION = 1 << 16
_LONGEST_PATH = 200  # some 64 levels
_MOST_PASSES = 4  # over a list whose place of error is looked for, each as long as reading it
_BYTE = re.compile(r" \(byte (\d+)\)$")
_BIN_HEADERS = {0xC4: 2, 0xC5: 3, 0xC6: 5}
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, MemoryError)

_decode_members = msgspec.msgpack.Decoder(dict[str, Raw]).decode
_decode_items = msgspec.msgpack.Decoder(list[Raw]).decode
_decode_any = msgspec.msgpack.Decoder().decode


def is_map(raw: Body | Raw) -> bool:
    """Whether a value is a map, by its first byte."""
    first = memoryview(raw)[0]
    return 0x80 <= first <= 0x8F or first in (0xDE, 0xDF)


def members(raw: Body | Raw, at: str) -> dict[str, Raw]:
    """Split a map into its members, none of them read yet.

    Raises:
        MalformedBody: It is not one whole map with strings as keys, each given once.
    """
    if not memoryview(raw).nbytes:
        raise malformed(at, "a map of MessagePack", "an empty body")
    try:
        found = _decode_members(raw)
    except _UNREADABLE as error:
        raise _unreadable(error, at or _first_bad_key(raw)) from None
    if len(found) != _length(raw):
        raise _repeated(raw, at)
    return found


def option(raw: Raw, at: str, depth: int) -> Any:
    """Read a value that JSON has too, of no more than ``depth`` levels.

    Raises:
        MalformedBody: It is nested too deeply, repeats a key, is long, or holds bytes or an extension type.
    """
    if memoryview(raw).nbytes > _LONGEST_OPTION:
        raise malformed(at, f"an option of at most {_LONGEST_OPTION} bytes", memoryview(raw).nbytes)
    if not is_map(raw) and not _is_list(raw):
        value = anything(raw, at)
        if type(value) not in _PLAIN:
            raise malformed(at, "a type that JSON has too", type(value).__name__)
        return value
    if depth == 0:
        raise malformed(at[:40], "fewer levels of nesting", "deeper nesting")
    if is_map(raw):
        return {name: option(item, f"{at}.{name[:40]}", depth - 1) for name, item in members(raw, at).items()}
    return [option(item, f"{at}[{index}]", depth - 1) for index, item in enumerate(_decode_items(raw))]


def lists(raw: Raw, at: str, limits: Limits) -> Any:
    """Read a number or nested lists, whose contents are checked by who makes an array of them.

    Raises:
        MalformedBody: It is nested too deeply to be read at all.
        BodyTooLarge: It is a list of more than ``limits.max_elements``.
    """
    if _is_list(raw):
        Budget(limits).check(_length(raw), at)
    return anything(raw, at)


def anything(raw: Raw, at: str) -> Any:
    """Read a value of any type that MessagePack has.

    Raises:
        MalformedBody: Text in it is not UTF-8, or it is nested too deeply.
    """
    try:
        return _decode_any(raw)
    except _UNREADABLE as error:
        raise _unreadable(error, at + _path_of_first_bad_item(raw)) from None


def view_within(whole: memoryview, raw: Raw, at: str) -> memoryview:
    """View the bytes of a bin where they lie in ``whole``, so that they may be written if that may be.

    Raises:
        InvalidCall: It is not a bin.
    """
    encoded = np.frombuffer(raw, np.uint8)
    header = _BIN_HEADERS.get(int(encoded[0]))
    if header is None:
        raise invalid(at, "a bin with the bytes of the array", "another type")
    start = _address(encoded) - _address(np.frombuffer(whole, np.uint8)) + header
    return whole[start : start + len(encoded) - header]


def _address(array: np.ndarray[Any, Any]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _is_list(raw: Raw) -> bool:
    first = memoryview(raw)[0]
    return 0x90 <= first <= 0x9F or first in (0xDC, 0xDD)


def _length(raw: Body | Raw) -> int:
    """Give the number of entries that the header of a map or list claims."""
    view = memoryview(raw)
    if view[0] < 0xA0:
        return view[0] & 0x0F
    return int.from_bytes(view[1:3] if view[0] in (0xDC, 0xDE) else view[1:5], "big")


def _keys(raw: Body | Raw) -> Iterator[tuple[int, Raw]]:
    """Yield each key of a map, and at which byte it begins.

    Behind its header, a map is the same bytes as a list of twice its length.
    """
    view = memoryview(raw)
    position = 1 if view[0] < 0xA0 else 3 if view[0] == 0xDE else 5
    entries = _decode_items(b"\xdd" + (2 * _length(raw)).to_bytes(4, "big") + view[position:])
    for number, entry in enumerate(entries):
        if number % 2 == 0:
            yield position, entry
        position += memoryview(entry).nbytes


def _first_bad_key(raw: Body | Raw) -> str:
    """Return the place of the first key that is no text; nothing where the map cannot be split at all."""
    if not is_map(raw):
        return "byte 0"
    if _length(raw) > memoryview(raw).nbytes:
        return ""
    try:
        return next((f"byte {position}" for position, key in _keys(raw) if not _is_text(key)), "")
    except _UNREADABLE:
        return ""


def _is_text(raw: Raw) -> bool:
    try:
        return type(_decode_any(raw)) is str
    except _UNREADABLE:
        return False


def _repeated(raw: Body | Raw, at: str) -> MalformedBody:
    seen: set[str] = set()
    for position, key in _keys(raw):
        name = _decode_any(key)
        if name in seen:
            return malformed(at or f"byte {position}", "each key once in a map", f'"{name[:40]}" again')
        seen.add(name)
    raise AssertionError("expected a key that repeats")  # for there are fewer than the header counts


def _path_of_first_bad_item(raw: Raw) -> str:
    """Return the indices of the first thing in nested lists that cannot be read, as far as few passes tell."""
    path, left = "", _MOST_PASSES * len(memoryview(raw))
    with suppress(*_UNREADABLE):
        while _is_list(raw) and len(path) < _LONGEST_PATH and left > 0:
            left -= len(memoryview(raw))
            index, raw = next(
                (i, item) for i, item in enumerate(_decode_items(raw)) if not _is_readable(item)
            )
            path += f"[{index}]"
    return path


def _is_readable(raw: Raw) -> bool:
    try:
        _decode_any(raw)
    except _UNREADABLE:
        return False
    return True


def _unreadable(error: Exception, at: str) -> MalformedBody:
    if isinstance(error, RecursionError):
        return malformed(at, "fewer levels of nesting", "deeper nesting")
    if isinstance(error, UnicodeDecodeError):
        return malformed(at, "text in UTF-8", error.reason)
    message = str(error).partition(" - at `")[0]
    place = _BYTE.search(message)
    where = at or (f"byte {place[1]}" if place else "the end of the body")
    return malformed(where, "one map of MessagePack with strings as keys", _BYTE.sub("", message)[:80])
