"""Writes documents with arrays as JSON text, fast where all numbers are finite and exact where some are not.

orjson writes contiguous native arrays and NumPy's scalars by itself, float32 with its own shortest digits. It calls
back for others, refuses foreign byte orders, and writes null for NaN and infinity. So a document is first given to
orjson as it is, and its arrays are prepared one by one only where that fails or a null shows. Large arrays are left
out of it, and written in pieces. Of arrays with many short rows orjson writes the numbers only: a list takes it longer
the deeper it lies in others.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import orjson
import pybase64

from lossd.message import Array, Checkpoint, inner_lists
from lossd.wire.codec import Parts, never_end
from lossd.wire.gathering import gather
from lossd.wire.json.byte_search import holds_null
from lossd.wire.pieces import PIECE_BYTES
from lossd.wire.tensor import BFLOAT16

_NUMBER_BYTES, _LIST_BYTES = 8, 2  # of the text of an array, at the least where numbers are not round
_BASE64_BYTES = PIECE_BYTES // 3 * 3  # base64 writes three bytes as four characters
_NUMBERS = frozenset([int, float, np.float32, np.float64])
_PLACE = b"\0"  # what stands for a large value; in strings it is written as an escape
# Levels of lists to a number from which it is faster to put the brackets between the numbers.
_MOST_LEVELS = 10


def dumps(document: Mapping[str, Any], checkpoint: Checkpoint = never_end) -> Parts:
    """Write a document with arrays and NumPy scalars: non-finite numbers as strings, a memoryview as base64.

    Args:
        document: What to write.
        checkpoint: Called between the pieces of large arrays; what it raises ends the writing.
    """
    rest = _Rest(PIECE_BYTES)
    text = _dumps(_first(document, rest))
    if not rest.values:
        return [text]
    return gather(_checked(_filled(text.split(_PLACE), rest.values), checkpoint))


def _checked(pieces: Iterator[bytes], checkpoint: Checkpoint) -> Iterator[bytes]:
    for piece in pieces:
        checkpoint()
        yield piece


@dataclass(slots=True)
class _Rest:
    """The arrays of a document that are not written with its first piece, and the bytes that still fit into that."""

    left: int
    values: list[Array | memoryview] = field(default_factory=list)

    def fits(self, size: int) -> bool:
        """Take so many bytes of what is left, if they fit."""
        if size > self.left:
            return False
        self.left -= size
        return True


def _first(value: Any, rest: _Rest) -> Any:
    """Return a value with a place in it for each array that is added to the rest."""
    if isinstance(value, dict):
        return {name: item if type(item) in _NUMBERS else _first(item, rest) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_first(item, rest) for item in value]
    if isinstance(value, np.ndarray):
        if rest.fits(_NUMBER_BYTES * (value.size + _levels(value))):
            return value
        if value.dtype.kind == "c":
            return {"real": _first(value.real, rest), "imag": _first(value.imag, rest)}
    elif not isinstance(value, memoryview):
        return value
    elif rest.fits(value.nbytes):
        return pybase64.b64encode_as_string(value)
    rest.values.append(value)
    return orjson.Fragment(_PLACE)


def _filled(texts: Sequence[bytes], large: Sequence[Array | memoryview]) -> Iterator[bytes]:
    """Yield the text of a document with each large value in its place."""
    yield texts[0]
    for value, after in zip(large, texts[1:], strict=True):
        yield from _base64(value) if isinstance(value, memoryview) else _nested(value)
        yield after


def _base64(content: memoryview) -> Iterator[bytes]:
    yield b'"'
    for start in range(0, len(content), _BASE64_BYTES):
        yield pybase64.b64encode(content[start : start + _BASE64_BYTES])
    yield b'"'


def _nested(array: Array) -> Iterator[bytes]:
    """Yield the text of an array, some rows at a time."""
    if not array.ndim or _text_bytes(array.shape) <= PIECE_BYTES:
        yield _text(array)
        return
    rows = PIECE_BYTES // _text_bytes(array.shape[1:])
    mark = b"["
    for start in range(0, len(array), max(rows, 1)):
        if rows:
            yield mark + memoryview(_text(array[start : start + rows]))[1:-1]
        else:
            yield mark
            yield from _nested(array[start])
        mark = b","
    yield b"]"


def _text_bytes(shape: tuple[int, ...]) -> int:
    """Return about how many bytes the text of an array takes, and at least one."""
    return _NUMBER_BYTES * math.prod(shape) + _LIST_BYTES * inner_lists((1, *shape))


def _levels(array: Array) -> int:
    """Return the lists inside an array's, each as often as it costs orjson: by the levels of the array."""
    return inner_lists(array.shape) * array.ndim


