"""One large binary call against what no server can do without: its bytes moved, its kernel run.

A float32 call in safetensors, input, target and the gradient back, on one connection. What it takes may be
1.5 times a raw echo of as many bytes plus the engine alone, and what it holds 1.3 times the body.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from statistics import median

import numpy as np

from benchmarks.report import save, table
from benchmarks.servers import Connection, Server, request
from lossd.engine import evaluate
from lossd.losses import find
from lossd.message import Array, Call
from lossd.wire import CODECS

HELP = "one large binary call against an echo and the engine"
LOSSES = ("mse", "huber", "bce_with_logits")
SAFETENSORS = "application/vnd.safetensors"
MOST_TIME, MOST_MEMORY = 1.5, 1.3


@dataclass(frozen=True, slots=True)
class Figure:
    """What one loss came to: seconds of each part, and the peak above idle in sizes of the body."""

    loss: str
    body_mib: float
    echo_seconds: float
    engine_seconds: float
    lossd_seconds: float
    peak_bodies: float

    @property
    def ratio(self) -> float:
        """How many times the unavoidable the call took."""
        return self.lossd_seconds / (self.echo_seconds + self.engine_seconds)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--mib", type=float, default=63.9, help="size of the body")
    parser.add_argument("--rounds", type=int, default=9, help="turns that each side takes")


def run(arguments: argparse.Namespace) -> None:
    figures = [measure(name, arguments.mib, arguments.rounds) for name in LOSSES]
    header = ["loss, body", "echo, ms", "engine, ms", "lossd, ms", "times both", f"at most {MOST_TIME}"]
    header += ["peak above idle, bodies", f"at most {MOST_MEMORY}"]
    text = table(header, [_cells(figure) for figure in figures])
    print(text)
    save("copies", [asdict(figure) for figure in figures], text)


def measure(name: str, mib: float, rounds: int) -> Figure:
    """Let the echo, the engine and lossd take turns at one call."""
    arrays = _arrays(int(mib * 2**20 / 8))
    body = b"".join(CODECS[SAFETENSORS].encode_call(Call(arrays)))
    posted = request(f"/v1/losses/{name}?gradient=true", body, SAFETENSORS)
    seconds: dict[str, list[float]] = {"echo": [], "engine": [], "lossd": []}
    with (
        Server("echo") as echo,
        Server("lossd") as ours,
        closing(Connection(echo.port)) as to_echo,
        closing(Connection(ours.port)) as to_ours,
    ):
        idle = ours.resident_bytes()
        for _ in range(rounds):
            seconds["echo"].append(_ask(to_echo, posted))
            seconds["lossd"].append(_ask(to_ours, posted))
            seconds["engine"].append(_evaluate(name, arrays))
        peak = ours.resident_bytes(peak=True) - idle
    middle = {side: median(found[1:]) for side, found in seconds.items()}  # the first turn warms up
    return Figure(
        name, len(body) / 2**20, middle["echo"], middle["engine"], middle["lossd"], peak / len(body)
    )


def _arrays(count: int) -> Mapping[str, Array]:
    rng = np.random.default_rng(0)
    return {
        "input": rng.standard_normal(count, np.float32),
        "target": rng.integers(0, 2, count).astype(np.float32),
    }


def _ask(connection: Connection, posted: bytes) -> float:
    start = time.perf_counter()
    connection.send(posted)
    connection.receive()
    return time.perf_counter() - start


def _evaluate(name: str, arrays: Mapping[str, Array]) -> float:
    """Time the engine as the service calls it: the gradient takes the place of the input."""
    owned = Call({of: array.copy() for of, array in arrays.items()}, {"gradient": True}, owned=True)
    start = time.perf_counter()
    evaluate(find(name), owned)
    return time.perf_counter() - start


def _cells(figure: Figure) -> list[str]:
    return [
        f"{figure.loss}, {figure.body_mib:.1f} MiB",
        *(f"{s * 1e3:.1f}" for s in (figure.echo_seconds, figure.engine_seconds, figure.lossd_seconds)),
        f"{figure.ratio:.2f}",
        "pass" if figure.ratio <= MOST_TIME else "FAIL",
        f"{figure.peak_bodies:.2f}",
        "pass" if figure.peak_bodies <= MOST_MEMORY else "FAIL",
    ]
