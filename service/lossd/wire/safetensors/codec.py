"""The safetensors codec: a JSON header that states the place of each array, then the arrays.

A body is the length of the header (8 bytes, little-endian), the header, and the data: arrays in C order,
little-endian, one after the other. Arrays become views of the body. The header is the only thing that is
parsed, so a body of any size costs some microseconds to read.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import orjson

from lossd.errors import InvalidCall, MalformedBody, NotAcceptable, malformed
from lossd.message import Answer, Array, Call, Checkpoint
from lossd.wire import tensor
from lossd.wire.answer_arrays import from_arrays, to_arrays
from lossd.wire.budget import Budget
from lossd.wire.codec import (
    ANSWER_LIMITS,
    DEFAULT_LIMITS,
    MOST_NAMES,
    Body,
    DecodeLimits,
    Parts,
    never_end,
)
from lossd.wire.foreign import hint_of_format
from lossd.wire.gathering import gather
from lossd.wire.json.document import read_object

media_type: str = "application/vnd.safetensors"
holds_options: bool = False
is_text: bool = False
is_compressed: bool = False

DTYPES: Mapping[str, np.dtype[Any]] = MappingProxyType(
    {
        name: tensor.DTYPES[ours]
        for name, ours in {
            "BOOL": "bool",
            **{
                f"{kind}{bits}": f"{word}{bits}"
                for kind, word in (("I", "int"), ("U", "uint"))
                for bits in (8, 16, 32, 64)
            },
            **{"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64", "C64": "complex64"},
        }.items()
    }
)
"""Every dtype of the format that arrays here may have, by its name there; it has no complex128."""

_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_METADATA = "__metadata__"
_LENGTH = struct.Struct("<Q")
_LONGEST_HEADER = 1 << 18  # bytes: 1 KiB for each array
_ALIGNMENT = 8


class _Entry(NamedTuple):
    """What the header says of one array."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    begin: int
    end: int


def decode_call(body: Body, array_names: frozenset[str], limits: DecodeLimits = DEFAULT_LIMITS) -> Call:
    """Read a request, which is all arrays; metadata is passed over.

    Raises:
        MalformedBody: The body is not safetensors.
        BodyTooLarge: The arrays together exceed ``limits.max_elements``.
    """
    return Call(_read(body, limits)[0])


def encode_call(call: Call) -> Parts:
    """Write the arrays of a request.

    Raises:
        InvalidCall: An array is of a dtype that the format lacks.
    """
    return _write(call.arrays, {})


def encode_answer(answer: Answer, call: Call, checkpoint: Checkpoint = never_end) -> Parts:
    """Write an answer as named arrays, its warnings as metadata: views, which take no time.

    Raises:
        NotAcceptable: An array is of a dtype that the format lacks.
    """
    metadata = {"warnings": orjson.dumps(answer.warnings).decode()} if answer.warnings else {}
    try:
        return _write(to_arrays(answer), metadata)
    except InvalidCall as error:
        raise NotAcceptable(errors=error.errors) from None


def decode_answer(body: Body, limits: DecodeLimits = ANSWER_LIMITS) -> Answer:
    """Read an answer.

    Raises:
        MalformedBody: The body is not an answer.
        BodyTooLarge: Its arrays together exceed ``limits``.
    """
    arrays, metadata = _read(body, limits)
    return from_arrays(arrays, metadata.get("warnings", ""))


def _write(arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> Parts:
    header: dict[str, Any] = {_METADATA: metadata} if metadata else {}
    data: list[bytes | memoryview] = []
    end = 0
    # Larger elements first, so that each array begins at a multiple of its element's size.
    for name, array in sorted(arrays.items(), key=lambda item: -item[1].dtype.itemsize):
        raw = tensor.raw_bytes(array, name, _NAMES)
        begin, end = end, end + len(raw)
        dtype = _NAMES[tensor.DTYPES[array.dtype.name]]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [begin, end]}
        data.append(raw)
    text = orjson.dumps(header)
    text += b" " * (-len(text) % _ALIGNMENT)
    return gather([_LENGTH.pack(len(text)) + text, *data])


def _read(body: Body, limits: DecodeLimits) -> tuple[dict[str, Array], Mapping[str, str]]:
    try:
        header, data = _split(memoryview(body), limits)
        metadata = _checked_metadata(header.pop(_METADATA, {}))
        if len(header) > MOST_NAMES:
            raise malformed("header", f"at most {MOST_NAMES} arrays", len(header))
        budget = Budget(limits)
        entries = [_entry(name, value, len(data), budget) for name, value in header.items()]
        _refuse_gaps(entries, len(data))
        return {entry.name: _view(entry, data) for entry in entries}, metadata
    except InvalidCall as error:
        raise MalformedBody(errors=error.errors) from None


def _split(body: memoryview, limits: DecodeLimits) -> tuple[dict[str, Any], memoryview]:
    if len(body) < _LENGTH.size:
        raise malformed("byte 0", "8 bytes with the length of the header", f"{len(body)} bytes")
    (length,) = _LENGTH.unpack_from(body)
    longest = min(len(body) - _LENGTH.size, _LONGEST_HEADER)
    if length > longest:
        raise malformed("byte 0", f"a header of at most {longest} bytes", f"{length}{hint_of_format(body)}")
    start = _LENGTH.size + length
    try:
        header = read_object(bytes(body[_LENGTH.size : start]), frozenset(), limits)
    except MalformedBody as error:
        errors = [detail._replace(at=f"header, {detail.at}".rstrip(", ")) for detail in error.errors]
        raise MalformedBody(errors=errors) from None
    return header, body[start:]


def _checked_metadata(value: Any) -> Mapping[str, str]:
    if type(value) is not dict or not all(type(text) is str for text in value.values()):
        raise malformed(_METADATA, "an object of strings", "another value")
    return value


def _entry(name: str, value: Any, size: int, budget: Budget) -> _Entry:
    at = name[:80]
    if type(value) is not dict or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise malformed(at, "an object with dtype, shape and data_offsets", "another value")
    dtype = tensor.dtype_named(value["dtype"], f"{at}.dtype", DTYPES)
    shape = tensor.checked_shape(value["shape"], f"{at}.shape", budget)
    match value["data_offsets"]:
        case [int(begin), int(end)] if 0 <= begin <= end <= size:
            return _Entry(name, dtype, shape, begin, end)
        case [int(), int()] as offsets:
            raise malformed(
                f"{at}.data_offsets", f"begin and end, in order, within {size} bytes of data", offsets
            )
        case _:
            raise malformed(f"{at}.data_offsets", "a list of two integers", "another value")


def _refuse_gaps(entries: list[_Entry], size: int) -> None:
    """Check that the arrays follow each other without gaps and fill the data, as the format demands."""
    position = 0
    for entry in sorted(entries, key=lambda entry: (entry.begin, entry.end)):
        if entry.begin != position:
            got = f"{entry.begin}, which {'overlaps it' if entry.begin < position else 'leaves a hole'}"
            raise malformed(
                f"{entry.name[:80]}.data_offsets",
                f"to begin at {position}, where the array before it ends",
                got,
            )
        position = entry.end
    if position != size:
        raise malformed("", f"{position} bytes of data, as the header says", f"{size}")


def _view(entry: _Entry, data: memoryview) -> Array:
    at = f"{entry.name[:80]}.data_offsets"
    return tensor.view(data[entry.begin : entry.end], entry.dtype, entry.shape, at)
