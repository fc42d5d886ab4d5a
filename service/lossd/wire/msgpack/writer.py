"""Writes nested objects with arrays as MessagePack: in pieces that are views of the arrays, or small ones in one go."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
from msgspec import Raw

from lossd.errors import ErrorDetail, InvalidCall
from lossd.wire import tensor

_LONGEST_BIN = 2**32 - 1
_SMALL = 1 << 14  # bytes of an array that is copied into an answer rather than sent apart
_encode = msgspec.msgpack.Encoder().encode


class Large(Exception):
    """A document is not small enough to be written in one go."""


def written(value: Any, at: str) -> Iterator[bytes | memoryview]:
    """Yield the pieces of the value at a place; msgspec would copy the bytes of arrays into its own buffer.

    Raises:
        InvalidCall: An array is of a dtype that the wire lacks, or 4 GiB large.
    """
    if isinstance(value, Mapping):
        yield _map_header(len(value))
        for name, item in value.items():
            yield _encode(name)
            yield from written(item, f"{at}.{name}" if at else name)
    elif isinstance(value, np.ndarray):
        raw = tensor.raw_bytes(value, at)
        if len(raw) > _LONGEST_BIN:
            raise InvalidCall(errors=[ErrorDetail(at, "less than 4 GiB in MessagePack", f"{len(raw)} bytes")])
        yield _array_header(tensor.DTYPES[value.dtype.name], value.shape)
        yield raw
    elif isinstance(value, list):
        yield b"\xdd" + len(value).to_bytes(4, "big")
        for place, item in enumerate(value):
            yield from written(item, f"{at}[{place}]")
    else:
        yield _encode(value)


def _small(value: Any) -> Any:
    """Return what msgspec writes for a value that it does not know.

    Raises:
        Large: It is not to be copied, or the format lacks it.
    """
    if not isinstance(value, np.ndarray) or not value.ndim:
        return numbers(value)
    if value.nbytes > _SMALL or not _is_of_wire(value.dtype):
        raise Large
    return Raw(_array_header(value.dtype, value.shape) + value.tobytes())


@lru_cache(maxsize=64)
def _is_of_wire(dtype: np.dtype[Any]) -> bool:
    """Return whether arrays of a type have the bytes that they have on the wire."""
    return tensor.DTYPES.get(dtype.name) == dtype


@lru_cache(maxsize=256)
def _array_header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """Return what comes before the bytes of an array."""
    fields = _encode("dtype") + _encode(dtype.name) + _encode("shape") + _encode(shape)
    return _map_header(3) + fields + _encode("data") + _bin_header(math.prod(shape) * dtype.itemsize)


def _bin_header(size: int) -> bytes:
    return b"\xc6" + size.to_bytes(4, "big")


def _map_header(length: int) -> bytes:
    return bytes([0x80 | length]) if length < 16 else b"\xdf" + length.to_bytes(4, "big")


def numbers(value: Any) -> Any:
    """Replace values of no dimensions by plain numbers."""
    if not isinstance(value, np.ndarray | np.generic):
        return {name: numbers(item) for name, item in value.items()} if isinstance(value, Mapping) else value
    if value.ndim:
        return value
    if value.dtype.kind == "c":
        return {"real": float(value.real), "imag": float(value.imag)}
    return value.item() if value.dtype.kind in "biu" else float(value)


written_small = msgspec.msgpack.Encoder(enc_hook=_small).encode
"""Writes a document whose arrays are small; it raises `Large` for others."""
