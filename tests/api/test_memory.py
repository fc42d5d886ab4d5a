"""What a call holds is free once it is answered, without a collection of cycles."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from lossd.api.compute import in_pool
from lossd.api.exchange import Exchange
from lossd.api.queue import Queue
from lossd.api.queued_call import QueuedCall
from lossd.errors import InvalidCall, invalid


async def _connected() -> dict[str, Any]:
    await asyncio.sleep(60)
    return {"type": "http.disconnect"}


async def _fails(pool: ThreadPoolExecutor) -> weakref.ref[Any]:
    body = np.zeros(1000)
    kept = weakref.ref(body)

    def work(checkpoint: Any, body: Any = body) -> None:
        raise invalid("input", "something else", body.shape)

    del body
    with contextlib.suppress(InvalidCall):
        queue = Queue(pool, workers=1, longest_wait=1.0, inline_bytes=0)
        await in_pool(queue, work, exchange=Exchange([]), receive=_connected, queued=QueuedCall(queue))
        pytest.fail("the call did not fail")
    return kept


def test_a_call_that_fails_in_the_pool_leaves_nothing_behind() -> None:
    async def run() -> list[weakref.ref[Any]]:
        with ThreadPoolExecutor(1) as pool:
            kept = [await _fails(pool) for _ in range(3)]
            await asyncio.sleep(0.01)
        return kept

    gc.disable()
    try:
        kept = asyncio.run(run())
        assert [body() is None for body in kept] == [True] * 3
    finally:
        gc.enable()
