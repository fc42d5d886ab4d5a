"""This file is how something is awaited for a limited time, at no cost where there is nothing to wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator
from typing import Any, TypeVar

Result = TypeVar("Result")


async def within(seconds: float, awaitable: Awaitable[Result]) -> Result:
    """Await something that may wait for so many seconds; only if it waits is there a timer.

    Nearly every body has arrived with its head, and a timer costs more than to receive it.

    Raises:
        TimeoutError: It took longer.
    """
    steps = awaitable.__await__()
    try:
        waits_for = next(steps)
    except StopIteration as done:
        result: Result = done.value
        return result
    async with asyncio.timeout(seconds):
        rest: Result = await _Begun(steps, waits_for)
        return rest


class _Begun:
    """The rest of something that has come to its first wait."""

    def __init__(self, steps: Generator[Any, Any, Any], waits_for: Any) -> None:
        self._steps = steps
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, Any]:
        try:
            yield self._waits_for
        except BaseException as error:  # cancelled: so is what has begun
            self._steps.throw(error)
            raise
        return (yield from self._steps)
