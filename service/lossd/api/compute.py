"""Runs work in the pool, until its deadline passes or its caller leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from starlette.types import Receive

from lossd.api.exchange import CallerGone, Exchange
from lossd.engine import Checkpoint

T = TypeVar("T")


async def in_pool(
    pool: ThreadPoolExecutor, work: Callable[[Checkpoint], T], *, exchange: Exchange, receive: Receive
) -> T:
    """Run ``work`` in the pool; a checkpoint stops it once the deadline passes or the caller leaves."""
    gone = False

    def checkpoint() -> None:
        if gone:
            raise CallerGone
        exchange.check_deadline()

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
