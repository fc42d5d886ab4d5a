"""What only a real server on a real socket shows."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.api.serving import GOOD, GOOD_LOSS, Served, environment, lossd, raw_request, read_response, serve

BODY = json.dumps(GOOD).encode()
PATH = "/v1/losses/mse"
LENGTH = {"Content_Length": str(len(BODY))}


def connect(server: Served) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


def assert_unharmed(server: Served) -> None:
    assert httpx.post(server.url + PATH, json=GOOD).json()["loss"] == GOOD_LOSS


def test_a_connection_is_kept_for_many_calls_and_none_of_them_waits(server: Served) -> None:
    with connect(server) as connection:
        for _ in range(20):
            connection.sendall(raw_request(PATH, BODY, **LENGTH))
            status, headers, body = read_response(connection)
            assert (status, json.loads(body)["loss"]) == (200, GOOD_LOSS)
            assert "connection" not in headers


def test_pipelined_calls_are_answered_in_order(server: Served) -> None:
    bodies = [json.dumps({"input": [i], "target": [0]}).encode() for i in range(10)]
    with connect(server) as connection:
        connection.sendall(
            b"".join(raw_request(PATH, body, Content_Length=str(len(body))) for body in bodies)
        )
        stream = connection.makefile("rb")
        for i in range(10):
            length = 0
            while (line := stream.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            assert json.loads(stream.read(length))["loss"] == {"mean": float(i**2)}


@pytest.mark.parametrize("size", [1, 2, len(BODY) - 1, len(BODY)])
def test_a_body_in_chunks_is_the_same_body(server: Served, size: int) -> None:
    parts = [BODY[start : start + size] for start in range(0, len(BODY), size)]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [*parts, b""])
    with connect(server) as connection:
        for _ in range(2):
            connection.sendall(raw_request(PATH, chunks, Transfer_Encoding="chunked"))
            status, _, body = read_response(connection)
            assert (status, json.loads(body)["loss"]) == (200, GOOD_LOSS)


def test_the_error_of_curl_without_a_content_type_names_the_header(server: Served) -> None:
    response = httpx.post(server.url + PATH, data={"input": "1"})
    assert response.status_code == 415
    assert "Content-Type: application/json" in response.json()["detail"]


def test_two_gibibytes_claimed_are_refused_at_once(server: Served) -> None:
    started = time.monotonic()
    with connect(server) as connection:
        connection.sendall(raw_request(PATH, b"0123456789", Content_Length=str(2**31)))
        status, headers, body = read_response(connection)
    assert time.monotonic() - started < 5
    assert (status, headers["connection"]) == (413, "close")
    assert json.loads(body)["status"] == 413
    assert_unharmed(server)


def test_a_caller_that_sends_all_of_a_refused_body_still_reads_why(server: Served) -> None:
    size = 65 * 1024 * 1024
    with connect(server) as connection:
        connection.sendall(raw_request(PATH, b"", Content_Length=str(size)))
        for _ in range(size // (1024 * 1024)):
            connection.sendall(b" " * 1024 * 1024)
        status, _, _ = read_response(connection)
    assert status == 413
    assert_unharmed(server)


def test_a_body_claimed_and_not_sent_is_a_408(server: Served) -> None:
    with connect(server) as connection:
        connection.sendall(raw_request(PATH, b"0123456789", Content_Length="1000"))
        status, _, body = read_response(connection)
    assert status == 408
    assert json.loads(body)["title"] == "body timeout"
    assert_unharmed(server)


def test_expect_100_continue_is_refused_before_the_body_is_sent(server: Served) -> None:
    with connect(server) as connection:
        connection.sendall(raw_request(PATH, b"", Content_Length=str(2**31), Expect="100-continue"))
        status, _, _ = read_response(connection)
    assert status == 413


def test_a_megabyte_goes_in_and_out(server: Served) -> None:
    numbers = [i / 7 for i in range(200_000)]
    call = {"input": numbers, "target": [0.0] * len(numbers), "reduction": "sum", "gradient": True}
    answer = httpx.post(server.url + PATH, json=call, timeout=60).json()
    assert answer["gradient"]["sum"]["input"] == [2 * number for number in numbers]


def test_calls_of_many_callers_do_not_mix(server: Served) -> None:
    def call(i: int) -> None:
        size = 10 ** (1 + i % 4)
        call = {"input": [float(i)] * size, "target": [0.0] * size}
        answers[i] = httpx.post(server.url + PATH, json=call, timeout=60).json()["loss"]["mean"]

    answers: dict[int, float] = {}
    threads = [threading.Thread(target=call, args=(i,)) for i in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {i: float(i * i) for i in range(24)}


def test_each_request_is_one_line_of_json_in_the_log(server: Served) -> None:
    httpx.post(server.url + PATH, json=GOOD, headers={"x-request-id": "look-for-me"})
    server.wait_for("look-for-me")
    (line,) = [line for line in server.log() if line.get("request_id") == "look-for-me"]
    assert (line["status"], line["loss"], line["elements"]) == (200, "mse", 6)


def test_healthcheck_finds_the_server(server: Served) -> None:
    assert lossd("healthcheck", LOSSD_PORT=str(server.port)).returncode == 0
    assert lossd("healthcheck", "--port", str(server.port)).returncode == 0


def test_sigterm_is_exit_code_0_and_answers_what_is_in_flight(tmp_path: Path) -> None:
    with serve(tmp_path) as server, connect(server) as connection:
        connection.sendall(raw_request(PATH, BODY[:10], **LENGTH))
        server.wait_for("startup complete")
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        server.wait_for("Shutting down")
        connection.sendall(BODY[10:])
        status, headers, body = read_response(connection)
        assert (status, json.loads(body)["loss"]) == (200, GOOD_LOSS)
        assert headers["connection"] == "close"
        assert server.process.wait(30) == 0


def test_sigterm_turns_readiness_away_first_and_serves_on(tmp_path: Path) -> None:
    with serve(tmp_path, LOSSD_DRAIN_SECONDS="8") as server:
        assert httpx.get(server.url + "/readyz").status_code == 200
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        refused = httpx.get(server.url + "/readyz")
        assert (refused.status_code, refused.json()["status"]) == (503, 503)
        assert (refused.json()["type"], refused.json()["title"]) == ("/problems/draining", "draining")
        assert lossd("healthcheck", LOSSD_PORT=str(server.port)).returncode == 1
        assert httpx.get(server.url + "/livez").status_code == 200
        assert_unharmed(server)
        assert server.process.wait(30) == 0


@pytest.mark.slow
def test_sigterm_ends_a_server_that_is_still_starting() -> None:
    """Whether before Python has run a line of ours, between imports, or while uvicorn starts."""
    codes = set()
    for tenth in range(3, 24, 3):
        process = subprocess.Popen(
            [sys.executable, "-m", "lossd", "serve"],
            env=environment(LOSSD_DRAIN_SECONDS="0"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(tenth / 10)
        process.send_signal(signal.SIGTERM)
        try:
            codes.add(process.wait(20))
        finally:
            process.kill()
    assert codes <= {0, -signal.SIGTERM}
    assert 0 in codes


def test_sigterm_ends_a_server_where_exceptions_are_lost() -> None:
    """As in compile(), which modules go through while they are imported."""
    program = """
