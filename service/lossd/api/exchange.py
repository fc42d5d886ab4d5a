"""One request and its response as the layers in front see them: what the log line will tell.

`ErrorBoundary` opens an exchange and puts it into the ASGI scope; the layers behind it fill it in.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from math import inf
from random import getrandbits
from typing import Any

from lossd.errors import DeadlineExceeded, malformed

SCOPE_KEY = "lossd.exchange"
REQUEST_ID = re.compile(rb"[A-Za-z0-9._~:/+=@-]{1,128}")
TRACEPARENT = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[\x21-\x7e]{1,64})?")


class CallerGone(Exception):
    """The caller closed the connection; nobody is left to tell."""


class Exchange:
    """One request and its response.

    Attributes:
        headers: The request's headers, names in lower case.
        request_id: The caller's X-Request-ID where it is safe to repeat, else a new one.
        traceparent: The caller's W3C trace context, empty where there is none.
        started: `time.perf_counter` when the request came.
        deadline: When the request ends, on the same clock.
        body_pending: Part of the request's body has not been received.
        loss, elements: What the call computes, once known.
        status: Status of the response, 0 until it starts.
        bytes_in, bytes_out: Sizes of the two bodies so far.
        problem: Why the request failed, for the log.
        reserve: Counts bytes that the request will need beside its body among those in flight, until it ends.
    """

    __slots__ = (
        "body_pending",
        "bytes_in",
        "bytes_out",
        "deadline",
        "elements",
        "headers",
        "loss",
        "problem",
        "request_id",
        "reserve",
        "started",
        "status",
        "traceparent",
    )

    def __init__(self, headers: list[tuple[bytes, bytes]]) -> None:
        self.started = time.perf_counter()
        self.headers = dict(headers)
        self.request_id = _repeatable(
            self.headers.get(b"x-request-id"), REQUEST_ID
        ) or b"%032x" % getrandbits(128)
        self.traceparent = _repeatable(self.headers.get(b"traceparent"), TRACEPARENT)
        self.deadline = inf
        self.body_pending = False
        self.loss = ""
        self.elements = 0
        self.status = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.problem = ""
        self.reserve: Callable[[int], None] = lambda size: None

    def set_deadline(self, longest: float) -> None:
        """End the request after ``longest`` seconds, or sooner if its ``Request-Timeout`` header says so.

        Raises:
            MalformedBody: The header is not a positive number of seconds.
        """
        asked = self.headers.get(b"request-timeout")
        if asked is None:
            self.deadline = self.started + longest
            return
        try:
            seconds = float(asked)
        except ValueError:
            seconds = 0.0
        if not seconds > 0:
            raise malformed("Request-Timeout", "a positive number of seconds", asked[:40].decode("latin-1"))
        self.deadline = self.started + min(seconds, longest)

    def end_within(self, seconds: float) -> None:
        """Bring the deadline forward to so many seconds after the request came, where that is sooner."""
        self.deadline = min(self.deadline, self.started + seconds)

    def check_deadline(self) -> None:
        """Refuse to go on once the deadline has passed.

        Raises:
            DeadlineExceeded: It has.
        """
        if time.perf_counter() > self.deadline:
            raise DeadlineExceeded("expected to finish before the deadline (Request-Timeout), got no further")

    def response_headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers that every response carries."""
        if self.traceparent:
            return [(b"x-request-id", self.request_id), (b"traceparent", self.traceparent)]
        return [(b"x-request-id", self.request_id)]

    def record(self, scope: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of the log line."""
        record: dict[str, Any] = {
            "request_id": self.request_id.decode(),
            "method": scope["method"][:20],
            "path": scope["path"][:200],
            "status": self.status,
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "duration_ms": int((time.perf_counter() - self.started) * 1e6) / 1000,
        }
        if self.traceparent:
            record["traceparent"] = self.traceparent.decode()
        if self.loss:
            record["loss"] = self.loss
            record["elements"] = self.elements
        if self.problem:
            record["problem"] = self.problem
        return record


def _repeatable(value: bytes | None, pattern: re.Pattern[bytes]) -> bytes:
    """Return a header that may be repeated in the response and the log; a strange one is dropped."""
    return value if value is not None and pattern.fullmatch(value) else b""
