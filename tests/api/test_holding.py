"""What callers hold of the server by sending slowly and by not reading, and that it denies nobody else."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from pathlib import Path

import httpx
import pytest

from lossd.api.in_flight import Holding, InFlightBytes
from lossd.errors import Overloaded
from lossd.settings import Settings
from tests.api.serving import GOOD, Served, raw_request, read_response, serve
from tests.api.test_connections import wait_until_closed
from tests.api.test_socket import PATH, assert_unharmed, connect

MIB = 1 << 20
NUMBERS = [i / 7 for i in range(150_000)]
LARGE = {"input": NUMBERS, "target": [0.0] * len(NUMBERS), "reduction": ["none", "sum"], "gradient": True}


def test_forty_callers_that_claim_the_most_and_send_hardly_anything_deny_nobody(tmp_path: Path) -> None:
    with (
        serve(tmp_path, LOSSD_BODY_TIMEOUT_SECONDS="2") as server,
        contextlib.ExitStack() as stack,
        httpx.Client(base_url=server.url, timeout=60) as healthy,
    ):
        callers = [stack.enter_context(connect(server)) for _ in range(40)]
        for caller in callers:
            caller.sendall(raw_request(PATH, b"{", Content_Length=str(64 * MIB)))
        for _ in range(3):
            time.sleep(0.7)
            for caller in callers:
                caller.sendall(b" ")
            assert healthy.post(PATH, json=GOOD).status_code == 200
            assert healthy.post(PATH, json=LARGE).status_code == 200
        for caller in callers:  # whose bytes come one by one, each in time
            with contextlib.suppress(ConnectionError):
                caller.sendall(b" ")
            status, _, body = read_response(caller)
            assert status == 408
        assert json.loads(body)["detail"].endswith(("less", "got nothing"))


def test_readers_that_stall_hold_no_more_than_the_budget_and_are_closed(tmp_path: Path) -> None:
    body = json.dumps(LARGE).encode()
    call = raw_request(PATH, body, Content_Length=str(len(body)), Connection="close")
    limits = {"LOSSD_MAX_IN_FLIGHT_BYTES": str(48 * MIB), "LOSSD_MAX_BODY_BYTES": str(16 * MIB)}
    with (
        serve(tmp_path, LOSSD_SEND_TIMEOUT_SECONDS="2", **limits) as server,
        contextlib.ExitStack() as stack,
        httpx.Client(base_url=server.url, timeout=60) as healthy,
    ):
        assert healthy.post(PATH, json=LARGE).status_code == 200
        before = resident(server)
        readers = [stack.enter_context(reader_of_little(server)) for _ in range(40)]
        for reader in readers:
            reader.sendall(call)
            assert resident(server) < before + (48 + 64) * MIB  # and what parsing takes
            assert healthy.post(PATH, json=GOOD).status_code == 200
        time.sleep(3)
        assert healthy.post(PATH, json=LARGE).status_code == 200
        for reader in readers:
            wait_until_closed(reader)
        assert_unharmed(server)


def test_a_reader_that_is_slow_and_steady_gets_all_of_its_answer(tmp_path: Path) -> None:
    body = json.dumps(LARGE).encode()
    with (
        serve(tmp_path, LOSSD_SEND_TIMEOUT_SECONDS="0.5") as server,
        reader_of_little(server, 1 << 17) as reader,
    ):
        reader.sendall(raw_request(PATH, body, Content_Length=str(len(body)), Connection="close"))
        answer = b""
        while data := reader.recv(1 << 15):
            answer += data
            time.sleep(0.01)
    assert len(json.loads(answer.partition(b"\r\n\r\n")[2])["loss"]["none"]) == len(NUMBERS)


def test_what_small_calls_may_hold_is_theirs_alone() -> None:
    settings = Settings(
        max_in_flight_bytes=1000, max_body_bytes=800, small_call_share=0.2, max_connections=10
    )
    in_flight = InFlightBytes(settings)
    large, other, small = Holding(in_flight), Holding(in_flight), Holding(in_flight)
    large.take(820)
    with pytest.raises(Overloaded):
        other.take(21)
    small.take(20)
    assert in_flight.held == 800
    large.keep(100)
    small.keep(0)
    other.take(500)
    assert in_flight.held == 80 + 501  # what was refused of it before counts on, until it ends
    for holding in (large, other):
        holding.keep(0)
    assert in_flight.held == 0


def test_an_estimate_beyond_the_budget_is_all_of_it() -> None:
    in_flight = InFlightBytes(Settings(max_in_flight_bytes=1000, max_body_bytes=800, small_call_share=0))
    alone, beside = Holding(in_flight), Holding(in_flight)
    alone.take(300)
    alone.take_estimate(5000)
    assert in_flight.held == 1000
    with pytest.raises(Overloaded):
        beside.take(1)


def reader_of_little(server: Served, buffer: int = 1) -> socket.socket:
    """Connect with a small buffer; by default the smallest that the system gives."""
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    reader.settimeout(30)
    reader.connect(("127.0.0.1", server.port))
    return reader


def resident(server: Served) -> int:
    """Return the bytes that the server holds in memory."""
    for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise AssertionError("expected VmRSS in the status of a process")
