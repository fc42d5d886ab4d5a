"""Long texts are read and written by one thread after the other.

That holds the interpreter's lock nearly all the time: two threads at once are no faster, and the event loop waits three
times as long for the lock between them. What computes meanwhile holds it hardly ever.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from threading import Lock

from lossd.engine import Checkpoint

_LONG = 1 << 20  # bytes; what is shorter takes a millisecond or two
_LOOK_SECONDS = 0.05


class TextTurns:
    """Whose turn it is, of the threads of a pool."""

    def __init__(self) -> None:
        self._lock = Lock()

    @contextlib.contextmanager
    def turn(self, size: int, checkpoint: Checkpoint) -> Iterator[None]:
        """Wait for the turn of a text of ``size`` bytes; ``checkpoint`` is called while it waits."""
        if size < _LONG:
            yield
            return
        while not self._lock.acquire(timeout=_LOOK_SECONDS):
            checkpoint()
        try:
            yield
        finally:
            self._lock.release()
