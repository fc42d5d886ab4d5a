"""Reaches the service for tests: in process through its real layers, or as a process on a socket."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from lossd.api.log import open_log
from lossd.app import create_app
from lossd.settings import Settings

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60.0
GOOD = {"input": [1, 2, 3], "target": [1, 2, 5], "reduction": ["mean", "sum"]}
GOOD_LOSS = {"mean": 4 / 3, "sum": 4.0}


class InProcess:
    """The whole application behind `httpx.ASGITransport`, and what it logs."""

    def __init__(self, **settings: Any) -> None:
        self._stream = io.BytesIO()
        chosen = Settings(**settings)
        self.app = create_app(chosen, open_log(chosen, self._stream))

    def request(self, method: str, path: str, **content: Any) -> httpx.Response:
        """Send one request."""
        return self.together([(method, path, content)])[0]

    def together(self, requests: list[tuple[str, str, dict[str, Any]]]) -> list[httpx.Response]:
        """Send requests at the same time."""

        async def send() -> list[httpx.Response]:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://lossd") as client:
                return await asyncio.gather(*(client.request(m, p, **content) for m, p, content in requests))

        return asyncio.run(send())

    def post(self, loss: str, **content: Any) -> httpx.Response:
        """Post a call."""
        return self.request("POST", f"/v1/losses/{loss}", **content)

    def assert_unharmed(self) -> None:
        """Hold a good call to its answer."""
        response = self.post("mse", json=GOOD)
        assert response.status_code == 200
        assert response.json()["loss"] == GOOD_LOSS

    def log(self) -> list[dict[str, Any]]:
        """Return every record logged so far."""
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]


class Served:
    """A server process started by the command line; `url` and `port` once it is ready."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, uds: str | None) -> None:
        self.process = process
        self._log = log
        self.url = "" if uds else self.wait_for(r"(https?://127\.0\.0\.1:\d+)")
        self.port = int(self.url.rpartition(":")[2] or 0)

    def wait_for(self, pattern: str) -> str:
        """Wait until the log matches; return the first group, or the match."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if found := re.search(pattern, self.log_text()):
                return found[found.re.groups]
            time.sleep(0.02)
        raise AssertionError(f"no {pattern} in the log of a server that should run:\n{self.log_text()}")

    def log_text(self) -> str:
        """Return the log so far."""
        return self._log.read_text()

    def log(self) -> list[dict[str, Any]]:
        """Return every record logged so far."""
        lines = self.log_text().split(
            "\n"
        )  # splitlines takes other characters for ends, which names may hold
        return [json.loads(line) for line in lines if line]

    def stop(self) -> int:
        """Ask the process to end; return its exit code."""
        self.process.terminate()
        return self.process.wait(PATIENCE_SECONDS)


@contextlib.contextmanager
def serve(folder: Path, *options: str, **variables: str) -> Iterator[Served]:
    """Run ``lossd serve`` with these options and ``LOSSD_`` variables; its port is a free one."""
    log = folder / "log"
    command = [sys.executable, "-m", "lossd", "serve", *options]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environment(**variables), stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield Served(process, log, options[1] if "--uds" in options else None)
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment with only these ``LOSSD_`` variables, and Python's usual buffers.

    Those hid, where they were off, that a server which could not write its log ended with 120.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("LOSSD_") and name != "PYTHONUNBUFFERED"
    }
    defaults = {"LOSSD_PORT": "0", "LOSSD_DRAIN_SECONDS": "0", "PYTHONPATH": str(ROOT / "service")}
    return {**inherited, **defaults, **variables}


def lossd(*words: str, stdin: bytes = b"", **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "lossd", *words],
        input=stdin,
        env=environment(**variables),
        capture_output=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def raw_request(path: str, body: bytes, **headers: str) -> bytes:
    """Write a POST as it goes over a socket."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: lossd",
        *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def read_response(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Read one response with a Content-Length: status, headers, body."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers["content-length"]):
        body += _some(connection)
    return int(status.split()[1]), headers, body


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    assert data, "expected more of the response, got the end of the connection"
    return data
