"""What is not HTTP gets a problem in HTTP, in its turn, and never a traceback."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest
import uvloop

from lossd.api.connections.gathering import GatheringTransport
from tests.api.expensive import small
from tests.api.serving import GOOD_LOSS, Served, raw_request, read_response, serve
from tests.api.test_socket import BODY, PATH, assert_unharmed

HOST = b"Host: lossd\r\n"
CHUNKED = b"POST " + PATH.encode() + b" HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
GOOD = raw_request(PATH, BODY, Content_Length=str(len(BODY)))

# What is sent, the status, a part of the detail. By RFC 9112: the sections are those of the rules that are broken.
MALFORMED = {
    "no Host (3.2)": (b"GET /livez HTTP/1.1\r\n\r\n", 400, "expected one Host header, got none"),
    "two Hosts (3.2)": (b"GET /livez HTTP/1.1\r\n" + HOST * 2 + b"\r\n", 400, "got 2"),
    "two Authorizations (RFC 9110, 11.6.2)": (
        b"GET /livez HTTP/1.1\r\n" + HOST + b"Authorization: Bearer a\r\nauthorization: Bearer b\r\n\r\n",
        400, "expected one Authorization header, got 2",
    ),
    "no host in it (3.2)": (b"GET /livez HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "got a b"),
    "two Hosts of HTTP/1.0": (b"GET /livez HTTP/1.0\r\n" + HOST * 2 + b"\r\n", 400, "got 2"),
    "an unknown transfer coding (6.1)": (
        CHUNKED.replace(b"chunked", b"gzip"), 501, "expected no transfer coding but chunked, got gzip",
    ),
    "a coding below chunked (6.1)": (CHUNKED.replace(b"chunked", b"gzip, chunked") + b"0\r\n\r\n", 501, "gzip"),
    "an end that is no chunked (6.1)": (CHUNKED.replace(b"chunked", b"xchunked") + b"0\r\n\r\n", 501, "xchunked"),
    "chunked twice (6.1)": (CHUNKED.replace(b"chunked", b"chunked, chunked") + b"0\r\n\r\n", 400, ""),
    "a length beside a coding (6.3)": (
        CHUNKED.replace(HOST, HOST + b"Content-Length: 5\r\n") + b"0\r\n\r\n", 400, "Content-Length",
    ),
    "two lengths (6.3)": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400, "Content-Length",
    ),
    "a length with a sign (6.3)": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +1\r\n\r\na", 400, ""),
    "a length over 64 bits": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 9" + b"9" * 20 + b"\r\n\r\n", 400, ""),
    "a chunk size that is none (7.1)": (CHUNKED + b"xyz\r\n", 400, "chunk size"),
    "a negative chunk size (7.1)": (CHUNKED + b"-1\r\n", 400, "chunk size"),
    "a chunk size beyond 64 bits (7.1)": (CHUNKED + b"f" * 17 + b"\r\n", 400, "overflow"),
    "a chunk longer than it says (7.1)": (CHUNKED + b"1\r\n{}\r\n0\r\n\r\n", 400, "chunk"),
    "a trailer that is none (7.1.2)": (CHUNKED + b"1\r\n{\r\n0\r\nbad trailer\r\n\r\n", 400, "header"),
    "another protocol": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "method"),
    "HTTP/2 at once": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, ""),
    "HTTP/2.0": (b"GET /livez HTTP/2.0\r\n" + HOST + b"\r\n", 400, "got HTTP/2.0"),
    "HTTP/1.2": (b"GET /livez HTTP/1.2\r\n" + HOST + b"\r\n", 400, "version"),
    "HTTP/0.9": (b"GET /livez\r\n\r\n", 400, "got HTTP/0.9"),
    "an unknown method": (b"FETCH / HTTP/1.1\r\n" + HOST + b"\r\n", 400, "method"),
    "a tunnel": (b"CONNECT lossd:80 HTTP/1.1\r\n" + HOST + b"\r\n", 400, "url"),
    "NUL in the path": (b"GET /\0 HTTP/1.1\r\n" + HOST + b"\r\n", 400, "url"),
    "NUL in a header": (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\0b\r\n\r\n", 400, "header"),
    "a path that is not ASCII": (b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n", 400, "url"),
    "a space before the colon (5.1)": (b"GET / HTTP/1.1\r\nHost : lossd\r\n\r\n", 400, "header"),
    "a folded header (5.2)": (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n\r\n", 400, "whitespace"),
    "lines that end in LF": (b"GET / HTTP/1.1\nHost: lossd\n\n", 400, "CRLF"),
    "a long path": (b"GET /" + b"x" * 300_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 431, "65536 bytes"),
    "a long header": (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"x" * 300_000 + b"\r\n\r\n", 431, "65536 bytes"),
    "a header that comes at once": (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"x" * 66_000 + b"\r\n\r\n", 431, ""),
    "many headers": (b"GET / HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 20_000 + b"\r\n", 431, "100 headers"),
    "long trailers": (CHUNKED + b"2\r\n{}\r\n0\r\n" + b"X: y\r\n" * 80_000 + b"\r\n", 431, "100 headers"),
    **{
        f"one trailer of {size} bytes": (
            CHUNKED + b"2\r\n{}\r\n0\r\nX: " + b"y" * size + b"\r\n\r\n", 431, "trailers",
        )
        for size in (65_536, 66_000, 100_000, 200_000)
    },
    "ten trailers of 70,000 bytes": (
        CHUNKED + b"2\r\n{}\r\n0\r\n" + (b"X: " + b"y" * 7_000 + b"\r\n") * 10 + b"\r\n", 431, "trailers",
    ),
    "extensions of many chunks": (CHUNKED + (b"1;x=" + b"y" * 60_000 + b"\r\n \r\n") * 20, 431, "chunk extensions"),
    "an extension of 70,000 bytes": (
        CHUNKED + (b"4000\r\n" + b" " * 16_384 + b"\r\n") * 9 + b"1;x=" + b"y" * 100_000 + b"\r\n", 431, "extensions",
    ),
    "a long extension of a chunk": (CHUNKED + b"2;x=" + b"y" * 300_000 + b"\r\n{}\r\n0\r\n\r\n", 431, ""),
}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Run one server for the module; whatever came, its log must not hold a traceback."""
    with serve(tmp_path_factory.mktemp("server")) as running:
        yield running
        assert_unharmed(running)
        assert running.stop() == 0
        assert {"error", "warning"}.isdisjoint(line["level"] for line in running.log()), running.log_text()


