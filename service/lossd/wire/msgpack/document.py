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
from lossd.wire.msgpack.extent import UNREADABLE, Uneven, Walk
from lossd.wire.msgpack.headers import header_size, is_list, is_map, list_header, stated_length, text_length
from lossd.wording import type_name

_PLAIN = (str, int, float, bool, type(None))
_Plain: Any = str | int | float | bool | None
_BYTE = re.compile(r" \(byte (\d+)\)$")

_decode_members = msgspec.msgpack.Decoder(dict[str, Raw]).decode
_decode_text = msgspec.msgpack.Decoder(str).decode
_decode_items = msgspec.msgpack.Decoder(list[Raw]).decode
_decode_any = msgspec.msgpack.Decoder().decode
_decode_flat_list = msgspec.msgpack.Decoder(list[_Plain]).decode
_decode_flat_map = msgspec.msgpack.Decoder(dict[str, _Plain]).decode


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
        return _members_of_large(memoryview(raw), at)
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
    if memoryview(raw).nbytes > LONGEST_STRING and is_list(raw):
        return _items_of_large(memoryview(raw), at)
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
    if isinstance(error, Uneven):
        return malformed(at, "large lists of like items", "large and small ones within each other")
    if isinstance(error, UnicodeDecodeError):
        return malformed(at, "text in UTF-8", error.reason)
    message = str(error).partition(" - at `")[0]
    place = _BYTE.search(message)
    where = at or (f"byte {place[1]}" if place else "the end of the body")
    return malformed(where, "one map of MessagePack with strings as keys", _BYTE.sub("", message)[:80])


def _members_of_large(view: memoryview, at: str) -> dict[str, Raw]:
    """Split a map into its members, with the interpreter's lock given away in between."""
    found: dict[str, Raw] = {}
    position = header_size(view)
    walk = Walk(view)
    for _ in range(stated_length(view)):
        name, start = _key(walk, position, at)
        if name in found:
            raise malformed(at or f"byte {position}", "each key once in a map", f'"{name[:40]}" again')
        position = _end(walk, start, at)
        found[name] = Raw(view[start:position])
    if position < len(view):
        behind = f"MessagePack data is malformed: trailing characters (byte {position})"
        raise unreadable(msgspec.DecodeError(behind), at)
    return found


def _items_of_large(view: memoryview, at: str) -> list[Raw]:
    """Split a list into its items, with the interpreter's lock given away in between."""
    found: list[Raw] = []
    position = header_size(view)
    walk = Walk(view)
    for _ in range(stated_length(view)):
        start, position = position, _end(walk, position, at)
        found += (Raw(view[start:position]),)
    return found


def _key(walk: Walk, position: int, at: str) -> tuple[str, int]:
    """Read a key of a map; return it, and where its value begins.

    Raises:
        MalformedBody: It is no text.
        BodyTooLarge: It is long.
    """
    size = text_length(walk.view[position : position + 5])
    if size > LONGEST_KEY:
        expected = f"a key of at most {LONGEST_KEY} bytes"
        raise BodyTooLarge(errors=[ErrorDetail(at[:80] or f"byte {position}", expected, f"one of {size}")])
    end = _end(walk, position, at)
    try:
        return _decode_text(walk.view[position:end]), end
    except UNREADABLE as error:
        raise unreadable(error, at or f"byte {position}") from None


def _end(walk: Walk, start: int, at: str) -> int:
    """Return where the value ends that begins at a byte."""
    try:
        return walk.end_of(start)
    except UNREADABLE as error:
        raise unreadable(error, at) from None


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
