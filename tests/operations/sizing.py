"""Measures what a server process takes: memory when idle and when full, processor time for calls of each size.

    python -m tests.operations.sizing

Processor time is the server's own, so that other work on the machine matters less.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np

from lossd.wire.tensor import to_base64
from tests.api.serving import Served, serve

MIB = 1024 * 1024
JSON = "application/json"
TURNS = 5


def memory(server: Served, field: str) -> int:
    """Return a figure of the process's memory in MiB: VmRSS now, VmHWM at most."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition(f"{field}:")[2].split()[0]) // 1024


def processor_seconds(server: Served) -> float:
    """Return the processor time of the process so far, to ten milliseconds."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def calls() -> Iterator[tuple[str, bytes, dict[str, str], int]]:
    """Yield kinds of call: what it is, body, headers, and how many are made in a turn."""
    generator = np.random.default_rng(1)
    for elements, count in ((24, 3000), (10_000, 300), (1_000_000, 10)):
        arrays = [generator.standard_normal(elements, np.float32) for _ in range(2)]
        text = {"input": arrays[0].tolist(), "target": arrays[1].tolist(), "gradient": True}
        packed = {"input": to_base64(arrays[0]), "target": to_base64(arrays[1]), "gradient": True}
        header = {"Content-Type": JSON}
        yield f"{elements} elements, lists in JSON", json.dumps(text).encode(), header, count
        yield f"{elements} elements, base64 in JSON", json.dumps(packed).encode(), header, count


def cost(server: Served, body: bytes, headers: dict[str, str], count: int) -> float:
    """Return milliseconds of the server's processor time for one call: the least of several turns."""
    with httpx.Client(base_url=server.url, timeout=120) as client:
        for _ in range(max(count // 10, 1)):
            client.post("/v1/losses/huber", content=body, headers=headers).raise_for_status()
        turns = []
        for _ in range(TURNS):
            before = processor_seconds(server)
            for _ in range(count):
                client.post("/v1/losses/huber", content=body, headers=headers)
            turns.append((processor_seconds(server) - before) / count * 1000)
    return min(turns)


def fill(server: Served, body: bytes, callers: int) -> dict[int, int]:
    """Have so many callers call at once, several times; return how many got which status."""
    statuses: dict[int, int] = {}

    def call() -> None:
        for _ in range(4):
            answer = httpx.post(
                f"{server.url}/v1/losses/huber", content=body, headers={"Content-Type": JSON}, timeout=120
            )
            statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1

    threads = [threading.Thread(target=call) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def main() -> int:
    """Print a line of JSON for each figure."""
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder)) as server:
        httpx.get(server.url + "/readyz").raise_for_status()
        print(json.dumps({"idle_mib": memory(server, "VmRSS")}))
        for name, body, headers, count in calls():
            row = {
                "call": name,
                "body_bytes": len(body),
                "cpu_ms": round(cost(server, body, headers, count), 3),
            }
            print(json.dumps(row), flush=True)
    for in_flight in (128, 256, 512):
        variables = {
            "LOSSD_MAX_IN_FLIGHT_BYTES": str(in_flight * MIB),
            "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # as in the image
        }
        with tempfile.TemporaryDirectory() as folder, serve(Path(folder), **variables) as server:
            statuses = {}
            for _, body, _, _ in list(calls())[-2:]:
                for status, count in fill(server, body, 8).items():
                    statuses[status] = statuses.get(status, 0) + count
            row = {
                "in_flight_limit_mib": in_flight,
                "peak_mib": memory(server, "VmHWM"),
                "statuses": statuses,
            }
            print(json.dumps(row), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
