"""Reads an entry of ``inputs`` as an array, and writes an array as an entry of ``outputs``.

An entry has a name, a shape and a datatype. Its numbers are in its ``data``, flat or nested, or are raw bytes behind
the JSON, counted by the parameter ``binary_data_size``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from lossd.errors import invalid, malformed
from lossd.message import Array
from lossd.wire import tensor
from lossd.wire.budget import Budget
from lossd.wire.numbers import read_array
from lossd.wording import type_name

DATATYPES: Mapping[str, np.dtype[Any]] = MappingProxyType(
    {
        datatype: tensor.DTYPES[name]
        for datatype, name in {
            "BOOL": "bool",
            **{f"UINT{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
            **{f"INT{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
            **{f"FP{bits}": f"float{bits}" for bits in (16, 32, 64)},
            "BF16": "bfloat16",
        }.items()
    }
)
"""Every datatype of numbers in the protocol; its BYTES are strings, which no loss takes."""

_NAMES = {dtype.name: datatype for datatype, dtype in DATATYPES.items()}
_SIZE = "binary_data_size"
_LISTS = (list, np.ndarray)  # as JSON is read


class RawBytes:
    """The bytes behind the JSON, from which the binary inputs are taken in order."""

    __slots__ = ("_offset", "_whole")

    def __init__(self, whole: memoryview) -> None:
        self._whole = whole
        self._offset = 0

    def take(self, size: int, at: str) -> memoryview:
        """Return the next ``size`` bytes, not copied."""
        left = len(self._whole) - self._offset
        if size > left:
            raise malformed(at, f"{size} bytes behind the JSON", f"{left}")
        self._offset += size
        return self._whole[self._offset - size : self._offset]

    def finish(self) -> None:
        """Refuse bytes that belong to no input."""
        left = len(self._whole) - self._offset
        if left:
            raise malformed("", "a body that ends with its last binary input", f"{left} more bytes")


def read_tensor(entry: Mapping[str, Any], at: str, raw: RawBytes, budget: Budget) -> Array:
    """Read the array of one input, as a view on the raw bytes if it is there.

    Raises:
        MalformedBody: The entry is not what the protocol says, or its raw bytes are missing.
        InvalidCall: The data disagrees with the shape or the datatype.
        BodyTooLarge: The shape exceeds the budget.
    """
    datatype = entry.get("datatype")
    if type(datatype) is not str or datatype not in DATATYPES:
        got = f'"{datatype[:20]}"' if type(datatype) is str else found(datatype)
        raise malformed(f"{at}.datatype", f"one of {', '.join(DATATYPES)}", got)
    if type(entry.get("shape")) is not list:
        raise malformed(f"{at}.shape", "a list of sizes", found(entry.get("shape")))
    shape = tensor.checked_shape(entry["shape"], f"{at}.shape", budget)
    parameters = entry.get("parameters")
    if parameters is None:
        parameters = {}
    if type(parameters) is not dict:
        raise malformed(f"{at}.parameters", "an object", found(parameters))
    if "shared_memory_region" in parameters:
        raise malformed(f"{at}.parameters", "data in the body", "shared_memory_region")
    if _SIZE in parameters:
        return _from_raw(entry, parameters[_SIZE], shape, at, raw)
    return _from_json(entry, shape, at, budget)


def _from_raw(entry: Mapping[str, Any], size: Any, shape: tuple[int, ...], at: str, raw: RawBytes) -> Array:
    if "data" in entry:
        raise malformed(at, f"data or {_SIZE}", "both")
    datatype, at = entry["datatype"], f"{at}.parameters.{_SIZE}"
    dtype = DATATYPES[datatype]
    expected = math.prod(shape) * dtype.itemsize
    if type(size) is not int or size != expected:
        got = str(size)[:20] if type(size) is int else found(size)
        raise malformed(at, f"{expected}, the bytes of {datatype} of shape {list(shape)}", got)
    array = tensor.view(raw.take(size, at), dtype, shape, at)
    # NumPy computes with misaligned arrays at a quarter of the speed.
    return array if array.flags.aligned else array.copy()


def _from_json(entry: Mapping[str, Any], shape: tuple[int, ...], at: str, budget: Budget) -> Array:
    data, at = entry.get("data"), f"{at}.data"
    if entry["datatype"] == "BF16":
        raise malformed(at, f"BF16 as raw bytes, with the parameter {_SIZE}", "numbers in JSON")
    if type(data) not in _LISTS and (shape or type(data) not in (bool, int, float)):
        raise malformed(at, "a list of numbers", found(data))
    array = read_array(data, at, Budget(budget.limits))
    if array.shape != shape and (array.ndim > 1 or array.size != math.prod(shape)):
        expected = f"{math.prod(shape)} numbers, flat or of shape {list(shape)}"
        raise malformed(at, expected, f"shape {list(array.shape)}")
    return _typed(array, entry["datatype"], at).reshape(shape)


def _typed(array: Array, datatype: str, at: str) -> Array:
    """Convert what JSON read to its datatype, or name the first number that the datatype lacks."""
    dtype = DATATYPES[datatype]
    if array.dtype == dtype:
        return array
    with np.errstate(all="ignore"):
        typed = array.astype(dtype)
    lost = _lost(array, typed)
    if lost.any():
        where = np.argwhere(lost)[0]
        path = "".join(f"[{place}]" for place in where)
        raise invalid(f"{at}{path}", f"a value of {datatype}", array[tuple(where)])
    return typed


def _lost(array: Array, typed: Array) -> Array:
    """Mark the elements whose value changed in conversion by more than rounding."""
    if not array.size:
        return np.zeros(array.shape, bool)
    if "b" in (array.dtype.kind, typed.dtype.kind):
        zero_or_one = array.dtype.kind in "iu" and typed.dtype.kind == "b"
        return np.asarray((array != 0) & (array != 1)) if zero_or_one else np.ones(array.shape, bool)
    if typed.dtype.kind == "f":
        infinite = np.isinf(typed)
        return np.asarray(infinite & np.isfinite(array) if infinite.any() else infinite)
    # Not by comparing with the converted numbers: how those overflow depends on the processor.
    info = np.iinfo(typed.dtype)
    whole = (array >= info.min) & (array < info.max + 1)
    return np.asarray(~whole | (np.trunc(array) != array) if array.dtype.kind == "f" else ~whole)


def json_tensor(name: str, array: Array) -> dict[str, Any]:
    """Write one output with its numbers in the JSON, flat."""
    return {**_entry(name, array), "data": np.ascontiguousarray(array).reshape(-1)}


def binary_tensor(name: str, array: Array) -> tuple[dict[str, Any], memoryview]:
    """Write one output whose numbers follow the JSON; return its entry and those bytes."""
    entry = _entry(name, array)
    data = tensor.raw_bytes(array)
    return {**entry, "parameters": {_SIZE: data.nbytes}}, data


def _entry(name: str, array: Array) -> dict[str, Any]:
    datatype = _NAMES.get(array.dtype.name)
    if datatype is None:
        raise invalid(name, f"a type that the protocol has ({', '.join(DATATYPES)})", array.dtype.name)
    return {"name": name, "datatype": datatype, "shape": list(array.shape)}


def found(value: Any) -> str:
    """Name the type of a JSON value for an error; a member that is null counts as absent."""
    return "nothing" if value is None else type_name(value)
