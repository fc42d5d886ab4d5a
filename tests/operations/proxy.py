"""Runs deploy/nginx.conf in front of replicas on this machine."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
CONFIGURATION = (ROOT / "deploy" / "nginx.conf").read_text()


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that nobody listens on."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]


def local_configuration(folder: Path, port: int, replicas: Sequence[int], moved_to: int | None = None) -> str:
    """Put addresses and folders of a test in the place of those of the container.

    ``moved_to`` is the port that the service's name has when it is looked up again; by default that of the first
    replica.
    """
    folder.mkdir(parents=True, exist_ok=True)
    servers = re.search(r"server lossd:8000(.*);", CONFIGURATION)
    assert servers is not None
    text = CONFIGURATION.replace(
        servers[0], "\n".join(f"server 127.0.0.1:{replica}{servers[1]};" for replica in replicas)
    )
    text = text.replace("set $service lossd:8000;", f"set $service 127.0.0.1:{moved_to or replicas[0]};")
    text = re.sub(r" /tmp/(\w+)", rf" {folder}/\1", text)
    text = text.replace("listen 8080;", f"listen 127.0.0.1:{port};")
    text = text.replace("worker_processes auto;", "worker_processes 2;")
    text = text.replace("/dev/stdout", f"{folder}/access.log").replace(
        "stderr warn", f"{folder}/error.log warn"
    )
    return f"user root;\n{text}" if os.geteuid() == 0 else text


@contextlib.contextmanager
def proxy(folder: Path, replicas: Sequence[int], moved_to: int | None = None) -> Iterator[int]:
    """Run nginx in front of the replicas that listen on these ports; yield its own port."""
    assert NGINX is not None
    (port,) = free_ports(1)
    configuration = folder / "nginx" / "nginx.conf"
    text = local_configuration(configuration.parent, port, replicas, moved_to)
    configuration.write_text(text)
    command = [NGINX, "-e", "stderr", "-c", str(configuration), "-g", "daemon off;"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        _wait_for(port, process)
        yield port
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise AssertionError(f"nginx did not start: {process.communicate()[1].decode()}") from None
            time.sleep(0.05)
