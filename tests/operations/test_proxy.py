"""What nginx does as deploy/nginx.conf tells it, in front of replicas that die, move and restart."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.operations.proxy import NGINX, free_ports, proxy

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


@contextlib.contextmanager
def replicas(ports: list[int]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run one stand-in per port, and end those that are left."""
    command = [sys.executable, str(Path(__file__).with_name("replica.py"))]
    running = [subprocess.Popen([*command, str(port)], stdout=subprocess.PIPE) for port in ports]
    try:
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
        yield running
    finally:
        for process in running:
            process.kill()
            process.communicate(timeout=30)


def post(port: int, body: str = "x") -> httpx.Response:
    return httpx.post(f"http://127.0.0.1:{port}/v1/losses/mse", content=body, timeout=30)


def statuses(port: int, count: int) -> Counter[int]:
    return Counter(post(port).status_code for _ in range(count))


def test_a_call_that_kills_its_replica_reaches_no_other(tmp_path: Path) -> None:
    ports = free_ports(3)
    with replicas(ports) as running, proxy(tmp_path, ports, moved_to=ports[1]) as port:
        assert statuses(port, 6) == {200: 6}
        answer = post(port, "poison")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert statuses(port, 20) == {200: 20}
        assert sorted(process.poll() is None for process in running) == [False, True, True]


def test_a_post_that_no_connection_takes_goes_to_the_next_replica(tmp_path: Path) -> None:
    ports = free_ports(3)
    with replicas(ports[:1]), proxy(tmp_path, ports[::-1], moved_to=ports[1]) as port:
        assert statuses(port, 20) == {200: 20}


def test_replicas_with_new_addresses_are_found(tmp_path: Path) -> None:
    ports = free_ports(3)
    with replicas(ports[:1]), proxy(tmp_path, ports[1:], moved_to=ports[0]) as port:
        assert statuses(port, 20) == {200: 20}


def test_poison_is_not_sent_to_the_new_address_either(tmp_path: Path) -> None:
    ports = free_ports(2)
    with replicas(ports) as running, proxy(tmp_path, ports[:1], moved_to=ports[1]) as port:
        assert post(port, "poison").status_code == 503
        running[0].wait(30)
        assert running[1].poll() is None


def test_the_proxy_outlives_its_replicas_and_says_when_to_come_back(tmp_path: Path) -> None:
    ports = free_ports(2)
    with proxy(tmp_path, ports) as port:
        answer = post(port)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == 503
        with replicas(ports):
            assert statuses(port, 6)[200] >= 5
        assert post(port).status_code == 503
        with replicas(ports[:1]):
            assert statuses(port, 6)[200] >= 5
