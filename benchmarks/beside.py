"""Small calls beside large ones: how long a caller waits while others send 20 MB of JSON, one call after the other.

The same small calls are timed alone, beside one caller of large ones and beside several, in turns of one run. The
callers of large calls are processes of their own, and need a core each: several of them leave the server less than it
needs, on few cores, so that the bar is on one of them.
"""

from __future__ import annotations

import argparse
import json
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from statistics import quantiles
from typing import Any

import numpy as np

from benchmarks.http import SMALL
from benchmarks.report import save, table
from benchmarks.servers import Connection, Server, request

HELP = "small calls beside large ones"
PATH = "/v1/losses/cross_entropy"
CALLERS = (1, 4)
ROUNDS = 5
SECONDS = 4.0
QUICK_SECONDS = 1.0
PAUSE_SECONDS = 0.005
REFUSED_SECONDS = 0.2
MOST_MILLISECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Figure:
    """How long the small calls took, in milliseconds, and how many large calls were answered in a second."""

    beside: str
    median: float
    p99: float
    longest: float
    large_calls: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="a quarter of the time")
    parser.add_argument("--callers", type=int, nargs="+", default=CALLERS, help="large calls at a time")


def run(arguments: argparse.Namespace) -> None:
    figures = measure(arguments.callers, QUICK_SECONDS if arguments.quick else SECONDS)
    text = f"{verdict(figures)}\n{render(figures)}"
    print(text)
    save("beside", [asdict(figure) for figure in figures], text)


def measure(callers: Sequence[int], seconds: float) -> list[Figure]:
    """Time the small calls beside no large ones and beside each number of their callers, in turns."""
    waits: dict[int, list[float]] = {count: [] for count in (0, *callers)}
    answered = dict.fromkeys(waits, 0)
    with Server("lossd") as server, closing(Connection(server.port)) as connection:
        _waits(connection, 0.2)
        for _ in range(ROUNDS):
            for count, waited in waits.items():
                with large_calls(server.port, count) as counts:
                    waited += _waits(connection, seconds)
                answered[count] += sum(counts)
    return [_figure(count, waited, answered[count] / (ROUNDS * seconds)) for count, waited in waits.items()]


@contextmanager
def large_calls(port: int, callers: int) -> Iterator[list[int]]:
    """Let callers repeat the large call during the block; the list has then how many each made."""
    counts: list[int] = []
    command = [sys.executable, "-m", "benchmarks.beside", str(port)]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            for _ in range(callers)
        ]
        for process in processes:
            _line(process)  # its body is made
        try:
            yield counts
        finally:
            for process in processes:
                print("stop", file=process.stdin, flush=True)
            counts += [int(_line(process)) for process in processes]


def verdict(figures: Sequence[Figure]) -> str:
    """Say whether the bar is met."""
    alone, beside = figures[:2]
    met = "pass" if beside.p99 <= MOST_MILLISECONDS else "FAIL"
    return (
        f"- 99 of 100 small calls beside {beside.beside}: within {beside.p99:.1f} ms, at most {MOST_MILLISECONDS:g}: "
        f"{met} (alone {alone.p99:.1f} ms)\n"
    )


def render(figures: Sequence[Figure]) -> str:
    header = ["beside", "median, ms", "p99, ms", "longest, ms", "large calls a second"]
    return table(header, [[each.beside, *(f"{value:.3g}" for value in _values(each))] for each in figures])


def _values(figure: Figure) -> list[float]:
    fields: dict[str, Any] = asdict(figure)
    return [value for name, value in fields.items() if name != "beside"]


def _figure(callers: int, waits: Sequence[float], large: float) -> Figure:
    hundredths = quantiles(waits, n=100)
    beside = f"{callers} {'caller' if callers == 1 else 'callers'} of 20 MB" if callers else "nothing"
    return Figure(beside, hundredths[49] * 1e3, hundredths[98] * 1e3, max(waits) * 1e3, large)


def _waits(connection: Connection, seconds: float) -> list[float]:
    """Return how long each of some small calls took, one after the other."""
    call = request(f"/v1/losses/{SMALL.loss}", SMALL.body())
    waits, end = [], time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        connection.send(call)
        connection.receive()
        waits.append(time.perf_counter() - start)
        time.sleep(PAUSE_SECONDS)
    return waits


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def _repeat_large_call(port: int) -> None:
    """Repeat the large call until a line comes in; then say how many were answered meanwhile."""
    rng = np.random.default_rng(0)
    body = {
        "input": rng.standard_normal((1024, 1000)).tolist(),
        "target": rng.integers(0, 1000, 1024).tolist(),
        "gradient": True,
    }
    call, answered = request(PATH, json.dumps(body).encode()), 0
    print(flush=True)
    while not select.select([sys.stdin], [], [], 0)[0]:
        with closing(Connection(port)) as connection:
            try:
                connection.send(call)
                connection.receive()
            except (OSError, RuntimeError):  # refused, as too many large calls wait
                time.sleep(REFUSED_SECONDS)
            else:
                answered += 1
    print(answered, flush=True)


if __name__ == "__main__":
    _repeat_large_call(int(sys.argv[1]))