def _dumps(document: Any) -> bytes:
    try:
        text = orjson.dumps(document, _prepared, orjson.OPT_SERIALIZE_NUMPY)
    except orjson.JSONEncodeError:
        return orjson.dumps(_prepared(document))
    return orjson.dumps(_prepared(document)) if holds_null(text) else text


def _prepared(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _prepared(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_prepared(item) for item in value]
    if isinstance(value, np.ndarray | np.generic | float):
        return _array(np.asarray(value))
    return value


def _array(array: Array) -> dict[str, orjson.Fragment] | orjson.Fragment:
    if array.dtype.kind == "c":
        return {"real": _fragment(array.real), "imag": _fragment(array.imag)}
    return _fragment(array)


def _fragment(array: Array) -> orjson.Fragment:
    return orjson.Fragment(_text(array))


def _text(array: Array) -> bytes:
    if array.dtype == BFLOAT16:
        array = array.astype(np.float32)
    native = np.ascontiguousarray(array, array.dtype.newbyteorder("="))  # at least 1-d
    nests = _levels(native) > (_MOST_LEVELS if _is_wide(native.shape) else 1) * native.size
    text = orjson.dumps(native.reshape(-1) if nests else native, option=orjson.OPT_SERIALIZE_NUMPY)
    if holds_null(text):
        text = _spelled(text, native)
    if nests:
        return _bracketed(text, native.shape)
    return text if array.ndim else text[1:-1]


def _bracketed(flat: bytes, shape: tuple[int, ...]) -> bytes:
    """Put the brackets of nested lists between the numbers of a flat one."""
    if 0 in shape:
        shape = shape[: shape.index(0)]
        flat = b"[" + b",".join([b"[]"] * math.prod(shape)) + b"]"
    begin, end = b"[" * len(shape), b"]" * len(shape)
    if not _is_wide(shape):  # the same stands between all numbers
        return begin + flat[1:-1].replace(b",", end[1:] + b"," + begin[1:]) + end
    pieces = [b""] * (2 * math.prod(shape) - 1)
    pieces[::2] = flat[1:-1].split(b",")
    pieces[1::2] = _separators(shape)
    return begin + b"".join(pieces) + end


def _is_wide(shape: tuple[int, ...]) -> bool:
    """Return whether lists inside the outermost one have several items."""
    return max(shape[1:], default=1) > 1


def _separators(shape: tuple[int, ...]) -> list[bytes]:
    """Return what stands between each number of nested lists and the next."""
    found: list[bytes] = []
    for depth, length in enumerate(reversed(shape)):
        found = [*found, b"]" * depth + b"," + b"[" * depth] * (length - 1) + found
    return found


def _spelled(text: bytes, array: Array) -> bytes:
    """Replace each null by the string for the non-finite number it stands for."""
    lost = array[~np.isfinite(array)]
    before, *after = text.split(b"null")
    spellings = np.where(np.isnan(lost), b'"NaN"', np.where(lost > 0, b'"Infinity"', b'"-Infinity"'))
    return before + b"".join(chain.from_iterable(zip(spellings.tolist(), after, strict=True)))
