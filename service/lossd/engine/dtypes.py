"""The number types of a call: what its answer is stored in, and what it is computed in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import ml_dtypes
import numpy as np

from lossd.declaration.domain import REAL, Domain, Interval
from lossd.declaration.loss import Loss
from lossd.declaration.role import Role
from lossd.declaration.signature import Argument
from lossd.engine.precision import BFLOAT16
from lossd.errors import invalid
from lossd.message import Array

DType = np.dtype[Any]

# What each storage type computes in; a sum of bfloat16 numbers in bfloat16 would be noise.
COMPUTES_IN: Mapping[DType, DType] = {
    BFLOAT16: np.dtype(np.float32),
    np.dtype(np.float16): np.dtype(np.float32),
    np.dtype(np.float32): np.dtype(np.float32),
    np.dtype(np.float64): np.dtype(np.float64),
    np.dtype(np.complex64): np.dtype(np.complex64),
    np.dtype(np.complex128): np.dtype(np.complex128),
}
FLOAT64 = np.dtype(np.float64)
# What a kernel gets where values are no real numbers.
EXACT: Mapping[str, DType] = {"whole": np.dtype(np.intp), "boolean": np.dtype(np.bool_)}
_REAL_KINDS = "iuf"


def storage_dtype(loss: Loss, arrays: Iterable[Array], asked: str | None) -> DType:
    """Return the type of the answer: the one asked for, or what the real arrays promote to.

    Raises:
        InvalidCall: The type asked for cannot hold the answer.
    """
    if asked is not None:
        return _storage_asked(loss, arrays, asked)
    floats = [dtype for array in arrays if (dtype := _inexact(array)) is not None]
    if len(set(floats)) == 1:
        return floats[0]
    if not floats:
        return FLOAT64
    # NumPy does not know how bfloat16 promotes; with any other type it is as float32.
    return np.result_type(*(np.dtype(np.float32) if dtype == BFLOAT16 else dtype for dtype in floats))


def _storage_asked(loss: Loss, arrays: Iterable[Array], asked: str) -> DType:
    storage = np.dtype(ml_dtypes.bfloat16 if asked == "bfloat16" else asked)
    if storage.kind == "c" and not loss.of_residual:
        raise invalid("dtype", f"a real type, for {loss.name} has no meaning for complex numbers", asked)
    if storage.kind != "c" and any(array.dtype.kind == "c" for array in arrays):
        raise invalid("dtype", "a complex type, as the arrays have", asked)
    return storage


def computing_dtype(storage: DType, arrays: Iterable[Array]) -> DType:
    """Return the type to compute in: the widest of the answer's and the arrays', so that rounding comes last.

    Whole numbers count as float64 where all arrays hold such; else they are rounded to the others' type.
    """
    floats = [dtype for array in arrays if (dtype := _inexact(array)) is not None]
    return np.result_type(COMPUTES_IN[storage], *(COMPUTES_IN[dtype] for dtype in floats or [FLOAT64]))


def holds(role: Role, array: Array) -> bool:
    """Return whether an array's type can hold what a form of an argument means; complex numbers count as real."""
    kind, domain = array.dtype.kind, role.domain
    if not array.size and kind in "fb":
        return True
    if domain.kind == "whole":
        return kind in "iu"
    if domain.kind == "boolean":
        return kind in "biuf"  # 1.0 and 0.0 too: other numbers are outside the domain
    return kind in "iu" or (kind == "b" and _is_fraction(domain)) or _inexact(array) is not None


def check_dtype(loss: Loss, argument: Argument, role: Role, array: Array) -> None:
    """Refuse an array whose type cannot hold what the argument means.

    Raises:
        InvalidCall: The error names the argument and what it should hold.
    """
    is_complex = array.dtype.kind == "c"
    if holds(role, array) and (not is_complex or takes_complex(loss, role)):
        return
    if role.domain.kind == "real":
        why = (
            f", for {loss.name} has no meaning for complex ones"
            if is_complex and not loss.of_residual
            else ""
        )
        raise invalid(argument.name, f"{argument.domain}{why}", f"{array.dtype} values")
    others = [form for form in argument.role.forms if form is not role and form.domain != role.domain]
    also = "".join(f", or {form.domain} of shape {form.shape}" for form in others)
    hint = " of an integer type (1, not 1.0)" if role.domain.kind == "whole" else ""
    shape = f"({', '.join(map(str, array.shape))}{',' if array.ndim == 1 else ''})"
    raise invalid(argument.name, f"{role.domain}{hint}{also}", f"{array.dtype} values of shape {shape}")


def takes_complex(loss: Loss, role: Role) -> bool:
    """Return whether an argument may be complex: one whose residual is taken, not a weight beside it."""
    return loss.of_residual and role.domain == REAL


def real_numbers(array: Array, name: str) -> Array:
    """Return a general array as float64.

    Raises:
        InvalidCall: It holds anything but real numbers.
    """
    if array.dtype.kind not in _REAL_KINDS and array.dtype != BFLOAT16:
        raise invalid(name, "real numbers", f"{array.dtype} values")
    return np.ascontiguousarray(array, FLOAT64).reshape(array.shape)


def _inexact(array: Array) -> DType | None:
    """Return the type of real or complex numbers; None for exact types, extended precision and records."""
    dtype = array.dtype.newbyteorder("=")
    return dtype if dtype in COMPUTES_IN else None


def _is_fraction(domain: Domain) -> bool:
    """Return whether a domain is of real numbers between 0 and 1, which false and true stand for."""
    return isinstance(domain, Interval) and domain.low >= 0 and domain.high <= 1