import signal, sys
from lossd.__main__ import main

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "uvicorn":
            Told()

class Told:
    def __del__(self):  # what is raised here is printed and lost
        signal.raise_signal(signal.SIGTERM)

sys.meta_path.insert(0, Finder())
sys.exit(main(["serve", "--port", "0"]))
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, timeout=30
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_second_sigterm_does_not_wait(tmp_path: Path) -> None:
    with serve(tmp_path, LOSSD_DRAIN_SECONDS="60") as server:
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert server.stop() == 0


def test_an_interrupt_ends_it_at_once(tmp_path: Path) -> None:
    with serve(tmp_path, LOSSD_DRAIN_SECONDS="60") as server:
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(30) == 0


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_signals_after_the_first_do_not_change_its_exit_code(
    tmp_path: Path, first: signal.Signals, workers: str
) -> None:
    """Send one every few milliseconds until the process is gone, so that some come while Python exits."""
    with serve(tmp_path, LOSSD_DRAIN_SECONDS="0", LOSSD_WORKERS=workers) as server:
        assert httpx.get(server.url + "/livez").status_code == 200
        server.process.send_signal(first)
        end = time.monotonic() + 60
        while server.process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
            server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(1) == 0


def test_a_server_whose_log_nobody_reads_any_more_serves_and_ends(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    command = [sys.executable, "-m", "lossd", "serve", "--uds", path]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while b"on the Unix socket" not in (line := process.stdout.readline()):
            assert line, "the server ended"
        process.stdout.close()
        with httpx.Client(transport=httpx.HTTPTransport(uds=path), base_url="http://lossd") as client:
            for _ in range(3):
                assert client.post(PATH, json=GOOD).json()["loss"] == GOOD_LOSS
        process.terminate()
        assert process.wait(30) == 0


def test_a_unix_socket_serves_as_well(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with serve(tmp_path, "--uds", path) as server:
        server.wait_for("on the Unix socket")
        with httpx.Client(transport=httpx.HTTPTransport(uds=path), base_url="http://lossd") as client:
            assert client.post(PATH, json=GOOD).json()["loss"] == GOOD_LOSS
        assert lossd("healthcheck", LOSSD_UDS=path).returncode == 0
        assert server.stop() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_socket_file_that_was_left_is_replaced_and_removed_in_the_end(tmp_path: Path, workers: str) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))
    path.chmod(0o600)
    with serve(tmp_path, "--uds", str(path), "--workers", workers) as server:
        server.wait_for("on the Unix socket")
        assert path.stat().st_mode & 0o777 == 0o600
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://lossd") as client:
            assert client.post(PATH, json=GOOD).json()["loss"] == GOOD_LOSS
        assert server.stop() == 0
    assert not path.exists()


