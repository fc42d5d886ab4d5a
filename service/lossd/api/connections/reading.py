"""What a connection reads from its socket: a little until a head has ended, and into one buffer for all connections.

A caller that is refused by its head is told at once, and the rest of what it has sent is not read: that would cost
several times the refusal. A body in small chunks is read as little at a time, since it takes a hundred times as long.
asyncio hands a plain protocol each piece in a bytes object of its own, of up to 256 KiB.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

HEAD_BYTES = 16 * 1024
BODY_BYTES = 256 * 1024
CHUNKS_BYTES = 64 * 1024
"""Bytes of a body in chunks: large ones so far, of which the next may be small."""

# An event loop fills it and hands it over before it turns to another connection.
_BUFFER = memoryview(bytearray(BODY_BYTES))
OF_HEAD, OF_CHUNKS, OF_BODY = _BUFFER[:HEAD_BYTES], _BUFFER[:CHUNKS_BYTES], _BUFFER


class Reading(Protocol):
    """A protocol that says how much it may read.

    Attributes:
        buffer: Where the next piece goes: as much of it as is read at a time.
    """

    buffer: memoryview

    def data_received(self, data: memoryview) -> None:
        """Take what arrived; it is overwritten once this returns."""

    def eof_received(self) -> bool | None:
        """Know that nothing more will arrive."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Know that the connection is gone."""

    def pause_writing(self) -> None:
        """Know that too much waits to be sent."""

    def resume_writing(self) -> None:
        """Know that it does not any more."""


class Reader(asyncio.BufferedProtocol):
    """Reads for another protocol, which takes pieces."""

    def __init__(self, protocol: Reading) -> None:
        self._protocol = protocol
        self._take = protocol.data_received
        self.eof_received = protocol.eof_received  # type: ignore[method-assign]
        self.connection_lost = protocol.connection_lost  # type: ignore[method-assign]
        self.pause_writing = protocol.pause_writing  # type: ignore[method-assign]
        self.resume_writing = protocol.resume_writing  # type: ignore[method-assign]

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to put what arrives next."""
        return self._protocol.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Hand on what arrived."""
        self._take(_BUFFER[:nbytes])
