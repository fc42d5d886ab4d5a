"""``lossd serve`` as a person meets it: in a terminal, and where it cannot listen."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pty
import re
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lossd.commands.listening import Announcement, refusal
from lossd.settings import Settings
from tests.api.serving import GOOD, PATIENCE_SECONDS, environment, lossd, serve


@contextlib.contextmanager
def in_a_terminal(*words: str, **variables: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run a command with a terminal of its own; its process and the terminal's other end."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        # A session of its own, whose terminal Ctrl-C comes from.
        ["setsid", "--ctty", "--wait", sys.executable, "-m", "lossd", *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(**variables),
    )
    os.close(theirs)
    try:
        yield process, ours
    finally:
        os.close(ours)  # hangs up, if Ctrl-C did not end it
        process.wait(PATIENCE_SECONDS)


def read_until(terminal: int, pattern: str) -> str:
    """Read what a terminal shows until it matches, or until nobody writes to it any more."""
    shown, deadline = "", time.monotonic() + PATIENCE_SECONDS
    while not re.search(pattern, shown) and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                shown += os.read(terminal, 65536).decode()
            except OSError:
                break
    return shown


@pytest.mark.slow
def test_a_terminal_shows_one_line_with_the_address_and_a_log_for_people() -> None:
    with in_a_terminal("serve") as (process, terminal):
        shown = read_until(terminal, r"Ctrl-C.*\n")
        (line,) = shown.splitlines()
        url = re.search(r"open (http://127\.0\.0\.1:\d+)/,", line)
        assert url is not None
        assert httpx.get(f"{url[1]}/docs").status_code == 200
        httpx.post(f"{url[1]}/v1/losses/mse", json=GOOD)
        assert re.search(r"\[info *\] request .*path=/v1/losses/mse", read_until(terminal, r"mse.*\n"))
        os.write(terminal, b"\x03")
        ended = read_until(terminal, r"Finished server process.*\n")
        assert process.wait(PATIENCE_SECONDS) == 0
    assert "Traceback" not in shown + ended


@pytest.mark.slow
def test_a_chosen_format_holds_in_a_terminal_too() -> None:
    with in_a_terminal("serve", LOSSD_LOG_FORMAT="json") as (process, terminal):
        shown = read_until(terminal, r"Ctrl-C.*\n")
        assert all(line.startswith("{") for line in shown.splitlines())
        os.write(terminal, b"\x03")
        assert process.wait(PATIENCE_SECONDS) == 0


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_terminal_shows_the_socket_file_and_how_to_call_through_it(tmp_path: Path, workers: str) -> None:
    path = tmp_path / "so cket"
    with in_a_terminal("serve", "--uds", str(path), "--workers", workers) as (process, terminal):
        shown = read_until(terminal, r"Ctrl-C.*\n")
        assert f"listens on the Unix socket {path} - try `curl --unix-socket '{path}' http://" in shown
        assert "uvicorn" not in shown.lower()
        os.write(terminal, b"\x03")
        assert process.wait(PATIENCE_SECONDS) == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_that_is_taken_is_one_line_and_exit_code_1(workers: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        result = lossd("serve", "--port", port, "--workers", workers)
    assert result.returncode == 1
    assert result.stdout == b""
    (line,) = result.stderr.decode().splitlines()
    assert line.startswith(f"lossd serve: cannot listen on 127.0.0.1:{port}: Address already in use; ")
    assert "--port" in line


def test_a_socket_file_that_is_taken_is_one_line_and_one_left_behind_is_not(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        taken = lossd("serve", "--uds", str(path))
    assert taken.returncode == 1
    assert b"Address already in use; choose another place by --uds" in taken.stderr
    assert path.exists()
    assert refusal(Settings(uds=str(path))) is None
    assert refusal(Settings(uds=str(tmp_path / "new"))) is None
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_file_that_is_no_socket_stays_as_it_is(tmp_path: Path, workers: str) -> None:
    path = tmp_path / "notes"
    path.write_text("mine")
    result = lossd("serve", "--uds", str(path), "--workers", workers)
    assert (result.returncode, result.stdout, result.stderr.count(b"\n")) == (1, b"", 1)
    assert f"cannot listen on {path}: File exists" in result.stderr.decode()
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--uds", "/nowhere/socket"], "No such file or directory"),
        (["--host", "192.0.2.1"], "Cannot assign requested address"),
    ],
)
def test_a_place_that_cannot_be_had_is_one_line(words: list[str], reason: str) -> None:
    result = lossd("serve", *words, LOSSD_AUTH="none")
    assert (result.returncode, result.stdout) == (1, b"")
    assert result.stderr.decode().count("\n") == 1
    assert reason in result.stderr.decode()


def test_a_wrong_option_is_named_as_it_was_given() -> None:
    result = lossd("serve", "--port", "x")
    assert result.returncode == 2
    assert b"--port or LOSSD_PORT" in result.stderr


@pytest.mark.slow
def test_workers_are_announced_once_one_of_them_listens(tmp_path: Path) -> None:
    """uvicorn has an address long before a process listens there: who read the line and called was refused."""
    with serve(tmp_path, LOSSD_WORKERS="2") as server:
        assert httpx.get(f"{server.url}/livez").status_code == 200
    first, *events = [json.loads(line)["event"] for line in (tmp_path / "log").read_text().splitlines()]
    assert first.startswith("Started parent process")
    told = [event for event in events if "listens on" in event]
    assert len(told) == 1
    assert events.index("Application startup complete.") < events.index(told[0])


@pytest.mark.parametrize(
    ("host", "shown"), [("::1", "[::1]"), ("127.0.0.1", "127.0.0.1"), ("localhost", "localhost")]
)
def test_the_announced_address_is_a_url(host: str, shown: str) -> None:
    record = logging.LogRecord(
        "uvicorn.error", logging.INFO, "", 0, "Uvicorn running on %s://%s:%d", (), None
    )
    record.args = ("http", host, 8000)
    assert Announcement(terminal=True, early=False).filter(record)
    assert f"listens on http://{shown}:8000 - open http://{shown}:8000/" in record.getMessage()
