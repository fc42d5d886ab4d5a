"""One request and its response as the layers in front see them: what the log line will tell.

`RequestLog` opens an exchange and puts it into the ASGI scope; the layers behind it fill it in.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from math import inf
from random import getrandbits
from typing import Any

from lossd.access.rate import Account, Rate
from lossd.api.in_flight import Holding
from lossd.api.queued_call import QueuedCall
from lossd.errors import DeadlineExceeded, malformed

SCOPE_KEY = "lossd.exchange"
_NO_SNIFFING = (
    b"x-content-type-options",
    b"nosniff",
)  # a browser takes no answer for a script, whatever is in it
REQUEST_ID = re.compile(rb"[A-Za-z0-9._~:/+=@-]{1,128}")
# W3C Trace Context: identifiers of zeros and version ff are invalid, and version 00 has no more than the flags.
_TRACE = rb"-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
TRACEPARENT = re.compile(rb"00%b|(?!00|ff)[0-9a-f]{2}%b(-[\x21-\x7e]{1,64})?" % (_TRACE, _TRACE))


class CallerGone(Exception):
    """The caller closed the connection; nobody is left to tell."""


class Exchange:
    """One request and its response.

    Attributes:
        headers: The request's headers, names in lower case.
        request_id: The caller's X-Request-ID where it is safe to repeat, else a new one.
        traceparent: The caller's W3C trace context, empty where there is none.
        trace_id, span_id: Of the request's own span, where it has one.
        started: `time.perf_counter` when the request came.
        deadline: When the request ends, on the same clock.
        body_pending: Part of the request's body has not been received.
        caller: Name of the caller's key; empty if it has none.
        route: Path of its route, with the names of parameters; only of a call before the request has ended.
        loss, format, elements, work: What the call computes, the format of its body, and its estimated operations, once
            known.
        outcomes: Loss and status of the calls in a batch to how many have them, once they are answered; the loss is
            empty for a call that named none.
        steps: The steps that have ended, and when, on the same clock.
        wait_seconds: How long the call waited for a thread of the pool; None if it needed none.
        seconds: How long the request took, once it has ended.
        status: Status of the response, 0 until it starts.
        bytes_in, bytes_out: Sizes of the two bodies so far.
        problem, problem_kind: Why the request failed, and the last part of the problem's type.
        bug: The error of a request that failed by a fault of lossd's; the log has its traceback.
        account: Where calls and their work count; None where there is no limit.
        calls_rate, work_rate: The limits on them.
        holding: The bytes that the request holds of those in flight; None where it has no body.
        queued: What the call adds to the wait for the thread pool; None for a small body whose length is known.
    """

    __slots__ = (
        "account",
        "body_pending",
        "bug",
        "bytes_in",
        "bytes_out",
        "caller",
        "calls_rate",
        "deadline",
        "elements",
        "format",
        "headers",
        "holding",
        "loss",
        "outcomes",
        "problem",
        "problem_kind",
        "queued",
        "request_id",
        "route",
        "seconds",
        "span_id",
        "started",
        "status",
        "steps",
        "trace_id",
        "traceparent",
        "wait_seconds",
        "work",
        "work_rate",
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
        self.trace_id = ""
        self.span_id = ""
        self.caller = ""
        self.route = ""
        self.loss = ""
        self.format = ""
        self.elements = 0
        self.work = 0
        self.outcomes: Mapping[tuple[str, int], int] = {}
        self.steps: list[tuple[str, float]] = []
        self.wait_seconds: float | None = None
        self.seconds = 0.0
        self.status = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.problem = ""
        self.problem_kind = ""
        self.bug: Exception | None = None
        self.account: Account | None = None
        self.calls_rate: Rate | None = None
        self.work_rate: Rate | None = None
        self.holding: Holding | None = None
        self.queued: QueuedCall | None = None

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

    def charge(self, work: int) -> None:
        """Count the work of a call against its caller's limit, before it computes.

        Raises:
            RateLimited: The caller has used up its rate.
        """
        if self.account is not None and self.work_rate is not None:
            self.account.take_work(self.work_rate, work)

    def owe_work(self, work: int) -> None:
        """Count work that was done for a body that is refused."""
        if self.account is not None and self.work_rate is not None:
            self.account.owe_work(self.work_rate, work)

    def charge_calls(self, count: int) -> None:
        """Count calls that came in this request beside the first against its caller's limit, before they are prepared.

        Raises:
            RateLimited: The caller has used up its rate.
        """
        if count > 0 and self.account is not None and self.calls_rate is not None:
            self.account.take_more_calls(self.calls_rate, count)

    def reserve(self, size: int) -> None:
        """Count bytes that the request needs beside its body among those in flight, until it is answered.

        Raises:
            Overloaded: There are too many already.
        """
        if self.holding is not None:
            self.holding.take(size)

    def reserve_estimate(self, size: int) -> None:
        """Count bytes as `reserve` does, or all that there are: one call alone may need more.

        Raises:
            Overloaded: Others hold too many of them.
        """
        if self.holding is not None:
            self.holding.take_estimate(size)

    def check_deadline(self) -> None:
        """Refuse to go on once the deadline has passed.

        Raises:
            DeadlineExceeded: It has.
        """
        if time.perf_counter() > self.deadline:
            raise exceeded()

    def response_headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers that every response carries."""
        if self.traceparent:
            return [(b"x-request-id", self.request_id), (b"traceparent", self.traceparent), _NO_SNIFFING]
        return [(b"x-request-id", self.request_id), _NO_SNIFFING]

    def record(self, scope: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of the log line."""
        record: dict[str, Any] = {
            "request_id": self.request_id.decode(),
            "method": scope["method"][:20],
            "path": scope["path"][:200],
            "status": self.status,
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "duration_ms": int(self.seconds * 1e6) / 1000,
        }
        if self.span_id:
            record["trace_id"], record["span_id"] = self.trace_id, self.span_id
        elif self.traceparent:
            _, record["trace_id"], record["span_id"], *_ = self.traceparent.decode().split("-")
        if self.caller:
            record["caller"] = self.caller
        if self.loss:
            record["loss"] = self.loss
        record |= self.record_calls()
        if self.loss or self.outcomes:
            record["format"] = self.format or "other"
            record["elements"] = self.elements
            record["work"] = self.work
        if self.wait_seconds is not None:  # a small call would pay 2 us for it
            record |= {f"{step}_ms": int(seconds * 1e6) / 1000 for step, seconds in self.step_seconds()}
        if self.problem:
            record["problem"] = self.problem
        return record

    def record_calls(self) -> dict[str, int]:
        """Return how many calls a batch had, and how many of them failed; nothing for a request that is no batch."""
        if not self.outcomes:
            return {}
        failed = sum(count for (_, status), count in self.outcomes.items() if status != 200)
        return {"calls": sum(self.outcomes.values()), "failed": failed}

    def step_seconds(self) -> list[tuple[str, float]]:
        """Return how long each step took, in order: it begins when the one before ends."""
        begun = [self.started, *[ended for _, ended in self.steps]]
        return [(step, ended - start) for start, (step, ended) in zip(begun, self.steps, strict=False)]


def exceeded() -> DeadlineExceeded:
    """Return the error of a call whose deadline has passed."""
    return DeadlineExceeded("expected to finish before the deadline (Request-Timeout), got no further")


def _repeatable(value: bytes | None, pattern: re.Pattern[bytes]) -> bytes:
    """Return a header that may be repeated in the response and the log; a strange one is dropped."""
    return value if value is not None and pattern.fullmatch(value) else b""
