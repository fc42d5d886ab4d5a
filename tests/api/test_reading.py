"""What is read of a body whose caller is refused by its head."""

from __future__ import annotations

import asyncio
import socket
from itertools import pairwise
from typing import Any

import pytest
import uvicorn
import uvloop

from lossd.api.connections.connection import Connection
from lossd.api.connections.reading import CHUNKS_BYTES, HEAD_BYTES, Reader
from lossd.api.server import Server
from tests.api.serving import InProcess, raw_request, read_response

MIB = 1 << 20
SETTINGS = {"max_body_bytes": 4 * MIB}
RESET = 0  # in place of a status


async def status_and_bytes_read(
    request: bytes, monkeypatch: pytest.MonkeyPatch, *, whole: bool
) -> tuple[int, int]:
    """Send a request, whole or what the socket takes; return its status and what was read before the answer."""
    pieces = watch_pieces(monkeypatch)
    return await answer(request, pieces, whole=whole)


def watch_pieces(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list to which the size of each piece is added that a connection reads."""
    pieces: list[int] = []
    update = Reader.buffer_updated

    def counted(reader: Reader, nbytes: int) -> None:
        pieces.append(nbytes)
        update(reader, nbytes)

    monkeypatch.setattr(Reader, "buffer_updated", counted)
    return pieces


async def answer(request: bytes, pieces: list[int], *, whole: bool) -> tuple[int, int]:
    """Send a request; return its status and the sum of the pieces that were read before the answer."""
    app = InProcess(**SETTINGS).app
    config = uvicorn.Config(app, port=0, http=Connection, ws="none", lifespan="on", log_config=None)
    config.load()
    server = Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    address = server.servers[0].sockets[0].getsockname()
    found = await asyncio.to_thread(_ask, address, request, whole, pieces)
    await server.shutdown()
    return found


def _ask(address: Any, request: bytes, whole: bool, pieces: list[int]) -> tuple[int, int]:
    with socket.create_connection(address, timeout=30) as caller:
        caller.setblocking(False)
        sent = caller.send(request)
        caller.settimeout(30)
        try:
            if whole:
                caller.sendall(request[sent:])
            status = read_response(caller)[0]
        except ConnectionError:
            status = RESET
        return status, sum(pieces)


@pytest.mark.parametrize(
    ("unwanted", "expected"), [(64 * MIB, 413), (0, RESET)], ids=["a few callers", "a flood"]
)
def test_a_refused_caller_who_sends_before_he_reads_is_answered_while_there_are_few(
    unwanted: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a flood the rest of no body is read: it would take half of the processor."""
    monkeypatch.setattr("lossd.api.connections.watch._MOST_UNWANTED", unwanted)
    # More than the sockets of both sides take by themselves.
    body = bytes(48 * MIB)
    request = raw_request(
        "/v1/losses/mse", body, Content_Length=str(len(body)), Content_Type="application/json"
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        status, _ = runner.run(status_and_bytes_read(request, monkeypatch, whole=True))
    assert status == expected


@pytest.mark.parametrize("loop", [uvloop.new_event_loop, asyncio.new_event_loop])
@pytest.mark.parametrize("padding", [0, 100_000], ids=["one piece", "several"])
def test_of_a_refused_body_hardly_anything_is_read(
    loop: Any, padding: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = b"{" + b" " * (MIB + padding)
    request = raw_request(
        "/v1/losses/mse", body, Content_Length=str(5 * MIB), Content_Type="application/json"
    )
    with asyncio.Runner(loop_factory=loop) as runner:
        status, size = runner.run(status_and_bytes_read(request, monkeypatch, whole=False))
    assert status == 413
    assert size == HEAD_BYTES


@pytest.mark.parametrize("loop", [uvloop.new_event_loop, asyncio.new_event_loop])
@pytest.mark.parametrize("size", [1, HEAD_BYTES - 200, HEAD_BYTES, 2 * HEAD_BYTES, 100_000, 2 * MIB])
def test_a_body_of_any_size_is_read_whole(loop: Any, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    call = b'{"input": [1.0], "target": [3.0]}'
    body = call + b" " * size
    request = raw_request(
        "/v1/losses/mse", body, Content_Length=str(len(body)), Content_Type="application/json"
    )
    with asyncio.Runner(loop_factory=loop) as runner:
        status, read = runner.run(status_and_bytes_read(request, monkeypatch, whole=True))
    assert (status, read) == (200, len(request))


def in_chunks(body: bytes, size: int) -> bytes:
    """Return a body in chunks of so many bytes, without the last one, which is empty."""
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)


CALL = b'{"input": [1.0], "target": [3.0]}'


@pytest.mark.parametrize("loop", [uvloop.new_event_loop, asyncio.new_event_loop])
@pytest.mark.parametrize(
    ("body", "most"),
    [
        (in_chunks(CALL + b" " * 100_000, 1), HEAD_BYTES),
        (in_chunks(CALL + b" " * MIB, 100_000), CHUNKS_BYTES),
        (in_chunks(CALL + b" " * MIB, 100_000) + in_chunks(b" " * 100_000, 1), CHUNKS_BYTES),
    ],
    ids=["small chunks", "large ones", "large ones at first"],
)
def test_others_have_a_turn_between_pieces_of_small_chunks(
    loop: Any, body: bytes, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = (
        b"POST /v1/losses/mse HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    request = head + body + b"0\r\n\r\n"
    pieces = watch_pieces(monkeypatch)
    read_by_turn: list[int] = []

    async def run() -> tuple[int, int]:
        running = asyncio.get_running_loop()

        def turn() -> None:
            read_by_turn.append(len(pieces))
            running.call_soon(turn)

        turn()
        return await answer(request, pieces, whole=True)

    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(run()) == (200, len(request))
    assert max(pieces) <= most
    if most == HEAD_BYTES:
        assert max(after - before for before, after in pairwise(read_by_turn)) == 1
