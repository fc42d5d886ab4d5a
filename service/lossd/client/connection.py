"""The two clients, `LossClient` and `AsyncLossClient`, which differ in how they wait.

Both keep their connections open between calls and may be shared, by threads or by the tasks of one event loop. A
forked process opens connections of its own.
"""

from __future__ import annotations

import asyncio
import math
import os
import time
import weakref
from collections.abc import Awaitable, Callable, Mapping
from numbers import Real
from typing import Any, Generic, Self, TypeVar

import httpx

from lossd.client.addresses import joined, read_address, read_token
from lossd.client.catalogue import LossEntry, LossSummary
from lossd.client.exchange import Exchange
from lossd.client.failure import MismatchedAnswer
from lossd.client.methods import Losses
from lossd.client.outgoing import Headers, Outgoing, Reply, prepare, prepare_reading
from lossd.client.progress import Report, TerminalLine
from lossd.client.result import Result
from lossd.client.retries import RETRY_FOR
from lossd.wire import CODECS

TIMEOUT = httpx.Timeout(120.0, connect=5.0)
LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=60.0)
_OF_THE_PROCESS = frozenset({"_http", "_loop", "_inherited", "_finalizer"})
_SECONDS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "timeout": ("> 0", lambda seconds: 0 < seconds < math.inf),
    "retry_for": (">= 0", lambda seconds: seconds >= 0),
}

R = TypeVar("R")


class _Client(Losses[R], Generic[R]):
    """What both clients have: their settings, which are those of `LossClient`."""

    def __init__(
        self,
        url: str | None = None,
        *,
        uds: str | None = None,
        token: str | None = None,
        headers: Headers | None = None,
        timeout: float | httpx.Timeout = TIMEOUT,
        retry_for: float = RETRY_FOR,
        check_request_id: bool = True,
        progress: Report | None = TerminalLine(),  # noqa: B008  # one terminal, one line
        media_type: str | None = None,
        **http: Any,
    ) -> None:
        if media_type is not None and media_type not in CODECS:
            raise ValueError(f"expected one of {', '.join(CODECS)}, got {media_type!r} - at `media_type`")
        if not isinstance(timeout, httpx.Timeout | None):
            _check_seconds("timeout", timeout)
        _check_seconds("retry_for", retry_for)
        self.url = read_address(url, uds)
        self.retry_for = retry_for
        self._uds = uds
        self._headers: Headers = headers or {}
        self._check_request_id = check_request_id
        self._progress = progress
        self._media_type = media_type
        self._http_settings: dict[str, Any] = {"limits": LIMITS, **http, "timeout": timeout}
        if token is not None:
            self._http_settings["headers"] = {"Authorization": f"Bearer {read_token(token)}"}
        self._open()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._uds or self.url!r})"

    def _open(self) -> None:
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in _OF_THE_PROCESS}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)
        self._open()  # a copy, in another process perhaps, has connections of its own

    def _prepare(self, loss: str, values: Mapping[str, Any]) -> Outgoing:
        if not isinstance(loss, str):
            raise TypeError(f"expected the name of a loss, got a value of type {type(loss).__name__}")
        return prepare(loss, values, media_type=self._media_type, headers=self._headers)

    def _begin(self, outgoing: Outgoing, retry_for: float | None = None) -> Exchange:
        return Exchange(
            outgoing,
            address=self._uds or self.url,
            retry_for=self.retry_for if retry_for is None else retry_for,
            report=self._progress,
            check_request_id=self._check_request_id,
        )


class LossClient(_Client[Result]):
    """Evaluates losses on a lossd server: ``client.huber(input, target, delta=2.0)``.

    Args:
        url: Address of the service, which may have a path; by default ``LOSSD_URL``, or http://127.0.0.1:8000.
        uds: Path of the Unix socket to go through instead.
        token: Sent as ``Authorization: Bearer``.
        headers: Headers of every request, or a function that returns those of the next: ``traceparent``.
        timeout: Seconds without a sign of life after which a call fails, or an `httpx.Timeout`.
        retry_for: Seconds for which a call is sent again while no server answers or the server is busy; 0 is never.
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
            InvalidCall: A value cannot be sent: it is no array of numbers, say.
        """
        outgoing = self._prepare(loss, values)
        return self._send(self._begin(outgoing)).result(outgoing.dtype)

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
                except httpx.TransportError as error:
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
            for chunk in response.iter_bytes():
                body += chunk
                exchange.received(response, len(body))
        finally:
            response.close()
        return Reply(response.status_code, response.headers, body)


class AsyncLossClient(_Client[Awaitable[Result]]):
    """Evaluates losses as `LossClient` does, with the same arguments: ``await client.huber(input, target)``."""

    def _open(self) -> None:
        settings = self._http_settings
        if self._uds:
            transport = httpx.AsyncHTTPTransport(uds=self._uds, limits=settings["limits"])
            settings = {"transport": transport, **settings}
        if vars(self).get("_process", os.getpid()) != os.getpid():
            # To close them would take them from the parent's event loop, which shares its list of sockets.
            self._inherited = vars(self).get("_http")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._http = httpx.AsyncClient(**settings)
        self._process = os.getpid()

    async def evaluate(self, loss: str, /, **values: Any) -> Result:
        """Evaluate any loss by its name or an alias, as `LossClient.evaluate` does."""
        outgoing = self._prepare(loss, values)
        return (await self._send(self._begin(outgoing))).result(outgoing.dtype)

    async def losses(self) -> list[LossSummary]:
        """Return the catalogue of the server: every loss in brief."""
        return (await self._send(self._begin(prepare_reading(None, headers=self._headers)))).summaries()

    async def describe(self, loss: str, /, *, retry_for: float | None = None) -> LossEntry:
        """Return all that the server says about a loss, by its name or an alias; it prints as a page."""
        exchange = self._begin(prepare_reading(loss, headers=self._headers), retry_for)
        return (await self._send(exchange)).entry()

    async def close(self) -> None:
        """Close the connections of this event loop."""
        await self._connections().aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *reason: object) -> None:
        await self.close()

    def _connections(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        if self._process != os.getpid() or self._loop not in (None, loop):
            self._open()
        self._loop = loop
        return self._http

    async def _send(self, exchange: Exchange) -> Reply:
        with exchange:
            while True:
                try:
                    reply = await self._attempt(exchange)
                    if (pause := exchange.pause_after(reply)) is None:
                        return reply
                except httpx.TransportError as error:
                    pause = exchange.pause_after_error(error)
                except MismatchedAnswer:
                    self._open()
                    raise
                await asyncio.sleep(pause)

    async def _attempt(self, exchange: Exchange) -> Reply:
        http, outgoing = self._connections(), exchange.outgoing
        request = http.build_request(
            outgoing.method,
            joined(self.url, outgoing.path),
            headers=outgoing.headers,
            content=exchange.body_aside(),
        )
        response = await http.send(request, stream=True)
        body = bytearray()
        try:
            async for chunk in response.aiter_bytes():
                body += chunk
                exchange.received(response, len(body))
        finally:
            await response.aclose()
        return Reply(response.status_code, response.headers, body)


def _check_seconds(name: str, value: object) -> None:
    bound, holds = _SECONDS[name]
    if not isinstance(value, Real):
        raise TypeError(
            f"expected a number of seconds, got a value of type {type(value).__name__} - at `{name}`"
        )
    if not holds(value):
        raise ValueError(f"expected a number of seconds {bound}, got {value} - at `{name}`")


def _close_unless_forked(http: httpx.Client, process: int) -> None:
    if os.getpid() == process:
        http.close()
