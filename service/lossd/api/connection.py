"""This file is uvicorn's HTTP protocol with less to copy, one system call per small response, and no upgrades.

uvicorn writes the head and the body of a response apart, and uvloop sends each at once: two packets, and a
caller that wakes up twice. That costs the server more than all else it does for a small call.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lossd.api.upgrade import Parser


class Connection(HttpToolsProtocol):
    """One connection of a caller."""

    parser: Parser  # type: ignore[assignment]  # no subclass, but all of it that uvicorn calls

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.parser = Parser(self)

    def on_body(self, body: bytes) -> None:
        """Hand on what came as it is while it is all there is: uvicorn would copy it into a buffer and out again."""
        cycle: Any = self.cycle  # uvicorn has its body as a bytearray, and takes bytes as well
        if cycle.response_complete:
            return
        if not cycle.body:
            cycle.body = body
        elif isinstance(cycle.body, bytearray):
            cycle.body += body  # many small chunks must not be copied once for each
        else:
            cycle.body = bytearray().join((cycle.body, body))
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        """Pass over an end that is none."""
        if not self.parser.body_is_to_come():
            super().on_message_complete()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Put the gathering transport between the protocol and the socket."""
        super().connection_made(GatheringTransport(transport, self.loop))  # type: ignore[arg-type]


class GatheringTransport:
    """A transport that holds a write back until the next one, or until the event loop turns."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: bytes | None = None
        self.is_closing = transport.is_closing  # asked for at each request

    def write(self, data: bytes) -> None:
        """Send ``data``, soon."""
        if self._held is None:
            self._held = data
            self._loop.call_soon(self._flush)
            return
        held, self._held = self._held, None
        self._transport.writelines((held, data))

    def close(self) -> None:
        """Send what is held back, then close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._held is not None:
            held, self._held = self._held, None
            self._transport.write(held)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
