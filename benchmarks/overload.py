"""Goodput under five times the load that one server process can bear, against its peak.

Calls come at their times whatever the server does, each on a free or a new connection; a caller that is refused goes.
The peak is that of four callers who wait for their answers, the mean of those before and after each turn of load,
because a machine's speed drifts. Beside them another process asks for /livez all the time.
The server has one half of the machine's cores and the callers the other, whose work else would be taken from the
server's. On one machine the kernel also sends what a caller has written while the server reads, in the server's time:
the more, the busier the callers are. As root the packets are steered to the callers' cores, as if these were another
machine's, until the benchmark ends; else the table says that they are not.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import uvloop  # asyncio's own loop copies what a socket does not take at once

from benchmarks.report import save, table
from benchmarks.servers import HOST, Server, request

HELP = "goodput at five times the load"
LEAST_GOODPUT = 0.9
MOST_LIVEZ_MS = 100
_STEERING = Path("/sys/class/net/lo/queues/rx-0/rps_cpus")  # which cores take what arrives at 127.0.0.1
_LENGTH = re.compile(rb"content-length: *(\d+)")
_CALLERS = 4
_PEAK_SECONDS, _LOADED_SECONDS = 1.0, 2.5  # short: a machine's speed drifts by half and more within seconds
_TURNS = 12
_PATIENCE = 10.0
_MOST_UNDER_WAY = 4000


def _json() -> bytes:
    rng = np.random.default_rng(0)
    first, second = (rng.standard_normal(200_000).round(4).tolist() for _ in range(2))
    return json.dumps({"input": first, "target": second, "gradient": True}).encode()


def _safetensors() -> bytes:
    rng = np.random.default_rng(0)
    arrays = {name: rng.standard_normal(500_000, dtype=np.float32) for name in ("input", "target")}
    return safetensors.numpy.save(arrays)


BODIES = {
    "JSON, 3.4 MB": ("/v1/losses/mse", "application/json", _json),
    "safetensors, 4 MB": ("/v1/losses/mse?gradient=true", "application/vnd.safetensors", _safetensors),
}


class Caller(asyncio.Protocol):
    """One connection; `answer` is the head of the next whole answer."""

    transport: asyncio.Transport | None = None
    answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with no answer."""
        self.transport = transport  # type: ignore[assignment]
        self._head, self._left = b"", -1

    def data_received(self, data: bytes) -> None:
        """Take a piece of an answer."""
        if self._left < 0:
            self._head += data
            head, edge, rest = self._head.partition(b"\r\n\r\n")
            if not edge:
                return
            self._head = head.lower()
            found = _LENGTH.search(self._head)
            self._left, data = int(found[1]) if found else 0, rest
        self._left -= len(data)
        if self._left <= 0 and self.answer is not None and not self.answer.done():
            head, self._head, self._left = self._head, b"", -1
            self.answer.set_result(head)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the call that waits."""
        self.transport = None
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(ConnectionError())


@dataclass(slots=True)
class Load:
    """The callers of one server, and what became of their calls."""

    port: int
    call: bytes
    outcomes: Counter[str] = field(default_factory=Counter)
    free: list[Caller] = field(default_factory=list)

    async def send(self) -> None:
        """Make one call, on a free connection or a new one."""
        caller = None
        try:
            async with asyncio.timeout(_PATIENCE):
                while self.free and (caller is None or caller.transport is None):
                    caller = self.free.pop()
                answer = asyncio.get_running_loop().create_future()
                if caller is None or caller.transport is None:
                    _, caller = await asyncio.get_running_loop().create_connection(Caller, HOST, self.port)
                caller.answer = answer
                assert caller.transport is not None
                caller.transport.write(self.call)
                head = await answer
        except (OSError, TimeoutError) as error:
            self.outcomes[type(error).__name__] += 1
            if caller is not None and caller.transport is not None:
                caller.transport.abort()
            return
        self.outcomes[head[9:12].decode()] += 1
        if b"connection: close" not in head:
            self.free.append(caller)
        elif caller.transport is not None:
            caller.transport.abort()

    async def closed(self, seconds: float) -> None:
        """Call as fast as answers come."""
        end = time.perf_counter() + seconds

        async def one() -> None:
            while time.perf_counter() < end:
                await self.send()

        await asyncio.gather(*(one() for _ in range(_CALLERS)))

    async def open(self, seconds: float, rate: float) -> None:
        """Call so many times a second."""
        tasks: set[asyncio.Task[None]] = set()
        start, made = time.perf_counter(), 0
        while (passed := time.perf_counter() - start) < seconds:
            while made < passed * rate:
                made += 1
                if len(tasks) < _MOST_UNDER_WAY:
                    tasks.add(task := asyncio.create_task(self.send()))
                    task.add_done_callback(tasks.discard)
            await asyncio.sleep(0.002)
        if tasks:
            await asyncio.wait(tasks)


def ask_health(port: int, seconds: float) -> list[float]:
    """Ask whether the server lives, again and again on new connections; return how many seconds each answer took."""
    took, end = [], time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        asked = http.client.HTTPConnection(HOST, port, timeout=30)
        with suppress(OSError):
            asked.request("GET", "/livez")
            asked.getresponse().read()
        asked.close()
        took.append(time.perf_counter() - start)
        time.sleep(0.05)
    return took


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="one turn in place of twelve")
    parser.add_argument("--times", type=float, default=5.0, help="how many times the peak is asked for")


def run(arguments: argparse.Namespace) -> None:
    turns = 1 if arguments.quick else _TURNS
    results = []
    for name, (path, media_type, body) in BODIES.items():
        with Server("lossd") as server, halved(server) as steered:
            call = request(path, body(), media_type)
            found = uvloop.run(measure(server, call, turns, arguments.times))
            results.append({"body": name, "steered": steered, **found})
            print(results[-1], flush=True)
    save("overload", results, f"{verdict(results)}\n\n{render(results)}")
    print(verdict(results), render(results), sep="\n")


@contextmanager
def halved(server: Server) -> Iterator[bool]:
    """Give the server one half of the cores that this process has, and the callers the other.

    Yields:
        Whether the packets between them are the callers' cores' work.
    """
    cores = sorted(os.sched_getaffinity(0))
    half = len(cores) // 2
    if half:
        server.use_cores(cores[:half])
        os.sched_setaffinity(0, cores[half:])
    try:
        with steered(cores[half:] if half else []) as done:
            yield done
    finally:
        os.sched_setaffinity(0, cores)


@contextmanager
def steered(cores: Sequence[int]) -> Iterator[bool]:
    """Let these cores take what arrives at the loopback device; yield whether they do."""
    try:
        before = _STEERING.read_text()
        mask = f"{sum(1 << core for core in cores):x}"
        groups = [mask[max(0, end - 8) : end] for end in range(len(mask), 0, -8)]
        _STEERING.write_text(",".join(reversed(groups)))
    except OSError:  # not root, or another kernel
        yield False
        return
    try:
        yield bool(cores)
    finally:
        _STEERING.write_text(before)


async def measure(server: Server, call: bytes, turns: int, times: float) -> dict[str, Any]:
    """Alternate between the peak and ``times`` its load, and measure what /livez takes under that."""
    load = Load(server.port, call)
    await load.closed(_PEAK_SECONDS)
    peaks = [await _goodput(server, load, load.closed(_PEAK_SECONDS))]
    loaded: list[tuple[float, float]] = []
    health: list[float] = []
    outcomes: Counter[str] = Counter()
    with ProcessPoolExecutor(1) as other:
        other.submit(ask_health, server.port, 0.0).result()  # it has started
        for _ in range(turns):
            asking = asyncio.wrap_future(other.submit(ask_health, server.port, _LOADED_SECONDS))
            rate = times * peaks[-1][0]
            loaded.append(await _goodput(server, load, load.open(_LOADED_SECONDS, rate)))
            outcomes += load.outcomes
            health += await asking
            peaks.append(await _goodput(server, load, load.closed(_PEAK_SECONDS)))
    shares = np.array(loaded) / np.mean([peaks[:-1], peaks[1:]], axis=0)
    peak = float(np.mean(peaks, axis=0)[0])
    return {
        "peak": peak,
        "asked": outcomes.total() / (turns * _LOADED_SECONDS) / peak,
        "goodput": float(np.median(shares[:, 0])),
        "goodput_cpu": float(np.median(shares[:, 1])),
        "middle": [round(float(share), 2) for share in np.quantile(shares[:, 0], (0.25, 0.75))],
        "recovered": min(after / peaks[0][0] for after, _ in peaks[1:]),
        "livez_ms": 1e3 * float(np.quantile(health, 0.99)),
        "outcomes": dict(outcomes),
    }


async def _goodput(server: Server, load: Load, calls: Any) -> tuple[float, float]:
    """Return the answers a second, and a second of the server's processor."""
    load.outcomes.clear()
    start, cpu = time.perf_counter(), server.cpu_seconds()
    await calls
    good = load.outcomes["200"]
    return good / (time.perf_counter() - start), good / max(server.cpu_seconds() - cpu, 0.01)


