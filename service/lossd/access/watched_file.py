"""A file that is read again when it changes, without a thread: its time is looked at once a second, by whoever asks."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

LOOK_SECONDS = 1.0

LOG = logging.getLogger("lossd.access")

T = TypeVar("T")


class WatchedFile(Generic[T]):
    """What a file says, as of at most a second ago.

    A file that goes away or cannot be read leaves what it said before in force, with an error in the log.

    Args:
        path: The file.
        read: Makes a value of its bytes, or raises ValueError.

    Attributes:
        look_at: When it is looked at again, by `time.perf_counter`; until then `value` returns the same.

    Raises:
        OSError, ValueError: It cannot be read now.
    """

    def __init__(self, path: Path, read: Callable[[bytes], T]) -> None:
        self._path = path
        self._read = read
        self.look_at = time.perf_counter() + LOOK_SECONDS
        self._signature = self._sign()  # of what is in force
        self._value = read(path.read_bytes())
        self._told: tuple[object, str] | None = None  # of a change that cannot be read

    def value(self, now: float | None = None) -> T:
        """Return what the file says; ``now`` is `time.perf_counter`, for those who have just read it."""
        if now is None:
            now = time.perf_counter()
        if now >= self.look_at:
            self.look_at = now + LOOK_SECONDS
            self._look()
        return self._value

    def _look(self) -> None:
        signature = self._sign()
        if signature == self._signature:
            return
        try:
            self._value = self._read(self._path.read_bytes())
        except (OSError, ValueError) as error:  # it is tried again at each look, and told once
            told = (signature, str(error))
            if told != self._told:
                LOG.error("%s cannot be read, what it said before stays in force: %s", self._path, error)
            self._told = told
        else:
            self._signature, self._told = signature, None
            LOG.info("%s has changed and was read again", self._path)

    def _sign(self) -> tuple[int, ...] | None:
        """Return what differs when the file does; None if it is not there."""
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino
