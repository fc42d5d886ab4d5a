"""Runs work in the pool, until its deadline passes or its caller leaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from starlette.types import Receive

from lossd.api.exchange import CallerGone, Exchange
from lossd.errors import DeadlineExceeded, malformed

Checkpoint = Callable[[], None]
Result = TypeVar("Result")


def deadline_of(exchange: Exchange, longest: float) -> float:
    """Return when a request is to end, on the clock of `time.perf_counter`.

    Raises:
        MalformedBody: The ``Request-Timeout`` header is not a positive number of seconds.
    """
    asked = exchange.headers.get(b"request-timeout")
    if asked is None:
        return exchange.started + longest
    try:
        seconds = float(asked)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise malformed("Request-Timeout", "a positive number of seconds", asked[:40].decode("latin-1"))
    return exchange.started + min(seconds, longest)


def until(deadline: float) -> Checkpoint:
    """Return a checkpoint that raises `DeadlineExceeded` once the deadline has passed."""

    def checkpoint() -> None:
        if time.perf_counter() > deadline:
            raise DeadlineExceeded("expected to finish before the deadline (Request-Timeout), got no further")

    return checkpoint


async def in_pool(
    pool: ThreadPoolExecutor, work: Callable[[Checkpoint], Result], *, deadline: float, receive: Receive
) -> Result:
    """Run ``work`` in the pool; a checkpoint stops it once the deadline passes or the caller leaves."""
    gone = False
    in_time = until(deadline)

    def checkpoint() -> None:
        if gone:
            raise CallerGone
        in_time()

    job = asyncio.get_running_loop().run_in_executor(pool, work, checkpoint)
    leaving = asyncio.ensure_future(_disconnect(receive))
    try:
        await asyncio.wait((job, leaving), return_when=asyncio.FIRST_COMPLETED)
        gone = leaving.done()
        return await job
    finally:
        gone = True  # also where the server cancels the request
        leaving.cancel()
        # A failed job holds its exception, whose traceback holds this frame: the body would stay until a collection.
        del job


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
