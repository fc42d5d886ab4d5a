"""Reads nested lists of numbers in MessagePack as an array, long ones in pieces of which each is freed.

msgspec decodes them as the one type that their first items have, lengths included, so the first item of another type
or length ends the decoding. A piece is some rows of a list, which with a header of their own are a list.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import chain
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta, Raw

from lossd.errors import LossdError, invalid, malformed
from lossd.message import Array
from lossd.wire.budget import Budget
from lossd.wire.codec import LONGEST_STRING, MOST_CONTAINERS, Body, reserve_lists, too_many_containers
from lossd.wire.garbage import without_collections
from lossd.wire.growing_array import GrowingArray
from lossd.wire.msgpack.document import plain, unreadable
from lossd.wire.msgpack.extent import UNREADABLE, Walk
from lossd.wire.msgpack.headers import header_size, is_list, list_header, stated_length
from lossd.wire.numbers import read_numbers, read_piece, types_in
from lossd.wire.pieces import PIECE_ITEMS

_NUMBER: Any = bool | int | float | str  # as in JSON, the strings for NaN and infinity are numbers
_NO_STRING: Any = bool | int | float
_LONGEST_NUMBER, _LONGEST_HEADER = 16, 5  # bytes: "-Infinity" with the longest header has 14
_NUMBER_BYTES = 8  # of an array
_MESSAGE = re.compile(
    r"Expected `(?P<type>[^`]*)`(?: of length . ?=? ?(?P<length>\d+))?(?:, got `(?P<got>[^`]*)`)?"
)
_FIRST_STEP = re.compile(r"\[(\d+)\]")
_DESCRIPTIONS = {
    "array": "a list",
    "object": "a map",
    "None": "nil",
    "bytes": "a bin",
    "ext": "an extension type",
    "bool": "a boolean",
    "int": "a number",
    "float": "a number",
    "str": "a string",
}


def read_lists(raw: Raw, at: str, budget: Budget) -> Array:
    """Read the array that nested lists, or one number, mean.

    Raises:
        InvalidCall: They mean no array: ragged, mixed, or not of numbers.
        MalformedBody: They are nested deeper than the limit, or text in them is not UTF-8.
        BodyTooLarge: They exceed the budget, which is checked before anything is built.
    """
    if not is_list(raw):
        value = plain(raw, at)
        return read_numbers([value], frozenset([type(value)]), at, ())
    shape = _shape_of_first(raw, at, budget.limits.max_depth)
    budget.check(math.prod(max(size, 1) for size in shape), at)
    if _lists(shape) > MOST_CONTAINERS:
        raise too_many_containers("lists")
    if math.prod(shape) <= PIECE_ITEMS:
        numbers = _decoded(raw, shape, at)
        return read_numbers(numbers, types_in(numbers), at, shape)
    reserve_lists(_NUMBER_BYTES * math.prod(shape), memoryview(raw).nbytes, budget.limits, at)
    return without_collections(lambda: _Pieces(raw, at, shape).read())


class _Pieces:
    """Nested lists of which some are read."""

    def __init__(self, raw: Raw, at: str, shape: tuple[int, ...]) -> None:
        self.rest = memoryview(raw)
        self.at = at
        self.shape = shape
        self.array = GrowingArray(math.prod(shape))

    def read(self) -> Array:
        """Return the array that they mean."""
        self._read_list(self.shape, "")
        return self.array.whole().reshape(self.shape)

    def _read_list(self, shape: tuple[int, ...], path: str) -> None:
        """Read the list that comes next, which must have that shape."""
        self._pass_header(shape[0], path)
        numbers = math.prod(shape[1:])
        if numbers > PIECE_ITEMS:
            for index in range(shape[0]):
                self._read_list(shape[1:], f"{path}[{index}]")
            return
        step = PIECE_ITEMS // numbers
        for first in range(0, shape[0], step):
            self._read_rows((min(step, shape[0] - first), *shape[1:]), path, first)

    def _pass_header(self, length: int, path: str) -> None:
        if not is_list(self.rest):
            _decoded(self.rest, (length,), self.at, path)  # which raises
        if stated_length(self.rest) != length:
            first = "[0]" * path.count("[")
            expected = f"a list of {length} items as at `{self.at}{first}`"
            raise invalid(self.at + path, expected, "a list of another length")
        self.rest = self.rest[header_size(self.rest) :]

    def _read_rows(self, shape: tuple[int, ...], path: str, first: int) -> None:
        """Read the rows that come next, of which the first has that place in the list at ``path``."""
        header = list_header(shape[0])
        end = Walk(self.rest).end_of(0, shape[0])
        # NumPy copies without the interpreter's lock, which matters where an item is long and wrong.
        piece = np.concatenate([np.frombuffer(part, np.uint8) for part in (header, self.rest[:end])]).data
        numbers = _decoded(piece, shape, self.at, path, first)
        before = self.array.size
        booleans = self.array.whole().dtype.kind == "b" if before else None
        types = types_in(numbers)
        self.array.add(read_piece(numbers, types, self.at, self.shape, before=before, booleans=booleans))
        self.rest = self.rest[end:]


def _decoded(raw: Raw | Body, shape: tuple[int, ...], at: str, path: str = "", first: int = 0) -> list[Any]:
    """Decode nested lists of that shape to the flat list of their numbers.

    Raises:
        InvalidCall: An item has another type or length than the first.
        MalformedBody: Text in them is not UTF-8.
    """
    number = _NUMBER if memoryview(raw).nbytes <= _most_bytes(shape) else _NO_STRING
    try:
        return without_collections(lambda: _decode_flat(raw, shape, number))
    except msgspec.ValidationError as error:
        raise _unequal(str(error), at, path, first) from None
    except UNREADABLE as error:
        raise unreadable(error, at) from None


def _decode_flat(raw: Raw | Body, shape: tuple[int, ...], number: Any) -> list[Any]:
    found: Iterable[Any] = _decoder(shape[1:], number)(raw)
    for _ in shape[1:]:
        found = chain.from_iterable(found)
    return list(found)


def _shape_of_first(raw: Raw, at: str, depth: int) -> tuple[int, ...]:
    """Return the length of a list, of its first item, of that one's first item and so on, as their headers state."""
    rest = memoryview(raw)
    shape: list[int] = []
    while is_list(rest):
        if len(shape) == depth:
            raise malformed(at, f"at most {depth} dimensions", "deeper nesting")
        shape.append(stated_length(rest))
        rest = rest[header_size(rest) :]
        if not shape[-1]:
            break
    return tuple(shape)


