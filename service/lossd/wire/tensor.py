"""Arrays in explicit form: `dtype`, `shape` and raw little-endian bytes.

The bytes are viewed, never copied: an array that comes in as base64 uses the buffer it was decoded into, which is
writable, so the engine may reuse it. Everything is checked before anything is allocated.
"""

from __future__ import annotations

import binascii
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import ml_dtypes
import numpy as np
import pybase64

from lossd.errors import invalid
from lossd.message import Array
from lossd.wire.budget import Budget
from lossd.wire.codec import Body
from lossd.wire.long_base64 import LongBase64
from lossd.wording import type_name

BFLOAT16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
"""The only dtype of the wire that NumPy lacks; few of its functions know it."""

DTYPES: Mapping[str, np.dtype[Any]] = MappingProxyType(
    {
        # By code, which gives NumPy's own dtype objects, so that comparison by identity holds.
        name: np.dtype(np.dtype(name).newbyteorder("<").str)
        for name in (
            *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
            *("float16", "float32", "float64", "complex64", "complex128"),
        )
    }
    | {"bfloat16": BFLOAT16}
)
"""Every dtype that an array on the wire may have, by its name there."""

FIELDS = frozenset({"dtype", "shape", "data"})


def from_base64(value: Mapping[str, Any], at: str, budget: Budget) -> Array:
    """Read ``{"dtype", "shape", "data"}`` whose data is standard base64.

    Raises:
        InvalidCall: A field is missing, unknown or wrong, or the data does not fit the shape.
        BodyTooLarge: The shape exceeds the budget.
    """
    check_fields(value, at)
    dtype = dtype_named(value["dtype"], f"{at}.dtype")
    shape = checked_shape(value["shape"], f"{at}.shape", budget)
    return view(_decoded(value["data"], f"{at}.data"), dtype, shape, f"{at}.data")


def to_base64(array: Array) -> dict[str, Any]:
    """Write an array of any layout and byte order as ``{"dtype", "shape", "data"}``."""
    fields = to_fields(array)
    return {**fields, "data": pybase64.b64encode_as_string(fields["data"])}


def to_fields(array: Array) -> dict[str, Any]:
    """Write an array of any layout and byte order as ``{"dtype", "shape", "data"}``, its data as bytes."""
    return {"dtype": array.dtype.name, "shape": list(array.shape), "data": raw_bytes(array)}


def check_fields(value: Mapping[str, Any], at: str) -> None:
    """Check that an object has the fields of a tensor and no others."""
    if value.keys() != FIELDS:
        raise invalid(at, "an object with dtype, shape and data", _field_names(value))


def dtype_named(name: object, at: str, dtypes: Mapping[str, np.dtype[Any]] = DTYPES) -> np.dtype[Any]:
    """Find the dtype of that name in a format, or list the names it has."""
    if not isinstance(name, str) or name not in dtypes:
        got = f'"{name[:20]}"' if isinstance(name, str) else type_name(name)
        raise invalid(at, f"one of {', '.join(dtypes)}", got)
    return dtypes[name]


def checked_shape(shape: object, at: str, budget: Budget) -> tuple[int, ...]:
    """Check that ``shape`` lists sizes whose array the budget allows, and take it from the budget."""
    sizes = checked_sizes(shape, at, budget)
    budget.take(math.prod(sizes), at)
    return sizes


def checked_sizes(shape: object, at: str, budget: Budget) -> tuple[int, ...]:
    """Check that ``shape`` lists sizes whose array the budget allows."""
    if not isinstance(shape, list | tuple):
        raise invalid(at, "a list of sizes", type_name(shape))
    if len(shape) > budget.limits.max_depth:
        raise invalid(at, f"at most {budget.limits.max_depth} dimensions", len(shape))
    for axis, size in enumerate(shape):
        if type(size) is not int or size < 0:
            raise invalid(f"{at}[{axis}]", "a non-negative integer", _short(size))
    # Zeros count as ones here: beside a zero, a huge size would pass that NumPy cannot represent.
    budget.check(math.prod(shape) or math.prod(max(size, 1) for size in shape), at)
    return tuple(shape)


def view(raw: Body, dtype: np.dtype[Any], shape: tuple[int, ...], at: str) -> Array:
    """View ``raw`` as an array without copying it.

    Raises:
        InvalidCall: The number of bytes disagrees with the shape, or a boolean is neither 0 nor 1.
    """
    size = math.prod(shape) * dtype.itemsize
    if len(raw) != size:
        raise invalid(at, f"{size} bytes for shape {list(shape)} of {dtype.name}", f"{len(raw)} bytes")
    if dtype.kind == "b" and size and np.frombuffer(raw, np.uint8).max() > 1:
        raise invalid(at, "bytes 0 and 1 for bool", "another byte")
    return np.ndarray(shape, dtype, buffer=raw)


def raw_bytes(array: Array, at: str = "", names: Mapping[np.dtype[Any], str] | None = None) -> memoryview:
    """Return the elements in C order and little-endian, as flat bytes; a view where possible.

    Raises:
        InvalidCall: The array at ``at`` is of a dtype that no wire has, or that is not in ``names``.
    """
    dtype = DTYPES.get(array.dtype.name)
    if dtype is None or (names is not None and dtype not in names):
        possible = DTYPES if names is None else [each.name for each in names]
        raise invalid(at, f"one of {', '.join(possible)}", array.dtype.name)
    return np.ascontiguousarray(array, dtype).reshape(-1).view(np.uint8).data


def _decoded(data: object, at: str) -> bytearray | memoryview:
    if not isinstance(data, str | LongBase64):
        raise invalid(at, "a base64 string", type_name(data))
    try:
        raw: bytearray | memoryview
        if isinstance(data, str):
            raw, end = pybase64.b64decode_as_bytearray(data, validate=True), data[-4:]
        else:
            raw, end = data.decoded()
    except (binascii.Error, ValueError):
        got = "a wrong character or padding"
        raise invalid(at, "base64 of the standard alphabet with padding", got) from None
    # Decoders ignore the bits behind the last byte, so several texts would mean the same array.
    if end.endswith("=") and pybase64.b64encode_as_string(raw[len(raw) // 3 * 3 :]) != end:
        raise invalid(at, "base64 whose unused bits are zero", f"its last characters {end}")
    return raw


def _field_names(value: Mapping[str, Any]) -> str:
    names = ", ".join(sorted(value)) or "no fields"
    return names if len(names) < 60 else f"{names[:60]}..."


def _short(size: Any) -> str:
    return str(size) if type(size) in (int, float) and abs(size) < 10**18 else type_name(size)
