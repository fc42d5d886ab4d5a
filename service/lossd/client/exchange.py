"""One call from its first attempt to its answer, whoever waits for it: what is sent, reported, tried again, checked."""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from typing import Self

import httpx

from lossd.client.failure import Unreachable
from lossd.client.outgoing import Outgoing, Reply
from lossd.client.progress import Progress, Report
from lossd.client.retries import Retries, causes, is_permanent

LOG = logging.getLogger("lossd.client")


class Exchange:
    """The attempts of one call, and what is told of them; leaving its context ends the report."""

    def __init__(
        self,
        outgoing: Outgoing,
        *,
        address: str,
        retry_for: float,
        report: Report | None,
        check_request_id: bool,
    ) -> None:
        self.outgoing = outgoing
        self._address = address
        self._retry_for = retry_for
        self._retries = Retries(retry_for)
        self._report = report
        self._check_request_id = check_request_id
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        self._tell("done", self.outgoing.size, self.outgoing.size)

    def body(self) -> Iterator[bytes] | None:
        """Return the body of a new attempt, each slice of which is reported once it is sent."""
        return self._sending() if self.outgoing.parts else None

    def body_aside(self) -> AsyncIterator[bytes] | None:
        """Return the body of a new attempt for an asynchronous client."""
        return _aside(self._sending()) if self.outgoing.parts else None

    def received(self, response: httpx.Response, size: int) -> None:
        """Report how much of the answer has come."""
        self._tell("receiving", size, int(response.headers.get("content-length", 0)))

    def pause_after(self, reply: Reply) -> float | None:
        """Return the seconds to wait before the next attempt, None if this is the answer.

        Raises:
            MismatchedAnswer: It is the answer to another request.
        """
        if self._check_request_id:
            reply.check(self.outgoing.request_id)
        pause = self._retries.pause_after_status(reply.status, reply.headers)
        if pause is not None:
            self._tell("waiting", 0, 0)
        return pause

    def pause_after_error(self, error: httpx.TransportError) -> float:
        """Return the seconds to wait before the next attempt.

        Raises:
            Unreachable: There is none.
        """
        attempt = self._retries.attempt
        text = f"expected an answer from {self._address}, got {type(error).__name__}: {error}"
        pause = self._retries.pause_after_error(error)
        if pause is None:
            raise Unreachable(f"{text} (attempts: {attempt}){_hint(self._address, error)}") from error
        if attempt == 1 and isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            LOG.warning("%s; trying again for %g s", text, self._retry_for)
        self._tell("waiting", 0, 0)
        return pause

    def _sending(self) -> Iterator[bytes]:
        sent = 0
        for piece in self.outgoing.slices():
            self._tell("sending", sent, self.outgoing.size)
            yield piece  # type: ignore[misc]  # httpx sends any buffer
            sent += len(piece)
        self._tell("computing", sent, self.outgoing.size)

    def _tell(self, phase: str, done: int, total: int) -> None:
        if self._report is not None:
            seconds = time.monotonic() - self._started
            self._report(Progress(self.outgoing.subject, self._retries.attempt, phase, done, total, seconds))


def _hint(address: str, error: httpx.TransportError) -> str:
    """Return what the caller may try where no connection came about, if anything."""
    if not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return ""
    of_tls = [cause for cause in causes(error) if isinstance(cause, ssl.SSLError)]
    if of_tls and not isinstance(of_tls[0], ssl.SSLCertVerificationError):
        return "; is it http://?"
    if of_tls or is_permanent(error):
        return ""
    variable = " (LOSSD_URL sets the address)" if "://" in address else ""
    return f"; is `lossd serve` running there?{variable}"


async def _aside(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
