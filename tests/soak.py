"""Runs mixed calls, wrong ones and expensive ones against a real server for a while: ``python -m tests.soak SECONDS``.

It fails if a healthy answer between them is wrong, or if the server's resident memory grows in the last two thirds.
"""

from __future__ import annotations

import contextlib
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import numpy as np

from lossd.losses import LOSSES
from lossd.message import Call
from lossd.wire import CODECS
from tests.api.excessive import BODIES, HEADS, Wrong
from tests.api.expensive import EXPENSIVE
from tests.api.serving import GOOD, GOOD_LOSS, Served, serve

MIB = 1 << 20
# Limits with which expensive calls are short, so that there are many.
SMALL = {"LOSSD_MAX_WORK": str(10**9), "LOSSD_MAX_WORKSPACE_BYTES": str(32 * MIB)}
# What the allocator may hold more or less of, whatever the server does.
LEAST_GROWTH, SHARE_OF_GROWTH = 4 * MIB, 0.03


def requests(rng: random.Random) -> Iterator[Callable[[httpx.Client], httpx.Response]]:
    """Yield calls of every loss and format, in shapes that change, and wrong and expensive ones."""
    names, wrong = sorted(LOSSES), [*BODIES.values(), *HEADS.values()]
    # Each of these at first, so that memory is as large as one of them makes it before its growth counts.
    yield from [partial(send_expensive, *expensive) for expensive in EXPENSIVE.values()]
    while True:
        loss, media_type = rng.choice(["mse", "huber", "l1", "log_cosh"]), rng.choice(list(CODECS))
        yield partial(numbers, loss, media_type, rng.choice([1, 8, 100, 1000, 20_000]), rng.random())
        yield partial(look_up, rng.choice(names))
        yield partial(send_wrong, rng.choice(wrong)(rng.choice([10, 1000, 10_000])))
        yield partial(send_bytes, mutated(rng))
        if rng.random() < 0.02:
            yield partial(send_expensive, *rng.choice(list(EXPENSIVE.values())))


def numbers(loss: str, media_type: str, rows: int, value: float, client: httpx.Client) -> httpx.Response:
    """Send a call whose answer is known, and hold it to that."""
    arrays = {"input": np.full(rows, value), "target": np.zeros(rows)}
    body = b"".join(CODECS[media_type].encode_call(Call(arrays)))
    headers = {"content-type": media_type, "accept": "application/json"}
    response = client.post(f"/v1/losses/{loss}?reduction=sum&gradient=true", content=body, headers=headers)
    if loss == "mse":
        assert np.isclose(response.json()["loss"]["sum"], rows * value**2), response.text[:1000]
    return response


def look_up(name: str, client: httpx.Client) -> httpx.Response:
    """Ask for a loss of the catalogue."""
    return client.get(f"/v1/losses/{name}")


def send_bytes(body: bytes, client: httpx.Client) -> httpx.Response:
    """Send a body that may be anything."""
    return client.post("/v1/losses/mse", content=body)


def send_expensive(loss: str, call: dict[str, Any], client: httpx.Client) -> httpx.Response:
    """Send a small call that asks for much."""
    return client.post(f"/v1/losses/{loss}", json=call)


def send_wrong(wrong: Wrong, client: httpx.Client) -> httpx.Response:
    """Send a request that is wrong."""
    headers = {**wrong.headers, "content-type": wrong.content_type}
    return client.request(wrong.method, wrong.path, content=wrong.body, headers=headers)  # type: ignore[arg-type]


def mutated(rng: random.Random) -> bytes:
    """Return a good call with some of its bytes changed."""
    body = bytearray(json.dumps(GOOD).encode())
    for _ in range(rng.randrange(1, 4)):
        body[rng.randrange(len(body))] = rng.randrange(256)
    return bytes(body)


def soak(server: Served, seconds: float) -> list[int]:
    """Send calls for so long; return the resident bytes of each second."""
    rng, statuses, resident = random.Random(0), Counter[str](), []
    end, last = time.monotonic() + seconds, 0.0
    with httpx.Client(base_url=server.url, timeout=120) as client:
        for count, send in enumerate(requests(rng)):
            if time.monotonic() > end:
                break
            with contextlib.suppress(httpx.TransportError):  # a head too large may end the connection
                statuses[str(send(client).status_code)] += 1
            if count % 10 == 0:
                assert client.post("/v1/losses/mse", json=GOOD).json()["loss"] == GOOD_LOSS
            if time.monotonic() - last > 1:
                last = time.monotonic()
                resident.append(resident_bytes(server.process.pid))
    assert "500" not in statuses, statuses
    print(f"{sum(statuses.values())} requests: {dict(sorted(statuses.items()))}")
    return resident


def growth(resident: list[int]) -> int:
    """Return by how much the last sixth is more than the one that begins at a third."""
    sixth = max(len(resident) // 6, 1)
    return int(median(resident[-sixth:]) - median(resident[2 * sixth : 3 * sixth]))


def resident_bytes(process: int) -> int:
    """Return the bytes that a process holds in memory."""
    status: dict[str, Any] = dict(
        line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines()
    )
    return int(status["VmRSS"].split()[0]) * 1024


def main() -> int:
    """Run for as many seconds as the command line says."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1800.0
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder), **SMALL) as server:
        resident = soak(server, seconds)
        assert server.stop() == 0
    marks = resident[:: max(len(resident) // 12, 1)]
    print("resident MiB:", " ".join(f"{size / MIB:.0f}" for size in marks))
    grown, most = growth(resident), max(LEAST_GROWTH, int(SHARE_OF_GROWTH * resident[-1]))
    print(f"grown in the last two thirds: {grown / MIB:.1f} MiB, at most {most / MIB:.1f}")
    return int(grown > most)


if __name__ == "__main__":
    sys.exit(main())
