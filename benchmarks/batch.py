"""Many small calls in one request against as many requests, in processor time.

The call is the small one of the part `http`: mse of 8x3 numbers with its gradient. The application is called in this
process, from the head of a request to the last byte of its answer, without a socket: so a call alone costs less here
than over HTTP, where a batch saves what the server does for each request as well. Both ways take turns, and the best
turn counts, as other processes only ever add to it.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import msgspec
import numpy as np

from benchmarks.http import SMALL
from benchmarks.report import save, table

HELP = "processor time of a call in a batch"
CALLS = 100
TURNS, QUICK_TURNS = 200, 25
MOST_MICROSECONDS = 35.0
JSON, MESSAGEPACK = "application/json", "application/vnd.msgpack"

Ask = Callable[[str, bytes], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Figure:
    """What one format came to: microseconds of the processor for a call alone and in a batch."""

    media_type: str
    alone: float
    batched: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="an eighth of the turns")


def run(arguments: argparse.Namespace) -> None:
    figures = asyncio.run(measure(QUICK_TURNS if arguments.quick else TURNS))
    text = f"{verdict(figures)}\n{render(figures)}"
    print(text)
    save("batch", [asdict(figure) for figure in figures], text)


async def measure(turns: int) -> list[Figure]:
    """Measure both formats on one application."""
    from lossd.api.log import open_log
    from lossd.app import create_app
    from lossd.settings import Settings

    settings = Settings(compute_workers=1)
    app: Any = create_app(settings, open_log(settings, io.BytesIO()))
    return [await measure_format(app, media_type, turns) for media_type in (JSON, MESSAGEPACK)]


async def measure_format(app: Any, media_type: str, turns: int) -> Figure:
    """Let calls alone and a batch of them take turns."""
    call = small_call(media_type)
    write = json.dumps if media_type == JSON else msgspec.msgpack.encode
    one, many = (_bytes(write(each)) for each in (call, {"calls": [{"loss": "mse", **call}] * CALLS}))

    async def alone() -> bytes:
        for _ in range(CALLS):
            answer = await ask(app, "/v1/losses/mse", one, media_type)
        return answer

    async def batched() -> bytes:
        return await ask(app, "/v1/batch", many, media_type)

    _agree(await alone(), await batched())
    return Figure(media_type, *await best([alone, batched], turns))


def small_call(media_type: str) -> dict[str, Any]:
    """Return the call as its format has it: numbers in full, or their bytes."""
    call: dict[str, Any] = json.loads(SMALL.body())
    if media_type == JSON:
        return call
    return {
        name: {"dtype": "float64", "shape": SMALL.shape, "data": np.array(value).tobytes()}
        if isinstance(value, list)
        else value
        for name, value in call.items()
    }


async def best(ways: Sequence[Callable[[], Awaitable[bytes]]], turns: int) -> list[float]:
    """Return the microseconds of the processor that a call takes each way, in its best turn."""
    least = [float("inf")] * len(ways)
    for _ in range(turns):
        for place, way in enumerate(ways):
            start = time.process_time()
            await way()
            least[place] = min(least[place], time.process_time() - start)
    return [seconds / CALLS * 1e6 for seconds in least]


async def ask(app: Any, path: str, body: bytes, media_type: str) -> bytes:
    """Post a body to an application, as a server does whose caller waits for the answer."""
    answer = bytearray()
    waits: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    unread = [body]

    async def receive() -> dict[str, Any]:
        if not unread:
            await waits
        return {"type": "http.request", "body": unread.pop(), "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start" and message["status"] != 200:
            raise AssertionError(f"expected an answer, got status {message['status']}")
        answer.extend(message.get("body", b""))

    headers = [
        (b"host", b"lossd"),
        (b"content-type", media_type.encode()),
        (b"content-length", b"%d" % len(body)),
    ]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    await app(scope, receive, send)
    return bytes(answer)


def _bytes(written: str | bytes) -> bytes:
    return written.encode() if isinstance(written, str) else written


def _agree(alone: bytes, batched: bytes) -> None:
    """Hold that each result of the batch has the bytes of the answer to the call alone."""
    if batched.count(alone) != CALLS:
        raise AssertionError("expected the answer of the call alone in every result, got another")


def verdict(figures: Sequence[Figure]) -> str:
    """Say whether the bar is met."""
    return "".join(
        f"- {figure.media_type}: {figure.batched:.1f} us a call in batches of {CALLS}, at most "
        f"{MOST_MICROSECONDS:g}: {'pass' if figure.batched <= MOST_MICROSECONDS else 'FAIL'}\n"
        for figure in figures
    )


def render(figures: Sequence[Figure]) -> str:
    header = ["format", "alone, us a call", "in a batch, us a call", "times less"]
    return table(
        header,
        [
            [each.media_type, f"{each.alone:.1f}", f"{each.batched:.1f}", f"{each.alone / each.batched:.2f}"]
            for each in figures
        ],
    )
