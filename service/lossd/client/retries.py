"""Decides whether a call is sent again, and after how long.

A call changes nothing on the server, so the same bytes may be sent any number of times. What is waited for is a
server that restarts or is busy; the pauses are drawn at random, so that callers who failed together do not all
come back together.
"""

from __future__ import annotations

import random
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime

import httpx

RETRY_FOR = 30.0
"""Seconds for which a call is sent again by default, counted from its first failure."""

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0

STATUSES = frozenset({429, 502, 503})
"""Busy, or a proxy in front of a server that restarts."""

ERRORS = (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ConnectTimeout)
"""Errors of a connection, not of the call: a call that took too long would take too long again."""


class Retries:
    """The attempts of one call; `attempt` is the number of the present one."""

    def __init__(self, retry_for: float) -> None:
        self.attempt = 1
        self._retry_for = retry_for
        self._deadline: float | None = None

    def pause_after_status(self, status: int, headers: Mapping[str, str]) -> float | None:
        """Return the seconds to wait before the next attempt, None if this answer is the last."""
        return self._pause(seconds_asked(headers.get("retry-after", ""))) if status in STATUSES else None

    def pause_after_error(self, error: httpx.RequestError) -> float | None:
        """Return the seconds to wait before the next attempt, None if there is none after this error."""
        return self._pause(0.0) if isinstance(error, ERRORS) and not is_permanent(error) else None

    def _pause(self, asked: float) -> float | None:
        now = time.monotonic()
        if self._deadline is None:
            self._deadline = now + self._retry_for
        left = self._deadline - now
        if left <= 0 or asked > left:
            return None
        longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self.attempt - 1, 10))
        self.attempt += 1
        return min(asked + random.random() * longest, left)


def is_permanent(error: httpx.RequestError) -> bool:
    """Return whether an error will be the same next time: an unknown host, no trusted certificate, or no TLS at all."""
    for cause in causes(error):
        if isinstance(cause, ssl.SSLError):
            return not isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError)
        if isinstance(cause, socket.gaierror):
            return cause.errno != socket.EAI_AGAIN
    return False


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what led to it."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def seconds_asked(retry_after: str) -> float:
    """Read ``Retry-After``, which is a number of seconds or a date; 0 where it is neither."""
    text = retry_after.strip()
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0
