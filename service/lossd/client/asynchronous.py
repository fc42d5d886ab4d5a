"""The client whose calls are awaited.

It keeps its connections open between calls and may be shared by the tasks of one event loop. A forked process, or
another event loop, opens connections of its own.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Iterable, Mapping, Sequence
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


class AsyncLossClient(ConfiguredClient[Awaitable[Result]]):
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
        return (await self._send(self._begin(outgoing))).result(outgoing, self._limits)

    async def gradcheck(self, loss: str, /, **values: Any) -> GradientCheck:
        """Compare the gradient of a loss with differences of it, as `LossClient.gradcheck` does."""
        outgoing = prepare_gradcheck(loss, values, media_type=self._media_type, headers=self._headers)
        return (await self._send(self._begin(outgoing))).gradient_check()

    async def batch(self, calls: Sequence[Mapping[str, Any]], /) -> list[Result | LossdError]:
        """Evaluate many small calls in one request, as `LossClient.batch` does."""
        prepared = prepare_batch(calls, headers=self._headers)
        return prepared.results(await self._send(self._begin(prepared.outgoing)), self._limits)

    async def combine(self, parts: Iterable[Part], *, empty: Empty = "error") -> Result:
        """Put the parts of a call together, as `LossClient.combine` does."""
        outgoing = self._prepare_combination(parts, empty)
        return (await self._send(self._begin(outgoing))).result(outgoing, self._limits)

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
                except httpx.RequestError as error:
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
            exchange.check_head(response)
            async for chunk in response.aiter_bytes():
                if not exchange.keep(body, chunk, response):
                    break
        finally:
            await response.aclose()
        return Reply(response.status_code, response.headers, body)
