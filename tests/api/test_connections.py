"""What a connection may cost before, between and after its calls: bytes, lines, seconds, and how many there are."""

from __future__ import annotations

import contextlib
import json
import resource
import select
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl

from lossd.api.connections.gathering import GatheringTransport
from lossd.settings import Settings
from tests.api.serving import GOOD, Served, raw_request, read_response, serve
from tests.api.test_socket import BODY, LENGTH, PATH, assert_unharmed, connect

HALF_A_HEAD = b"GET /livez HTTP/1.1\r\nHost: lossd\r\nX-Request-ID: half\r\nX"
WHOLE_HEAD = b"GET /livez HTTP/1.1\r\nHost: lossd\r\n\r\n"
PATIENCE = 20.0


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Run a server that waits for a second."""
    variables = {"LOSSD_HEAD_TIMEOUT_SECONDS": "1", "LOSSD_KEEP_ALIVE_SECONDS": "1"}
    with serve(tmp_path_factory.mktemp("server"), **variables) as running:
        yield running
        assert_unharmed(running)
        assert running.stop() == 0
        assert {"error", "warning"}.isdisjoint(line["level"] for line in running.log()), running.log_text()


@pytest.fixture
def crowded(tmp_path: Path) -> Iterator[Served]:
    """Run a server that holds four connections."""
    with serve(tmp_path, LOSSD_MAX_CONNECTIONS="4") as running:
        yield running


def wait_until_closed(connection: socket.socket) -> bytes:
    """Return what comes until the connection ends."""
    connection.settimeout(PATIENCE)
    received = b""
    with contextlib.suppress(ConnectionError):
        while data := connection.recv(1 << 16):
            received += data
    return received


def test_a_head_that_never_ends_is_a_408_with_a_line_in_the_log(impatient: Served) -> None:
    with connect(impatient) as connection:
        connection.sendall(HALF_A_HEAD)
        status, headers, body = read_response(connection)
        assert wait_until_closed(connection) == b""
    assert (status, headers["connection"], headers["content-type"]) == (
        408,
        "close",
        "application/problem+json",
    )
    assert json.loads(body)["type"] == "/problems/head-timeout"
    impatient.wait_for("within 1 s, got only a part")


def test_a_head_that_trickles_is_a_408(impatient: Served) -> None:
    with connect(impatient) as connection:
        started = time.monotonic()
        connection.sendall(HALF_A_HEAD)
        while not select.select([connection], [], [], 0.1)[0]:
            connection.sendall(b"x")
            assert time.monotonic() - started < PATIENCE
        assert read_response(connection)[0] == 408


def test_half_a_head_behind_an_answer_is_a_408(impatient: Served) -> None:
    with connect(impatient) as connection:
        connection.sendall(WHOLE_HEAD + HALF_A_HEAD)
        assert read_response(connection)[0] == 200
        assert read_response(connection)[0] == 408


@pytest.mark.parametrize("sent", [b"", b"\r\n"], ids=["nothing", "an empty line"])
def test_a_silent_connection_is_closed_without_a_word(impatient: Served, sent: bytes) -> None:
    with connect(impatient) as connection:
        connection.sendall(sent)
        assert wait_until_closed(connection) == b""


def test_an_idle_connection_is_closed(impatient: Served) -> None:
    with connect(impatient) as connection:
        for _ in range(2):
            connection.sendall(WHOLE_HEAD)
            assert read_response(connection)[0] == 200
        assert wait_until_closed(connection) == b""


def test_a_connection_in_use_outlives_its_limits(impatient: Served) -> None:
    with connect(impatient) as connection:
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            connection.sendall(WHOLE_HEAD)
            assert read_response(connection)[0] == 200
            time.sleep(0.3)


def test_two_thousand_silent_and_half_open_connections_end_in_time_beside_a_healthy_caller(
    impatient: Served,
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    try:
        with (
            contextlib.ExitStack() as stack,
            httpx.Client(base_url=impatient.url, timeout=PATIENCE) as healthy,
        ):
            open_connections = [stack.enter_context(connect(impatient)) for _ in range(2000)]
            for half_open in open_connections[::2]:
                with contextlib.suppress(ConnectionError):  # which made room for a newer one
                    half_open.sendall(HALF_A_HEAD)
            assert healthy.post(PATH, json=GOOD).status_code == 200
            for connection in open_connections:
                wait_until_closed(connection)
            assert healthy.post(PATH, json=GOOD).status_code == 200
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_header_lines_without_end_are_refused_early(impatient: Served) -> None:
    lines = b"X: y\r\n" * 10_000
    sent = 0
    with connect(impatient) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: lossd\r\n")
        while sent < 300 << 20 and not select.select([connection], [], [], 0)[0]:
            connection.sendall(lines)
            sent += len(lines)
        assert read_response(connection)[0] == 431
    assert sent < 100 << 20


def test_a_newcomer_takes_the_place_of_the_longest_idle(crowded: Served) -> None:
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connect(crowded)) for _ in range(4)]
        for connection in connections:
            connection.sendall(WHOLE_HEAD)
            assert read_response(connection)[0] == 200
            time.sleep(0.6)  # longer than the clock's tick
        assert_unharmed(crowded)
        assert wait_until_closed(connections[0]) == b""
        for connection in connections[2:]:
            connection.sendall(WHOLE_HEAD)
            assert read_response(connection)[0] == 200


def test_a_newcomer_is_a_503_while_every_connection_has_a_call(crowded: Served) -> None:
    body = json.dumps({"input": [1.5] * 300_000, "target": [1.5] * 300_000}).encode()
    size = len(body) // 100
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connect(crowded)) for _ in range(4)]
        for connection in connections:
            connection.sendall(raw_request(PATH, b"", Content_Length=str(len(body))))
        refused = threading.Thread(target=assert_newcomers_are_refused, args=(crowded,))
        for start in range(0, len(body), size):
            for connection in connections:
                connection.sendall(body[start : start + size])
            if start == 5 * size:
                refused.start()
            time.sleep(0.03)
        refused.join()
        for connection in connections:
            assert read_response(connection)[0] == 200
        assert_unharmed(crowded)
    assert [line["status"] for line in crowded.log() if "status" in line].count(503) == 3


def assert_newcomers_are_refused(server: Served) -> None:
    for _ in range(3):
        response = httpx.post(server.url + PATH, json=GOOD)
        assert response.status_code == 503
        assert response.json()["type"] == "/problems/overloaded"
        assert int(response.headers["retry-after"]) >= 1


def test_a_newcomer_takes_the_place_of_a_body_that_has_stopped_before_that_of_an_idle_connection(
    crowded: Served,
) -> None:
    with contextlib.ExitStack() as stack:
        idle, stopped, *others = [stack.enter_context(connect(crowded)) for _ in range(4)]
        for connection in (idle, *others):
            connection.sendall(WHOLE_HEAD)
            assert read_response(connection)[0] == 200
        stopped.sendall(raw_request(PATH, BODY[:10], **LENGTH))
        time.sleep(1.5)
        assert_unharmed(crowded)
        assert wait_until_closed(stopped) == b""
        for connection in (idle, *others):
            connection.sendall(WHOLE_HEAD)
            assert read_response(connection)[0] == 200


def test_requests_that_wait_on_one_connection_are_counted(tmp_path: Path) -> None:
    call = raw_request(PATH, BODY, **LENGTH)
    with serve(tmp_path, LOSSD_MAX_PIPELINED="3") as server, connect(server) as connection:
        connection.sendall(call * 3)
        assert [read_one(connection) for _ in range(3)] == [200] * 3
        connection.sendall(call * 50)
        assert [read_one(connection) for _ in range(5)] == [200] * 4 + [503]
        assert wait_until_closed(connection) == b""


def test_uvicorn_learns_no_address_of_a_connection_and_asks_the_system_for_none() -> None:
    asked: list[str] = []
    plain = SimpleNamespace(
        close=None, is_closing=None, get_extra_info=lambda name, default=None: asked.append(name) or default
    )
    transport: Any = GatheringTransport(plain, None)  # type: ignore[arg-type]
    assert (get_local_addr(transport), get_remote_addr(transport), is_ssl(transport)) == (None, None, False)
    assert asked == ["sslcontext"]


@pytest.mark.parametrize(
    ("chosen", "looks"),
    [
        ({}, False),
        ({"calls_per_second": 1.0}, True),
        ({"work_per_second": 1.0}, True),
        ({"traces": "otlp"}, True),
    ],
)
def test_limits_on_rates_and_traces_look_at_addresses(chosen: dict[str, Any], looks: bool) -> None:
    assert Settings(**chosen).looks_at_addresses is looks


def read_one(connection: socket.socket) -> int:
    """Read one answer and nothing of the next; return its status."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(1)
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    connection.recv(length, socket.MSG_WAITALL)
    return int(head.split()[1])
