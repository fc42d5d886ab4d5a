"""Accepts connections: a few in a turn of the event loop, and in groups, 50 ms apart, while calls are refused.

uvloop accepts one in a turn. Beside large bodies, of which a turn reads a piece each, a burst of newcomers would wait a
turn for each of them.

While calls are refused, most newcomers come to be refused. One by one each takes the processor from a thread that
computes, and finds the caches full of that thread's arrays; together they find them warm.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
from collections.abc import Callable

LOG = logging.getLogger("lossd.listener")

REFUSES_KEY = "lossd.refuses"
"""Where the application's lifespan state has the function that returns whether calls are refused."""

Connect = Callable[[], asyncio.Protocol]
"""Makes the protocol of a connection."""

_AT_ONCE = 4
_GATHERING_SECONDS = 0.05  # in which newcomers gather while calls are refused
# Until there may be room again: a connection that cannot be accepted would wake the event loop at every turn.
_EXHAUSTED_SECONDS = 0.1


class Listener:
    """A server of the event loop that leaves its connections to this class.

    Attributes:
        sockets: Those that listen; none once they are closed.

    Args:
        server: It is bound, and does not listen.
        connect: Makes the protocol of a connection.
        backlog: How many connections the kernel may hold.
        refuses: Returns whether calls are refused.
        make_room: Closes connections where descriptors are used up; returns whether there were any to close.
    """

    def __init__(
        self,
        server: asyncio.Server,
        connect: Connect,
        *,
        backlog: int,
        refuses: Callable[[], bool],
        make_room: Callable[[], bool],
    ) -> None:
        self._server = server
        self._connect = connect
        self._refuses = refuses
        self._make_room = make_room
        self._loop = asyncio.get_running_loop()
        self._beginning: set[asyncio.Task[None]] = set()
        # Duplicates, as the event loop lets nobody else watch its own.
        self.sockets = [socket.socket(fileno=os.dup(each.fileno())) for each in server.sockets]
        for listening in self.sockets:
            listening.setblocking(False)
            listening.listen(backlog)
            self._resume(listening)

    def close(self) -> None:
        """Close the sockets, once every connection that they hold is accepted."""
        self._server.close()
        for listening in self.sockets:
            self._loop.remove_reader(listening)
            with listening, contextlib.suppress(OSError):  # none is left, or no descriptor
                while True:
                    self._accept(listening)
            # From the last `accept` to here, a few microseconds, the kernel may take a connection that is lost.
        self.sockets = []

    async def wait_closed(self) -> None:
        """Wait until every connection that was accepted has its protocol."""
        await asyncio.gather(*self._beginning)
        await self._server.wait_closed()

    def _resume(self, listening: socket.socket) -> None:
        if listening in self.sockets:
            self._loop.add_reader(listening, self._accept_some, listening)

    def _pause(self, listening: socket.socket, seconds: float) -> None:
        self._loop.remove_reader(listening)
        self._loop.call_later(seconds, self._resume, listening)

    def _accept_some(self, listening: socket.socket) -> None:
        """Accept what waits, up to as many as a turn may; where they were fewer and calls are refused, pause."""
        try:
            for _ in range(_AT_ONCE):
                self._accept(listening)
        except BlockingIOError:  # none is left
            if self._refuses():
                self._pause(listening, _GATHERING_SECONDS)
        except OSError as error:
            LOG.warning("a connection cannot be accepted: %s", error.strerror)
            if error.errno != errno.EMFILE or not self._make_room():
                self._pause(listening, _EXHAUSTED_SECONDS)

    def _accept(self, listening: socket.socket) -> None:
        try:
            connection, _ = listening.accept()
        except ConnectionError:  # the caller has left
            return
        connection.setblocking(False)
        beginning = self._loop.create_task(self._begin(connection))
        self._beginning.add(beginning)
        beginning.add_done_callback(self._beginning.discard)

    async def _begin(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the caller has left
            await self._loop.connect_accepted_socket(self._connect, connection)
