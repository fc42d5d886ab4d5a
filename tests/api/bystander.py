"""A caller of small calls beside an expensive one, and the memory that a server has held at most."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import httpx

from tests.api.serving import GOOD, GOOD_LOSS, Served

PATIENCE_SECONDS = 120.0


class Bystander:
    """A caller who sends one small call after the other, and counts how long it waits for each."""

    def __init__(self, server: Served) -> None:
        self.url = f"{server.url}/v1/losses/mse"
        self.waits: list[float] = []
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._call)

    def __enter__(self) -> Bystander:
        self.thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.ended.set()
        self.thread.join()

    def _call(self) -> None:
        with httpx.Client(timeout=PATIENCE_SECONDS) as client:
            while not self.ended.is_set() or not self.waits:
                start = time.perf_counter()
                answer = client.post(self.url, json=GOOD)
                self.waits.append(time.perf_counter() - start)
                assert answer.json()["loss"] == GOOD_LOSS
                time.sleep(0.01)


def peak_mib(server: Served) -> float:
    """Return the most memory that the server's process has held."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def clear_peak(server: Served) -> None:
    """Count the most memory of the server's process from what it holds now."""
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")
