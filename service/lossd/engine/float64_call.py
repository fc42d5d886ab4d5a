"""Turns a call into one in float64, to which differences are taken."""

from __future__ import annotations

import numpy as np

from lossd.declaration.loss import Loss
from lossd.errors import invalid
from lossd.message import Array, Call

_LEFT_OUT = frozenset({"dtype", "hessian", "convention"})  # what changes a gradient, or is another derivative


def zeros_in_float64(loss: Loss, call: Call) -> Call:
    """Return a call whose real arrays are float64, but zeros that take no memory: what shapes and types decide.

    A mask stays as it is: it may say how long lists are.

    Raises:
        InvalidCall: An array has complex numbers.
    """
    differentiable = {a.name for a in loss.arguments if a.differentiable}
    arrays: dict[str, Array] = {}
    for name, array in call.arrays.items():
        if name == "hvp" or name in loss.directions:
            continue
        if array.dtype.kind == "c":
            raise invalid(name, "real numbers, as a gradient is checked along these", "complex numbers")
        real = array.dtype.kind not in "iub" and name != "mask"
        wide = real or (name in differentiable and not _is_index(loss, name, array))
        arrays[name] = np.broadcast_to(np.float64(), array.shape) if wide else array
    options = {name: option for name, option in call.options.items() if name not in _LEFT_OUT}
    return Call(arrays, {**options, "convention": None})


def in_float64(call: Call, zeros: Call) -> Call:
    """Return the call whose types are those of `zeros`; arrays of such a type are not copied."""
    arrays = {name: call.arrays[name].astype(array.dtype, copy=False) for name, array in zeros.arrays.items()}
    return Call(arrays, zeros.options)


def _is_index(loss: Loss, name: str, array: Array) -> bool:
    """Return whether an array of whole numbers is meant as indices rather than as numbers."""
    forms = loss.by_name[name].role.forms
    return array.dtype.kind in "iub" and any(form.domain.kind != "real" for form in forms)
