"""Domains of whole numbers that select along a dimension, or count along it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lossd.declaration.domain import Kind, unless_empty
from lossd.declaration.pattern import Shape, Sizes
from lossd.message import Array

# The types of most indices; a view by name takes as long as the check of a few.
_UNSIGNED = {np.dtype(f"i{size}"): np.dtype(f"u{size}") for size in (4, 8)}


@dataclass(frozen=True)
class Index:
    """Whole numbers that select along the axis ``of``: 0 <= value < its length.

    With ``padding``, that number may stand behind the last index of a row; the value of the setting ``other_than``
    selects nothing.
    """

    of: str
    padding: int | None = None
    other_than: str = ""

    kind: ClassVar[Kind] = "whole"

    def forbidden(self, array: Array, sizes: Sizes) -> Array | None:
        """Mark indices that select nothing."""
        unsigned = _unsigned(array)
        # A padding of -1 is the least number that may occur: counted from there it is 0.
        padded = self.padding == -1 and array.dtype.kind == "i"
        counted = _unsigned(array + 1) if padded else unsigned
        if not array.size or (
            not self.other_than and np.maximum.reduce(counted, axis=None) < sizes[self.of] + padded
        ):
            return None
        outside = np.asarray(unsigned >= sizes[self.of])
        if self.other_than:
            outside |= array == sizes[self.other_than]
        if self.padding is not None:
            outside &= array != self.padding
        return unless_empty(outside)

    def sample(self, rng: np.random.Generator, shape: Shape, sizes: Sizes) -> Array:
        """Draw every index equally often; with padding, every index of a row once and some padding behind."""
        if self.other_than:
            drawn = rng.integers(0, sizes[self.of] - 1, shape)
            return drawn + (drawn >= sizes[self.other_than])
        if self.padding is None:
            return rng.integers(0, sizes[self.of], shape)
        orders = rng.permuted(np.broadcast_to(np.arange(shape[-1]), shape), axis=-1)
        used = np.arange(shape[-1]) < rng.integers(1, shape[-1] + 1, (*shape[:-1], 1))
        return np.where(used, orders, self.padding)

    def __str__(self) -> str:
        padded = "" if self.padding is None else f", padded with {self.padding}"
        other = f" other than {self.other_than}" if self.other_than else ""
        return f"whole numbers in [0, {self.of}){other}{padded}"


def _unsigned(array: Array) -> Array:
    """View whole numbers as unsigned: a negative index is huge then, so one comparison finds both ends."""
    return array.view(_UNSIGNED.get(array.dtype) or array.dtype.str.replace("i", "u"))


@dataclass(frozen=True)
class Length:
    """How many elements along the named dimension ``of`` belong to a row: 0 <= value <= its size."""

    of: str

    kind: ClassVar[Kind] = "whole"

    def forbidden(self, array: Array, sizes: Sizes) -> Array | None:
        """Mark lengths below zero or beyond the dimension's size."""
        return unless_empty((array < 0) | (array > sizes[self.of]))

    def sample(self, rng: np.random.Generator, shape: Shape, sizes: Sizes) -> Array:
        """Draw lengths of at least half the size."""
        return rng.integers((sizes[self.of] + 1) // 2, sizes[self.of] + 1, shape)

    def __str__(self) -> str:
        return f"whole numbers in [0, {self.of}]"
