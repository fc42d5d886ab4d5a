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
        admission = _Admission(self, scope, receive)
        try:
            admission.reserve_body(claimed)
            exchange.reserve = admission.reserve
            await self.app(scope, admission.receive, send)
        finally:
            admission.release()


class _Admission:
    """One request with a body: what it has reserved, and how its body is received within the limits."""

    def __init__(self, control: AdmissionControl, scope: Scope, receive: Receive) -> None:
        self.control = control
        self.settings = control.settings
        self.scope = scope
        self.exchange: Exchange = scope[SCOPE_KEY]
        self.unlimited_receive = receive
        self.body_bytes = 0
        self.reserved = 0

    def reserve(self, size: int) -> None:
        """Count bytes among those in flight, until the request ends.

        Raises:
            Overloaded: There are too many already.
        """
        control = self.control
        with control.lock:
            if control.in_flight + size > self.settings.max_in_flight_bytes:
                raise Overloaded("the limit on bytes in flight is reached; retry later")
            control.in_flight += size
            self.reserved += size

    def release(self) -> None:
        """Count what the request reserved no more."""
        with self.control.lock:
            self.control.in_flight -= self.reserved

    def reserve_body(self, size: int) -> None:
        """Reserve as many bytes as the body is known to have."""
        if size > self.settings.max_body_bytes:
            raise BodyTooLarge(f"expected a body of at most {self.settings.max_body_bytes} bytes, got {size}")
        self.reserve(size - self.body_bytes)
        self.body_bytes = size

    async def receive(self) -> Message:
        """Receive the next message of the request, held to the limits while its body comes."""
        exchange = self.exchange
        if not exchange.body_pending:
            return await self.unlimited_receive()
        message = start(self.unlimited_receive())
        if isinstance(message, Pending):
            message = await self._in_time(message)
        exchange.bytes_in += len(message.get("body", b""))
        exchange.body_pending = message.get("more_body", False)
        if MALFORMED in self.scope:
            raise self.scope[MALFORMED]
        if exchange.bytes_in > self.body_bytes:
            self.reserve_body(exchange.bytes_in)
        return message

    async def _in_time(self, part: Pending[Message]) -> Message:
        """Await the next part of a body, within the longest silence and the longest request."""
        left = self.exchange.started + self.settings.request_timeout_seconds - time.perf_counter()
        seconds = min(self.settings.body_timeout_seconds, left)
        try:
            async with asyncio.timeout(seconds):
                return await part
        except TimeoutError:
            raise BodyTimeout(
                f"expected the next part of the body within {max(seconds, 0):g} s, got nothing"
            ) from None
