"""Newcomers are accepted several in a turn of the event loop, after a pause while calls are refused, and never lost."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import uvloop

from lossd.api.connections.listener import _AT_ONCE, _GATHERING_SECONDS, Listener
from lossd.api.queue import Queue
from tests.operations.test_stopping import REQUEST, start, status

LOOPS = [uvloop.new_event_loop, asyncio.new_event_loop]


class House:
    """A listener, whether calls are refused there, when its connections were accepted, and how often it tried."""

    def __init__(self) -> None:
        self.refuses = self.makes_room = False
        self.rooms = self.asked = self.attempts = 0
        self.arrivals: list[float] = []
        self.callers = contextlib.ExitStack()

    async def open(self) -> None:
        self.loop = asyncio.get_running_loop()
        server = await self.loop.create_server(asyncio.Protocol, "127.0.0.1", 0, start_serving=False)
        self.listener = Counted(
            self, server, self._arrive, backlog=1000, refuses=self._refuses, make_room=self._make_room
        )
        self.address = self.listener.sockets[0].getsockname()

    async def close(self) -> None:
        self.listener.close()
        await self.listener.wait_closed()
        self.callers.close()

    def visit(self, count: int) -> None:
        """Connect so many callers; the event loop does not turn meanwhile."""
        for _ in range(count):
            self.callers.enter_context(socket.create_connection(self.address, timeout=30))

    async def turns_until(self, arrived: int) -> int:
        """Return how many turns of the event loop it takes until so many have arrived."""
        turns = 0
        while len(self.arrivals) < arrived:
            await asyncio.sleep(0)
            turns += 1
        return turns

    def _refuses(self) -> bool:
        self.asked += 1
        return self.refuses

    def _make_room(self) -> bool:
        self.rooms += 1
        return self.makes_room

    def _arrive(self) -> asyncio.Protocol:
        self.arrivals.append(self.loop.time())
        return asyncio.Protocol()


class Counted(Listener):
    """Counts how often it tries to accept a connection."""

    def __init__(self, house: House, *arguments: Any, **named: Any) -> None:
        self._house = house
        super().__init__(*arguments, **named)

    def _accept(self, listening: socket.socket) -> None:
        self._house.attempts += 1
        super()._accept(listening)


@pytest.fixture(params=LOOPS, ids=["uvloop", "asyncio"])
def run(request: pytest.FixtureRequest) -> Iterator[Callable[[Callable[[House], Awaitable[None]]], None]]:
    """Run steps with a listener, on either event loop."""

    async def in_house(steps: Callable[[House], Awaitable[None]]) -> None:
        house = House()
        await house.open()
        try:
            await steps(house)
        finally:
            await house.close()

    with asyncio.Runner(loop_factory=request.param) as runner:
        yield lambda steps: runner.run(in_house(steps))


def test_a_turn_of_the_event_loop_accepts_several_connections(run: Any) -> None:
    async def steps(house: House) -> None:
        house.visit(100)
        turns = await house.turns_until(100)
        assert 100 / _AT_ONCE <= turns <= 50  # one for each is uvloop's way

    run(steps)


def test_while_calls_are_refused_newcomers_are_accepted_together(run: Any) -> None:
    async def steps(house: House) -> None:
        house.refuses = True
        house.visit(1)
        await house.turns_until(1)
        house.visit(100)  # within the pause
        await house.turns_until(2)
        turns = await house.turns_until(101)
        first, second = house.arrivals[:2]
        assert second - first >= 0.9 * _GATHERING_SECONDS
        assert turns <= 50  # no other pause, which would take thousands

    run(steps)


def test_where_no_call_is_refused_any_more_newcomers_are_accepted_at_once(run: Any) -> None:
    async def steps(house: House) -> None:
        house.refuses = True
        house.visit(1)
        await house.turns_until(1)
        house.refuses = False
        house.visit(1)
        await house.turns_until(2)
        asked = house.asked
        house.visit(1)
        turns = await house.turns_until(3)
        assert turns <= 5  # no pause, which would take thousands
        assert house.asked - asked <= 2

    run(steps)


def test_who_waits_when_a_paused_listener_closes_is_accepted(run: Any) -> None:
    async def steps(house: House) -> None:
        house.refuses = True
        house.visit(1)
        await house.turns_until(1)
        house.visit(20)
        await house.close()
        assert len(house.arrivals) == 21
        with pytest.raises(ConnectionRefusedError):
            house.visit(1)
        wrong: list[Any] = []
        house.loop.set_exception_handler(lambda loop, context: wrong.append(context))
        await asyncio.sleep(2 * _GATHERING_SECONDS)  # what would have resumed it
        assert not wrong

    run(steps)


def test_a_caller_who_left_before_he_was_accepted_keeps_nobody_waiting(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept, left = socket.socket.accept, [ConnectionAbortedError()]

    def accept_or_fail(listening: socket.socket) -> Any:
        if left:
            raise left.pop()
        return accept(listening)

    async def steps(house: House) -> None:
        house.visit(4)
        assert await house.turns_until(4) <= 20  # no pause, which would take thousands
        assert not left

    monkeypatch.setattr(socket.socket, "accept", accept_or_fail)
    run(steps)


def test_a_connection_for_which_there_is_no_descriptor_waits_for_one(run: Any) -> None:
    async def steps(house: House) -> None:
        house.visit(3)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (1, hard))
        try:
            for _ in range(1000):
                await asyncio.sleep(0)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert not house.arrivals
        assert 1 <= house.attempts <= 5  # not once for each turn
        assert house.rooms == house.attempts
        await house.turns_until(3)

    run(steps)


@pytest.mark.parametrize("loop", LOOPS, ids=["uvloop", "asyncio"])
def test_a_server_leaves_the_event_loop_as_it_was(loop: Any) -> None:
    async def start_two() -> None:
        create = asyncio.get_running_loop().create_server
        for server in [await start(), await start()]:
            assert asyncio.get_running_loop().create_server == create
            await server.shutdown()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(start_two())


@pytest.mark.parametrize("loop", LOOPS, ids=["uvloop", "asyncio"])
def test_a_server_whose_queue_refuses_calls_answers_newcomers(
    loop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(Queue, "refuses", lambda queue: not asked.append(True))

    async def visit() -> list[int]:
        server = await start()
        address = server.servers[0].sockets[0].getsockname()
        statuses = []
        for _ in range(3):
            caller = await asyncio.to_thread(socket.create_connection, address, 30)
            caller.sendall(REQUEST)
            statuses.append(await asyncio.to_thread(status, caller))
        await server.shutdown()
        return statuses

    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(visit()) == [200] * 3
    assert asked
