"""This file is the memory that tuned kernels work in: made once, used for every block of a call."""

from __future__ import annotations

from typing import Any

import numpy as np

from lossd.message import Array


class Scratch:
    """Buffers by name. One belongs to one thread, and to one call: sizes and types do not change much."""

    def __init__(self) -> None:
        self._buffers: dict[str, Array] = {}
        self._constants: dict[tuple[str, float], Array] = {}

    def empty(self, name: str, like: Array, dtype: Any = None) -> Array:
        """Return a buffer of the shape of ``like`` and of its type, or of ``dtype``; it holds anything."""
        buffer = self._buffers.get(name)
        if buffer is None or buffer.size < like.size:
            buffer = self._buffers[name] = np.empty(like.size, dtype or like.dtype)
        return buffer[: like.size].reshape(like.shape)

    def zeros(self, name: str, like: Array) -> Array:
        """Return a buffer of the shape and type of ``like``, cleared."""
        buffer = self.empty(name, like)
        buffer.fill(0)
        return buffer

    def full(self, value: float, like: Array) -> Array:
        """Return a read-only array of ``value``, of the shape and type of ``like``.

        NumPy takes the minimum of two arrays three times as fast as that of an array and a scalar.
        """
        key = (like.dtype.char, value)
        constant = self._constants.get(key)
        if constant is None or constant.size < like.size:
            constant = self._constants[key] = np.full(like.size, value, like.dtype)
        return constant[: like.size].reshape(like.shape)
