"""Newcomers are accepted in fewer turns of the event loop than there are of them."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import uvloop

from tests.operations.test_stopping import start


async def turns_until_accepted(count: int) -> int:
    """Connect before the event loop turns; return how many turns it takes until the server has them all."""
    server = await start()
    address = server.servers[0].sockets[0].getsockname()
    turns = 0
    with contextlib.ExitStack() as callers:
        for _ in range(count):
            callers.enter_context(socket.create_connection(address, timeout=30))
        while len(server.server_state.connections) < count:
            await asyncio.sleep(0)
            turns += 1
    await server.shutdown()
    return turns


def test_a_turn_of_the_event_loop_accepts_several_connections() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(turns_until_accepted(100)) <= 50  # one for each without duplicates of the socket