def connect(server: Served) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


@pytest.mark.parametrize("part", [1 << 20, 11], ids=["at once", "in parts"])
@pytest.mark.parametrize(("sent", "status", "detail"), MALFORMED.values(), ids=MALFORMED)
def test_what_is_not_http_gets_a_problem_and_the_connection_closes(
    server: Served, sent: bytes, status: int, detail: str, part: int
) -> None:
    if part < len(sent) > 1000:
        part = 7000
    with connect(server) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(ConnectionError):  # the server need not read all of it
            for start in range(0, len(sent), part):
                connection.sendall(sent[start : start + part])
        got, headers, body = read_response(connection)
        problem = json.loads(body)
        assert (got, problem["status"]) == (status, status)
        assert headers["content-type"] == "application/problem+json"
        assert headers["connection"] == "close"
        assert len(headers["x-request-id"]) == 32
        assert detail.lower() in problem["detail"].lower()
        with contextlib.suppress(OSError):  # it may have closed already
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b""
    assert_unharmed(server)


def test_each_problem_is_a_line_of_the_log(server: Served) -> None:
    with connect(server) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nX-Request-ID: no-host\r\n\r\n")
        read_response(connection)
    server.wait_for("no-host")
    (line,) = [line for line in server.log() if line.get("request_id") == "no-host"]
    assert (line["status"], line["path"]) == (400, "/livez")


def test_a_problem_waits_for_the_answers_before_it(server: Served) -> None:
    with connect(server) as connection:
        connection.sendall(GOOD * 3 + b"NOT HTTP\r\n\r\n" + GOOD)
        stream = b""
        while data := connection.recv(1 << 16):
            stream += data
    assert [part[:3] for part in stream.split(b"HTTP/1.1 ")[1:]] == [b"200"] * 3 + [b"400"]


def test_a_path_of_the_open_inference_protocol_has_its_form(server: Served) -> None:
    with connect(server) as connection:
        connection.sendall(b"GET /v2/health/live HTTP/1.1\r\n\r\n")
        _, _, body = read_response(connection)
    assert json.loads(body) == {"error": "expected one Host header, got none"}


def test_what_http_allows_is_served(server: Served) -> None:
    for head in (
        b"GET /livez HTTP/1.0\r\n\r\n",
        b"\r\n\r\nGET /livez HTTP/1.1\r\nHost:\r\n\r\n",
        b"GET http://lossd:80/livez HTTP/1.1\r\nhOsT: [::1]:80\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n" + HOST + b"X: " + b"x" * 60_000 + b"\r\n\r\n",
    ):
        with connect(server) as connection:
            connection.sendall(head)
            assert read_response(connection)[0] == 200


