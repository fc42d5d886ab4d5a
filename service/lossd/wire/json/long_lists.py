"""Long lists of numbers: taken out of a text and parsed in pieces, the shape of the whole proven as in `buffers`.

Between the quotes of two neighbouring strings every bracket and comma is structure, so a list of numbers can be cut at
any comma there: what is open before the cut is closed behind the piece, and opened again before the next. Lists that
the cuts run through are counted together again. The text without these lists is short, and is read like any other.
As in `buffers`, what is not proven is not refused: `read` returns None.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import orjson

from lossd.errors import LossdError
from lossd.message import Array
from lossd.wire.budget import Budget
from lossd.wire.codec import DecodeLimits, reserve_lists
from lossd.wire.growing_array import GrowingArray
from lossd.wire.json import buffers
from lossd.wire.json.buffers import READINGS, UNPROVEN, Doubt
from lossd.wire.json.byte_search import count_within, holds_more, holds_slow_numbers
from lossd.wire.json.marks import marked
from lossd.wire.pieces import PIECE_BYTES

Text = bytes | bytearray
Holders = Iterable[tuple[dict[str, Any], frozenset[str]]]

_WORTH_TAKING = 1 << 12  # bytes of a list
_LONGEST_REST = 1 << 20
_MOST_STRINGS = 1 << 14
_MOST_BLOCKS = PIECE_BYTES // 64  # lists of lists in one piece
_BACKSLASH = ord("\\")
_NUMBER_BYTES = 8
_EDGE = 256  # bytes at a list's or a row's end that are searched for brackets
_OPENINGS, _CLOSINGS = re.compile(rb"[\[ \t\r\n]*"), b"] \t\r\n"


def read(
    text: Text,
    read_rest: Callable[[Text], dict[str, Any]],
    holders: Callable[[dict[str, Any]], Holders],
    limits: DecodeLimits,
) -> dict[str, Any] | None:
    """Parse a JSON object, with its long lists of numbers as arrays.

    Args:
        text: The object.
        read_rest: Parses a text without long lists.
        holders: Returns the objects in a document that may hold arrays, each with the names of these.
        limits: The limits on all arrays together.

    Raises:
        BodyTooLarge: The proven shapes exceed ``limits.max_elements``, or the lists ``limits.max_listed_bytes``.
    """
    places = [] if buffers.simdjson is None else _long_lists(text)
    taken = sum(stop - start for start, stop in places)
    if not places or len(text) - taken > _LONGEST_REST or holds_slow_numbers(text):
        return None
    rest, names = marked(text, places)
    try:
        document = read_rest(rest)
    except LossdError:
        return None  # its places are not those in the whole text
    lists = dict(zip(names, places, strict=True))
    numbers = sum(count_within(text, b",", *place) + 1 for place in places)
    reserve_lists(_NUMBER_BYTES * numbers, len(text), limits)
    budget, parser = Budget(limits), buffers.simdjson.Parser()
    try:
        for holder, members in holders(document):
            for member in members & holder.keys():
                if type(name := holder[member]) is str and name in lists:
                    holder[member] = _read_list(text, *lists.pop(name), parser, budget)
    except Doubt:
        return None
    return None if lists else document


def _long_lists(text: Text) -> list[tuple[int, int]]:
    """Return where long lists between strings start and stop; none if a look at each string would take long."""
    places: list[tuple[int, int]] = []
    at = 0
    for _ in range(_MOST_STRINGS):
        opening = text.find(b'"', at)
        end = opening if opening >= 0 else len(text)
        if end - at > _WORTH_TAKING:
            start = text.find(b"[", at, at + _EDGE)
            brace = text.find(b"}", at, end)
            stop = text.rfind(b"]", at, end if brace < 0 else brace) + 1
            if 0 <= start < stop - _WORTH_TAKING:
                places.append((start, stop))
        if opening < 0:
            return places
        closing = text.find(b'"', opening + 1)
        if closing < 0 or text[closing - 1] == _BACKSLASH:
            return []
        at = closing + 1
    return []


def _read_list(text: Text, start: int, stop: int, parser: Any, budget: Budget) -> Array:
    """Read a list of numbers from its text, piece by piece.

    Raises:
        Doubt: It may be ragged, or hold something else.
    """
    beginning = _OPENINGS.match(text, start, start + _EDGE)
    assert beginning is not None  # of any text
    depth = beginning[0].count(b"[")
    at, end = beginning.end(), stop - _closing_bytes(text, stop)
    if depth > budget.limits.max_depth or text.count(b"]", end, stop) != depth:
        raise Doubt
    lengths = _Lengths(depth)
    whole = memoryview(text)
    array = GrowingArray(count_within(text, b",", start, stop) + 1)
    opened = depth
    while at <= end:  # what ends with a comma has an empty piece behind it
        cut = text.find(b",", at + PIECE_BYTES, end)
        cut = end if cut < 0 else cut
        closed = 0 if cut == end else text.count(b"]", cut - _closing_bytes(text, cut), cut)
        piece = b"".join((b"[" * opened, whole[at:cut], b"]" * (depth - closed)))
        chunk = _read_piece(parser, piece, lengths, opened)
        budget.take(chunk.size, "")
        if array.size and (chunk.dtype == np.bool_) != (array.whole().dtype == np.bool_):
            raise Doubt
        array.add(chunk)
        at, opened = cut + 1, depth - closed
    shape = lengths.shape()
    if math.prod(shape) != array.size:
        raise Doubt
    return array.whole().reshape(shape)


def _closing_bytes(text: Text, stop: int) -> int:
    """Return how many bytes before ``stop`` are closing brackets and white space."""
    edge = bytes(text[max(0, stop - _EDGE) : stop])
    return len(edge) - len(edge.rstrip(_CLOSINGS))


def _read_piece(parser: Any, piece: bytes, lengths: _Lengths, opened: int) -> Array:
    try:
        value = parser.parse(piece)
        lengths.add(value, opened, piece)
        first = value
        while type(first) is buffers.simdjson.Array:
            first = first[0]
        if type(first) is bool:
            return _booleans(piece)
        for code, dtype in READINGS.get(type(first), ()):
            try:
                return np.frombuffer(value.as_buffer(of_type=code), dtype)
            except (TypeError, ValueError):
                continue
    except UNPROVEN:
        pass
    raise Doubt


def _booleans(piece: bytes) -> Array:
    """Read the booleans of a piece, whatever lists they are in.

    Raises:
        Doubt: There is something else.
    """
    flat = orjson.loads(b"[%s]" % piece.translate(None, b"[]"))
    if {*map(type, flat)} != {bool}:
        raise Doubt
    return np.fromiter(flat, np.bool_, len(flat))


class _Lengths:
    """The lengths of the lists on each level, as pieces of their text come in."""

    def __init__(self, depth: int) -> None:
        self.complete: list[set[int]] = [set() for _ in range(depth)]
        self.last = [0] * depth  # of lists that may go on in the next piece

    def add(self, value: Any, opened: int, piece: bytes) -> None:
        """Count the lists of a piece; the first on each of ``opened`` levels began before it."""
        levels: list[list[int]] = [[] for _ in self.last]
        _measure(value, 0, levels)
        if holds_more(piece, b"[", sum(map(len, levels))) or any(0 in found for found in levels):
            raise Doubt
        for level, found in enumerate(levels):
            if level < opened:
                # The cut runs through this list, and through its last item unless that is on the innermost open level.
                found[0] += self.last[level] - (level < opened - 1 and self.last[level] > 0)
            else:
                self.complete[level].add(self.last[level])
            self.last[level] = found.pop()
            self.complete[level].update(found)

    def shape(self) -> tuple[int, ...]:
        """Return the shape of the whole list.

        Raises:
            Doubt: Lists on one level have different lengths.
        """
        for complete, last in zip(self.complete, self.last, strict=True):
            complete.add(last)
        if any(len(complete) > 1 for complete in self.complete):
            raise Doubt
        return tuple(complete.pop() for complete in self.complete)


def _measure(value: Any, level: int, levels: list[list[int]]) -> None:
    """Add the lengths of a list and of those in it to their levels'."""
    levels[level].append(len(value))
    if level + 1 == len(levels):
        return
    if len(levels[-2]) > _MOST_BLOCKS:
        raise Doubt  # orjson takes less time than a call for each
    list_type, rows = buffers.simdjson.Array, levels[-1]
    for item in value:
        if type(item) is not list_type:
            raise Doubt
        if level + 2 < len(levels):
            _measure(item, level + 1, levels)
        elif length := len(item):
            rows.append(length)
        else:
            raise Doubt
