"""The memory that fused kernels work in, reused for every block and call."""

from __future__ import annotations

from typing import Any

import numpy as np

from lossd.message import Array

# Larger buffers, which only rows wider than a block need, end with the call that needed them.
_KEPT_BYTES = 1 << 20
# Callers choose constants such as delta: only so many of them are remembered.
_KEPT_CONSTANTS = 16


class Scratch:
    """Buffers by name and type; they serve one kernel at a time."""

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, str], Array] = {}
        self._constants: dict[tuple[float, str], Array] = {}
        self._starts: dict[int, Array] = {}

    def empty(self, name: str, like: Array, dtype: Any = None) -> Array:
        """Return a buffer of the shape of ``like`` and of its type, or of ``dtype``; it holds anything."""
        kind = like.dtype if dtype is None else np.dtype(dtype)
        size, key = like.size, (name, kind.char)
        buffer = self._buffers.get(key)
        if buffer is None or buffer.size < size:
            buffer = np.empty(size, kind)
            if buffer.nbytes <= _KEPT_BYTES:
                self._buffers[key] = buffer
        return buffer[:size].reshape(like.shape)

    def full(self, value: float, like: Array) -> Array:
        """Return an array of ``value``, of the shape and type of ``like``, to be read only.

        NumPy takes the minimum of two arrays three times as fast as that of an array and a scalar.
        """
        size, key = like.size, (value, like.dtype.char)
        constant = self._constants.get(key)
        if constant is None or constant.size < size:
            constant = np.full(size, value, like.dtype)
            _keep(self._constants, key, constant)
        return constant[:size].reshape(like.shape)

    def starts(self, like: Array) -> Array:
        """Return where each row of ``like``, ``(rows, n)``, starts in its flat form, to be read only."""
        rows, length = like.shape
        starts = self._starts.get(length)
        if starts is None or len(starts) < rows:
            starts = np.arange(0, rows * length, length)
            _keep(self._starts, length, starts)
        return starts[:rows]


def _keep(arrays: dict[Any, Array], key: Any, array: Array) -> None:
    """Remember what a caller chose the key of: no more than so many, and none that is large."""
    if array.nbytes > _KEPT_BYTES:
        return
    if key not in arrays and len(arrays) == _KEPT_CONSTANTS:
        del arrays[next(iter(arrays))]  # the oldest
    arrays[key] = array
