"""A call in the queue in front of the thread pool, and what is expected of its body."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lossd.api.queue import Queue

_BELIEVED = 64  # how many times what has arrived of a body
# How long a body may take to begin, and the bytes a second of a fast one.
_BEGINNING_SECONDS, _FAST = 0.5, 1 << 20


class QueuedCall:
    """What one call adds to the wait of those behind it.

    Attributes:
        format: Name of its body's format; empty where that tells nothing, as of a packed one.
        claimed: Bytes that its body is said to have; 0 where nobody says so, or it comes slowly.
        size: Bytes of its body that have arrived.
        seconds: What it adds to the wait.
        beside: Bytes that it needs beside its body.
    """

    __slots__ = ("_left", "beside", "claimed", "format", "queue", "seconds", "size", "started")

    def __init__(self, queue: Queue, format: str = "", claimed: int = 0) -> None:
        self.queue = queue
        self.format = format
        self.claimed = claimed
        self.size = 0
        self.seconds = 0.0
        self.beside = 0
        self.started = time.perf_counter()
        self._left = False

    @property
    def expected(self) -> int:
        """Bytes that the body is believed to have."""
        return max(min(self.claimed, _BELIEVED * self.size), self.size)

    def arrive(self, size: int) -> None:
        """Count bytes of the body."""
        self.size += size
        if self.size < self.claimed:
            self.queue.arriving.add(self)
        else:
            self.queue.arriving.discard(self)
        self.set_seconds(self.queue.forecast.seconds(self.format, self.expected))

    def is_slow(self, now: float) -> bool:
        """Return whether the body comes too slowly to keep others out."""
        passed = now - self.started
        return passed > _BEGINNING_SECONDS and self.size < passed * _FAST

    def forget_claim(self) -> None:
        """Count only what has arrived of the body."""
        self.claimed = 0
        self.queue.arriving.discard(self)
        self.set_seconds(self.queue.forecast.seconds(self.format, self.size))

    def set_seconds(self, seconds: float) -> None:
        """Count so many seconds from now on."""
        self.queue.add(seconds - self.seconds)
        self.seconds = seconds

    def reserve(self, size: int) -> None:
        """Know in the thread how many bytes it holds beside the body, until that is free again."""
        self.beside = size
        with self.queue.lock:
            if not self._left:  # as a call does whose request was cancelled
                self.queue.reserved.add(self)

    def end_reservation(self) -> None:
        """Leave the thread."""
        with self.queue.lock:
            self._left = True
            self.queue.reserved.discard(self)

    def end(self) -> None:
        """Count nothing any more."""
        self.queue.arriving.discard(self)
        self.set_seconds(0)
