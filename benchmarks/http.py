"""The service over HTTP against the one that a user would write by hand.

Two calls, both with the gradient, in JSON: mse of 8x3 numbers, where the server's own work is all there is,
and cross entropy of 1024x1000 logits, where reading and writing numbers is. One worker each, taking turns. The small
call goes to the least ASGI application too: what it takes of the processor is that of the server alone; and to a server
that asks for a key and counts calls and work.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np

from benchmarks.report import save, table
from benchmarks.servers import Connection, Server, request

HELP = "requests per second, and processor time of a request"
OURS, GUARDED, THEIRS, LEAST = "lossd", "lossd, keys and limits", "hand-written", "echo"
PATHS = {OURS: "/v1/losses/", GUARDED: "/v1/losses/", THEIRS: "/", LEAST: "/"}
# Processor time of the small call, in that of the least application.
MOST_TIMES_LEAST = 4.5
# Processor time of the small call with keys and limits, in that without.
MOST_TIMES_UNGUARDED = 1.1
LEAST_SPEED = 6.0
# The hand-written service computes in float32, PyTorch's default.
AGREEMENT = 1e-5


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked, and how often.

    Attributes:
        loss: Which loss.
        shape: Of its input.
        connections: How many requests are under way at a time.
        requests: How many each server gets in one turn.
        rounds: How many turns each server has.
    """

    loss: str
    shape: tuple[int, int]
    connections: int
    requests: int
    rounds: int

    @property
    def name(self) -> str:
        """Say what is asked."""
        return f"{self.loss} {'x'.join(map(str, self.shape))}"

    def body(self) -> bytes:
        """Write the call as a Python client does, every number in full."""
        rng = np.random.default_rng(0)
        rows, classes = self.shape
        target = rng.standard_normal(self.shape) if self.loss == "mse" else rng.integers(0, classes, rows)
        call = {
            "input": rng.standard_normal(self.shape).tolist(),
            "target": target.tolist(),
            "gradient": True,
        }
        return json.dumps(call).encode()


SMALL = Load("mse", (8, 3), connections=8, requests=2000, rounds=5)
LARGE = Load("cross_entropy", (1024, 1000), connections=1, requests=1, rounds=30)
QUICK_SMALL = Load("mse", (8, 3), connections=8, requests=400, rounds=3)
QUICK_LARGE = Load("cross_entropy", (1024, 1000), connections=1, requests=1, rounds=3)


@dataclass(frozen=True, slots=True)
class Figure:
    """What one load came to on one server: seconds of one request, the client's and the processor's."""

    load: str
    server: str
    seconds: float
    cpu_seconds: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="a fifth of the requests")


def run(arguments: argparse.Namespace) -> None:
    loads = (QUICK_SMALL, QUICK_LARGE) if arguments.quick else (SMALL, LARGE)
    figures = measure(loads)
    text = f"{verdict(figures)}\n{render(figures)}"
    print(text)
    save("http", [asdict(figure) for figure in figures], text)


def measure(loads: Sequence[Load]) -> list[Figure]:
    """Start the servers, and measure each load on them in turns."""
    with ExitStack() as stack:
        small, large = loads
        names = (OURS, THEIRS, LEAST, GUARDED)
        ours, theirs, least, guarded = (stack.enter_context(Server(name)) for name in names)
        return measure_load(small, (ours, theirs, least, guarded)) + measure_load(large, (ours, theirs))


def measure_load(load: Load, servers: Sequence[Server]) -> list[Figure]:
    """Measure one load on every server, after as many requests that only warm it up."""
    body = load.body()
    requests = {server.name: request(PATHS[server.name] + load.loss, body) for server in servers}
    answers = [_turn(server, requests[server.name], load)[1] for server in servers]
    _agree(*answers[:2])
    turns: dict[str, list[float]] = {server.name: [] for server in servers}
    before = {server.name: server.cpu_seconds() for server in servers}
    for _ in range(load.rounds):
        for server in servers:
            turns[server.name].append(_turn(server, requests[server.name], load)[0])
    count = load.requests * load.rounds
    return [
        Figure(
            load.name,
            server.name,
            median(turns[server.name]) / load.requests,
            (server.cpu_seconds() - before[server.name]) / count,
        )
        for server in servers
    ]


def _turn(server: Server, request: bytes, load: Load) -> tuple[float, bytes]:
    """Return how many seconds all requests of one turn took, and the last answer."""
    with ExitStack() as stack:
        connections = [stack.enter_context(closing(Connection(server.port))) for _ in range(load.connections)]
        body = b""
        start = time.perf_counter()
        for _ in range(load.requests // load.connections):
            for connection in connections:
                connection.send(request)
            for connection in connections:
                body = connection.receive()
        return time.perf_counter() - start, body


def _agree(first: bytes, second: bytes) -> None:
    """Hold the answers of both services equal."""
    ours, theirs = json.loads(first), json.loads(second)
    gradients = np.array(ours["gradient"]["mean"]["input"]), np.array(theirs["gradient"])
    if not math.isclose(ours["loss"]["mean"], theirs["loss"], rel_tol=AGREEMENT) or not np.allclose(
        *gradients, rtol=1e-3, atol=AGREEMENT / gradients[0].shape[0]
    ):
        raise AssertionError(f"expected the loss {theirs['loss']} and its gradient, got {ours['loss']}")


def verdict(figures: Sequence[Figure]) -> str:
    """Say whether the bars are met."""
    by_load: dict[str, dict[str, Figure]] = {}
    for figure in figures:
        by_load.setdefault(figure.load, {})[figure.server] = figure
    lines = []
    for load, servers in by_load.items():
        ours, theirs = servers[OURS], servers[THEIRS]
        speed, share = theirs.seconds / ours.seconds, theirs.cpu_seconds / ours.cpu_seconds
        lines.append(f"- {load}: {speed:.1f} times as fast, with {share:.1f} times less of the processor")
    small, large = (servers for servers in by_load.values())
    times = small[OURS].cpu_seconds / small[LEAST].cpu_seconds
    lines.append(_bar("server CPU of the small call, in that of an echo", times, at_most=MOST_TIMES_LEAST))
    times = small[GUARDED].cpu_seconds / small[OURS].cpu_seconds
    name = "server CPU of the small call with keys and limits, in that without"
    lines.append(_bar(name, times, at_most=MOST_TIMES_UNGUARDED))
    lines.append(
        _bar("speed of the large call", large[THEIRS].seconds / large[OURS].seconds, at_least=LEAST_SPEED)
    )
    return "\n".join(lines) + "\n"


def _bar(name: str, value: float, *, at_most: float = math.inf, at_least: float = -math.inf) -> str:
    bound = f"at most {at_most:g}" if at_least == -math.inf else f"at least {at_least:g}"
    return f"- {name}: {value:.2f}, {bound}: {'pass' if at_least <= value <= at_most else 'FAIL'}"


def render(figures: Sequence[Figure]) -> str:
    header = ["call, service", "requests a second", "ms a request", "server CPU, us a request"]
    return table(header, [_cells(asdict(figure)) for figure in figures])


def _cells(figure: Mapping[str, Any]) -> list[str]:
    seconds, cpu = figure["seconds"], figure["cpu_seconds"]
    return [
        f"{figure['load']}, {figure['server']}",
        f"{1 / seconds:.4g}",
        f"{seconds * 1e3:.4g}",
        f"{cpu * 1e6:.4g}",
    ]
