"""The fast path for JSON numbers: from text into buffers by pysimdjson, with the shape proven.

pysimdjson writes the numbers of a nested list into one buffer without making a Python object of each. It
silently flattens ragged and mixed nesting, so its shapes are not trusted. The proof has two halves: on each
level every list is as long as its siblings, and the body has no more opening brackets than those lists and the
options account for, so nothing is nested where a number was assumed. Keys are compared one by one, and an object
that repeats one is left alone. What is not proven here is not refused here either: `read` returns None, and
orjson and `numbers.read_array` decide and name the place. Without pysimdjson, an optional package, they read
everything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import orjson

from lossd.message import Array
from lossd.wire.budget import Budget
from lossd.wire.codec import DecodeLimits
from lossd.wire.json.byte_search import holds_more, holds_slow_numbers

__all__ = ["READINGS", "UNPROVEN", "Doubt", "read", "read_entries", "simdjson"]

try:
    import simdjson
except ImportError:
    simdjson = None  # type: ignore[assignment]

# Parsers keep the buffers they have grown, twice their largest body: few are kept, and none of the largest bodies.
# To map a new one's memory takes an eighth of the time that it parses.
_KEPT_PARSERS = 2
_KEPT_BODY = 1 << 25
_LONGEST_OPTION = 1 << 16  # bytes; orjson reads a long one once, not twice
# Each look-up of a name passes over all names before it; no call has half as many.
_MOST_NAMES = 64
# Of more blocks than this, each must have enough numbers to be worth a call of `_shape`; else orjson takes less time.
_MANY_CALLS, _WORTH_A_CALL = 1 << 14, 16
# Appending and popping are atomic, so a parser is in the list or in one thread, never in both.
_parsers: list[Any] = []

UNPROVEN = (ValueError, TypeError, RuntimeError, KeyError, IndexError, OverflowError, MemoryError)


class Doubt(ValueError):
    """The shape of a list is not proven."""


def read(text: bytes | bytearray, array_names: frozenset[str], limits: DecodeLimits) -> dict[str, Any] | None:
    """Parse a JSON object, with each list of numbers under a name in ``array_names`` as an array.

    Returns None if the body is not JSON, not an object, or holds anything whose shape is not proven.

    Raises:
        BodyTooLarge: The proven shapes exceed ``limits.max_elements``.
    """
    return _parsed(text, lambda root, proof: _document(root, array_names, proof), limits)


def read_entries(
    text: bytes | bytearray, members: frozenset[str], array_names: frozenset[str], limits: DecodeLimits
) -> dict[str, Any] | None:
    """Parse a JSON object like `read`; the names in ``array_names`` are those of objects listed under ``members``."""
    return _parsed(text, lambda root, proof: _listing(root, members, array_names, proof), limits)


def _parsed(
    text: bytes | bytearray, build: Callable[[Any, _Proof], dict[str, Any]], limits: DecodeLimits
) -> dict[str, Any] | None:
    if simdjson is None or holds_slow_numbers(text):
        return None
    try:
        parser = _parsers.pop()
    except IndexError:
        parser = simdjson.Parser()
    try:
        proof = _Proof(limits)
        document = build(parser.parse(text), proof)
        proof.conclude(text)
        del proof  # its parts of the document, while they exist, keep the parser from parsing again
    except UNPROVEN:
        return None  # without the parser: the error's frames may still refer to parts of its document
    if len(text) <= _KEPT_BODY and len(_parsers) < _KEPT_PARSERS:
        _parsers.append(parser)
    return document


class _Proof:
    """Lists that become arrays once the brackets of the whole body have proven their shapes."""

    __slots__ = ("brackets", "limits", "pending")

    def __init__(self, limits: DecodeLimits) -> None:
        self.limits = limits
        self.brackets = 0
        self.pending: list[tuple[dict[str, Any], str, Any, tuple[int, ...], Any]] = []

    def take(self, parent: dict[str, Any], name: str, value: Any, *, tensor: bool) -> None:
        """Add a value to an object; for a list that may be a tensor, its array follows in `conclude`."""
        parent[name] = value  # keeps the order of the names
        kind = type(value)
        if kind is simdjson.Array and tensor:
            shape, brackets, first = _shape(value, self.limits.max_depth)
            self.pending.append((parent, name, value, shape, first))
            self.brackets += brackets
        elif kind is simdjson.Array or kind is simdjson.Object:
            parent[name] = value = _to_python(value)
            self.brackets += _count_brackets(value)

    def conclude(self, text: bytes | bytearray) -> None:
        """Make the arrays, if the lists and options account for every bracket of the body."""
        # A bracket in a string counts too: a reason to doubt, not an error.
        if holds_more(text, b"[", self.brackets):
            raise Doubt
        elements = sum(math.prod(shape) for _, _, _, shape, _ in self.pending)
        if elements > self.limits.max_elements:
            Budget(self.limits).check(elements, "")
        for parent, name, value, shape, first in self.pending:
            parent[name] = _array(value, shape, first)


def _document(root: Any, array_names: frozenset[str], proof: _Proof) -> dict[str, Any]:
    """Read an object that has tensors."""
    if type(root) is not simdjson.Object:
        raise Doubt
    document: dict[str, Any] = {}
    for name, value in _items(root):
        proof.take(document, name, value, tensor=name in array_names)
    return document


def _listing(
    root: Any, members: frozenset[str], array_names: frozenset[str], proof: _Proof
) -> dict[str, Any]:
    """Read an object whose members list objects that have tensors."""
    if type(root) is not simdjson.Object:
        raise Doubt
    document: dict[str, Any] = {}
    for name, value in _items(root):
        if name in members and type(value) is simdjson.Array:
            document[name] = [_document(entry, array_names, proof) for entry in value]
            proof.brackets += 1
        else:
            proof.take(document, name, value, tensor=False)
    return document


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    if len(value) > _MOST_NAMES:
        raise Doubt
    seen = set()
    for name in value:
        if name in seen or "\0" in name:  # the look-up takes the first of equal names, and stops at a NUL
            raise Doubt
        seen.add(name)
        yield name, value[name]


def _shape(value: Any, depth: int) -> tuple[tuple[int, ...], int, Any]:
    """Give the shape of ``value`` if its innermost items are numbers, its brackets, and its first number."""
    length = len(value)
    if length == 0 or depth == 0:
        raise Doubt
    first = value[0]
    if type(first) is not simdjson.Array:
        return (length,), 1, first
    shape, brackets, number = _shape(first, depth - 1)
    if len(shape) == 1:
        for row in value:
            if type(row) is not simdjson.Array or len(row) != shape[0]:
                raise Doubt
        return (length, *shape), 1 + length, number
    calls = length * math.prod(shape[:-2])
    if calls > _MANY_CALLS and math.prod(shape[-2:]) < _WORTH_A_CALL:
        raise Doubt
    for block in islice(value, 1, None):  # to look at the first again would double the work at each depth
        if type(block) is not simdjson.Array:
            raise Doubt
        other, count, _ = _shape(block, depth - 1)
        if other != shape:
            raise Doubt
        brackets += count
    return (length, *shape), 1 + brackets, number


def _count_brackets(value: Any) -> int:
    if type(value) is not list and type(value) is not dict:
        return 0
    brackets, waiting = 0, [value]
    while waiting:
        value = waiting.pop()
        if type(value) is list:
            brackets += 1
            waiting.extend(value)
        elif type(value) is dict:
            waiting.extend(value.values())
    return brackets


def _array(value: Any, shape: tuple[int, ...], first: Any) -> Array | list[Any]:
    """Read the numbers of ``value``; booleans become a list, which `numbers.read_array` checks."""
    if type(first) is bool:
        text: Any = value.mini
        if b"{" in text:
            raise Doubt
        listed: list[Any] = orjson.loads(text)
        return listed
    for code, dtype in READINGS.get(type(first), ()):
        try:
            flat = np.frombuffer(value.as_buffer(of_type=code), dtype)
        except (TypeError, ValueError):
            continue
        return flat.reshape(shape)
    raise Doubt


def _to_python(value: Any) -> Any:
    if type(value) is simdjson.Object:
        return {name: _to_python(item) for name, item in _items(value)}
    if type(value) is simdjson.Array:
        # Not as_list: simdjson counts items in 24 bits, and as_list writes past the end of a list with more.
        text: Any = value.mini  # bytes, whatever its stub says
        if len(text) > _LONGEST_OPTION:
            raise Doubt
        return _to_python_by_item(value) if b"{" in text else orjson.loads(text)
    return value


def _to_python_by_item(value: Any) -> Any:
    """Read what has objects in lists, each part once: to write out each list in lists would be quadratic."""
    if type(value) is simdjson.Object:
        return {name: _to_python_by_item(item) for name, item in _items(value)}
    return [_to_python_by_item(item) for item in value] if type(value) is simdjson.Array else value


# The narrowest reading that holds every number, in the order in which `numbers.read_array` tries them.
READINGS: dict[type, tuple[tuple[str, type[np.generic]], ...]] = {
    int: (("i", np.int64), ("u", np.uint64), ("d", np.float64)),
    float: (("d", np.float64),),
}
