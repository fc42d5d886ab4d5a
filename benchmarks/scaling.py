"""From one core to a million calls a second: how long calls wait behind a proxy, and what so many calls need.

Waits are simulated, not measured: calls arrive at random times, and a replica does one thing at a time, as Python
does. The plan is arithmetic on what one call costs (`COSTS`), which other parts of the benchmark measure.
"""

from __future__ import annotations

import argparse
import heapq
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from benchmarks.report import save, table

HELP = "replicas, waits, proxies, network and logs of up to a million calls a second; simulated"
SMALL_SECONDS, LARGE_SECONDS = 0.19e-3, 75e-3  # an 8x3 mse; 20 MB of JSON
CALLS = 400_000  # of each simulation
LOAD = 0.6

Replica = int


@dataclass(frozen=True, slots=True)
class Costs:
    """What one small call takes.

    Attributes:
        server: Seconds of a replica's core.
        proxy: Seconds of a proxy's core.
        batched: Seconds of a replica's core for each of a hundred calls of one batch.
        wire: Bytes on the network, in and out, with the heads of HTTP and TCP.
        line: Bytes of its line in the log.
    """

    server: float = 190e-6
    proxy: float = 60e-6
    batched: float = 35e-6
    wire: int = 1700
    line: int = 330


COSTS = Costs()


@dataclass(frozen=True, slots=True)
class Fleet:
    """Replicas and who chooses among them.

    Attributes:
        replicas: How many, of one core each.
        choose: How a proxy chooses, one of `CHOICES`.
        proxies: How many proxies, each of which knows its own calls alone.
        large: How many of the replicas take all large calls, and no others; 0 if all take any.
    """

    replicas: int
    choose: str = "least connections"
    proxies: int = 1
    large: int = 0


class Proxy:
    """One proxy: the calls that it has in flight, and where its turn is."""

    def __init__(self, replicas: int, rng: random.Random) -> None:
        self.active = [0] * replicas
        self.turn = rng.randrange(replicas)
        self.rng = rng


def _random(proxy: Proxy, among: range) -> Replica:
    return proxy.rng.choice(among)


def _round_robin(proxy: Proxy, among: range) -> Replica:
    proxy.turn += 1
    return among[proxy.turn % len(among)]


def _two_choices(proxy: Proxy, among: range) -> Replica:
    return min(proxy.rng.sample(among, min(2, len(among))), key=proxy.active.__getitem__)


def _least_connections(proxy: Proxy, among: range) -> Replica:
    """Begin at the next replica each time, so that ties do not all go to the first."""
    proxy.turn += 1
    start = proxy.turn % len(among)
    least = min(proxy.active[among.start : among.stop])
    for place in range(start, start + len(among)):
        if proxy.active[among[place % len(among)]] == least:
            return among[place % len(among)]
    raise AssertionError("a least number is one of them")


CHOICES: Mapping[str, Callable[[Proxy, range], Replica]] = {
    "random": _random,
    "round robin": _round_robin,
    "two choices": _two_choices,
    "least connections": _least_connections,
}


def simulate(fleet: Fleet, load: float, large_share: float, calls: int = CALLS, seed: int = 1) -> np.ndarray:
    """Return how long each small call takes, from its arrival to its end, in seconds.

    Args:
        fleet: The replicas.
        load: Share of all replicas' time that the calls take.
        large_share: Share of that work which is of large calls.
        calls: How many calls arrive.
        seed: Of the random numbers.
    """
    rng = random.Random(seed)
    work = load * fleet.replicas
    small_rate, large_rate = work * (1 - large_share) / SMALL_SECONDS, work * large_share / LARGE_SECONDS
    free_at = [0.0] * fleet.replicas
    proxies = [Proxy(fleet.replicas, rng) for _ in range(fleet.proxies)]
    choose = CHOICES[fleet.choose]
    for_large, for_small = range(fleet.large or fleet.replicas), range(fleet.large, fleet.replicas)
    ends: list[tuple[float, int, Proxy, Replica]] = []
    took, now = [], 0.0
    for number in range(calls):
        now += rng.expovariate(small_rate + large_rate)
        while ends and ends[0][0] <= now:
            _, _, proxy, replica = heapq.heappop(ends)
            proxy.active[replica] -= 1
        is_large = rng.random() * (small_rate + large_rate) < large_rate
        proxy = rng.choice(proxies)
        replica = choose(proxy, for_large if is_large else for_small)
        free_at[replica] = max(free_at[replica], now) + (LARGE_SECONDS if is_large else SMALL_SECONDS)
        proxy.active[replica] += 1
        heapq.heappush(ends, (free_at[replica], number, proxy, replica))
        if not is_large:
            took.append(free_at[replica] - now)
    return np.array(took)


