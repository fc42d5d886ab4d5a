"""The client that waits for each answer.

It keeps its connections open between calls and may be shared by threads. A forked process opens connections of its
own.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import httpx

from lossd.client.addresses import joined
from lossd.client.batch import prepare_batch
from lossd.client.catalogue import LossEntry, LossSummary
from lossd.client.combination import Empty
from lossd.client.exchange import Exchange
from lossd.client.failure import MismatchedAnswer
from lossd.client.outgoing import Reply, prepare_gradcheck, prepare_reading
from lossd.client.result import Result
from lossd.client.settings import ConfiguredClient
from lossd.errors import LossdError
from lossd.message import GradientCheck, Part


class LossClient(ConfiguredClient[Result]):
    """Evaluates losses on a lossd server: ``client.huber(input, target, delta=2.0)``.

    Args:
        url: Address of the service, which may have a path; by default ``LOSSD_URL``, or http://127.0.0.1:8000.
        uds: Path of the Unix socket to go through instead.
        token: Key or token, sent as ``Authorization: Bearer``; by default ``LOSSD_TOKEN``, if that is set.
        headers: Headers of every request, or a function that returns those of the next: ``traceparent``.
        timeout: Seconds without a sign of life after which a call fails, or an `httpx.Timeout`.
        retry_for: Seconds for which a call is sent again while no server answers or the server is busy; 0 is never.
        max_answer_bytes: An answer of more bytes is an `AnswerTooLarge`, of which no more is read.
        check_request_id: Whether an answer must carry the id of its request; False behind a proxy that sets its own.
        progress: Told how far a call has come; None tells nobody. By default a call of more than half a second
            shows a line where standard error is a terminal.
        media_type: The format of every call; by default the best that can hold it.
        **http: Goes to httpx's client as it is: ``verify``, ``proxy``, ``limits``, ``transport`` ...
    """

    def _open(self) -> None:
        settings = self._http_settings
        if self._uds:
            transport = httpx.HTTPTransport(uds=self._uds, limits=settings["limits"])
            settings = {"transport": transport, **settings}
        http = httpx.Client(**settings)
        if (replaced := vars(self).get("_finalizer")) is not None:
            replaced.detach()
        # For a client that nobody closes, such as that of a module.
        self._finalizer = weakref.finalize(self, _close_unless_forked, http, os.getpid())
        self._http = http
        self._process = os.getpid()

    def evaluate(self, loss: str, /, **values: Any) -> Result:
        """Evaluate any loss by its name or an alias.

        Args:
            loss: The name.
            **values: The loss's arguments, its settings and the general options, under their own names.

        Raises:
            ServiceError: The service refused the call, or was too busy for as long as it was tried.
            Unreachable: No answer came.
            MismatchedAnswer: The answer was that to another request.
            AnswerTooLarge: The answer has more bytes than the client takes.
            MalformedBody: The answer is none of a lossd server.
            InvalidCall: A value cannot be sent: it is no array of numbers, say.
        """
        outgoing = self._prepare(loss, values)
        return self._send(self._begin(outgoing)).result(outgoing, self._limits)

    def gradcheck(self, loss: str, /, **values: Any) -> GradientCheck:
        """Compare the gradient of a loss with differences of it, on these arrays.

        The arguments and errors are those of `evaluate`; ``gradient`` names what is checked.
        """
        outgoing = prepare_gradcheck(loss, values, media_type=self._media_type, headers=self._headers)
        return self._send(self._begin(outgoing)).gradient_check()

    def batch(self, calls: Sequence[Mapping[str, Any]], /) -> list[Result | LossdError]:
        """Evaluate many small calls in one request, which takes a fraction of the time of as many requests.

        Args:
            calls: Arguments of `evaluate`, the name of each loss as ``loss``: ``{"loss": "mse", "input": ...}``.

        Returns:
            What each call came to, in order: its result, or the error that the call alone would raise. That error is
            returned, not raised: ``isinstance(each, Exception)`` tells them apart.

        Raises:
            ServiceError: The service refused the batch as a whole: the calls cost too much together, say.
            Unreachable: No answer came; the other errors of `evaluate` about an answer are raised too.
        """
        prepared = prepare_batch(calls, headers=self._headers)
        return prepared.results(self._send(self._begin(prepared.outgoing)), self._limits)

    def combine(self, parts: Iterable[Part], *, empty: Empty = "error") -> Result:
        """Put the parts of a call together, which may come from many servers: the result is that of one call.

        Args:
            parts: The `part` of each result, in any order. They must be of one call and have each of its rows once.
            empty: Result of a mean over zero elements: an error, NaN or 0.

        The result has no values or derivatives by rows: these are in the results of the parts.
        """
        outgoing = self._prepare_combination(parts, empty)
        return self._send(self._begin(outgoing)).result(outgoing, self._limits)

    def losses(self) -> list[LossSummary]:
        """Return the catalogue of the server: every loss in brief."""
        return self._send(self._begin(prepare_reading(None, headers=self._headers))).summaries()

    def describe(self, loss: str, /, *, retry_for: float | None = None) -> LossEntry:
        """Return all that the server says about a loss, by its name or an alias; it prints as a page."""
        return self._send(self._begin(prepare_reading(loss, headers=self._headers), retry_for)).entry()

    def close(self) -> None:
        """Close the connections of this process."""
        self._connections().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()

    def _connections(self) -> httpx.Client:
        # What a forked process inherits is dropped, not closed: a lock of it may be held by a thread of the parent.
        if self._process != os.getpid():
            self._open()
        return self._http

    def _send(self, exchange: Exchange) -> Reply:
        with exchange:
            while True:
                try:
                    reply = self._attempt(exchange)
                    if (pause := exchange.pause_after(reply)) is None:
                        return reply
                except httpx.RequestError as error:
                    pause = exchange.pause_after_error(error)
                except MismatchedAnswer:
                    self._open()  # no later call may get an answer that is still under way
                    raise
                time.sleep(pause)

    def _attempt(self, exchange: Exchange) -> Reply:
        http, outgoing = self._connections(), exchange.outgoing
        request = http.build_request(
            outgoing.method,
            joined(self.url, outgoing.path),
            headers=outgoing.headers,
            content=exchange.body(),
        )
        response = http.send(request, stream=True)
        body = bytearray()  # not bytes: its arrays are the caller's to write to
        try:
            exchange.check_head(response)
            for chunk in response.iter_bytes():
                if not exchange.keep(body, chunk, response):
                    break
        finally:
            response.close()
        return Reply(response.status_code, response.headers, body)


def _close_unless_forked(http: httpx.Client, process: int) -> None:
    if os.getpid() == process:
        http.close()