def test_trailers_and_extensions_within_the_limits_are_served(server: Served) -> None:
    signature = b";chunk-signature=" + b"a" * 64
    chunks = b"".join(b"1%s\r\n%c\r\n" % (signature, byte) for byte in BODY + b" " * 2000)
    trailers = (b"X: " + b"y" * 6_500 + b"\r\n") * 10
    with connect(server) as connection:
        connection.sendall(CHUNKED + chunks + b"0\r\n" + trailers + b"\r\n")
        status, _, body = read_response(connection)
    assert (status, json.loads(body)["loss"]) == (200, GOOD_LOSS)


def test_trailers_are_not_headers(server: Served) -> None:
    chunk = b"%x\r\n%s\r\n0\r\nContent-Type: text/csv\r\nX-Request-ID: trailer\r\n\r\n" % (len(BODY), BODY)
    with connect(server) as connection:
        connection.sendall(CHUNKED + chunk)
        status, headers, body = read_response(connection)
    assert (status, json.loads(body)["loss"]) == (200, GOOD_LOSS)
    assert headers["x-request-id"] != "trailer"


def test_what_is_written_once_the_caller_has_left_is_dropped() -> None:
    async def write() -> None:
        loop = asyncio.get_running_loop()
        here, there = socket.socketpair()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=here)
        gathering: Any = GatheringTransport(transport, loop)
        there.close()
        transport.abort()
        for part in (b"a", b"b", b"c"):
            gathering.write(part)
        await asyncio.sleep(0.01)
        gathering.close()

    problems: list[Any] = []
    loop = uvloop.new_event_loop()
    loop.set_exception_handler(lambda _, context: problems.append(context))
    try:
        loop.run_until_complete(write())
    finally:
        loop.close()
    assert problems == []


def test_a_caller_that_leaves_in_the_middle_of_a_large_answer_leaves_no_traceback(server: Served) -> None:
    numbers = [0.123456789] * 60_000
    body = json.dumps({"input": numbers, "target": numbers, "reduction": "none", "gradient": True}).encode()
    for _ in range(10):
        with connect(server) as connection:
            connection.sendall(raw_request(PATH, body, Content_Length=str(len(body))))
            connection.recv(1000)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert_unharmed(server)


def test_callers_that_leave_at_any_point_leave_no_traceback(server: Served) -> None:
    rng = random.Random(0)
    streams = [
        GOOD * 5,
        b"GET /openapi.json HTTP/1.1\r\n" + HOST + b"\r\n",
        *(sent for sent, _, _ in MALFORMED.values()),
    ]
    for _ in range(300):
        stream = rng.choice(streams)
        with connect(server) as connection, contextlib.suppress(ConnectionError):
            connection.sendall(stream[: rng.randrange(len(stream) + 1)][:100_000])
            if rng.random() < 0.3:
                connection.settimeout(0.01)
                with contextlib.suppress(TimeoutError):
                    connection.recv(rng.choice([1, 100, 1 << 16]))
            if rng.random() < 0.7:  # a reset in place of an orderly end
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert_unharmed(server)


def read_to_the_end(connection: socket.socket) -> bytes:
    stream = b""
    while data := connection.recv(1 << 16):
        stream += data
    return stream


def statuses(stream: bytes) -> list[int]:
    """Return the statuses of all answers; 100 is none: it asks a caller that is silent whether it still reads."""
    found = [int(part[:3]) for part in stream.split(b"HTTP/1.1 ")[1:]]
    return [status for status in found if status != 100]


LARGE = json.dumps({"input": [0.5] * 20_000, "target": [0.25] * 20_000}).encode()
IN_POOL = raw_request(PATH, LARGE, Content_Length=str(len(LARGE)))


@pytest.mark.parametrize("call", [GOOD, IN_POOL], ids=["small calls", "calls of the thread pool"])
@pytest.mark.parametrize(
    "behind", [b"", b"POST / HT"], ids=["nothing behind them", "half a head behind them"]
)
def test_all_calls_before_the_end_of_the_callers_side_are_answered(
    server: Served, call: bytes, behind: bytes
) -> None:
    with connect(server) as connection:
        connection.sendall(call * 5 + behind)
        connection.shutdown(socket.SHUT_WR)
        assert statuses(read_to_the_end(connection)) == [200] * 5


