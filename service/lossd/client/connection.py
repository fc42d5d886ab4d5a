"""This file is the two clients, `LossClient` and `AsyncLossClient`, which differ in how they wait.

Both keep their connections open between calls and may be shared, by threads or by the tasks of one event loop.
"""

from __future__ import annotations

import asyncio
import os
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Generic, Self, TypeVar

import httpx

from lossd.client.failure import Unreachable
from lossd.client.methods import Losses
from lossd.client.outgoing import Headers, Outgoing, Reply, prepare
from lossd.client.progress import Progress, Report, TerminalLine
from lossd.client.result import Result
from lossd.client.retries import Retries

TIMEOUT = httpx.Timeout(120.0, connect=5.0)
LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=60.0)

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
        retries: Retries | None = None,
        progress: Report | None = TerminalLine(),  # noqa: B008  # one terminal, one line
        media_type: str | None = None,
        **http: Any,
    ) -> None:
        self.url = url or ("http://lossd" if uds else os.environ.get("LOSSD_URL", "http://127.0.0.1:8000"))
        self.retries = retries or Retries()
        self._uds = uds
        self._headers: Headers = headers or {}
        self._progress = progress
        self._media_type = media_type
        self._http_settings: dict[str, Any] = {"limits": LIMITS, **http, "timeout": timeout}
        if token is not None:
            self._http_settings["headers"] = {"Authorization": f"Bearer {token}"}
        self._open()

    def _open(self) -> None:
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_http"}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)
        self._open()  # a copy, in another process perhaps, has connections of its own

    def _prepare(self, loss: str, values: Mapping[str, Any]) -> tuple[Outgoing, _Watch]:
        outgoing = prepare(loss, values, media_type=self._media_type, headers=self._headers)
        return outgoing, _Watch(self._progress, outgoing)

    def _unreachable(self, attempts: int, error: httpx.TransportError) -> Unreachable:
        where = self._uds or self.url
        kind = type(error).__name__
        return Unreachable(f"expected an answer from {where}, got {kind}: {error} (attempts: {attempts})")


class LossClient(_Client[Result]):
    """Evaluates losses on a lossd server: ``client.huber(input, target, delta=2.0)``.

    Args:
        url: Address of the service, which may have a path; by default ``LOSSD_URL``, or http://127.0.0.1:8000.
        uds: Path of the Unix socket to go through instead.
        token: Sent as ``Authorization: Bearer``.
        headers: Headers of every request, or a function that returns those of the next: ``traceparent``.
        timeout: Seconds without a sign of life after which a call fails, or an `httpx.Timeout`.
        retries: When a call is tried again.
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
        self._http = httpx.Client(**settings)
        weakref.finalize(self, self._http.close)  # a client that nobody closes, such as that of a module

    def evaluate(self, loss: str, /, **values: Any) -> Result:
        """Evaluate any loss by its name or an alias.

        Args:
            loss: The name.
            **values: The loss's arguments, its settings and the general options, under their own names.

        Raises:
            ServiceError: The service refused the call, or was too busy at every attempt.
            Unreachable: No answer came.
        """
        outgoing, watch = self._prepare(loss, values)
        try:
            while True:
                attempt = watch.begin()
                try:
                    reply = self._post(outgoing, watch)
                except httpx.TransportError as error:
                    pause = self.retries.pause_after_error(attempt, error)
                    if pause is None:
                        raise self._unreachable(attempt, error) from error
                else:
                    pause = self.retries.pause(attempt, reply.status, reply.headers)
                    if pause is None:
                        return reply.result()
                time.sleep(pause)
        finally:
            watch.tell("done", outgoing.size, outgoing.size)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()

    def _post(self, outgoing: Outgoing, watch: _Watch) -> Reply:
        request = self._http.build_request(
            "POST", _address(self.url, outgoing.path), headers=outgoing.headers, content=watch.sending()
        )
        response = self._http.send(request, stream=True)
        body = bytearray()  # not bytes: its arrays are the caller's to write to
        try:
            for chunk in response.iter_bytes():
                body += chunk
                watch.received(response, len(body))
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
        self._http = httpx.AsyncClient(**settings)

    async def evaluate(self, loss: str, /, **values: Any) -> Result:
        """Evaluate any loss by its name or an alias, as `LossClient.evaluate` does."""
        outgoing, watch = self._prepare(loss, values)
        try:
            while True:
                attempt = watch.begin()
                try:
                    reply = await self._post(outgoing, watch)
                except httpx.TransportError as error:
                    pause = self.retries.pause_after_error(attempt, error)
                    if pause is None:
                        raise self._unreachable(attempt, error) from error
                else:
                    pause = self.retries.pause(attempt, reply.status, reply.headers)
                    if pause is None:
                        return reply.result()
                await asyncio.sleep(pause)
        finally:
            watch.tell("done", outgoing.size, outgoing.size)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *reason: object) -> None:
        await self.close()

    async def _post(self, outgoing: Outgoing, watch: _Watch) -> Reply:
        request = self._http.build_request(
            "POST",
            _address(self.url, outgoing.path),
            headers=outgoing.headers,
            content=_aside(watch.sending()),
        )
        response = await self._http.send(request, stream=True)
        body = bytearray()
        try:
            async for chunk in response.aiter_bytes():
                body += chunk
                watch.received(response, len(body))
        finally:
            await response.aclose()
        return Reply(response.status_code, response.headers, body)


@lru_cache(maxsize=256)
def _address(url: str, path: str) -> httpx.URL:
    # A training loop asks for one address again and again; to parse it takes a tenth of a small call.
    return httpx.URL(url.rstrip("/") + path)


class _Watch:
    """Counts the attempts of a call and reports how far it has come."""

    def __init__(self, report: Report | None, outgoing: Outgoing) -> None:
        self._report = report
        self._outgoing = outgoing
        self._started = time.monotonic()
        self._attempt = 0

    def begin(self) -> int:
        """Begin an attempt; return which it is."""
        self._attempt += 1
        return self._attempt

    def sending(self) -> Iterator[bytes]:
        """Yield the slices of the body, and report each when it is sent, which is when the next is asked for."""
        sent = 0
        for piece in self._outgoing.slices():
            self.tell("sending", sent, self._outgoing.size)
            yield piece  # type: ignore[misc]  # httpx sends any buffer
            sent += len(piece)
        self.tell("computing", sent, self._outgoing.size)

    def received(self, response: httpx.Response, size: int) -> None:
        self.tell("receiving", size, int(response.headers.get("content-length", 0)))

    def tell(self, phase: str, done: int, total: int) -> None:
        if self._report is not None:
            seconds = time.monotonic() - self._started
            self._report(Progress(self._outgoing.loss, self._attempt, phase, done, total, seconds))


async def _aside(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
