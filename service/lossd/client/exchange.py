"""One call from its first attempt to its answer, whoever waits for it: what is sent, reported, tried again, checked."""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from typing import Self

import httpx

from lossd.client.failure import MOST_OF_AN_ERROR, AnswerTooLarge, Unreachable
from lossd.client.outgoing import Outgoing, Reply
from lossd.client.progress import Progress, Report
from lossd.client.retries import Retries, causes, is_permanent
from lossd.errors import MalformedBody, excerpt

LOG = logging.getLogger("lossd.client")

# Of these a piece from the connection unpacks to at most a thousand times its size; brotli and zstd have no bound.
_BOUNDED_ENCODINGS = frozenset({"", "identity", "gzip", "deflate"})
_LONGEST_NUMBER = 20


class Exchange:
    """The attempts of one call, and what is told of them; leaving its context ends the report."""

    def __init__(
        self,
        outgoing: Outgoing,
        *,
        address: str,
        retry_for: float,
        report: Report | None,
        max_answer_bytes: int,
        check_request_id: bool,
    ) -> None:
        self.outgoing = outgoing
        self._address = address
        self._retry_for = retry_for
        self._retries = Retries(retry_for)
        self._report = report
        self._max_answer_bytes = max_answer_bytes
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

    def check_head(self, response: httpx.Response) -> None:
        """Check the head of an answer before any of its body is read.

        Raises:
            AnswerTooLarge: It says that it will have more bytes than the client takes.
            MalformedBody: It is packed in a way that was not asked for, of which a few bytes may become very many.
        """
        packed = response.headers.get("content-encoding", "").strip().lower()
        if packed not in _BOUNDED_ENCODINGS:
            raise MalformedBody(
                f"expected an answer as it is or by gzip, got one by {excerpt(packed)}; status {response.status_code}"
            )
        if response.status_code == 200:
            self._refuse_more(_stated_length(response))

    def keep(self, body: bytearray, chunk: bytes, response: httpx.Response) -> bool:
        """Add a piece to the body of an answer, and return whether there may be more to read.

        Of an error no more is kept than says what it is.

        Raises:
            AnswerTooLarge: The body has more bytes than the client takes.
        """
        body += chunk
        if response.status_code != 200:
            del body[MOST_OF_AN_ERROR:]
            return len(body) < MOST_OF_AN_ERROR
        self._refuse_more(len(body))
        self._tell("receiving", len(body), _stated_length(response))
        return True

    def _refuse_more(self, size: int) -> None:
        if size > self._max_answer_bytes:
            raise AnswerTooLarge(
                f"expected an answer of at most {self._max_answer_bytes} bytes, got more; "
                "the client's max_answer_bytes is the limit"
            )

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

    def pause_after_error(self, error: httpx.RequestError) -> float:
        """Return the seconds to wait before the next attempt.

        Raises:
            Unreachable: There is none.
            MalformedBody: The answer came, but is not packed as its headers say.
        """
        if isinstance(error, httpx.DecodingError):
            raise MalformedBody(
                f"expected an answer that unpacks as its Content-Encoding says, got {error}"
            ) from error
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


def _hint(address: str, error: httpx.RequestError) -> str:
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


def _stated_length(response: httpx.Response) -> int:
    """Return the length that a response states; 0 if it states none."""
    stated = response.headers.get("content-length", "")
    return int(stated) if stated.isdecimal() and len(stated) < _LONGEST_NUMBER else 0


async def _aside(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
