"""A real server on a loopback port, and the examples run against it as a user would run them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PATIENCE_SECONDS = 120

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve from a process of its own; yield the address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    # A balancer needs time to notice that a server is leaving; this one has none in front.
    settings = environment(LOSSD_DRAIN_SECONDS="0", PYTHONPATH=str(ROOT / "service"))
    command = [sys.executable, "-m", "lossd", "serve", "--host", "127.0.0.1", "--port", str(port)]
    log = tmp_path_factory.mktemp("server") / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=settings, stdout=output, stderr=output)
    try:
        wait_until_ready(url, process, log)
        yield url
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


@pytest.fixture
def run(server: str) -> Run:
    """Run a program of ``examples/`` by its name without ``.py``, against the server."""

    def run_program(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run_python(str(EXAMPLES / f"{name}.py"), *arguments, url=server)

    return run_program


@pytest.fixture
def run_code() -> Run:
    """Run Python code beside the examples, against the server at ``url``."""

    def run_beside(code: str, *, url: str) -> subprocess.CompletedProcess[str]:
        return run_python("-c", code, url=url)

    return run_beside


@pytest.fixture
def closed_url() -> str:
    """Return an address where nothing listens."""
    return f"http://127.0.0.1:{free_port()}"


def run_python(*arguments: str, url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment(LOSSD_URL=url),
        cwd=EXAMPLES,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def environment(**variables: str) -> dict[str, str]:
    """Return the caller's environment without its own lossd settings, and with these."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LOSSD_")}
    # A proxy of the caller's has no way to this machine's loopback.
    return inherited | {"NO_PROXY": "127.0.0.1"} | variables


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    with httpx.Client(base_url=url, trust_env=False) as client:
        while process.poll() is None and time.monotonic() < deadline:
            try:
                if client.get("/readyz").is_success:
                    return
            except httpx.TransportError:
                pass  # not listening yet
            time.sleep(0.05)
    pytest.fail(f"expected a server at {url}, got: {log.read_text()}")
