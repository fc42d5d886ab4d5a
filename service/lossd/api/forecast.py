"""What a call takes, as far as its head tells: by its format and size, and by calls that were like it in both.

A call of a kilobyte may compute for as long as one of megabytes. What it took for a byte says nothing of the other, so
that each range of sizes has figures of its own.

One call may take a thousand times as long as others of its size, so that each raises a figure by a factor of 2 at most.
And a figure fades where no call like it ends any more: those whom it keeps out could never mend it.
"""

from __future__ import annotations

import time

FIRST_SECONDS = 1e-8
"""Seconds that a byte of a body takes, where nothing is known of it: 100 MB a second."""

_FIRST_BYTES = 1.0  # bytes for a byte of a body, beside it
_LEAST_SECONDS = 1e-9  # what the event loop needs to read it
_LEAST_BYTES = 0.1  # from where a few calls are back at what others need
_NEWEST = 0.2  # weight of the last call
_HALF_LIFE_SECONDS = 5.0
_BITS = 3  # of a size, within which calls are alike: up to a factor of 8

_Like = tuple[str, int]
"""Format, and range of sizes."""


class Forecast:
    """Seconds, and bytes beside its body, that a call needs, by the name of its format and the size of its body."""

    def __init__(self) -> None:
        self._seconds: dict[_Like, _Figure] = {}
        self._bytes: dict[_Like, _Figure] = {}

    def seconds(self, format: str, size: int) -> float:
        """Return the seconds that a call takes."""
        figure = self._seconds.get(_like(format, size))
        return size * (FIRST_SECONDS if figure is None else figure.value())

    def bytes_beside(self, format: str, size: int) -> float:
        """Return the bytes that a call needs beside its body."""
        figure = self._bytes.get(_like(format, size))
        return size * (_FIRST_BYTES if figure is None else figure.value())

    def learn_seconds(self, format: str, size: int, seconds: float) -> None:
        """Take what a call took."""
        figure = self._seconds.setdefault(_like(format, size), _Figure(FIRST_SECONDS))
        figure.follow(max(seconds / size, _LEAST_SECONDS))

    def learn_bytes_beside(self, format: str, size: int, beside: float) -> None:
        """Take what a call needed."""
        figure = self._bytes.setdefault(_like(format, size), _Figure(_FIRST_BYTES))
        figure.follow(max(beside / size, _LEAST_BYTES))


def _like(format: str, size: int) -> _Like:
    """Return what calls of this format and about this size have in common."""
    return format, size.bit_length() // _BITS


class _Figure:
    """A figure that follows the last calls, and fades to what it was at first."""

    def __init__(self, first: float) -> None:
        self._first = self._last = first
        self._since = time.perf_counter()

    def value(self) -> float:
        age = time.perf_counter() - self._since
        return float(self._first + (self._last - self._first) * 0.5 ** (age / _HALF_LIFE_SECONDS))

    def follow(self, newest: float) -> None:
        before = self.value()
        self._last = min((1 - _NEWEST) * before + _NEWEST * newest, 2 * before)
        self._since = time.perf_counter()
