"""Turns what a caller gives into arrays and options that every wire format can hold, or says what is wrong where."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from lossd.client.methods import ALIASES, ARRAYS, GENERAL_ARRAYS
from lossd.errors import invalid
from lossd.message import Array, Call, Partial
from lossd.wire.budget import Budget
from lossd.wire.codec import ANSWER_LIMITS
from lossd.wire.numbers import read_array
from lossd.wire.tensor import BFLOAT16, DTYPES

_NOT_NUMBERS = "OSU"  # NumPy's kinds of objects, bytes and text


def call_of(loss: str, values: Mapping[str, Any]) -> Call:
    """Tell arrays from options: by the catalogue, or by their type where it does not know the loss.

    Raises:
        InvalidCall: A value is no array, or no option; the error names the place.
    """
    known = ARRAYS.get(ALIASES.get(loss, loss))
    names = frozenset((*(known or ()), *GENERAL_ARRAYS))
    arrays: dict[str, Array] = {}
    options: dict[str, Any] = {}
    for name, value in values.items():
        if value is None:
            continue
        if name == "hvp" and isinstance(value, Mapping):
            arrays |= {f"hvp.{of}": as_array(direction, f"hvp.{of}") for of, direction in value.items()}
        elif name in names or (known is None and hasattr(value, "__array__") and np.ndim(value)):
            arrays[name] = as_array(value, name)
        elif isinstance(value, Partial):
            options[name] = {member: given for member, given in value._asdict().items() if given is not None}
        elif name == "dtype":
            options[name] = _dtype_name(value)
        else:
            options[name] = _plain(value, name)
    return Call(arrays, options)


def as_array(value: Any, name: str) -> Array:
    """Return the array that ``value`` is: anything of NumPy, PyTorch or pandas, nested lists, or a number.

    Raises:
        InvalidCall: It is no array of numbers; the error names the element.
    """
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise invalid(
            name, "an array without a mask (the option `mask` leaves elements out)", "a masked array"
        )
    if _is_tensor(value):
        from lossd.client.torch import to_numpy

        return to_numpy(value)
    try:
        array = np.asarray(value)
        if array.dtype.kind == "O":
            array = np.asarray(array.tolist())  # a table whose columns are numbers of different types
    except (TypeError, ValueError, RuntimeError):  # ragged lists; lists of tensors that NumPy cannot read
        return _from_parts(value, name)
    return _from_parts(value, name) if array.dtype.kind in _NOT_NUMBERS else array


def result_dtype(call: Call, loss: str) -> np.dtype[Any] | None:
    """Return the dtype of a call's answer: the one asked for, or what the loss's inexact arrays promote to."""
    if (asked := call.options.get("dtype")) is not None:
        return DTYPES.get(asked)
    names = ARRAYS.get(ALIASES.get(loss, loss), tuple(call.arrays))
    dtypes = {array.dtype.newbyteorder("=") for name, array in call.arrays.items() if name in names}
    inexact = {dtype for dtype in dtypes if dtype.kind in "fc" or dtype == BFLOAT16}
    if len(inexact) == 1:
        return inexact.pop()
    # NumPy does not know how bfloat16 promotes; with any other type it is as float32.
    return np.result_type(*({d if d != BFLOAT16 else np.dtype(np.float32) for d in inexact} or [np.float64]))


def _is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")  # whoever has a tensor has imported it
    return torch is not None and isinstance(value, torch.Tensor)


def _from_parts(value: Any, name: str) -> Array:
    """Read what NumPy has no array of numbers for, as JSON would be read, which names the wrong element."""
    if isinstance(value, list | tuple) and any(map(_is_tensor, value)):
        parts = [as_array(part, f"{name}[{index}]") for index, part in enumerate(value)]
        if len({part.shape for part in parts}) == 1:
            return np.stack(parts)
    return read_array(_nested(value), name, Budget(ANSWER_LIMITS))


def _nested(value: Any) -> Any:
    """Turn arrays, tensors and tuples into lists, and numbers that are not finite into what JSON has."""
    if hasattr(value, "__array__") and hasattr(value, "tolist"):
        return _nested(value.tolist())
    if hasattr(value, "__array__"):
        return _nested(np.asarray(value).tolist())
    if isinstance(value, list | tuple):
        return [_nested(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _plain(value: Any, name: str) -> Any:
    """Return an option as JSON has it."""
    plain = _nested(value)
    for item in plain if isinstance(plain, list) else [plain]:
        if not isinstance(item, bool | int | float | str | list | dict | None):
            raise invalid(name, "a number, a string, true or false, or a list of them", _described(item))
    return plain


def _dtype_name(value: Any) -> str:
    """Return the name of a dtype, which may be NumPy's or PyTorch's."""
    if isinstance(value, str):
        return value
    try:
        name = str(np.dtype(value).name)
    except TypeError:
        name = str(value)
    return name.removeprefix("torch.")


def _described(value: Any) -> str:
    return f"a value of type {type(value).__name__}"