@pytest.mark.parametrize("before", [0, 3])
@pytest.mark.parametrize("framing", [b"Content-Length: 100", b"Transfer-Encoding: chunked"])
def test_a_body_that_its_caller_ends_too_soon_is_a_400(server: Served, before: int, framing: bytes) -> None:
    head = b"POST " + PATH.encode() + b" HTTP/1.1\r\n" + HOST + framing + b"\r\n\r\n"
    with connect(server) as connection:
        connection.sendall(GOOD * before + head + (b"5\r\n{}" if b"chunked" in framing else b'{"input"'))
        connection.shutdown(socket.SHUT_WR)
        stream = read_to_the_end(connection)
    assert statuses(stream) == [200] * before + [400]
    assert b"got the end of what the caller sends" in stream
    assert b"connection: close" in stream


def outer_difference(rows: int, request_id: str) -> bytes:
    """Return a call that computes for seconds."""
    arrays = {"input": small(0, rows, 1), "target": small(0, 1, rows)}
    body = json.dumps({**arrays, "broadcast": True, "reduction": "sum"}).encode()
    return raw_request(PATH, body, Content_Length=str(len(body)), X_Request_ID=request_id)


def status_in_log(server: Served, request_id: str) -> int:
    server.wait_for(request_id)
    (line,) = [line for line in server.log() if line.get("request_id") == request_id]
    return int(line["status"])


def test_a_caller_who_sends_no_more_is_waited_for(server: Served) -> None:
    with connect(server) as connection:
        connection.sendall(outer_difference(15_000, "still-reads"))
        connection.shutdown(socket.SHUT_WR)
        assert statuses(read_to_the_end(connection)) == [200]
    assert status_in_log(server, "still-reads") == 200


def test_nobody_works_on_for_a_caller_who_has_closed(server: Served) -> None:
    with connect(server) as connection:
        connection.sendall(outer_difference(40_000, "has-closed"))
    assert status_in_log(server, "has-closed") == 499


def test_calls_behind_one_whose_answer_is_refused_are_not_computed(server: Served) -> None:
    abandoned = raw_request(PATH, BODY, Content_Length=str(len(BODY)), X_Request_ID="abandoned")
    os.kill(server.process.pid, signal.SIGSTOP)  # until all of them have closed
    try:
        for _ in range(20):
            with connect(server) as connection:
                connection.sendall(abandoned * 16)
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    assert_unharmed(server)
    # The first of each: who has closed looks like one who sends no more and reads on.
    assert 20 <= server.log_text().count('"abandoned"') < 30


BODY_BEHIND = b"{" * 300_000


@pytest.mark.parametrize("pieces", [1, 700, 65_535, 1 << 20])
@pytest.mark.parametrize("behind", [b"", BODY_BEHIND], ids=["no body", "a body behind it"])
@pytest.mark.parametrize("in_front", [b"", GOOD], ids=["alone", "pipelined"])
@pytest.mark.parametrize(("over", "status"), [(0, 200), (1, 431)])
def test_the_limit_of_a_head_depends_on_nothing_but_the_head(
    server: Served, pieces: int, behind: bytes, in_front: bytes, over: int, status: int
) -> None:
    names = {b"Host": b"lossd", b"Content-Length": b"%d" % len(behind)}
    size = len("/livez") + sum(len(name) + len(value) + 4 for name, value in names.items()) + len(b"X: \r\n")
    names[b"X"] = b"x" * (65_536 + over - size)
    head = b"GET /livez HTTP/1.1\r\n" + b"".join(b"%s: %s\r\n" % each for each in names.items()) + b"\r\n"
    with connect(server) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = in_front + head + behind
        with contextlib.suppress(ConnectionError):  # the server need not read all of it
            if pieces == 1:  # the last bytes of the head one by one
                first = len(in_front + head) - 30
                connection.sendall(stream[:first])
                for start in range(first, first + 60):
                    connection.sendall(stream[start : start + 1])
                stream = stream[first + 60 :]
                pieces = 1 << 20
            for start in range(0, len(stream), pieces):
                connection.sendall(stream[start : start + pieces])
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
        assert statuses(read_to_the_end(connection)) == [200] * bool(in_front) + [status]


@pytest.mark.parametrize("behind", [b"", b"x"], ids=["nothing behind it", "half a request behind it"])
def test_a_caller_that_sends_no_more_gets_the_whole_answer(server: Served, behind: bytes) -> None:
    with connect(server) as connection:
        expecting = b" HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\n\r\n"
        connection.sendall(b"POST " + PATH.encode() + expecting + behind)
        connection.shutdown(socket.SHUT_WR)
        stream = b""
        while data := connection.recv(1 << 16):
            stream += data
    *_, head, body = stream.split(b"\r\n\r\n")
    assert b"content-length: %d\r\n" % len(body) in head + b"\r\n"
