"""uvicorn's server, which stops without losing a call that reached it.

The kernel completes handshakes by itself. `close` resets the connections that nobody has accepted yet, and uvicorn
closes those whose request it has not read. A caller may have sent its request on either by then, and a proxy may not
send a POST twice. So the server first accepts all that the kernel holds, and reads what they send.

It does TLS handshakes itself, so that they count among the connections and may take as long as a head.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import uvicorn

from lossd.api.connections.handshake import Handshake
from lossd.api.connections.listener import REFUSES_KEY, Connect, Listener
from lossd.api.connections.watch import STATE_KEY

_FIRST_REQUESTS = 0.2  # seconds in which a new connection brings its request


class Server(uvicorn.Server):
    """uvicorn's server, with limits on handshakes and a graceful end.

    Args:
        config: What it serves.
        announce: Called once it serves.
    """

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None] = lambda: None) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen by `Listener`, which uvicorn gets where it asks the event loop for a server."""
        loop = asyncio.get_running_loop()
        loop.create_server = partial(self._listen, loop.create_server)  # type: ignore[method-assign,assignment]
        try:
            await super().startup(sockets)
        finally:
            del loop.create_server
        self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, answer those who are connected, then stop."""
        for server in self.servers:
            server.close()
        await asyncio.sleep(_FIRST_REQUESTS)
        await super().shutdown(sockets)

    async def _listen(
        self,
        bind: Callable[..., Awaitable[Any]],
        connect: Connect,
        *,
        ssl: object,
        backlog: int,
        **named: Any,
    ) -> Listener:
        """Bind as the event loop does, and listen."""
        return Listener(
            await bind(connect, start_serving=False, **named),
            partial(self._accept, connect),
            backlog=backlog,
            refuses=self.lifespan.state[REFUSES_KEY],
            make_room=self.lifespan.state[STATE_KEY].make_room,
        )

    def _accept(self, connect: Connect) -> asyncio.Protocol:
        """Return the protocol of a connection that was accepted: with TLS, its handshake first."""
        if self.config.ssl is None:
            return connect()
        return Handshake(connect, self.config.ssl, self.lifespan.state[STATE_KEY])
