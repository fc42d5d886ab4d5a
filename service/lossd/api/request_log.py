"""The outermost layer: opens the exchange of each request, and writes its one line of the log when it ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lossd.api.exchange import SCOPE_KEY, Exchange
from lossd.api.health import Health
from lossd.api.log import Log

Observe = Callable[[Scope, Exchange], None]
"""Takes note of a request that has ended."""


class RequestLog:
    """Open the exchange, add the headers that every response has, count bytes, write the log line."""

    def __init__(self, app: ASGIApp, *, log: Log, health: Health, observe: Observe) -> None:
        self.app = app
        self.log = log
        self.health = health
        self.observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and see to its end."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = scope[SCOPE_KEY] = Exchange(scope["headers"])
        self.health.in_flight += 1

        async def counted_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                message["headers"] = [*message.get("headers", ()), *exchange.response_headers()]
                if self.health.draining:
                    message["headers"].append((b"connection", b"close"))
            else:
                exchange.bytes_out += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, receive, counted_send)
        finally:
            self.health.in_flight -= 1
            exchange.seconds = time.perf_counter() - exchange.started
            self.observe(scope, exchange)
            self._write(scope, exchange)

    def _write(self, scope: Scope, exchange: Exchange) -> None:
        fields = exchange.record(scope)  # type: ignore[arg-type]  # a scope is a dict in every server
        if exchange.bug is None:
            self.log.log(logging.INFO, "request", **fields)
            return
        self.log.log(logging.ERROR, "request", exc_info=exchange.bug, **fields)
