"""What a call takes, as far as its head tells: by its format and size, and by the calls of that format before it.

One call may take a thousand times as long as others of its size, so that each raises a figure by a factor of 2 at most.
And a figure fades where no call of its format ends any more: those whom it keeps out could never mend it.
"""

from __future__ import annotations

import time

FIRST_PACE = 1e-8
"""Seconds that a byte of a body takes, where nothing is known of it: 100 MB a second."""

_FIRST_NEEDS = 1.0  # bytes for a byte of a body, beside it
_LEAST_PACE = 1e-9  # what the event loop needs to read it
_LEAST_NEEDS = 0.1  # from where a few calls are back at what others need
_NEWEST = 0.2  # weight of the last call
_HALF_LIFE_SECONDS = 5.0


class Forecast:
    """Seconds, and bytes beside its body, that a call needs for each byte of that, by the name of its format."""

    def __init__(self) -> None:
        self._paces: dict[str, _Figure] = {}
        self._needs: dict[str, _Figure] = {}

    def pace(self, format: str) -> float:
        """Return the seconds that a byte of a body takes."""
        figure = self._paces.get(format)
        return FIRST_PACE if figure is None else figure.value()

    def needs(self, format: str) -> float:
        """Return the bytes that a call needs for each byte of its body, beside it."""
        figure = self._needs.get(format)
        return _FIRST_NEEDS if figure is None else figure.value()

    def learn_pace(self, format: str, pace: float) -> None:
        """Take what a call took."""
        self._paces.setdefault(format, _Figure(FIRST_PACE)).follow(max(pace, _LEAST_PACE))

    def learn_needs(self, format: str, needs: float) -> None:
        """Take what a call needed."""
        self._needs.setdefault(format, _Figure(_FIRST_NEEDS)).follow(max(needs, _LEAST_NEEDS))


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
