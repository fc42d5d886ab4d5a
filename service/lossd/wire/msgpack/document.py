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

from lossd.errors import BodyTooLarge, ErrorDetail, MalformedBody, malformed
from lossd.wire.budget import Budget
from lossd.wire.codec import LONGEST_KEY, LONGEST_STRING, MOST_NAMES, Body
from lossd.wire.foreign import hint_of_format
from lossd.wording import type_name

_PLAIN = (str, int, float, bool, type(None))
_Plain: Any = str | int | float | bool | None
_STRING_HEADERS = {0xD9: 1, 0xDA: 2, 0xDB: 4}  # bytes of the length behind the first byte
_BEHIND = re.compile(r"trailing characters \(byte (\d+)\)$")
_BYTE = re.compile(r" \(byte (\d+)\)$")

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, MemoryError)
"""What msgspec raises for bytes that are not MessagePack, or not of the type that was asked for."""

_decode_members = msgspec.msgpack.Decoder(dict[str, Raw]).decode
_decode_items = msgspec.msgpack.Decoder(list[Raw]).decode
_decode_raw = msgspec.msgpack.Decoder(Raw).decode
_decode_any = msgspec.msgpack.Decoder().decode
_decode_flat_list = msgspec.msgpack.Decoder(list[_Plain]).decode
_decode_flat_map = msgspec.msgpack.Decoder(dict[str, _Plain]).decode


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


def size_of_first(view: Body) -> int:
    """Return the bytes of the first value; of bytes without a whole one, all of them."""
    try:
        _decode_raw(view)
    except UNREADABLE as error:
        if behind := _BEHIND.search(str(error)):
            return int(behind[1])
    return len(view)


def list_header(length: int) -> bytes:
    """Return the header of a list of so many items."""
    return b"\xdd" + length.to_bytes(4, "big")


def members(raw: Body | Raw, at: str) -> dict[str, Raw]:
    """Split a map into its members, none of them read yet.

    Raises:
        MalformedBody: It is not one whole map with strings as keys, each given once, or has too many of them.
        BodyTooLarge: A key of a map that is larger than a string may be has more than `LONGEST_KEY` bytes.
    """
    if not memoryview(raw).nbytes:
        raise malformed(at, "a map of MessagePack", "an empty body")
    if not at and not is_map(raw) and (hint := hint_of_format(raw)):
        raise malformed(at, "a map of MessagePack", f"other bytes{hint}")
    if is_map(raw) and stated_length(raw) > MOST_NAMES:
        raise malformed(at, f"at most {MOST_NAMES} names in a map", stated_length(raw))
    if memoryview(raw).nbytes > LONGEST_STRING and is_map(raw):
        _refuse_long_keys(memoryview(raw), at)
    try:
        found = _decode_members(raw)
    except UNREADABLE as error:
        raise unreadable(error, at or _first_bad_key(raw)) from None
    if len(found) != stated_length(raw):
        raise _repeated(raw, at)
    return found


def nested(raw: Raw, at: str, levels: int) -> Any:
    """Split so many levels of maps into their members, which are not read yet.

    Raises:
        MalformedBody: A map is none of MessagePack, or has too many members.
    """
    if levels == 0 or not is_map(raw):
        return raw
    return {name: nested(item, f"{at}.{name[:40]}", levels - 1) for name, item in members(raw, at).items()}


def items(raw: Raw, at: str) -> list[Raw]:
    """Split a list into its items, none of them read yet.

    Raises:
        MalformedBody: It is no list of MessagePack.
    """
    try:
        return _decode_items(raw)
    except UNREADABLE as error:
        raise unreadable(error, at) from None


def option(raw: Raw, at: str, depth: int, budget: Budget) -> Any:
    """Read a value that JSON has too, of no more than ``depth`` levels.

    Raises:
        MalformedBody: It is nested too deeply, repeats a key, is long, or holds bytes or an extension type.
        BodyTooLarge: It has more values than the budget, which is checked before they are built.
    """
    if memoryview(raw).nbytes > LONGEST_STRING:
        expected = f"the name of an array, or an option of at most {LONGEST_STRING} bytes"
        raise malformed(at, expected, f"an option of {memoryview(raw).nbytes}")
    budget.take_values(1, at)
    return _value(raw, at, depth, budget)


def _value(raw: Raw, at: str, depth: int, budget: Budget) -> Any:
    if not is_map(raw) and not is_list(raw):
        value = plain(raw, at)
        if type(value) not in _PLAIN:
            raise malformed(at, "a type that JSON has too", type_name(value))
        return value
    if depth == 0:
        raise malformed(at[:40], "fewer levels of nesting", "deeper nesting")
    count = stated_length(raw)
    budget.take_values(count, at)
    try:
        return _flat(raw, at)
    except UNREADABLE:
        budget.take_nested(count, at)  # or it is wrong; then reading one by one finds the place
    if is_map(raw):
        return {
            name: _value(item, f"{at}.{name[:40]}", depth - 1, budget)
            for name, item in members(raw, at).items()
        }
    return [
        _value(item, f"{at}[{index}]", depth - 1, budget) for index, item in enumerate(_decode_items(raw))
    ]


def _flat(raw: Raw, at: str) -> Any:
    """Read a list or a map that holds neither.

    Raises:
        MalformedBody: It repeats a key.
        DecodeError: It is not such a one.
    """
    if is_list(raw):
        return _decode_flat_list(raw)
    found = _decode_flat_map(raw)
    if len(found) != stated_length(raw):
        raise _repeated(raw, at)
    return found


def plain(raw: Raw, at: str) -> Any:
    """Read a value that is neither a map nor a list.

    Raises:
        MalformedBody: It is text that is not UTF-8, or no value of MessagePack.
        BodyTooLarge: It has more than `LONGEST_STRING` bytes.
    """
    size = memoryview(raw).nbytes
    if size > LONGEST_STRING:
        expected = f"a list or a map, or a value of at most {LONGEST_STRING} bytes"
        raise BodyTooLarge(errors=[ErrorDetail(at[:80], expected, f"one of {size}")])
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


def _refuse_long_keys(view: memoryview, at: str) -> None:
    """Refuse a map with a long key, before msgspec builds it.

    Raises:
        BodyTooLarge: There is one.
    """
    position = header_size(view)
    for left in range(stated_length(view), 0, -1):
        size = _string_size(view[position : position + 5])
        if size > LONGEST_KEY:
            expected = f"a key of at most {LONGEST_KEY} bytes"
            raise BodyTooLarge(
                errors=[ErrorDetail(at[:80] or f"byte {position}", expected, f"one of {size}")]
            )
        position += size
        if not size or left == 1 or len(view) - position <= LONGEST_KEY:
            return  # no string, which msgspec refuses, or nothing long can follow
        position += size_of_first(view[position:])


def _string_size(head: memoryview) -> int:
    """Return the bytes of a string with its header, from its first five; 0 for another type."""
    if not head:
        return 0
    if 0xA0 <= head[0] <= 0xBF:
        return 1 + head[0] - 0xA0
    length = _STRING_HEADERS.get(head[0])
    return 1 + length + int.from_bytes(head[1 : 1 + length], "big") if length else 0


def _keys(raw: Body | Raw) -> Iterator[tuple[int, Raw]]:
    """Yield each key of a map, and at which byte it begins.

    Behind its header, a map is the same bytes as a list of twice its length.
    """
    position = header_size(raw)
    header = list_header(2 * stated_length(raw))
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