def test_a_server_that_ends_leaves_the_socket_file_of_its_successor(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with serve(tmp_path, "--uds", str(path)) as server:
        server.wait_for("on the Unix socket")
        path.unlink()
        with socket.socket(socket.AF_UNIX) as successor:
            successor.bind(str(path))
            assert server.stop() == 0
            assert path.exists()


def _catches(process: int, number: int) -> bool:
    (caught,) = re.findall(r"SigCgt:\s*(\w+)", Path(f"/proc/{process}/status").read_text())
    return bool(int(caught, 16) >> (number - 1) & 1)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_interrupt_ends_a_server_that_is_still_starting(workers: str) -> None:
    """Without a traceback of its own or of the processes that it has begun to start."""
    codes = set()
    for tenth in (0, 4, 8, 12):
        command = [sys.executable, "-m", "lossd", "serve", "--workers", workers]
        with subprocess.Popen(
            command,
            env=environment(LOSSD_DRAIN_SECONDS="0"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            while not _catches(
                process.pid, signal.SIGTERM
            ):  # before, Python's own handler of the interrupt is there
                time.sleep(0.01)
            time.sleep(tenth / 10 + 0.01)
            os.killpg(process.pid, signal.SIGINT)
            codes.add(process.wait(30))
            assert process.stderr is not None
            assert process.stderr.read() == b""
    assert codes == {0}


def test_several_workers_share_the_port_and_end_together(tmp_path: Path) -> None:
    with serve(tmp_path, "--workers", "2") as server:
        deadline = time.monotonic() + 60
        while server.log_text().count("startup complete") < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for _ in range(10):
            assert_unharmed(server)
        workers = children(server.process.pid)
        assert len(workers) >= 2
        assert server.stop() == 0
        wait_for_end(workers)


@pytest.mark.parametrize("claim", ["-1", "x", "1, 2"])
def test_a_length_that_is_no_number_is_a_400(server: Served, claim: str) -> None:
    with connect(server) as connection:
        connection.sendall(raw_request(PATH, BODY, Content_Length=claim))
        assert connection.recv(65536).startswith(b"HTTP/1.1 400")
    assert_unharmed(server)


def wait_for_end(processes: list[int]) -> None:
    """Wait until none of the processes exists."""
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{process}").exists() for process in processes):
        assert time.monotonic() < deadline, "expected workers to end with their parent"
        time.sleep(0.05)


def children(parent: int) -> list[int]:
    """Return the processes that a process has started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
        except OSError:
            continue
        if int(stat.rpartition(")")[2].split()[1]) == parent:
            found.append(int(folder.name))
    return found
