"""Limits on bodies, in front of every route: how large, how slow, how many bytes at once."""

from __future__ import annotations

import asyncio
import threading
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lossd.api.eager import Pending, start
from lossd.api.exchange import SCOPE_KEY, Exchange
from lossd.api.head import MALFORMED
from lossd.errors import BodyTimeout, BodyTooLarge, HeadTooLarge, Overloaded
from lossd.settings import Settings


class AdmissionControl:
    """Refuse a body by what it claims before it is read, and hold it to the limits while it comes."""

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self.in_flight = 0
        self.lock = threading.Lock()  # what a call needs is known in a thread of the pool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a guarded ``receive``."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange: Exchange = scope[SCOPE_KEY]
        if error := scope.get(MALFORMED):
            exchange.body_pending = isinstance(error, HeadTooLarge)  # the caller may be sending yet
            raise error
        claimed = int(exchange.headers.get(b"content-length", b"0"))
        exchange.body_pending = claimed > 0 or b"transfer-encoding" in exchange.headers
        if not exchange.body_pending:
            await self.app(scope, receive, send)
            return
        body_bytes = 0
        reserved = 0

        def reserve(size: int) -> None:
            nonlocal reserved
            with self.lock:
                if self.in_flight + size > self.settings.max_in_flight_bytes:
                    raise Overloaded("the limit on bytes in flight is reached; retry later")
                self.in_flight += size
                reserved += size

        def reserve_body(size: int) -> None:
            nonlocal body_bytes
            if size > self.settings.max_body_bytes:
                raise BodyTooLarge(
                    f"expected a body of at most {self.settings.max_body_bytes} bytes, got {size}"
                )
            reserve(size - body_bytes)
            body_bytes = size

        async def limited_receive() -> Message:
            if not exchange.body_pending:
                return await receive()
            message = start(receive())
            if isinstance(message, Pending):
                message = await self._in_time(message, exchange)
            exchange.bytes_in += len(message.get("body", b""))
            exchange.body_pending = message.get("more_body", False)
            if MALFORMED in scope:
                raise scope[MALFORMED]
            if exchange.bytes_in > body_bytes:
                reserve_body(exchange.bytes_in)
            return message

        try:
            reserve_body(claimed)
            exchange.reserve = reserve
            await self.app(scope, limited_receive, send)
        finally:
            with self.lock:
                self.in_flight -= reserved

    async def _in_time(self, part: Pending[Message], exchange: Exchange) -> Message:
        """Await the next part of a body, within the longest silence and the longest request."""
        left = exchange.started + self.settings.request_timeout_seconds - time.perf_counter()
        seconds = min(self.settings.body_timeout_seconds, left)
        try:
            async with asyncio.timeout(seconds):
                return await part
        except TimeoutError:
            raise BodyTimeout(
                f"expected the next part of the body within {max(seconds, 0):g} s, got nothing"
            ) from None
