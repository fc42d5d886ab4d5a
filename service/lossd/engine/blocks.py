"""Cuts the rows of a call into blocks, and spreads these over threads.

A block's buffers fit in a core's cache, where NumPy runs four to six times faster than in memory.
The cut depends on shapes and types alone, and results are gathered in block order: the bits of
an answer are the same for any number of threads.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, Generic, TypeVar

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

from lossd.engine.bind import Bound, BoundArray
from lossd.engine.layout import Block, cut, rows_of_periods
from lossd.engine.lists import cut_lists, power_of_two
from lossd.message import Array, Checkpoint
from lossd.numerics.tiles import checkpoints

T = TypeVar("T")

# About how many bytes the widest argument's block has. Half as many would fit a second-level cache of 1 MiB better; but
# the calls of twice as many blocks cost as much as that saves, and between threads, which wait for each other's calls,
# more.
BLOCK_BYTES = 1024 * 1024
# Smallest number of blocks worth a second thread.
LEAST_BLOCKS = 2


def block_rows(bound: Bound, block_bytes: int = BLOCK_BYTES) -> int:
    """Return how many rows make a block: a power of two, so that a caller can cut a batch where blocks are cut.

    A block has 0.71 to 1.41 times ``block_bytes``: whichever power of two is nearer, by their ratio.
    """
    widest = max([1, *(_row_elements(given, bound) for given in bound.arrays.values())])
    rows = block_bytes / (widest * bound.computing.itemsize)
    return power_of_two(int(rows * math.sqrt(2)))


def cut_blocks(bound: Bound, rows: Array | None, size: int) -> list[Block | None]:
    """Cut the rows into blocks of ``size``, in order; those in which no row takes part are None.

    Args:
        bound: The call.
        rows: Numbers of the rows that take part; all if None.
        size: A power of two.
    """
    if bound.loss.whole_batch:
        whole: Block = slice(0, bound.count) if rows is None else rows
        return [whole] if (bound.count if rows is None else len(rows)) else []
    if bound.lists is not None:
        return list(cut_lists(bound.lists, size, rows))
    every = row_slices(bound, size)
    if rows is None:
        return list(every)
    return [part if len(part := _selected(rows, block)) else None for block in every]


def row_slices(bound: Bound, size: int) -> list[slice]:
    """Return the slices of rows that blocks are cut from."""
    if bound.count <= size:
        return [slice(0, bound.count)] if bound.count else []
    return cut(bound.count, size, _period(bound))


def blocks_before(row: int, bound: Bound, size: int) -> int | None:
    """Return how many blocks of ``size`` lie before a row of a larger call; None if the row is inside one."""
    period = _period(bound)
    if size >= period:
        whole, rest = divmod(row, rows_of_periods(size, period))
        return None if rest else whole
    periods, inside = divmod(row, period)
    return None if inside % size else periods * -(-period // size) + inside // size


def least_cut(bound: Bound, size: int) -> int:
    """Return a number of rows such that a block of ``size`` begins at each of its multiples."""
    period = _period(bound)
    return rows_of_periods(size, period) if size >= period else period


def _period(bound: Bound) -> int:
    return max((given.rows.period for given in bound.arrays.values() if given.rows is not None), default=1)


def _selected(rows: Array, block: slice) -> Array:
    first, last = np.searchsorted(rows, (block.start, block.stop))
    return rows[first:last]


def _row_elements(given: BoundArray, bound: Bound) -> int:
    if given.rows is None or not bound.count:
        return 1
    if bound.lists is not None:
        return math.prod(given.role.pattern.core_shape(bound.sizes))
    return math.prod(given.array.shape[axis] for axis in given.core)


@cache
def one_blas_thread() -> None:
    """Keep BLAS from splitting a block: a split sum has other bits, and its threads wait for each other."""
    threadpool_limits(1, "blas")


def run_blocks(
    work: Callable[[Block], T], blocks: Sequence[Block], threads: int, checkpoint: Checkpoint | None
) -> list[T]:
    """Do the work for every block and return the results in block order.

    Args:
        work: What to do; called from several threads at once.
        blocks: What to do it for.
        threads: How many threads may work.
        checkpoint: Called before each block; what it raises ends the work.
    """
    if threads == 1 or len(blocks) < LEAST_BLOCKS:
        return [_one(work, block, checkpoint) for block in blocks]
    shared = _Shared(work, blocks, checkpoint)
    others = [_pool(threads).submit(shared.take_apart) for _ in range(min(threads, len(blocks)) - 1)]
    shared.take()
    for other in others:
        if not other.cancel():  # one that has not begun by now has nothing left to do
            other.result()
    if shared.failures:
        try:
            raise shared.failures[min(shared.failures)]
        finally:
            shared.failures.clear()  # else the traceback and they would keep each other, and the call's arrays
    return [shared.results[place] for place in range(len(blocks))]


def _one(work: Callable[[Block], T], block: Block, checkpoint: Checkpoint | None) -> T:
    if checkpoint is None:
        return work(block)
    checkpoint()
    with checkpoints(checkpoint):
        return work(block)


class _Shared(Generic[T]):
    """Blocks that several threads take one at a time: the first that is free, whichever thread wakes when.

    Blocks are taken in order, so whatever fails first in that order is among the failures.
    """

    def __init__(
        self, work: Callable[[Block], T], blocks: Sequence[Block], checkpoint: Checkpoint | None
    ) -> None:
        self.work = work
        self.checkpoint = checkpoint
        self.waiting = deque(enumerate(blocks))
        self.results: dict[int, T] = {}
        self.failures: dict[int, BaseException] = {}
        self.error_state: Mapping[str, Any] = np.geterr()

    def take(self) -> None:
        """Do the work for blocks until none is left, or one has failed."""
        while (taken := self._next()) is not None:
            place, block = taken
            try:
                self.results[place] = _one(self.work, block, self.checkpoint)
            except BaseException as failure:  # raised again by the caller's thread, whatever it is
                self.failures[place] = failure
                self.waiting.clear()

    def take_apart(self) -> None:
        """Do so in a thread of the pool, with NumPy's error state as it is in the caller's."""
        with np.errstate(**self.error_state):
            self.take()

    def _next(self) -> tuple[int, Block] | None:
        try:
            return self.waiting.popleft()
        except IndexError:
            return None


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="lossd-block")
