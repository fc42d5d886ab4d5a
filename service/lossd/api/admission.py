"""Limits on bodies, in front of every route: how large, how slow, how many bytes at once."""

from __future__ import annotations

import asyncio
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lossd.api.connections.head import REFUSED
from lossd.api.eager import Pending, start
from lossd.api.exchange import SCOPE_KEY, Exchange
from lossd.api.in_flight import Holding, InFlightBytes
from lossd.api.negotiation import format_name
from lossd.api.queue import Queue
from lossd.api.queued_call import QueuedCall
from lossd.errors import BodyTimeout, BodyTooLarge
from lossd.settings import Settings

# Share of `InFlightBytes.most` that may be kept for the threads, whatever the calls before needed.
_MOST_RESERVED = 0.25


class AdmissionControl:
    """Refuse a body by what it claims before it is read, and hold it to the limits while it comes."""

    def __init__(self, app: ASGIApp, *, settings: Settings, queue: Queue, in_flight: InFlightBytes) -> None:
        self.app = app
        self.settings = settings
        self.queue = queue
        self.in_flight = in_flight

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a guarded ``receive``."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange: Exchange = scope[SCOPE_KEY]
        if error := scope.get(REFUSED):
            exchange.body_pending = True  # the caller may be sending yet: the connection closes
            raise error
        claimed = int(exchange.headers.get(b"content-length", b"0"))
        exchange.body_pending = claimed > 0 or b"transfer-encoding" in exchange.headers
        if not exchange.body_pending:
            await self.app(scope, receive, send)
            return
        self.check_size(claimed)
        if not 0 < claimed <= self.settings.inline_body_bytes:
            packed = b"content-encoding" in exchange.headers  # whose size tells nothing
            format = "" if packed else format_name(exchange.headers.get(b"content-type", b""))
            exchange.queued = self._admit_large(claimed, format)
        holding = exchange.holding = Holding(self.in_flight)
        try:
            await self.app(scope, _Admission(self, scope, receive, holding).receive, send)
        finally:
            holding.keep(0)
            if exchange.queued is not None:
                exchange.queued.end()

    def _admit_large(self, claimed: int, format: str) -> QueuedCall:
        """Refuse a large call before its body is read, if it would wait too long or leave no room to compute.

        Raises:
            Overloaded: It would.
        """
        queue, in_flight = self.queue, self.in_flight
        seconds = queue.forecast.seconds(format, claimed)
        queue.check(seconds)
        reserved = min(queue.bytes_to_reserve(format, claimed), in_flight.most * _MOST_RESERVED)
        expected = claimed + queue.bytes_to_come + reserved
        if (queue.arriving or queue.waiting) and expected > in_flight.most - in_flight.held:
            raise queue.refusal(seconds, "bodies on their way leave no room to compute")
        return QueuedCall(queue, format, claimed)

    def check_size(self, size: int) -> None:
        """Refuse a body that is too large.

        Raises:
            BodyTooLarge: It is.
        """
        if size > self.settings.max_body_bytes:
            raise BodyTooLarge(f"expected a body of at most {self.settings.max_body_bytes} bytes, got {size}")


class _Admission:
    """One request with a body, and how that is received within the limits."""

    def __init__(self, control: AdmissionControl, scope: Scope, receive: Receive, holding: Holding) -> None:
        self.control = control
        self.settings = control.settings
        self.scope = scope
        self.exchange: Exchange = scope[SCOPE_KEY]
        self.unlimited_receive = receive
        self.holding = holding

    async def receive(self) -> Message:
        """Receive the next message of the request, held to the limits while its body comes."""
        exchange = self.exchange
        if not exchange.body_pending:
            return await self.unlimited_receive()
        message = start(self.unlimited_receive())
        if isinstance(message, Pending):
            message = await self._in_time(message)
        size = len(message.get("body", b""))
        exchange.bytes_in += size
        exchange.body_pending = message.get("more_body", False)
        if exchange.queued is not None:
            exchange.queued.arrive(size)
        if REFUSED in self.scope:
            raise self.scope[REFUSED]
        self.control.check_size(exchange.bytes_in)
        self.holding.take(size)
        return message

    async def _in_time(self, part: Pending[Message]) -> Message:
        """Await the next part of a body, within the longest silence and the deadline, and at the least rate."""
        settings, exchange = self.settings, self.exchange
        passed = time.perf_counter() - exchange.started
        if passed > settings.body_timeout_seconds and exchange.bytes_in < passed * settings.min_transfer_rate:
            raise BodyTimeout(f"expected a body at {settings.min_transfer_rate} bytes/s or more, got less")
        # A route that reads no call sets no deadline: its body gets the server's longest time.
        longest = min(settings.request_timeout_seconds, exchange.deadline - exchange.started)
        try:
            async with asyncio.timeout(min(settings.body_timeout_seconds, longest - passed)):
                return await part
        except TimeoutError:
            raise _late(settings.body_timeout_seconds, longest, passed) from None


def _late(silence: float, longest: float, passed: float) -> BodyTimeout:
    """Return the error of a body that was silent for too long, or had not ended after the longest time."""
    if silence < longest - passed:
        return BodyTimeout(f"expected the next part of the body within {silence:g} s, got nothing")
    return BodyTimeout(
        f"expected the whole body within {longest:g} s (Request-Timeout or the server's limit), got a part"
    )
