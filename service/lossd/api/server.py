"""uvicorn's server, which stops without losing a call that reached it.

The kernel completes handshakes by itself. `close` resets the connections that nobody has accepted yet, and uvicorn
closes those whose request it has not read. A caller may have sent its request on either by then, and a proxy may not
send a POST twice. So the server first accepts all that the kernel holds, and reads what they send.

TLS handshakes are taken from the event loop, so that they count among the connections and may take as long as a head.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import uvicorn

from lossd.api.connections.handshake import Handshake
from lossd.api.connections.watch import STATE_KEY

Connect = Callable[[], asyncio.Protocol]
"""Makes the protocol of a connection."""

_FIRST_REQUESTS = 0.2  # seconds in which a new connection brings its request
# Connections that are accepted at a turn of the event loop. libuv accepts one for each socket that listens: beside
# large bodies, of which a turn reads a piece each, a burst of newcomers waited a turn for each of them.
_ACCEPTED_AT_ONCE = 4


class Server(uvicorn.Server):
    """uvicorn's server, with limits on handshakes and a quiet end.

    Args:
        config: What it serves.
        announce: Called once it serves.
    """

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None] = lambda: None) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and encrypt what is accepted."""
        loop = asyncio.get_running_loop()
        for name in ("create_server", "create_unix_server"):
            setattr(loop, name, self._without_encryption(getattr(loop, name)))
        await super().startup(sockets)
        for server in tuple(self.servers):
            for listener in server.sockets:
                await self._listen_again(listener)
        self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, answer those who are connected, then stop."""
        await self._stop_listening()
        await asyncio.sleep(_FIRST_REQUESTS)
        await super().shutdown(sockets)

    def _without_encryption(self, listen: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """Return the same function of the event loop, for connections that encrypt themselves."""

        def listen_plainly(connect: Connect, *, ssl: object, **named: Any) -> Awaitable[Any]:
            return listen(lambda: self._accept(connect), **named)

        return listen_plainly

    def _accept(self, connect: Connect) -> asyncio.Protocol:
        """Return the protocol of a connection that was accepted: with TLS, its handshake first."""
        if self.config.ssl is None:
            return connect()
        return Handshake(connect, self.config.ssl, self.lifespan.state[STATE_KEY])

    async def _listen_again(self, listener: socket.socket) -> None:
        """Listen on duplicates of a socket as well, which share its queue: so more is accepted at once."""
        loop = asyncio.get_running_loop()
        listen = loop.create_unix_server if listener.family == socket.AF_UNIX else loop.create_server
        for _ in range(_ACCEPTED_AT_ONCE - 1):
            same = _duplicate(listener)
            self.servers.append(await listen(self._connect, sock=same, ssl=None, backlog=self.config.backlog))

    def _connect(self) -> asyncio.Protocol:
        """Return the protocol of a new connection, before TLS."""
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    async def _stop_listening(self) -> None:
        """Close the listening sockets, once every connection that they hold is accepted."""
        for server in self.servers:
            with contextlib.ExitStack() as still_open:
                listeners = [still_open.enter_context(_duplicate(each)) for each in server.sockets]
                server.close()
                accepted = [connection for listener in listeners for connection in _waiting(listener)]
            # The event loop has not turned since the last `accept`: a few microseconds in which a connection is lost.
            for connection in accepted:
                await self._serve_connection(connection)

    async def _serve_connection(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):  # the caller has left
            await loop.connect_accepted_socket(lambda: self._accept(self._connect), connection)


def _duplicate(listener: socket.socket) -> socket.socket:
    """Return the same listening socket, which stays open when the event loop closes its own."""
    return socket.fromfd(listener.fileno(), listener.family, listener.type)


def _waiting(listener: socket.socket) -> Iterator[socket.socket]:
    """Yield the connections that wait to be accepted."""
    listener.setblocking(False)
    with contextlib.suppress(OSError):  # none is left, or no descriptor
        while True:
            connection, _ = listener.accept()
            connection.setblocking(False)
            yield connection
