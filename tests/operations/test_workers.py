"""Of several server processes one may die, hang or lose its parent: the others go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.api.serving import GOOD, GOOD_LOSS, PATIENCE_SECONDS, Served, lossd, serve

PATH = "/v1/losses/mse"


def wait_until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"expected {what}"
        time.sleep(0.1)


def server_processes(server: Served) -> list[int]:
    """Return the processes that have started to serve, the newest last."""
    started = [line["event"] for line in server.log() if line["event"].startswith("Started server process")]
    return [int(event.partition("[")[2].rstrip("]")) for event in started]


def wait_for_workers(server: Served, count: int) -> list[int]:
    wait_until(lambda: server.log_text().count("startup complete") >= count, f"{count} workers")
    return server_processes(server)


def assert_serves(server: Served) -> None:
    for _ in range(10):
        assert httpx.post(server.url + PATH, json=GOOD, timeout=30).json()["loss"] == GOOD_LOSS


def gone(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_signals_that_interrupt_one_another_end_the_parent() -> None:
    """A handler that takes a lock would wait for the one that it interrupts."""
    program = """
import os, random, signal, socket, threading, time
import uvicorn
from lossd.api.supervisor import Supervisor

def signals():
    time.sleep(0.001)
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(random.uniform(0, 3e-4))

config = uvicorn.Config("none:none")
config.workers = 0
for _ in range(1000):
    supervisor = Supervisor(config, socket.socket(), patience=1, stop_seconds=1, announce=print)
    sender = threading.Thread(target=signals)
    sender.start()
    assert supervisor.run() == 0
    sender.join()
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_killed_worker_is_replaced_while_the_other_serves(tmp_path: Path) -> None:
    with serve(tmp_path, "--workers", "2") as server:
        first, _ = wait_for_workers(server, 2)
        os.kill(first, signal.SIGKILL)
        assert_serves(server)
        wait_for_workers(server, 3)
        assert_serves(server)
        assert f"Replaced server process [{first}]: it ended with exit code -9" in server.log_text()
        assert server.stop() == 0
        assert all(gone(process) for process in server_processes(server))


def test_a_stopped_worker_is_replaced_once_it_was_silent_for_too_long(tmp_path: Path) -> None:
    with serve(tmp_path, "--workers", "2", LOSSD_WORKER_TIMEOUT_SECONDS="3") as server:
        first, second = wait_for_workers(server, 2)
        time.sleep(1)  # both have answered since they started
        os.kill(first, signal.SIGSTOP)
        server.wait_for(rf"Replaced server process \[{first}\]: it was silent for 3 s")
        assert gone(first)
        assert not gone(second)
        wait_for_workers(server, 3)
        assert_serves(server)
        assert server.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_worker_does_not_hold_the_others_up(tmp_path: Path, number: int) -> None:
    with serve(tmp_path, "--workers", "2") as server:
        first, _ = wait_for_workers(server, 2)
        os.kill(first, signal.SIGSTOP)
        started = time.monotonic()
        server.process.send_signal(number)
        assert server.process.wait(PATIENCE_SECONDS) == 0
        assert time.monotonic() - started < 15
        assert gone(first)


def test_workers_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    with serve(tmp_path, "--workers", "2") as server:
        workers = wait_for_workers(server, 2)
        server.process.kill()
        server.process.wait()
        wait_until(lambda: all(gone(worker) for worker in workers), "workers to end with their parent")


def test_workers_that_cannot_start_are_not_started_for_ever(tmp_path: Path) -> None:
    """Each fails as the first one did, which the exit code tells."""
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text(
        "import multiprocessing, sys\n"
        "if multiprocessing.parent_process() or '--multiprocessing-fork' in sys.argv:\n"
        "    import lossd.api.health as health\n"
        "    def fail(*_): raise RuntimeError('cannot start')\n"
        "    health.drain_on_sigterm = fail\n"
    )
    path = os.pathsep.join([str(broken), str(Path(__file__).parents[2] / "service")])
    assert lossd("serve", "--workers", "2", PYTHONPATH=path).returncode == 3
