"""A server as the benchmark sees it: a process that is started, asked, timed and ended.

The client is bare sockets with requests made beforehand, so that it needs less of the machine than any
server does and its own work is no part of the figures.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

HOST = "127.0.0.1"
STARTING_SECONDS = 60.0
# What the container image sets; the hand-written service is given the same.
ENVIRONMENT = {
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "LOSSD_DRAIN_SECONDS": "0",
}
KEY = "lossd_benchmark"
_KEYS_FILE = Path(__file__).parent / "keys.toml"
# What a server has besides; the rates are higher than any caller's.
OF_SERVER = {
    "lossd, keys and limits": {
        "LOSSD_AUTH": "keys",
        "LOSSD_KEYS_FILE": str(_KEYS_FILE),
        "LOSSD_CALLS_PER_SECOND": "1e6",
        "LOSSD_WORK_PER_SECOND": "1e12",
    }
}
_LOSSD = ["-m", "lossd", "serve", "--host", HOST, "--workers", "1"]
_UVICORN = [
    "-m",
    "uvicorn",
    "--host",
    HOST,
    "--loop",
    "uvloop",
    "--http",
    "httptools",
    "--no-access-log",
    "--log-level",
    "warning",
]
COMMANDS: Mapping[str, Sequence[str]] = {
    "lossd": _LOSSD,
    "lossd, keys and limits": _LOSSD,
    "hand-written": [*_UVICORN, "benchmarks.handwritten_service:app"],
    "echo": [*_UVICORN, "benchmarks.echo_service:app"],
}
_TICK = 1 / os.sysconf("SC_CLK_TCK")


class Server:
    """One server process on a free port of this machine, ended with its block."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.port = free_port()
        self._process = subprocess.Popen(
            [sys.executable, *COMMANDS[name], "--port", str(self.port)],
            env={**os.environ, **ENVIRONMENT, **OF_SERVER.get(name, {})},
            stdout=subprocess.DEVNULL,
        )

    def __enter__(self) -> Self:
        end = time.monotonic() + STARTING_SECONDS
        while self._process.poll() is None and time.monotonic() < end:
            with suppress(OSError):
                Connection(self.port).close()
                return self
            time.sleep(0.05)
        self.close()
        raise RuntimeError(f"expected {self.name} to listen, got exit status {self._process.returncode}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process, and wait until it has ended."""
        self._process.terminate()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def use_cores(self, cores: Sequence[int]) -> None:
        """Run all threads that the process has on these cores alone."""
        for task in Path(f"/proc/{self._process.pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), cores)

    def cpu_seconds(self) -> float:
        """Return what all threads of the process have used of the processor so far."""
        return cpu_seconds(self._process.pid)

    def resident_bytes(self, *, peak: bool = False) -> int:
        """Return how much memory the process holds, or has held at most."""
        field = "VmHWM" if peak else "VmRSS"
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) * 1024
        raise RuntimeError(f"expected {field} in the status of a process")


class Connection:
    """One connection that is kept alive."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((HOST, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, request: bytes) -> None:
        """Send a whole request."""
        self._socket.sendall(request)

    def receive(self) -> bytes:
        """Return the body of the next response.

        Raises:
            RuntimeError: Its status is not 200, or it ends early.
        """
        received = self._socket.recv(65536)
        while (edge := received.find(b"\r\n\r\n")) < 0:
            more = self._socket.recv(65536)
            _require(len(more))
            received += more
        head = received[:edge].lower()
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(f"expected status 200, got {received[:500]!r}")
        length = int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
        body = received[edge + 4 :]
        return body if len(body) == length else self._rest(body, length)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _rest(self, start: bytes, length: int) -> bytes:
        body, taken = bytearray(length), len(start)
        body[:taken] = start
        view = memoryview(body)
        while taken < length:
            count = self._socket.recv_into(view[taken:])
            _require(count)
            taken += count
        return bytes(body)


def request(path: str, body: bytes, media_type: str = "application/json") -> bytes:
    """Return the bytes of a POST."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: {media_type}\r\n"
        f"Authorization: Bearer {KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _require(count: int) -> None:
    if not count:
        raise RuntimeError("expected the rest of a response, got the end of the connection")


def cpu_seconds(process_id: int) -> float:
    """Return what all threads of a process have used of the processor so far."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    user, system = fields[11:13]  # the 14th and 15th of all
    return (int(user) + int(system)) * _TICK


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
