"""Shows how far a call that takes long has come: one rewritten line on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

MIB = 1 << 20
SLICE = MIB
"""Bytes that are sent between two reports."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a call has come.

    Attributes:
        loss: The loss that is asked for, or ``catalogue``.
        attempt: Which attempt this is, from 1.
        phase: ``sending``, then ``computing`` until the answer begins, ``receiving``, ``done``; or
            ``waiting`` for the next attempt.
        bytes_done: Bytes of the body that is on its way now, so far.
        bytes_total: Bytes of that body; 0 if the server does not say.
        seconds: Since the call began.
    """

    loss: str
    attempt: int
    phase: str
    bytes_done: int
    bytes_total: int
    seconds: float


Report = Callable[[Progress], None]


class TerminalLine:
    """Report on standard error, if it is a terminal, once a call has lasted ``patience`` seconds."""

    def __init__(self, *, patience: float = 0.5, stream: TextIO | None = None) -> None:
        self.patience = patience
        self._stream = stream
        self._drawn = 0.0

    def __call__(self, progress: Progress) -> None:
        """Redraw the line, at most twenty times a second; erase it when the call is done."""
        stream = self._stream or sys.stderr
        if progress.seconds < self.patience or not stream.isatty():
            return
        if progress.phase == "done":
            if self._drawn:
                stream.write("\r\033[K")
                stream.flush()
            self._drawn = 0.0
            return
        now = time.monotonic()
        whole = progress.bytes_done == progress.bytes_total
        if now - self._drawn < 0.05 and not whole:
            return
        self._drawn = now
        stream.write(f"\r{line_of(progress)}\033[K")
        stream.flush()


def line_of(progress: Progress) -> str:
    """Write the line for a terminal: ``lossd huber: sending 12.0 of 64.0 MiB, 19%, 1.2 s``."""
    again = f" (attempt {progress.attempt})" if progress.attempt > 1 else ""
    done, total = progress.bytes_done / MIB, progress.bytes_total / MIB
    amount = f" {done:.1f} of {total:.1f} MiB, {100 * done / total:.0f}%" if total else f" {done:.1f} MiB"
    if progress.phase in ("computing", "waiting"):
        amount = ""
    return f"lossd {progress.loss}{again}: {progress.phase}{amount}, {progress.seconds:.1f} s"
