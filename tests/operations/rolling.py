"""Restarts two replicas behind the proxy in turns, under load, and counts the calls that were lost.

    python -m tests.operations.rolling [--restarts 10] [--calls 20000] [--rate 600]

Eight callers keep their connections, and every ninth call has a new one. Nobody repeats a call.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.api.serving import environment
from tests.operations.proxy import NGINX, free_ports, proxy

BODY = json.dumps({"input": [1, 2, 3], "target": [1, 2, 5], "reduction": "sum"})
CALLERS = 8
DRAIN_SECONDS = 3  # more than the keepalive_timeout of the proxy


@dataclass
class Load:
    """Callers of one address, and what became of their calls."""

    port: int
    rate: float
    seconds: list[float] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self, kept: bool) -> None:
        """Call until stopped."""
        connection: http.client.HTTPConnection | None = None
        while not self.stopped.wait((CALLERS + 1) / self.rate):
            connection = self._call(connection if kept else None)

    def _call(self, connection: http.client.HTTPConnection | None) -> http.client.HTTPConnection | None:
        """Make one call; return the connection if it may be used again."""
        started = time.perf_counter()
        connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", "/v1/losses/huber", BODY, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200 or json.loads(body)["loss"] != {"sum": 1.5}:
                self.lost[str(answer.status)] += 1
            return connection
        except (OSError, http.client.HTTPException) as error:
            self.lost[type(error).__name__] += 1
            return None
        finally:
            self.seconds.append(time.perf_counter() - started)

    @contextlib.contextmanager
    def running(self):
        """Let the callers call meanwhile."""
        threads = [threading.Thread(target=self.run, args=(i < CALLERS,)) for i in range(CALLERS + 1)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stopped.set()
            for thread in threads:
                thread.join()


def start(folder: Path, port: int, workers: int) -> subprocess.Popen[bytes]:
    """Start one replica, and return once it is ready."""
    variables = environment(LOSSD_DRAIN_SECONDS=str(DRAIN_SECONDS), LOSSD_PORT=str(port))
    command = [sys.executable, "-m", "lossd", "serve", "--workers", str(workers)]
    with (folder / f"{port}.log").open("ab") as log:
        process = subprocess.Popen(command, env=variables, stdout=log, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return process
        time.sleep(0.05)
    raise SystemExit(f"the replica on port {port} did not start")


def roll(folder: Path, *, restarts: int, calls: int, rate: float, workers: int) -> tuple[Load, Counter[int]]:
    """Restart both replicas so many times under load; return the load and the exit codes."""
    ports = free_ports(2)
    replicas = {port: start(folder, port, workers) for port in ports}
    codes: Counter[int] = Counter()
    try:
        with proxy(folder, ports) as port:
            load = Load(port, rate)
            with load.running():
                for _ in range(restarts):
                    for each in ports:
                        replicas[each].terminate()
                        codes[replicas[each].wait(60)] += 1
                        replicas[each] = start(folder, each, workers)
                        time.sleep(0.3)
                while len(load.seconds) < calls:
                    time.sleep(0.1)
    finally:
        for process in replicas.values():
            process.kill()
            process.wait()
    return load, codes


def main() -> int:
    """Print what was lost; fail if anything was."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--restarts", type=int, default=10, help="of each replica")
    parser.add_argument("--calls", type=int, default=20_000, help="at least")
    parser.add_argument("--rate", type=float, default=600.0, help="calls a second, at most")
    parser.add_argument("--workers", type=int, default=1, help="processes of each replica")
    arguments = parser.parse_args()
    if NGINX is None:
        raise SystemExit("nginx is not installed")
    with tempfile.TemporaryDirectory() as folder:
        load, codes = roll(Path(folder), **vars(arguments))
    seconds = sorted(load.seconds)
    percentiles = {
        f"p{p:g}_ms": round(seconds[int(len(seconds) * p / 100)] * 1000, 1) for p in (50, 99, 99.9)
    }
    print(
        json.dumps(
            {
                "restarts": sum(codes.values()),
                "exit_codes": dict(codes),
                "calls": len(seconds),
                "lost": sum(load.lost.values()),
                "how": dict(load.lost),
                **percentiles,
                "longest_ms": round(seconds[-1] * 1000, 1),
            }
        )
    )
    return bool(load.lost or codes.keys() - {0})


if __name__ == "__main__":
    sys.exit(main())