def _lists(shape: tuple[int, ...]) -> int:
    return sum(math.prod(shape[:level]) for level in range(len(shape)))


def _most_bytes(shape: tuple[int, ...]) -> int:
    """Return how many bytes nested lists of that shape may take, with a string that an error can tell."""
    return LONGEST_STRING + _LONGEST_NUMBER * math.prod(shape) + _LONGEST_HEADER * _lists(shape)


@lru_cache(maxsize=256)
def _decoder(row_shape: tuple[int, ...], number: Any) -> Callable[[Raw | Body], list[Any]]:
    """Return the function that decodes a list of rows of that shape; building it takes 30 us."""
    item = number
    for length in reversed(row_shape):
        item = Annotated[_list_of(item), Meta(min_length=length, max_length=length)]
    return msgspec.msgpack.Decoder(_list_of(item)).decode


def _list_of(item: Any) -> Any:
    return list[item]


def _unequal(message: str, at: str, path: str, first: int) -> LossdError:
    """Build the error for an item, of rows that begin at ``first`` of a list, that is not of the type of the first."""
    text, _, steps = message.partition(" - at `$")
    path += _FIRST_STEP.sub(lambda step: f"[{int(step[1]) + first}]", steps.rstrip("`"), count=1)
    found = _MESSAGE.match(text)
    assert found is not None, message
    if found["length"]:
        zeros = "[0]" * path.count("[")
        return invalid(
            at + path, f"a list of {found['length']} items as at `{at}{zeros}`", "a list of another length"
        )
    expected = "a list" if found["type"] == "array" else "a number"
    return invalid(at + path, expected, _DESCRIPTIONS.get(found["got"], found["got"]))
