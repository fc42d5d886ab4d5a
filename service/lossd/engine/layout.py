"""Reads and writes arrays of any layout by rows.

A kernel wants ``(rows, *core)``; a caller's array has its core axes anywhere, as the classes of
``(N, C, d1, ..., dK)``. Rows are numbered over the batch in C order. A block of rows is a slice, or an
array of row numbers where only some rows take part.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from lossd.engine.precision import rounded
from lossd.message import Array

Block = slice | Array


class Rows(Protocol):
    """An array seen as ``(rows, *core)``."""

    @property
    def array(self) -> Array:
        """The view that is read and written."""

    @property
    def period(self) -> int:
        """Rows that a block should be a multiple or a divisor of; 1 where any cut is as good."""

    def read(self, block: Block, dtype: np.dtype[Any] | None) -> Array:
        """Return the rows of a block, C-contiguous and aligned, as ``dtype`` unless that is None."""

    def write(self, block: Block, values: Array) -> None:
        """Store values for the rows of a block."""


@dataclass(frozen=True, slots=True)
class FlatRows:
    """An array whose core axes stand last: a block of rows is a view of it."""

    array: Array  # (rows, *core)

    period = 1

    def read(self, block: Block, dtype: np.dtype[Any] | None) -> Array:
        """Return a view where possible."""
        rows, flags = self.array[block], self.array.flags
        # BLAS adds numbers at odd addresses in another order, and bits must not depend on the address.
        if (dtype is None or rows.dtype == dtype) and flags.c_contiguous and flags.aligned:
            return rows
        return np.array(rows, dtype, order="C")

    def write(self, block: Block, values: Array) -> None:
        """Store values, rounded to the array's type."""
        self.array[block] = rounded(values, self.array.dtype)


@dataclass(frozen=True, slots=True)
class SlabRows:
    """An array with batch axes on both sides of its core: ``(outer, inner, *core)`` as a view of it.

    A copy of the whole array would cost as much memory as the array; this copies a block at a time.
    """

    array: Array  # (outer, inner, *core), not contiguous

    @property
    def period(self) -> int:
        """The length of the inner batch."""
        return int(self.array.shape[1])

    def read(self, block: Block, dtype: np.dtype[Any] | None) -> Array:
        """Return a contiguous copy."""
        core = self.array.shape[2:]
        rows = np.ascontiguousarray(self._part(block), dtype)
        return rows.reshape(-1, *core)

    def write(self, block: Block, values: Array) -> None:
        """Store values."""
        values = rounded(values, self.array.dtype)
        if isinstance(block, slice):
            part = self._part(block)
            part[...] = values.reshape(part.shape)
        else:
            self.array[np.divmod(block, self.period)] = values

    def _part(self, block: Block) -> Array:
        if not isinstance(block, slice):
            return self.array[np.divmod(block, self.period)]
        outer, first = divmod(block.start, self.period)
        length = block.stop - block.start
        if first + length <= self.period:
            return self.array[outer, first : first + length]
        return self.array[outer : block.stop // self.period]


@dataclass(frozen=True, slots=True)
class BroadcastRows:
    """An array that is broadcast to too many elements to copy at once: it is copied a block at a time."""

    array: Array  # (*batch, *core), a view with repeated elements
    batch: tuple[int, ...]

    period = 1

    def read(self, block: Block, dtype: np.dtype[Any] | None) -> Array:
        """Return a contiguous copy."""
        rows = np.arange(block.start, block.stop) if isinstance(block, slice) else block
        return np.ascontiguousarray(self.array[np.unravel_index(rows, self.batch)], dtype)

    def write(self, block: Block, values: Array) -> None:
        """Refuse: its elements are not its own."""
        raise TypeError("a broadcast array is only read")


def shape_by_rows(shape: tuple[int, ...], core: Sequence[int], flattened: bool) -> tuple[int, ...] | None:
    """Return ``(rows, *core)`` of an array whose core axes stand last in order, or None where they do not."""
    before = len(shape) - len(core)
    if tuple(core) != tuple(range(before, len(shape))):
        return None
    lengths = shape[before:]
    return (math.prod(shape[:before]), *((math.prod(lengths),) if flattened else lengths))


def rows_of(array: Array, core: Sequence[int], flattened: bool = False) -> Rows:
    """View ``array`` by rows; its numbers are copied where its strides do not allow a view.

    Args:
        array: Of any shape.
        core: Places of its core axes, in the order a kernel wants them.
        flattened: Whether the core axes become one.
    """
    last = shape_by_rows(array.shape, core, flattened)
    if last is not None:
        return FlatRows(array.reshape(last))
    core_shape = tuple([array.shape[axis] for axis in core])
    if flattened:
        core_shape = (math.prod(core_shape),)
    batch = [axis for axis in range(array.ndim) if axis not in core]
    behind = [axis for axis in batch if axis > min(core)]
    moved = array.transpose(*batch, *core)
    count = math.prod(array.shape[axis] for axis in batch)
    inner = math.prod(array.shape[axis] for axis in behind)
    if flattened or len(behind) == len(batch) or inner <= 1:
        return FlatRows(moved.reshape(count, *core_shape))
    return SlabRows(moved.reshape(count // inner, inner, *core_shape))


def empty_rows(
    shape: tuple[int, ...], core: Sequence[int], dtype: np.dtype[Any], *, flattened: bool, zero: bool
) -> tuple[Array, Rows]:
    """Return a new array of ``shape``, and a view of it by rows to write to."""
    allocate = np.zeros if zero else np.empty
    array = allocate(shape, dtype)
    by_rows = shape_by_rows(shape, core, flattened)
    if by_rows is not None:
        return array, FlatRows(array.reshape(by_rows))
    rows = rows_of(array, core, flattened)
    if np.may_share_memory(rows.array, array):
        return array, rows
    # No view exists: store it with the core axes last, and hand out the transpose.
    order = [axis for axis in range(len(shape)) if axis not in core] + list(core)
    moved = allocate([shape[axis] for axis in order], dtype)
    last = range(len(order) - len(core), len(order))
    return moved.transpose(np.argsort(order)), rows_of(moved, last, flattened)


def cut(rows: int, rows_per_block: int, period: int) -> list[slice]:
    """Cut rows into blocks of about ``rows_per_block``, a power of two: of rows, of whole periods, or within one."""
    if rows_per_block >= period:
        size = rows_of_periods(rows_per_block, period)
        return [slice(first, min(first + size, rows)) for first in range(0, rows, size)]
    return [
        slice(start + first, start + min(first + rows_per_block, period))
        for start in range(0, rows, period)
        for first in range(0, period, rows_per_block)
    ]


def rows_of_periods(rows_per_block: int, period: int) -> int:
    """Return the rows of as many whole periods, a power of two, as fit into a block."""
    return period * (1 << ((rows_per_block // period).bit_length() - 1))
