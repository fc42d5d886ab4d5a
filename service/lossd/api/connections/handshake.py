"""The TLS handshake of a connection, which counts among all connections while it lasts.

The event loop can do handshakes by itself, but then nobody hears of a connection before its handshake is over: callers
who begin one and do no more would have as many sockets as they like.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import cast

from lossd.api.connections.watch import Phase, Watch
from lossd.api.eager import Pending, start

LOG = logging.getLogger("lossd.tls")

_PLAIN_HTTP = "HTTP_REQUEST"  # OpenSSL's reason


class Handshake(asyncio.Protocol):
    """A connection until it is encrypted.

    Args:
        connect: Makes the protocol that follows.
        context: The server's certificate, and whose it takes.
        watch: Counts the connections.
    """

    def __init__(
        self, connect: Callable[[], asyncio.Protocol], context: ssl.SSLContext, watch: Watch
    ) -> None:
        self.phase = Phase.NEW
        self.since = watch.now
        self._connect = connect
        self._context = context
        self._watch = watch
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless there is no room for one more; a few of these may go on, to read a refusal."""
        self._transport = cast(asyncio.Transport, transport)
        if not self._watch.admits(self):
            if not self._watch.may_linger():
                self._end()
                self._transport.abort()
                return
            self._watch.lingering.add(self)
        # TLS must be there before the loop's next turn, in which the first bytes may come.
        shaking_hands = start(self._shake_hands())
        self._task = asyncio.get_running_loop().create_task(self._go_on_behind(shaking_hands))

    def data_received(self, data: bytes) -> None:
        """Keep what came behind the handshake, before the protocol that follows is there."""
        self._early.append(data)

    def expire(self) -> None:
        """Close a handshake that takes too long."""
        self._transport.abort()

    def evict(self) -> None:
        """Close to make room for another connection."""
        self._transport.abort()

    def check_transfer(self, now: float) -> None:
        """Leave it to the time-out."""

    async def _go_on_behind(
        self, handshake: asyncio.Transport | Pending[asyncio.Transport | None] | None
    ) -> None:
        try:
            encrypted = await handshake if isinstance(handshake, Pending) else handshake
        except OSError as error:  # of which those of TLS are
            if getattr(error, "reason", None) == _PLAIN_HTTP:
                LOG.warning(
                    "a caller sent plain HTTP to this port, which speaks TLS; the address is https://"
                )
            return
        finally:
            self._end()
        if encrypted is None or encrypted.is_closing():  # the caller has left
            return
        connection = self._connect()
        encrypted.set_protocol(connection)
        connection.connection_made(encrypted)
        for data in self._early:
            connection.data_received(data)

    async def _shake_hands(self) -> asyncio.Transport | None:
        return await asyncio.get_running_loop().start_tls(
            self._transport,
            self,
            self._context,
            server_side=True,
            ssl_handshake_timeout=self._watch.settings.head_timeout_seconds,
        )

    def _end(self) -> None:
        self._watch.connections.discard(self)
        self._watch.lingering.discard(self)
