"""This file is when a call is tried again, and after how long.

A call changes nothing on the server, so the same bytes may be sent any number of times.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpx

STATUSES = frozenset({429, 503})
"""The statuses that mean: not now."""

ERRORS = (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ConnectTimeout)
"""Errors of a connection, not of the call: a call that took too long would take too long again."""


@dataclass(frozen=True, slots=True)
class Retries:
    """When and how often a call is tried again.

    The pause before the n-th repetition is drawn between 0 and ``first_pause`` times ``2 ** (n - 1)``, so that callers
    who failed together do not come back together; it is added to what the server asks for in ``Retry-After``.

    Attributes:
        attempts: How often a call is sent at most; 1 means never again.
        first_pause: Seconds that the pause before the first repetition is at most.
        longest_pause: Seconds that any pause is at most. Where the server asks for more, the call fails at once.
        draw: Returns a number from 0 to 1.
    """

    attempts: int = 4
    first_pause: float = 0.2
    longest_pause: float = 20.0
    draw: Callable[[], float] = random.random

    def pause(self, attempt: int, status: int, headers: Mapping[str, str]) -> float | None:
        """Return the seconds to wait after ``attempt`` ended with this status, None if it is the last word."""
        if status not in STATUSES or attempt >= self.attempts:
            return None
        asked = seconds_asked(headers.get("retry-after", ""))
        return None if asked > self.longest_pause else asked + self._backoff(attempt)

    def pause_after_error(self, attempt: int, error: httpx.TransportError) -> float | None:
        """Return the seconds to wait after ``attempt`` ended without a response, None if it was the last."""
        if not isinstance(error, ERRORS) or attempt >= self.attempts:
            return None
        return self._backoff(attempt)

    def _backoff(self, attempt: int) -> float:
        return self.draw() * min(self.longest_pause, self.first_pause * 2.0 ** (attempt - 1))


def seconds_asked(retry_after: str) -> float:
    """Read ``Retry-After``, which is a number of seconds or a date; 0 where it is neither."""
    text = retry_after.strip()
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return 0.0
