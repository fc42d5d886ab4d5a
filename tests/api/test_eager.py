"""Something that was begun is what it would have been, had it been awaited at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lossd.api.eager import Pending, start


async def at_once() -> str:
    return "here"


async def in_two_waits(seen: list[Any]) -> str:
    try:
        await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)
    except BaseException as error:
        seen.append(type(error))
        raise
    return "late"


async def within(seconds: float, something: Any) -> Any:
    rest = start(something)
    assert isinstance(rest, Pending)
    async with asyncio.timeout(seconds):
        return await rest


def test_what_is_there_has_its_result_at_once() -> None:
    assert start(at_once()) == "here"


def test_what_comes_in_time_comes() -> None:
    seen: list[Any] = []
    assert asyncio.run(within(10.0, in_two_waits(seen))) == "late"
    assert seen == []


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 0.005, 0.015])
def test_what_takes_longer_is_cancelled_in_its_first_wait_as_in_any_other(seconds: float) -> None:
    seen: list[Any] = []
    with pytest.raises(TimeoutError):
        asyncio.run(within(seconds, in_two_waits(seen)))
    assert seen == [asyncio.CancelledError]


def test_a_failure_is_passed_on() -> None:
    async def fails(wait: bool) -> None:
        if wait:
            await asyncio.sleep(0)
        raise KeyError("this")

    with pytest.raises(KeyError, match="this"):
        start(fails(False))
    with pytest.raises(KeyError, match="this"):
        asyncio.run(within(10.0, fails(True)))


def test_whoever_awaits_it_may_be_cancelled() -> None:
    seen: list[Any] = []

    async def cancel() -> None:
        task = asyncio.ensure_future(within(10.0, in_two_waits(seen)))
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancel())
    assert seen == [asyncio.CancelledError]
