"""uvicorn's HTTP protocol within limits, with less to copy, no upgrades, and problems of ours.

What is not HTTP, or breaks a limit, becomes a request all the same, with its error in the scope (`REFUSED`): so it is
answered in its turn, in the form of every other error, with a line in the log. Then the connection closes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from httptools import HttpParserError
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.utils import get_local_addr, get_remote_addr

from lossd.api.connections.gathering import GatheringTransport, has_left, is_reset, unsent
from lossd.api.connections.half_close import HalfClose, look_for_caller
from lossd.api.connections.head import (
    REFUSED,
    body_cut_short,
    error_of_head,
    head_too_slow,
    is_chunked,
    length_of_body,
    too_many_bytes,
    too_many_lines,
    too_much_framing,
    unreadable,
)
from lossd.api.connections.reading import HEAD_BYTES, OF_BODY, OF_CHUNKS, OF_HEAD, Reader
from lossd.api.connections.refusal import refused_cycle
from lossd.api.connections.upgrade import Parser
from lossd.api.connections.watch import IN_CALL, STATE_KEY, UNREAD_SECONDS, Phase, Watch, paid_until
from lossd.errors import LossdError, Overloaded

# What each piece of a body may have around it at no account: a chunk's size and line ends, and a signature.
_BYTES_AROUND_CHUNK = 128
_LARGE_CHUNK = 1024  # bytes of a chunk on average, from which the chunks take no longer than their bytes


class Connection(HttpToolsProtocol):
    """One connection of a caller."""

    # No subclasses, but all of them that uvicorn calls.
    parser: Parser  # type: ignore[assignment]
    transport: GatheringTransport  # type: ignore[assignment]

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.parser = Parser(self)
        self.watch: Watch = self.app_state[STATE_KEY]
        self.limits = self.watch.settings
        self.phase = Phase.NEW
        self.since = self.watch.now
        self._framing = (
            0  # bytes since the end of a head or a request, but for bodies and what their pieces need
        )
        self._piece = 0  # bytes of the piece that is being read
        self._pieces_of_head = 0  # bytes of all pieces that have some of the head: more than it has
        self._in_head = False
        self.buffer = OF_HEAD
        self._chunks = 0  # of the body, in the piece that is being read
        self._refused = False
        self._running: RequestResponseCycle | None = None
        self._ended = HalfClose.NO
        self._unsent = 0  # bytes of an answer when it was last looked at
        self._late = 0.0  # seconds by which its caller was behind when the last of it was written

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Put the gathering transport between the protocol and the socket, unless there is no room for one more."""
        super().connection_made(GatheringTransport(transport, self.loop, self._leave))  # type: ignore[arg-type]
        if self.limits.looks_at_addresses:
            self.server, self.client = get_local_addr(transport), get_remote_addr(transport)
        transport.set_protocol(Reader(self))
        if not self.watch.admits(self):
            most = self.limits.max_connections
            self._refuse(Overloaded(f"all {most} connections of this server are in use; retry later"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.watch.connections.discard(self)
        self.watch.lingering.discard(self)
        if self._running is not None and self._running is not self.cycle:
            # uvicorn tells the last one that was read
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes | memoryview) -> None:
        """Read what arrived; once it was refused, nothing more is read."""
        if self._refused:
            return
        self._piece = len(data)
        self._framing += self._piece
        if self._in_head:
            self._pieces_of_head += self._piece
        try:
            self.parser.feed_data(data)
        except HttpParserError as error:
            self._refuse(unreadable(error, self.headers))
            return
        if self._framing > self.limits.max_head_bytes and self._is_too_large():
            too_large = too_many_bytes if self._in_head else too_much_framing
            self._refuse(too_large(self.limits.max_head_bytes))
        elif self.buffer is not OF_BODY and self.cycle is not None and self.cycle.more_body:
            self._read_on(len(data))

    def eof_received(self) -> bool:  # type: ignore[override]  # as asyncio has it; uvicorn never keeps one open
        """Answer what was asked before the caller's side ended; return whether the connection stays open for it.

        Over TLS it does not: the event loop closes both sides.
        """
        self.transport.flush()
        cycle: Any = self.cycle
        if cycle is None or cycle.response_complete or self.scheme == "https":
            return False
        if self._ended is HalfClose.NO and not self._refused:
            self._ended = HalfClose.YES
            cycle.keep_alive = False
            if cycle.more_body:
                self._refuse(body_cut_short(cycle.scope["headers"]))
        return not self.transport.is_closing()

    def on_message_begin(self) -> None:
        """Begin a head."""
        super().on_message_begin()
        self._in_head = True
        self._pieces_of_head = self._piece
        self.buffer = OF_HEAD
        self._chunks = 0
        if self.phase not in IN_CALL:
            self._enter(Phase.HEAD)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer.

        Raises:
            HeadTooLarge: There are too many.
        """
        super().on_header(name, value)
        if len(self.headers) > self.limits.max_head_lines:
            raise too_many_lines(self.limits.max_head_lines)
        if not self._in_head and _size(self.headers) > self.limits.max_head_bytes:
            raise too_much_framing(self.limits.max_head_bytes)

    def on_headers_complete(self) -> None:
        """Start the request, if its head is one.

        Raises:
            LossdError: It is none; httptools passes the error on as the context of its own.
        """
        most = self.limits.max_head_bytes
        if self._pieces_of_head > most and self._head_size() > most:
            raise too_many_bytes(most)
        self._framing = 0
        if len(self.pipeline) >= self.limits.max_pipelined:
            raise Overloaded(f"expected at most {self.limits.max_pipelined} requests that wait, got more")
        super().on_headers_complete()  # which only prepares the request: it starts at the loop's next turn
        self._in_head = False
        if self._running is self.cycle:  # it does not wait for another
            self._enter(Phase.BODY)
        if error := error_of_head(self.scope["http_version"], self.headers):
            raise error
        self.headers = []  # for trailers, which are not headers of the request

    def on_body(self, body: bytes) -> None:
        """Hand on what came as it is while it is all there is: uvicorn would copy it into a buffer and out again."""
        self._framing = max(0, self._framing - len(body) - _BYTES_AROUND_CHUNK)
        self._chunks += 1
        if self.phase is Phase.BODY:
            self._pay(len(body))
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
            if self.phase is Phase.BODY:
                self.phase = Phase.CALL
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Start the next request, or wait for one: as uvicorn does, without a timer for each."""
        self.server_state.total_requests += 1
        if self.transport.is_closing() or self.phase is Phase.LINGER:
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, _ = self.pipeline.pop()
            self._start_asgi_task(cycle, self._app_unless_reset)
            if self.phase is not Phase.SEND:  # the answer before has left
                self._enter(Phase.BODY if cycle.more_body else Phase.CALL)
            return
        self._enter(Phase.HEAD if self._in_head else Phase.IDLE)

    def pause_writing(self) -> None:
        """Remember from when on the caller has to read, and how much."""
        super().pause_writing()
        if self.phase in (Phase.BODY, Phase.CALL):
            self.phase, self.since = Phase.SEND, self.watch.now - self._late
        self._unsent = unsent(self.transport)

    def resume_writing(self) -> None:
        """Count what the caller has read."""
        super().resume_writing()
        if self.phase is Phase.SEND:
            self._count_sent()
            self.phase, self._late = Phase.CALL, self.watch.now - self.since

    def check_transfer(self, now: float) -> None:
        """Close if an answer leaves too slowly, or let a refused caller send the rest."""
        if self._ended is not HalfClose.NO:
            self._ended = look_for_caller(self.transport, self._running, self._ended)
        if self.phase is Phase.LINGER:
            if self.flow.read_paused:
                self._end_lingering(now - self.since)
            return
        if self.phase is not Phase.SEND:
            return
        self._count_sent()
        if now - self.since > self.limits.send_timeout_seconds:
            self.transport.abort()

    def _count_sent(self) -> None:
        before, self._unsent = self._unsent, unsent(self.transport)
        self._pay(max(before - self._unsent, 0))

    def _pay(self, size: int) -> None:
        """Count bytes that came, or left, against the least rate."""
        self.since = paid_until(self.since, self.watch.now, size, self.limits.min_transfer_rate)

    def _end_lingering(self, waited: float) -> None:
        """Let a refused caller, which has had time to read, send the rest of its body, or give it up.

        To read what it sent before it left costs more than all the rest of a refusal.
        """
        if has_left(self.transport):
            self.transport.abort()
        elif self.watch.may_read_unwanted(length_of_body(self.cycle.scope["headers"])):
            self.flow.resume_reading()
        elif waited > UNREAD_SECONDS:
            self.transport.abort()

    def expire(self) -> None:
        """Close a connection that was silent for too long; a caller who has begun a head is told."""
        if self.phase is Phase.HEAD:
            self._refuse(head_too_slow(self.limits.head_timeout_seconds))
        elif self.transport.is_closing() or self.transport.get_write_buffer_size():
            self.transport.abort()  # nobody reads what is left
        else:
            self.transport.close()

    def evict(self) -> None:
        """Close to make room for another connection."""
        self.transport.abort()

    def _read_on(self, size: int) -> None:
        """Choose how much of a body to read at a time, after a piece of so many bytes."""
        before, chunks, self._chunks = self.buffer, self._chunks, 0
        if not is_chunked(self.cycle.scope["headers"]):
            self.buffer = OF_BODY
        else:
            self.buffer = OF_CHUNKS if chunks * _LARGE_CHUNK <= size else OF_HEAD
        # There is more: of a head that may be refused, or of small chunks, which would keep others waiting.
        if size == len(before) and (before is OF_HEAD or self.buffer is OF_HEAD):
            self.flow.pause_reading()  # until the application asks for it

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    async def _app_unless_reset(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request that waited for another, unless the caller's system refused the answer to that one.

        Nothing is read while requests wait, so the event loop learns of it only by the next write, after this request.
        """
        if not is_reset(self.transport):
            await self.app(scope, receive, send)
            return
        cycle: Any = self._running
        cycle.disconnected = True
        self.transport.abort()

    def _enter(self, phase: Phase) -> None:
        self.phase, self.since, self._late = phase, self.watch.now, 0.0

    def _is_too_large(self) -> bool:
        """Return whether what frames a body is, or a head that has not ended.

        Of that the spaces around values are not told apart: they may be `HEAD_BYTES` beside what is measured.
        """
        most = self.limits.max_head_bytes
        return not self._in_head or self._framing > most + HEAD_BYTES or self._head_size() > most

    def _head_size(self) -> int:
        return len(self.url) + _size(self.headers)

    def _refuse(self, error: LossdError) -> None:
        """Answer with an error, after the answers that are still due, and close the connection."""
        self._refused = True
        if self.phase is not Phase.SEND:
            self.phase = Phase.CALL
        cycle: Any = self.cycle
        if cycle is None or cycle.scope is not self.scope or not cycle.more_body:
            self._start(self._begin_refused(error))
            return
        if cycle.response_complete:
            self.transport.close()
            return
        scope: Any = cycle.scope
        scope[REFUSED] = error
        cycle.keep_alive = False
        cycle.message_event.set()

    def _begin_refused(self, error: LossdError) -> RequestResponseCycle:
        if self.scope is None or "method" in self.scope:  # nothing is known of the next request
            self.on_message_begin()
        return refused_cycle(self, error)

    def _start(self, cycle: RequestResponseCycle) -> None:
        """Start a request, or let it wait for those before it."""
        before, self.cycle = self.cycle, cycle
        if before is None or before.response_complete:
            self._start_asgi_task(cycle, self.app)
            return
        self.pipeline.appendleft((cycle, self.app))

    def _leave(self) -> None:
        """Close; where more of the request may be under way, let the caller read the answer first.

        To close at once would reset the connection, and a caller that is still sending would see the reset in place of
        the answer (RFC 9112, section 9.6). Nothing is read until the watch's next look: a caller that reads
        while it sends stops there, which saves both sides the rest.
        """
        plain = self.transport.plain
        sends = self._ended is HalfClose.NO and not plain.is_closing()
        unfinished = sends and self.cycle is not None and self.cycle.more_body
        if not unfinished or self.phase is Phase.LINGER or not self.watch.may_linger():
            plain.close()
            self._enter(Phase.CLOSING)
            return
        self._refused = True
        self._enter(Phase.LINGER)
        self.watch.lingering.add(self)
        self.flow.pause_reading()
        if plain.can_write_eof():
            plain.write_eof()


def _size(headers: Sequence[tuple[bytes, bytes]]) -> int:
    return sum([len(name) + len(value) + len(": \r\n") for name, value in headers])
