"""Splits maps of MessagePack into members that are not read yet, and reads options.

msgspec first passes over the bytes without building anything (`Raw`), so that every length in them is known to be
true before memory is spent on it. Repeated keys, which it accepts, are refused here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Raw

from lossd.errors import MalformedBody, malformed
from lossd.wire.codec import MOST_NAMES, Body

_PLAIN = (str, int, float, bool, type(None))
_LONGEST_OPTION = 1 << 16
_BYTE = re.compile(r" \(byte (\d+)\)$")

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, MemoryError)
"""What msgspec raises for bytes that are not MessagePack, or not of the type that was asked for."""

_decode_members = msgspec.msgpack.Decoder(dict[str, Raw]).decode
_decode_items = msgspec.msgpack.Decoder(list[Raw]).decode
_decode_any = msgspec.msgpack.Decoder().decode


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


def members(raw: Body | Raw, at: str) -> dict[str, Raw]:
    """Split a map into its members, none of them read yet.

    Raises:
        MalformedBody: It is not one whole map with strings as keys, each given once, or has too many of them.
    """
    if not memoryview(raw).nbytes:
        raise malformed(at, "a map of MessagePack", "an empty body")
    if is_map(raw) and stated_length(raw) > MOST_NAMES:
        raise malformed(at, f"at most {MOST_NAMES} names in a map", stated_length(raw))
    try:
        found = _decode_members(raw)
    except UNREADABLE as error:
        raise unreadable(error, at or _first_bad_key(raw)) from None
    if len(found) != stated_length(raw):
        raise _repeated(raw, at)
    return found


def option(raw: Raw, at: str, depth: int) -> Any:
    """Read a value that JSON has too, of no more than ``depth`` levels.

    Raises:
        MalformedBody: It is nested too deeply, repeats a key, is long, or holds bytes or an extension type.
    """
    if memoryview(raw).nbytes > _LONGEST_OPTION:
        expected = f"the name of an array, or an option of at most {_LONGEST_OPTION} bytes"
        raise malformed(at, expected, f"an option of {memoryview(raw).nbytes}")
    if not is_map(raw) and not is_list(raw):
        value = plain(raw, at)
        if type(value) not in _PLAIN:
            raise malformed(at, "a type that JSON has too", type(value).__name__)
        return value
    if depth == 0:
        raise malformed(at[:40], "fewer levels of nesting", "deeper nesting")
    if is_map(raw):
        return {name: option(item, f"{at}.{name[:40]}", depth - 1) for name, item in members(raw, at).items()}
    return [option(item, f"{at}[{index}]", depth - 1) for index, item in enumerate(_decode_items(raw))]


def plain(raw: Raw, at: str) -> Any:
    """Read a value that is neither a map nor a list.

    Raises:
        MalformedBody: It is text that is not UTF-8, or no value of MessagePack.
    """
    try:
        return _decode_any(raw)
    except UNREADABLE as error:
        raise unreadable(error, at) from None


def unreadable(error: Exception, at: str) -> MalformedBody:
    """Build the error for bytes that msgspec could not read."""
    if isinstance(error, RecursionError):
        return malformed(at, "fewer levels of nesting", "deeper nesting")
    if isinstance(error, UnicodeDecodeError):
        return malformed(at, "text in UTF-8", error.reason)
    message = str(error).partition(" - at `")[0]
    place = _BYTE.search(message)
    where = at or (f"byte {place[1]}" if place else "the end of the body")
    return malformed(where, "one map of MessagePack with strings as keys", _BYTE.sub("", message)[:80])


def _keys(raw: Body | Raw) -> Iterator[tuple[int, Raw]]:
    """Yield each key of a map, and at which byte it begins.

    Behind its header, a map is the same bytes as a list of twice its length.
    """
    position = header_size(raw)
    header = b"\xdd" + (2 * stated_length(raw)).to_bytes(4, "big")
    for number, entry in enumerate(_decode_items(header + memoryview(raw)[position:])):
        if number % 2 == 0:
            yield position, entry
        position += memoryview(entry).nbytes


def _first_bad_key(raw: Body | Raw) -> str:
    """Return the place of the first key that is no text; nothing where the map cannot be split at all."""
    if not is_map(raw):
        return "byte 0"
    try:
        return next((f"byte {position}" for position, key in _keys(raw) if not _is_text(key)), "")
    except UNREADABLE:
        return ""


def _is_text(raw: Raw) -> bool:
    try:
        return type(_decode_any(raw)) is str
    except UNREADABLE:
        return False


def _repeated(raw: Body | Raw, at: str) -> MalformedBody:
    seen: set[str] = set()
    for position, key in _keys(raw):
        name = _decode_any(key)
        if name in seen:
            return malformed(at or f"byte {position}", "each key once in a map", f'"{name[:40]}" again')
        seen.add(name)
    raise AssertionError("expected a key that repeats")  # for there are fewer than the header states
