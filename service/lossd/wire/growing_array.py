"""An array of a known number of elements that is filled piece by piece, in the narrowest type that holds all of them.

The pieces and the whole do not exist at the same time, as they would if the pieces were joined at the end.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lossd.message import Array
from lossd.wire.pieces import PIECE_ITEMS

_FLOAT, _SIGNED, _UNSIGNED = np.dtype(np.float64), np.dtype(np.int64), np.dtype(np.uint64)


class GrowingArray:
    """Numbers as they come.

    Attributes:
        size: How many have come.
    """

    def __init__(self, count: int) -> None:
        self.size = 0
        self._count = count
        self._array: Array | None = None

    def add(self, piece: Array) -> None:
        """Add booleans to booleans, or int64, uint64 or float64 to numbers.

        Raises:
            ValueError: There are more than the array has.
        """
        if self._array is None:
            self._array = np.empty(self._count, piece.dtype)
        elif piece.dtype != self._array.dtype:
            self._array = _converted(self._array, self.size, self._common_type(piece))
        end = self.size + piece.size
        self._array[self.size : end] = piece.reshape(-1)
        self.size = end

    def whole(self) -> Array:
        """Return the array, as far as it is filled."""
        return np.empty(0) if self._array is None else self._array[: self.size]

    def _common_type(self, piece: Array) -> np.dtype[Any]:
        """Return the narrowest type that holds what has come and a piece of another type, as if read together."""
        assert self._array is not None
        whole_numbers = {piece.dtype, self._array.dtype} == {_SIGNED, _UNSIGNED}
        signed = piece if piece.dtype == _SIGNED else self._array[: self.size]
        return _UNSIGNED if whole_numbers and signed.min(initial=0) >= 0 else _FLOAT


def _converted(array: Array, size: int, dtype: np.dtype[Any]) -> Array:
    """Convert the first elements to a type of the same size, in the memory where they are."""
    if dtype == array.dtype:
        return array
    converted = array.view(dtype)
    for start in range(0, size, PIECE_ITEMS):
        stop = min(start + PIECE_ITEMS, size)
        converted[start:stop] = array[start:stop].copy()
    return converted
