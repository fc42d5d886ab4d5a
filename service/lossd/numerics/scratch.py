"""The memory that fused kernels work in, reused for every block and call."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from lossd.message import Array

Shape = tuple[int, ...]

# Two of the largest blocks. Larger buffers, which only rows wider than a block need, end with their call.
_KEPT_BYTES = 3 << 20
# Callers choose constants such as delta, and shapes: only so many of them are remembered.
_KEPT_CONSTANTS, _KEPT_VIEWS = 16, 64


class Scratch:
    """Buffers by name and type; they serve one kernel at a time."""

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, str], Array] = {}
        self._constants: dict[tuple[float, str], Array] = {}
        self._starts: dict[int, Array] = {}
        # Buffers and constants in the shapes that were asked for: to cut and reshape one takes as long as a NumPy call.
        self._views: dict[tuple[str | float, Shape, Any], Array] = {}

    def empty(self, name: str, like: Array, dtype: Any = None) -> Array:
        """Return a buffer of the shape of ``like`` and of its type, or of ``dtype``; it holds anything."""
        return self.of_shape(name, like.shape, like.dtype if dtype is None else dtype)

    def of_shape(self, name: str, shape: Shape, dtype: Any) -> Array:
        """Return a buffer of a shape and a type; it holds anything."""
        view = self._views.get((name, shape, dtype))
        if view is not None:
            return view
        kind, size = np.dtype(dtype), prod(shape)
        key = (name, kind.char)
        buffer = self._buffers.get(key)
        if buffer is None or buffer.size < size:
            buffer = np.empty(size, kind)
            if buffer.nbytes > _KEPT_BYTES:
                return buffer.reshape(shape)
            self._views.clear()  # they would keep the buffer that this one replaces
            self._buffers[key] = buffer
        return self._seen((name, shape, dtype), buffer[:size].reshape(shape))

    def full(self, value: float, like: Array) -> Array:
        """Return an array of ``value``, of the shape and type of ``like``, to be read only.

        NumPy takes the minimum of two arrays three times as fast as that of an array and a scalar.
        """
        view = self._views.get((value, like.shape, like.dtype))
        if view is not None:
            return view
        size, key = like.size, (value, like.dtype.char)
        constant = self._constants.get(key)
        if constant is None or constant.size < size:
            constant = np.full(size, value, like.dtype)
            if constant.nbytes > _KEPT_BYTES:
                return constant.reshape(like.shape)
            self._views.clear()
            _keep(self._constants, key, constant)
        return self._seen((value, like.shape, like.dtype), constant[:size].reshape(like.shape))

    def starts(self, like: Array) -> Array:
        """Return where each row of ``like``, ``(rows, n)``, starts in its flat form, to be read only."""
        rows, length = like.shape
        starts = self._starts.get(length)
        if starts is None or len(starts) < rows:
            starts = np.arange(0, rows * length, length)
            if starts.nbytes <= _KEPT_BYTES:
                _keep(self._starts, length, starts)
        return starts[:rows]

    def _seen(self, key: tuple[str | float, Shape, Any], view: Array) -> Array:
        if len(self._views) == _KEPT_VIEWS:
            self._views.clear()
        self._views[key] = view
        return view


def _keep(arrays: dict[Any, Array], key: Any, array: Array) -> None:
    """Remember what a caller chose the key of: no more than so many."""
    if key not in arrays and len(arrays) == _KEPT_CONSTANTS:
        del arrays[next(iter(arrays))]  # the oldest
    arrays[key] = array
