"""A table of numbers that the server's processes share: one row each, so that nobody waits for a lock to count.

A process owns its row by a lock on one byte of the file, which the kernel releases however the process ends. The next
process to start takes the row over and counts on from there, so that totals never shrink; gauges it sets anew.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

VARIABLE = "_LOSSD_METRICS"
"""Environment variable with the path of the table, for processes started from the one that made it."""

_CELL = 8  # bytes of a double, which processors read and write whole
# Rows beside one for each worker: a worker that is told to go may still finish calls beside its successor.
_SPARE = 16

Row: TypeAlias = "memoryview[float]"
"""Numbers of one process, as doubles."""


@dataclass(frozen=True)
class Table:
    """The rows, and which of them is this process's.

    Attributes:
        rows: Every row that any process may have.
        own: Number of this process's row.
        file: The shared file; None where this process is the only one.
    """

    rows: tuple[Row, ...]
    own: int
    file: int | None = None

    def in_use(self) -> Iterator[tuple[int, Row, bool]]:
        """Yield each row that a process has or had, its number, and whether that process is alive."""
        for number, row in enumerate(self.rows):
            if row[0]:
                yield number, row, number == self.own or self._locked(number)

    def _locked(self, number: int) -> bool:
        assert self.file is not None, "only a shared table has rows of others"
        if not _lock(self.file, number):
            return True
        fcntl.lockf(self.file, fcntl.LOCK_UN, 1, number)
        return False


def share_table() -> None:
    """Make an empty file for the table, and name it to the processes that are started from here on."""
    if hasattr(os, "memfd_create"):  # needs no directory to write in, and leaves nothing behind
        os.environ[VARIABLE] = f"/proc/{os.getpid()}/fd/{os.memfd_create('lossd-metrics')}"
    else:
        os.environ[VARIABLE] = tempfile.mkstemp(prefix="lossd-metrics-")[1]


def open_table(length: int, workers: int) -> Table:
    """Take a row of ``length`` numbers in the shared table, or in one of our own if none is shared."""
    path = os.environ.get(VARIABLE)
    if path is None:
        return _private(length)
    file = os.open(path, os.O_RDWR)
    count = workers + _SPARE
    stride = -(-length * _CELL // mmap.PAGESIZE) * mmap.PAGESIZE
    os.ftruncate(file, count * stride)  # of the same size whoever is first; pages appear when written
    whole = memoryview(mmap.mmap(file, count * stride))
    rows = tuple([whole[at : at + length * _CELL].cast("d") for at in range(0, count * stride, stride)])
    for own, row in enumerate(rows):
        if _lock(file, own):
            row[0] = os.getpid()
            return Table(rows, own, file)
    os.close(file)
    return _private(length)


def _private(length: int) -> Table:
    row = memoryview(mmap.mmap(-1, length * _CELL)).cast("d")
    row[0] = os.getpid()
    return Table((row,), 0)


def _lock(file: int, number: int) -> bool:
    """Try to lock a row; a lock of this process is no obstacle."""
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
    except OSError:
        return False
    return True
