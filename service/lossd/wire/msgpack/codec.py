"""The MessagePack codec: the same object as JSON's, with the bytes of an array as they are.

An array is ``{"dtype", "shape", "data": bin}`` and becomes a view of the body, or it is a nested list, or
``{"real", "imag"}`` of either. NaN and infinity need no strings here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import numpy as np
from msgspec import Raw

from lossd.errors import ErrorDetail, InvalidCall, NotAcceptable
from lossd.message import Answer, Array, Call
from lossd.wire import tensor
from lossd.wire.answer_document import from_document, to_document
from lossd.wire.codec import ANSWER_LIMITS, DEFAULT_LIMITS, Body, Budget, DecodeLimits, Parts, gather
from lossd.wire.msgpack.array import read_raw_array
from lossd.wire.msgpack.document import is_map, members, option

media_type: str = "application/vnd.msgpack"
holds_options: bool = True
is_text: bool = False
is_compressed: bool = False

_LONGEST_BIN = 2**32 - 1
_NIL = b"\xc0"
_encode = msgspec.msgpack.Encoder().encode


def decode_call(body: Body, array_names: frozenset[str], limits: DecodeLimits = DEFAULT_LIMITS) -> Call:
    """Read a request: the names in ``array_names`` as arrays unless nil, every other name as an option.

    Raises:
        MalformedBody: The body is not one map of MessagePack, or nests too deeply.
        InvalidCall: A name in ``array_names`` does not hold an array.
        BodyTooLarge: The arrays together exceed ``limits.max_elements``.
    """
    budget = Budget(limits)
    arrays: dict[str, Array] = {}
    options: dict[str, Any] = {}
    whole = memoryview(body)
    for name, raw in members(whole, "").items():
        if name not in array_names:
            options[name] = option(raw, name, limits.max_depth)
        elif memoryview(raw) != _NIL:
            arrays[name] = read_raw_array(raw, name, whole, budget)
    return Call(arrays, options)


def encode_call(call: Call) -> Parts:
    """Write a request, each array as its bytes.

    Raises:
        InvalidCall: An array is of a dtype that the wire lacks, or 4 GiB large.
    """
    return gather(_written({**call.options, **call.arrays}, ""))


def encode_answer(answer: Answer, call: Call) -> Parts:
    """Write an answer, each array as its bytes, and a value of no dimensions as a number.

    Raises:
        NotAcceptable: An array is 4 GiB large.
    """
    try:
        return gather(_written(_numbers(to_document(answer)), ""))
    except InvalidCall as error:
        raise NotAcceptable(faults=error.faults) from None


def decode_answer(body: Body) -> Answer:
    """Read an answer; numbers come as 0-d arrays.

    Raises:
        MalformedBody: The body is not an answer.
    """
    whole = memoryview(body)
    budget = Budget(ANSWER_LIMITS)

    def read(raw: Raw | None, at: str) -> Array:
        return read_raw_array(Raw(_NIL) if raw is None else raw, at, whole, budget)

    document = {
        name: _nested(raw, name, _LEVELS[name]) if name in _LEVELS else option(raw, name, 1)
        for name, raw in members(whole, "").items()
    }
    return from_document(document, read)


# Levels of maps around the values of an answer.
_LEVELS = {"loss": 1, "gradient": 2, "hessian": 2, "hvp": 2, "denominator": 0}


def _nested(raw: Raw, at: str, levels: int) -> Any:
    if levels == 0 or not is_map(raw):
        return raw
    return {name: _nested(item, f"{at}.{name[:40]}", levels - 1) for name, item in members(raw, at).items()}


def _written(value: Any, at: str) -> Iterator[bytes | memoryview]:
    """Yield the pieces of a value; msgspec would copy the bytes of arrays into its own buffer."""
    if isinstance(value, Mapping):
        yield _map_header(len(value))
        for name, item in value.items():
            yield _encode(name)
            yield from _written(item, f"{at}.{name}" if at else name)
    elif isinstance(value, np.ndarray):
        raw = tensor.raw_bytes(value, at)
        if len(raw) > _LONGEST_BIN:
            raise InvalidCall(faults=[ErrorDetail(at, "less than 4 GiB in MessagePack", f"{len(raw)} bytes")])
        yield _map_header(3)
        yield _encode("dtype") + _encode(value.dtype.name) + _encode("shape") + _encode(value.shape)
        yield _encode("data") + b"\xc6" + len(raw).to_bytes(4, "big")
        yield raw
    else:
        yield _encode(value)


def _map_header(length: int) -> bytes:
    return bytes([0x80 | length]) if length < 16 else b"\xdf" + length.to_bytes(4, "big")


def _numbers(value: Any) -> Any:
    """Replace values of no dimensions by plain numbers."""
    if isinstance(value, Mapping):
        return {name: _numbers(item) for name, item in value.items()}
    if not isinstance(value, np.ndarray | np.generic) or value.ndim:
        return value
    if value.dtype.kind == "c":
        return {"real": float(value.real), "imag": float(value.imag)}
    return value.item() if value.dtype.kind in "biu" else float(value)
