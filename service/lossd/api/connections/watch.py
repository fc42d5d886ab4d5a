"""One timer for all connections of a server process: how long each may be silent, and how many there may be.

It looks at every connection a few times a second. A timer for each response would have to be set and cancelled by
every call; here a call sets two attributes.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import time
from collections.abc import AsyncIterator
from enum import Enum, auto
from typing import Protocol

from lossd.settings import Settings

STATE_KEY = "lossd.watch"
"""Where the application's lifespan state has the watch."""

_TICK_SECONDS = 0.25
LINGER_SECONDS = 5.0
# Bytes of refused bodies that are read, a second and after a while without any. A caller that sends all of its body
# before it reads sees no other answer than a reset without that; but under overload it took half of the processor.
_UNWANTED_RATE, _MOST_UNWANTED = 64 << 20, 64 << 20
_FIRST_READ = 0.1  # seconds in which a new connection is read for the first time
_LONGEST_STALL = (
    2 * _TICK_SECONDS
)  # of the event loop that counts: a caller may be late by as much without fault
_SLOWEST = 1e-9  # bytes a second where no rate is asked for: any byte will do
UNREAD_SECONDS = 1.0
"""How long a refused caller whose body is not read has to read why: one who is busy sending may take a while."""


class Phase(Enum):
    """What a connection waits for."""

    NEW = auto()
    """Its first byte."""
    IDLE = auto()
    """The next request."""
    HEAD = auto()
    """The end of a request's head."""
    BODY = auto()
    """The rest of a request's body."""
    CALL = auto()
    """The answer."""
    SEND = auto()
    """The caller to read the answer."""
    LINGER = auto()
    """The caller, who has been refused, to read why and close."""
    CLOSING = auto()
    """The rest of the last answer to leave."""


IN_CALL = frozenset({Phase.BODY, Phase.CALL, Phase.SEND})
"""Phases in which a request is served."""

_COMPUTING = frozenset({Phase.CALL})
_IN_USE = _COMPUTING | {Phase.LINGER}
_EVICTED_AT_ONCE = frozenset({Phase.NEW, Phase.IDLE, Phase.HEAD})


class Watched(Protocol):
    """What the watch has to know of a connection.

    Attributes:
        phase: What it waits for.
        since: When that began, by `Watch.now`; where bytes are on their way, until when they came at the least rate.
    """

    phase: Phase
    since: float

    def expire(self) -> None:
        """Close, after as many seconds in this phase as it may have."""

    def check_transfer(self, now: float) -> None:
        """Close if an answer is not read, or let a refused caller send the rest, or give it up."""

    def evict(self) -> None:
        """Close to make room for another connection."""


class Watch:
    """The connections of a server process, and their clock.

    Attributes:
        connections: All that are open.
        lingering: Those that are refused and not closed yet.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._ticked, self._ticked_at = 0.0, time.monotonic()
        self.connections: set[Watched] = set()
        self.lingering: set[Watched] = set()
        self._unwanted = float(_MOST_UNWANTED)
        self._longest = {
            Phase.NEW: settings.head_timeout_seconds,
            Phase.HEAD: settings.head_timeout_seconds,
            Phase.IDLE: settings.keep_alive_seconds,
            Phase.BODY: settings.body_timeout_seconds,
            Phase.SEND: settings.send_timeout_seconds,
            Phase.LINGER: LINGER_SECONDS,
            Phase.CLOSING: settings.send_timeout_seconds,
        }

    @property
    def now(self) -> float:
        """Return the seconds in which the event loop ran. Those in which it stood still are nobody's delay."""
        return self._ticked + min(time.monotonic() - self._ticked_at, _LONGEST_STALL)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look at the connections until the block ends."""
        ticks = asyncio.create_task(self._tick_forever())
        try:
            yield
        finally:
            ticks.cancel()

    def tick(self, elapsed: float) -> None:
        """Look at every connection, ``elapsed`` seconds after the last time."""
        self._ticked, self._ticked_at = self.now, time.monotonic()
        self._unwanted = min(self._unwanted + _UNWANTED_RATE * elapsed, _MOST_UNWANTED)
        for connection in list(self.connections):
            if connection.phase in IN_CALL:
                connection.check_transfer(self.now)
            elif self.now - connection.since > self._longest[connection.phase]:
                connection.expire()
            elif connection.phase is Phase.LINGER:
                connection.check_transfer(self.now)

    def admits(self, newcomer: Watched) -> bool:
        """Count one more connection; return whether there is room for it, once others have been closed.

        Those go first that have used up most of the time which they may wait for their caller. So a caller that has
        been answered and is idle outlasts those that send or read nothing, whose time is shorter.
        """
        self.connections.add(newcomer)
        if len(self.connections) - len(self.lingering) <= self.settings.max_connections:
            return True
        return self.make_room(newcomer)

    def make_room(self, newcomer: Watched | None = None) -> bool:
        """Close some connections to make room for others; return whether there were any to close.

        Args:
            newcomer: Who needs the room, and stays. Without one, descriptors are used up: then those who linger count,
                and who came just now has not been read yet.
        """
        now = self.now
        kept, youngest = (_IN_USE, 0.0) if newcomer else (_COMPUTING, _FIRST_READ)
        waiting = [
            each
            for each in self.connections
            if each.phase not in kept and each is not newcomer and now - each.since >= youngest
        ]
        # Several at a time, so that a flood of newcomers does not look at all connections for each.
        worst = heapq.nlargest(
            max(len(waiting) // 100, 1),
            waiting,
            key=lambda each: (now - each.since) / self._longest[each.phase],
        )
        victims = [
            each for each in worst if each.phase in _EVICTED_AT_ONCE or now - each.since > _LONGEST_STALL
        ]
        for connection in victims:
            connection.evict()
            self.connections.discard(connection)  # it hears that it is closed too late for the next newcomer
        return bool(victims)

    def may_linger(self) -> bool:
        """Return whether one more refused connection may stay open until its caller has read why."""
        return len(self.lingering) < max(self.settings.max_connections // 2, 1)

    def may_read_unwanted(self, size: int) -> bool:
        """Return whether the rest of a refused body may be read; it counts whether or not it comes."""
        if self._unwanted <= 0:
            return False
        self._unwanted -= size
        return True

    async def _tick_forever(self) -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            elapsed = time.monotonic() - last
            last += elapsed
            self.tick(elapsed)


def paid_until(since: float, now: float, size: int, rate: float) -> float:
    """Return until when a caller has kept to a rate, who had done so until ``since``, after ``size`` more bytes.

    What came sooner than it had to is not put to its account: who is silent is late, however much it sent before.
    """
    return min(now, since + size / max(rate, _SLOWEST))
