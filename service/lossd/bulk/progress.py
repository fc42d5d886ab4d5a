"""How far a job is: a bar on a terminal, a plain line now and then in a log, or nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from importlib import import_module
from typing import Any, Protocol

from lossd.bulk.job import Job

SECONDS_BETWEEN_LINES = 30.0


class Progress(Protocol):
    """Counts rows."""

    def update(self, rows: int) -> Any:
        """Count rows that are done."""


Show = Callable[[Job, int], AbstractContextManager[Progress]]
"""Begins to show a job, of which some rows are done already."""


class _Nothing:
    def update(self, rows: int) -> None:
        pass


class _Lines:
    """Writes rows that are done, rate and time left to standard error."""

    def __init__(self, job: Job, done: int) -> None:
        self.job = job
        self.done = self.before = done
        self.started = self.written = time.monotonic()

    def update(self, rows: int) -> None:
        self.done += rows
        now = time.monotonic()
        if now - self.written < SECONDS_BETWEEN_LINES:
            return
        self.written = now
        rate = (self.done - self.before) / (now - self.started)
        left = (self.job.rows - self.done) / max(rate, 1e-9)
        line = f"{self.job.loss}: {self.done} of {self.job.rows} rows, {rate:.0f} rows/s, {left:.0f} s left"
        with suppress(OSError):  # a log that nobody reads or that is full must not end a job of hours
            print(line, file=sys.stderr, flush=True)


def to_standard_error() -> Show:
    """Return what suits standard error: a bar on a terminal, nothing where it is closed, else lines."""
    if sys.stderr is None:
        return nothing
    return bar if sys.stderr.isatty() else lines


def nothing(job: Job, done: int) -> AbstractContextManager[Progress]:
    """Show nothing."""
    return nullcontext(_Nothing())


def lines(job: Job, done: int) -> AbstractContextManager[Progress]:
    """Write a line at the end of the first part after each half minute, with the rate since this run began."""
    return nullcontext(_Lines(job, done))


def bar(job: Job, done: int) -> AbstractContextManager[Progress]:
    """Show a bar if tqdm is installed, else lines."""
    try:
        tqdm = import_module("tqdm").tqdm
    except ImportError:
        return lines(job, done)
    shown: AbstractContextManager[Progress] = tqdm(
        total=job.rows,
        initial=done,
        unit="row",
        unit_scale=True,
        desc=job.loss,
        smoothing=0.1,
    )
    return shown
