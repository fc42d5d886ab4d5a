"""A machine without room for the log, descriptors or memory: calls are answered, and all is well again afterwards."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from httptools import HttpParserError, HttpRequestParser

from lossd.api.connections.head import unreadable
from lossd.errors import Overloaded
from tests.api.serving import GOOD, GOOD_LOSS, PATIENCE_SECONDS, Served, environment, serve
from tests.operations.proxy import free_ports

PATH = "/v1/losses/mse"


def assert_serves(url: str) -> None:
    for _ in range(3):
        assert httpx.post(url + PATH, json=GOOD, timeout=30).json()["loss"] == GOOD_LOSS


@contextlib.contextmanager
def serve_with(shell: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run a server by a line of a shell, in which ``$LOSSD`` stands for its command; wait until it answers."""
    (port,) = free_ports(1)
    variables = environment(LOSSD_PORT=str(port))
    line = shell.replace("$LOSSD", f"exec {sys.executable} -m lossd serve")
    process = subprocess.Popen(["sh", "-c", line], env=variables, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + PATIENCE_SECONDS
    try:
        while True:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(url + "/livez", timeout=30)
                break
            assert process.poll() is None, f"the server ended with {process.returncode}"
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield url, process
    finally:
        process.kill()
        process.wait()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_loses_the_log_and_no_call(workers: int) -> None:
    with serve_with(f"$LOSSD --workers {workers} > /dev/full") as (url, process):
        assert_serves(url)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0


def test_a_standard_output_that_was_closed_before_the_start_loses_the_log_and_no_call() -> None:
    with serve_with("$LOSSD >&-") as (url, process):
        assert_serves(url)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0


def processor_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def open_files(server: Served) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


def test_a_server_without_descriptors_serves_newcomers_in_place_of_the_silent(tmp_path: Path) -> None:
    with serve(tmp_path, LOSSD_MAX_CONNECTIONS="10000", LOSSD_HEAD_TIMEOUT_SECONDS="60") as server:
        assert_serves(server.url)
        most = open_files(server) + 20
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (most, most))
        with contextlib.ExitStack() as held:
            for _ in range(100):
                held.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=30))
            before = processor_seconds(server.process.pid)
            time.sleep(3)
            assert processor_seconds(server.process.pid) - before < 1.5  # all of 3 s, if it spun
            assert open_files(server) <= most
            assert_serves(server.url)
        assert server.log_text().count("cannot be accepted") == 1  # a minute
        deadline = time.monotonic() + PATIENCE_SECONDS
        while open_files(server) > most - 10:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert_serves(server.url)
        assert server.stop() == 0


def test_refused_callers_who_stay_give_their_descriptors_to_newcomers(tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        assert_serves(server.url)
        most = open_files(server) + 20
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (most, most))
        with contextlib.ExitStack() as held:
            for _ in range(40):
                caller = held.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=30))
                caller.sendall(b"\0garbage\r\n\r\n")
            started = time.monotonic()
            assert_serves(server.url)
            assert time.monotonic() - started < 4  # less than a refused caller may stay
        assert server.stop() == 0


@pytest.mark.parametrize("spare", [16, 48, 64, 72, 100], ids=lambda spare: f"{spare} MiB")
def test_a_call_for_which_there_is_no_memory_is_a_503_and_the_next_one_is_answered(
    tmp_path: Path, spare: int
) -> None:
    """Whether it lacks for the body, the text's tree, its strings, the arrays or the answer."""
    with serve(tmp_path) as server:
        pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + spare * 1024 * 1024
        resource.prlimit(server.process.pid, resource.RLIMIT_AS, (most, most))
        one, other = (",".join([number] * 8_000_000) for number in ("1.5", "0.5"))
        call = f'{{"input": [{one}], "target": [{other}], "gradient": true}}'
        answer = httpx.post(server.url + PATH, content=call, timeout=PATIENCE_SECONDS)
        assert answer.status_code == 503, answer.text[:1000]
        assert answer.headers["retry-after"]
        assert "out of memory" in answer.json()["detail"]
        assert_serves(server.url)
        assert server.stop() == 0


class NoMemory:
    """Callbacks of a parser for which there is no memory."""

    def on_body(self, body: bytes) -> None:
        raise MemoryError


def test_a_lack_of_memory_while_a_body_is_parsed_is_no_malformed_request() -> None:
    with pytest.raises(HttpParserError) as raised:
        HttpRequestParser(NoMemory()).feed_data(b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\na")
    assert isinstance(unreadable(raised.value, None), Overloaded)
