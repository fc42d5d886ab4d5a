"""A server that is told to stop loses no call that reached it, and stops in time."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
import uvloop

from lossd.api.connections.connection import Connection
from lossd.api.server import Server
from tests.api.expensive import small
from tests.api.serving import InProcess, raw_request, read_response, serve

BODY = json.dumps({"input": [1.0, 3.0], "target": [0.0, 0.0]}).encode()
REQUEST = raw_request("/v1/losses/mse", BODY, Content_Length=str(len(BODY)))


async def start() -> Server:
    """Start a server on the event loop that runs."""
    config = uvicorn.Config(
        InProcess().app, port=0, http=Connection, ws="none", lifespan="on", log_config=None
    )
    config.load()
    server = Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    return server


async def stop_with_waiting_connections(count: int) -> list[int]:
    """Connect, send a call and stop the server, before its event loop turns; return the statuses of the answers."""
    server = await start()
    address = server.servers[0].sockets[0].getsockname()
    callers = [socket.create_connection(address, timeout=30) for _ in range(count)]
    for caller in callers:
        caller.sendall(REQUEST)
    await server.shutdown()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=30)
    return [await asyncio.to_thread(status, caller) for caller in callers]


def status(caller: socket.socket) -> int:
    """Return the status of the answer that a caller gets, and close."""
    with caller:
        return read_response(caller)[0]


@pytest.mark.parametrize("loop", [uvloop.new_event_loop, asyncio.new_event_loop])
def test_a_connection_that_nobody_has_accepted_is_answered(loop: Any) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(stop_with_waiting_connections(20)) == [200] * 20


def test_a_connection_that_says_nothing_does_not_hold_the_server_up(tmp_path: Path) -> None:
    with serve(tmp_path) as server, socket.create_connection(("127.0.0.1", server.port)) as silent:
        assert httpx.get(server.url + "/livez").status_code == 200
        started = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started < 15  # far less than LOSSD_SHUTDOWN_SECONDS
        assert silent.recv(1) == b""


def test_a_call_that_computes_for_longer_than_it_may_does_not_hold_the_server_up(tmp_path: Path) -> None:
    items = 20_000  # each compared with every other: most of a minute
    call = {
        "embeddings": small(1, items, 256),
        "labels": [1],
        "broadcast": True,
        "empty": "zero",
        "gradient": True,
    }
    limits = {
        "LOSSD_SHUTDOWN_SECONDS": "1",
        "LOSSD_MAX_WORK": str(10**15),
        "LOSSD_MAX_WORKSPACE_BYTES": str(2**40),
        "LOSSD_MAX_IN_FLIGHT_BYTES": str(2**40),
    }
    body = json.dumps(call).encode()
    with serve(tmp_path, **limits) as server, socket.create_connection(("127.0.0.1", server.port)) as caller:
        caller.sendall(raw_request("/v1/losses/nt_xent", body, Content_Length=str(len(body))))
        time.sleep(2)
        started = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started < 15
        status, headers, body = read_response(caller)
        assert (status, headers["retry-after"], headers["connection"]) == (503, "1", "close")
        assert "stopped before the call was done" in json.loads(body)["detail"]
        assert "Traceback" not in server.log_text()