def verdict(results: Sequence[Mapping[str, Any]]) -> str:
    """Say whether the bars are met."""
    return "\n".join(
        f"- {each['body']}: goodput {each['goodput']:.2f} of the peak at {each['asked']:.1f} times the load, "
        f"at least {LEAST_GOODPUT}: {'pass' if each['goodput'] >= LEAST_GOODPUT else 'FAIL'}; p99 of /livez "
        f"{each['livez_ms']:.0f} ms, at most {MOST_LIVEZ_MS}: {'pass' if each['livez_ms'] <= MOST_LIVEZ_MS else 'FAIL'}"
        for each in results
    )


def render(results: Sequence[Mapping[str, Any]]) -> str:
    header = [
        "body",
        "peak, calls a second",
        "asked",
        "goodput",
        "of the middle half of the turns",
        "by server CPU",
        "after it",
        "packets",
        "p99 of /livez, ms",
        "outcomes",
    ]
    rows = [
        [
            each["body"],
            f"{each['peak']:.1f}",
            f"{each['asked']:.1f}",
            f"{each['goodput']:.2f}",
            " to ".join(f"{share:.2f}" for share in each["middle"]),
            f"{each['goodput_cpu']:.2f}",
            f"{each['recovered']:.2f}",
            "of the callers' cores" if each["steered"] else "in part in the server's time",
            f"{each['livez_ms']:.0f}",
            ", ".join(f"{count} {name}" for name, count in sorted(each["outcomes"].items())),
        ]
        for each in results
    ]
    return table(header, rows)
