"""What nginx and HAProxy add to a small call: processor time of the proxy and of the server, and the answer's delay.

Each runs as deploy/balancing tells it, in front of one server of this machine; directly and through both proxies the
same calls are sent one after the other, in turns of one run.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.http import SMALL
from benchmarks.report import save, table
from benchmarks.servers import HOST, Connection, Server, cpu_seconds, free_port, request

HELP = "what a proxy costs a small call"
CONFIGURATIONS = Path(__file__).parents[1] / "deploy" / "balancing"
CALLS = 500  # over one connection: nginx closes it after 1,000
TURNS, QUICK_TURNS = 40, 8
SMALL_CALL = request(f"/v1/losses/{SMALL.loss}", SMALL.body())


def _nginx(program: str, file: Path, text: str) -> list[str]:
    user = "user root;\n" if os.geteuid() == 0 else ""
    file.write_text(
        user + re.sub(r" /tmp/(\w+)", rf" {file.parent}/\1", text).replace("processes auto;", "processes 1;")
    )
    return [program, "-e", "stderr", "-c", str(file), "-g", "daemon off;"]


def _haproxy(program: str, file: Path, text: str) -> list[str]:
    file.write_text(text)
    return [program, "-db", "-q", "-f", str(file)]


@dataclass(frozen=True, slots=True)
class Proxy:
    """A program that balances calls.

    Attributes:
        file: Its configuration, in deploy/balancing.
        command: Writes a configuration for this machine, and returns the command that runs it.
    """

    file: str
    command: Callable[[str, Path, str], list[str]]


PROXIES: Mapping[str, Proxy] = {
    "nginx": Proxy("nginx.conf", _nginx),
    "haproxy": Proxy("haproxy.cfg", _haproxy),
}


def installed(name: str) -> str | None:
    """Return where a proxy's program is; None if it is not there."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")


@contextlib.contextmanager
def running(name: str, ports: Sequence[int]) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Run a proxy before the replicas lossd-1, lossd-2 and so on of these ports; yield its own port and process."""
    program, proxy, port = installed(name), PROXIES[name], free_port()
    if program is None:
        raise RuntimeError(f"expected {name}, which is not installed")
    text = (CONFIGURATIONS / proxy.file).read_text()
    for number, replica in enumerate(ports, 1):
        text = text.replace(f"lossd-{number}:8000", f"{HOST}:{replica}")
    text = text.replace("listen 8080;", f"listen {HOST}:{port};").replace("bind :8080", f"bind {HOST}:{port}")
    with tempfile.TemporaryDirectory() as folder:
        command = proxy.command(program, Path(folder) / proxy.file, text)
        process = subprocess.Popen(command, stderr=subprocess.PIPE)
        try:
            yield port, process
        finally:
            process.terminate()
            process.communicate(timeout=30)


@dataclass(slots=True)
class Figures:
    """What all calls on one way took, in seconds.

    Attributes:
        way: Through what.
        elapsed: From the calls to their answers.
        server: Processor time of the server.
        proxy: Processor time of the proxy.
    """

    way: str
    elapsed: float = 0.0
    server: float = 0.0
    proxy: float = 0.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="a fifth of the calls")


def run(arguments: argparse.Namespace) -> None:
    turns = QUICK_TURNS if arguments.quick else TURNS
    figures = measure(turns)
    text = render(figures, turns * CALLS)
    print(text)
    save("proxies", [asdict(each) for each in figures], text)


def measure(turns: int) -> list[Figures]:
    """Send the small call directly and through each proxy that is installed."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Server("lossd"))
        ways: list[tuple[Figures, int, int | None]] = [(Figures("nothing"), server.port, None)]
        for name in filter(installed, PROXIES):
            port, process = stack.enter_context(running(name, [server.port] * 3))
            ways.append((Figures(name), port, process.pid))
        for _, port, _ in ways:
            _wait_for(port)
        for _ in range(turns):
            for figures, port, process_id in ways:
                _turn(server, figures, port, process_id)
        return [figures for figures, _, _ in ways]


def _wait_for(port: int) -> None:
    """Wait until calls are answered; a proxy listens before it knows that its replicas are well."""
    end = time.monotonic() + 30
    while True:
        with contextlib.suppress(OSError, RuntimeError), contextlib.closing(Connection(port)) as connection:
            connection.send(SMALL_CALL)
            connection.receive()
            return
        if time.monotonic() > end:
            raise RuntimeError("expected an answer through the proxy, got none")
        time.sleep(0.1)


def _turn(server: Server, figures: Figures, port: int, process_id: int | None) -> None:
    with contextlib.closing(Connection(port)) as connection:
        start, of_server, of_proxy = time.perf_counter(), server.cpu_seconds(), _family_seconds(process_id)
        for _ in range(CALLS):
            connection.send(SMALL_CALL)
            connection.receive()
        figures.elapsed += time.perf_counter() - start
        figures.server += server.cpu_seconds() - of_server
        figures.proxy += _family_seconds(process_id) - of_proxy


def _family_seconds(process_id: int | None) -> float:
    """Return the processor time of a process and its children; nginx's main process only watches."""
    if process_id is None:
        return 0.0
    children = Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()
    return cpu_seconds(process_id) + sum(map(cpu_seconds, map(int, children)))


def render(figures: Sequence[Figures], calls: int) -> str:
    """Lay what one call took out as a table."""
    rows = [
        [each.way, *(f"{1e6 * seconds / calls:.0f}" for seconds in (each.elapsed, each.server, each.proxy))]
        for each in figures
    ]
    return table(["through", "us a call", "server CPU, us", "proxy CPU, us"], rows)
