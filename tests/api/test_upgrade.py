"""A caller that offers another protocol is served in this one: its body is read, and is no request of its own."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

import pytest

from tests.api.serving import Served, serve

OFFERS = {
    # What Java's HTTP client sends before it knows that a server speaks no HTTP/2.
    "h2c": {
        "Connection": "Upgrade, HTTP2-Settings",
        "HTTP2-Settings": "AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
        "Upgrade": "h2c",
    },
    "websocket": {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"},
    "nothing": {},
}
PARTS = {"at once": 1 << 20, "in parts": 37}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("server"), LOSSD_MAX_PIPELINED="2000") as running:
        yield running


def post(number: int, offer: dict[str, str], *, chunked: bool = False) -> bytes:
    """Write a call whose mean is the number squared."""
    body = json.dumps({"input": [number], "target": [0]}).encode()
    framing = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(len(body))}
    if chunked:
        halves = (body[:7], body[7:], b"")
        body = b"".join(b"%x\r\n%s\r\n" % (len(half), half) for half in halves)
    headers = {"Host": "lossd", "Content-Type": "application/json", **framing, **offer}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /v1/losses/mse HTTP/1.1\r\n{head}\r\n".encode() + body


def answers(server: Served, stream: bytes, count: int, part: int) -> list[bytes]:
    """Send a stream in parts; return the status line and the body of each answer."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        for start in range(0, len(stream), part):
            connection.sendall(stream[start : start + part])
            if part < len(stream):
                time.sleep(0.002)  # so that the server reads them apart
        reader = connection.makefile("rb")
        return [one_answer(reader) for _ in range(count)]


def one_answer(reader: socket.SocketIO) -> bytes:
    status, length = reader.readline(), 0
    while (line := reader.readline()) != b"\r\n":
        assert line, "expected more of the answer, got the end of the connection"
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return status + reader.read(length)


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
def test_the_body_of_a_caller_with_an_offer_is_read(
    server: Served, offer: dict[str, str], part: int, chunked: bool
) -> None:
    [answer] = answers(server, post(3, offer, chunked=chunked), 1, part)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'{"loss":{"mean":9.0}' in answer


def test_calls_after_an_offer_are_answered_in_order(server: Served) -> None:
    offers = [OFFERS[name] for name in ("h2c", "nothing", "h2c", "h2c", "nothing", "websocket")]
    stream = b"".join(post(number, offer, chunked=number % 2 == 1) for number, offer in enumerate(offers))
    for number, answer in enumerate(answers(server, stream, len(offers), 1 << 20)):
        assert b'{"loss":{"mean":%d.0}' % number**2 in answer


def test_a_body_beside_an_offer_is_no_request_of_its_own(server: Served) -> None:
    hidden = b"GET /livez HTTP/1.1\r\nHost: lossd\r\n\r\n"
    head = b"POST /v1/losses/mse HTTP/1.1\r\nHost: lossd\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
    stream = head + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(hidden) + hidden
    first, second = answers(server, stream + post(2, {}), 2, len(head) + 20)
    assert first.startswith(b"HTTP/1.1 400 ")
    assert b'{"loss":{"mean":4.0}' in second


def test_a_request_without_a_body_is_answered_beside_an_offer(server: Served) -> None:
    stream = b"GET /livez HTTP/1.1\r\nHost: lossd\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" * 2000
    assert {answer[:13] for answer in answers(server, stream, 2000, 1 << 20)} == {b"HTTP/1.1 200 "}
