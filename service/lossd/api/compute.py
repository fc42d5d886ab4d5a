"""Runs work in the pool in its turn, until its deadline passes or its caller leaves."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from starlette.types import Receive

from lossd.api.exchange import CallerGone, Exchange, exceeded
from lossd.api.queue import Queue
from lossd.api.queued_call import QueuedCall
from lossd.engine import Checkpoint

T = TypeVar("T")


def start_threads(pool: ThreadPoolExecutor, count: int) -> None:
    """Start all ``count`` threads of a pool, before memory may be short of one."""
    together = threading.Barrier(count)
    for job in [pool.submit(together.wait) for _ in range(count)]:
        job.result()


async def in_pool(
    queue: Queue, step: Callable[[Checkpoint], T], *, exchange: Exchange, receive: Receive, queued: QueuedCall
) -> T:
    """Run ``step`` in a thread; a checkpoint stops it once the deadline passes or the caller leaves.

    Args:
        queue: Where it waits for a thread.
        step: What to run.
        exchange: The request.
        receive: The request's, after its body.
        queued: What it adds to the wait of others, until it ends.
    """
    gone = False

    def checkpoint() -> None:
        if gone:
            raise CallerGone
        if time.perf_counter() > exchange.deadline:  # many small calls come here
            raise exceeded()

    def run() -> T:
        checkpoint()
        return step(checkpoint)

    since = time.perf_counter()
    leaving = asyncio.ensure_future(_disconnect(receive))
    job: asyncio.Future[T] | None = None
    try:
        if not await queue.enter(exchange.deadline, leaving):
            raise CallerGone if leaving.done() else exceeded()
        started = time.perf_counter()
        exchange.wait_seconds = started - since
        exchange.steps.append(("wait", started))
        job = asyncio.get_running_loop().run_in_executor(queue.pool, run)
        job.add_done_callback(lambda _: queue.leave(queued, started))
        await asyncio.wait((job, leaving), return_when=asyncio.FIRST_COMPLETED)
        gone = leaving.done()
        return await job
    finally:
        gone = True  # also where the server cancels the request
        queued.set_seconds(0)
        leaving.cancel()
        if job is not None:
            job.cancel()  # what has not begun never will, and nobody asks for the rest any more
        # A failed job holds its exception, whose traceback holds this frame: the body would stay until a collection.
        job = None


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
