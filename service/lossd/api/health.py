"""Whether the server wants more work, and how it turns work away before SIGTERM ends it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import AsyncIterator
from types import FrameType

from lossd.errors import Draining


class Health:
    """How busy the server is, and whether it is about to stop.

    Attributes:
        draining: It is about to stop.
        in_flight: Requests that have begun and not ended.
    """

    def __init__(self) -> None:
        self.draining = False
        self.in_flight = 0

    def refuse_if_draining(self) -> None:
        """Raise Draining once the server is about to stop."""
        if self.draining:
            raise Draining("this server is shutting down; send new requests to another one")


@contextlib.asynccontextmanager
async def drain_on_sigterm(health: Health, seconds: float) -> AsyncIterator[None]:
    """Put a pause between SIGTERM and the server's own shutdown.

    In it /readyz says 503 and all else is served, so that balancers turn away before the socket closes. A
    second signal ends the pause.
    """
    previous = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or not callable(previous):
        yield
        return
    shut_down = previous
    loop = asyncio.get_running_loop()

    def drain(number: int, frame: FrameType | None) -> None:
        if health.draining or not seconds:
            health.draining = True
            shut_down(number, frame)
            return
        health.draining = True
        loop.call_soon_threadsafe(loop.call_later, seconds, shut_down, number, None)

    signal.signal(signal.SIGTERM, drain)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