@dataclass(frozen=True, slots=True)
class Plan:
    """What so many small calls a second need."""

    calls: int
    replicas: int
    batched_replicas: int
    proxy_cores: int
    gigabits: float
    log_megabytes: float


def plan(calls: int, load: float = LOAD, costs: Costs = COSTS) -> Plan:
    """Return what so many calls a second need, with cores busy for ``load`` of their time."""
    return Plan(
        calls,
        math.ceil(calls * costs.server / load),
        math.ceil(calls * costs.batched / load),
        math.ceil(calls * costs.proxy / load),
        calls * costs.wire * 8 / 1e9,
        calls * costs.line / 1e6,
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--calls", type=int, default=CALLS, help="calls of each simulation")


def run(arguments: argparse.Namespace) -> None:
    waits = [
        (fleet, load, share, quantiles(fleet, load, share, arguments.calls)) for fleet, load, share in CASES
    ]
    plans = [plan(10**exponent) for exponent in range(3, 7)]
    text = f"{render_waits(waits)}\n{render_plans(plans)}"
    print(text)
    results = [
        {"fleet": asdict(fleet), "load": load, "large_share": share, "milliseconds": found}
        for fleet, load, share, found in waits
    ]
    save("scaling", {"waits": results, "plans": [asdict(each) for each in plans]}, text)


def quantiles(fleet: Fleet, load: float, large_share: float, calls: int) -> list[float]:
    """Return the median, 90% and 99% of the small calls' times, in milliseconds."""
    return [1e3 * float(q) for q in np.quantile(simulate(fleet, load, large_share, calls), [0.5, 0.9, 0.99])]


CASES: Sequence[tuple[Fleet, float, float]] = (
    *((Fleet(replicas, choose), LOAD, 0.0) for replicas in (1, 10, 100) for choose in CHOICES),
    *((Fleet(replicas, choose), LOAD, 0.5) for replicas in (10, 100) for choose in CHOICES),
    *((Fleet(100, choose, proxies=8), LOAD, 0.5) for choose in ("two choices", "least connections")),
    *((Fleet(replicas, large=replicas // 2), LOAD, 0.5) for replicas in (2, 10, 100)),
)


def render_waits(waits: Sequence[tuple[Fleet, float, float, Sequence[float]]]) -> str:
    rows = [
        [
            f"{fleet.replicas}, {fleet.choose}"
            + (f", {fleet.proxies} proxies" if fleet.proxies > 1 else "")
            + (f", {fleet.large} for large calls alone" if fleet.large else ""),
            f"{share:.0%}",
            *(f"{each:.2f}" for each in found),
        ]
        for fleet, _, share, found in waits
    ]
    return table(["replicas", "large calls' share", "p50, ms", "p90, ms", "p99, ms"], rows)


def render_plans(plans: Sequence[Plan]) -> str:
    rows = [
        [
            f"{each.calls:,}",
            f"{each.replicas:,}",
            f"{each.batched_replicas:,}",
            f"{each.proxy_cores:,}",
            f"{each.gigabits:.2f}",
            f"{each.log_megabytes:.1f}",
        ]
        for each in plans
    ]
    return table(
        ["calls a second", "replicas", "in batches of 100", "proxy cores", "Gbit/s", "log, MB/s"], rows
    )
