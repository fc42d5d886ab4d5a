"""What a call takes, as far as its head tells: by its format and size, and by the calls of that format before it.

One call may take a thousand times as long as others of its size, so that each raises a figure by a factor of 2 at most.
And a figure fades where no call of its format ends any more: those whom it keeps out could never mend it.
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


class Forecast:
    """Seconds, and bytes beside its body, that a call needs for each byte of that, by the name of its format."""

    def __init__(self) -> None:
        self._seconds: dict[str, _Figure] = {}
        self._bytes: dict[str, _Figure] = {}

    def seconds_per_byte(self, format: str) -> float:
        """Return the seconds that a byte of a body takes."""
        figure = self._seconds.get(format)
        return FIRST_SECONDS if figure is None else figure.value()

    def bytes_per_byte(self, format: str) -> float:
        """Return the bytes that a call needs for each byte of its body, beside it."""
        figure = self._bytes.get(format)
        return _FIRST_BYTES if figure is None else figure.value()

    def learn_seconds_per_byte(self, format: str, seconds: float) -> None:
        """Take what a call took."""
        self._seconds.setdefault(format, _Figure(FIRST_SECONDS)).follow(max(seconds, _LEAST_SECONDS))

    def learn_bytes_per_byte(self, format: str, size: float) -> None:
        """Take what a call needed."""
        self._bytes.setdefault(format, _Figure(_FIRST_BYTES)).follow(max(size, _LEAST_BYTES))


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
