"""uvicorn's HTTP protocol with less to copy, one system call per small response, no upgrades, and problems of ours.

uvicorn writes the head and the body of a response apart, and uvloop sends each at once: two packets, and a
caller that wakes up twice. That costs the server more than all else it does for a small call.

What is not HTTP becomes a request all the same, with its error in the scope (`MALFORMED`): so it is answered in its
turn, in the form of every other error, with a line in the log. Then the connection closes.
"""

from __future__ import annotations

import asyncio
from typing import Any

from httptools import HttpParserError
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from lossd.api.head import LONGEST_HEAD, MALFORMED, error_of_head, too_large, unreadable
from lossd.api.upgrade import Parser
from lossd.errors import HeadTooLarge, LossdError


class Connection(HttpToolsProtocol):
    """One connection of a caller."""

    parser: Parser  # type: ignore[assignment]  # no subclass, but all of it that uvicorn calls

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.parser = Parser(self)
        self._framing = 0  # bytes that came since the last of a body, or the end of a request
        self._refused = False

    def data_received(self, data: bytes) -> None:
        """Read what arrived; once it was not HTTP, nothing more is read."""
        if self._refused:
            return
        self._unset_keepalive_if_required()
        self._framing += len(data)
        try:
            self.parser.feed_data(data)
        except HttpParserError as error:
            self._refuse(unreadable(error, self.headers))
            return
        if self._framing > LONGEST_HEAD:
            self._refuse(too_large())

    def on_headers_complete(self) -> None:
        """Start the request, if its head is one.

        Raises:
            LossdError: It is none; httptools passes the error on as the context of its own.
        """
        # What is counted may be more than this head: it is only measured if that is too much.
        if self._framing > LONGEST_HEAD and self._head_size() > LONGEST_HEAD:
            raise too_large()
        super().on_headers_complete()  # which only prepares the request: it starts at the loop's next turn
        if error := error_of_head(self.scope["http_version"], self.headers):
            raise error
        self.headers = []  # for trailers, which are not headers of the request

    def on_body(self, body: bytes) -> None:
        """Hand on what came as it is while it is all there is: uvicorn would copy it into a buffer and out again."""
        self._framing = 0
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
            self._framing = 0
            super().on_message_complete()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Put the gathering transport between the protocol and the socket."""
        super().connection_made(GatheringTransport(transport, self.loop))  # type: ignore[arg-type]

    def _head_size(self) -> int:
        return len(self.url) + sum([len(name) + len(value) + len(": \r\n") for name, value in self.headers])

    def _refuse(self, error: LossdError) -> None:
        """Answer with an error, after the answers that are still due, and close the connection."""
        self._refused = True
        cycle: Any = self.cycle
        if cycle is None or cycle.scope is not self.scope or not cycle.more_body:
            self._start(self._refused_cycle(error))
            return
        if cycle.response_complete:
            self.transport.close()
            return
        scope: Any = cycle.scope
        scope[MALFORMED] = error
        cycle.keep_alive = cycle.more_body = False
        cycle.message_event.set()

    def _refused_cycle(self, error: LossdError) -> RequestResponseCycle:
        """Return a request of which no more is known than how it began."""
        if self.scope is None or "method" in self.scope:  # not even that
            self.on_message_begin()
        path = self.url.partition(b"?")[0].decode("latin-1")
        scope: Any = {**self.scope, "method": "", "path": path, "raw_path": self.url, "query_string": b""}
        scope[MALFORMED] = error
        cycle = RequestResponseCycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=False,
            on_response=self.on_response_complete,
        )
        cycle.more_body = isinstance(error, HeadTooLarge)  # the rest of which is still to come
        return cycle

    def _start(self, cycle: RequestResponseCycle) -> None:
        """Start a request, or let it wait for those before it."""
        before, self.cycle = self.cycle, cycle
        if before is None or before.response_complete:
            self._start_asgi_task(cycle, self.app)
            return
        self.pipeline.appendleft((cycle, self.app))


class GatheringTransport:
    """A transport that holds a write back until the next one, or until the event loop turns."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: bytes | None = None
        self.is_closing = transport.is_closing  # asked for at each request

    def write(self, data: bytes) -> None:
        """Send ``data``, soon; not once the caller has left, which uvloop takes for a bug."""
        if self._held is None:
            self._held = data
            self._loop.call_soon(self._flush)
            return
        held, self._held = self._held, None
        if not self.is_closing():
            self._transport.writelines((held, data))

    def close(self) -> None:
        """Send what is held back, then close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._held is not None:
            held, self._held = self._held, None
            if not self.is_closing():
                self._transport.write(held)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
