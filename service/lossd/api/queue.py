"""The queue in front of the thread pool: first come, first served, and no longer than a wait is of use.

The wait of a call is estimated in seconds: from the sizes of bodies that are not decoded, by what others of their
format and about their size took recently, and from the estimates of calls that are. A call that would wait too long is
refused by its headers, before its body is read: to read a body that is then refused costs what the calls inside need.
Refused callers are given slots one after the other, as if they queued outside; Retry-After rounds them up to whole
seconds.

A call is also refused by its headers where its body would leave the threads no room for workspace and answers: these
are known only once it is read, and to refuse it then throws away the most.

A body on its way counts with what is still to come, else more would be let in than can be read. But a claim by itself
must not keep others out: a body counts with no more than many times what has arrived, and with that alone where it
comes slowly.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from math import ceil, inf
from threading import Lock

from lossd.api.forecast import Forecast
from lossd.api.queued_call import QueuedCall
from lossd.errors import Overloaded

_LONGEST_RETRY = 20.0
_LOOK_SECONDS = 0.1  # how often bodies on their way are looked at
_REFUSING_SECONDS = 0.1  # after a refusal, in which others are likely
_FEW_ARRIVING = 4  # bodies on their way for each free thread, beside which another one may come


class Queue:
    """Calls that wait for a thread of a pool, or compute in one.

    Attributes:
        pool: The threads.
        free: How many of them compute nothing.
        seconds: How long the pool needs for what has arrived and is not answered.
        arriving: Calls whose large bodies are on their way, and not slowly.
        reserved: Calls in a thread that hold all that they need.
        forecast: What calls took so far.

    Args:
        workers: How many threads the pool has.
        longest_wait: Seconds.
        inline_bytes: Largest body that is read on the event loop.
    """

    def __init__(
        self, pool: ThreadPoolExecutor, *, workers: int, longest_wait: float, inline_bytes: int
    ) -> None:
        self.pool = pool
        self.free = workers
        self.seconds = 0.0
        self.arriving: set[QueuedCall] = set()
        self.reserved: set[QueuedCall] = set()
        self.forecast = Forecast()
        self._workers = workers
        self._longest_wait = longest_wait
        self._inline_bytes = inline_bytes
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._refused_at = -inf
        self._next_slot = 0.0  # when the last of those who were refused may come back
        self.lock = Lock()  # what a call needs is known in a thread of the pool

    @property
    def waiting(self) -> int:
        """How many calls wait for a thread."""
        return len(self._waiting)

    @property
    def bytes_to_come(self) -> int:
        """What is still to come of the bodies on their way."""
        return sum([call.expected - call.size for call in self.arriving])

    def bytes_to_reserve(self, format: str, size: int) -> float:
        """Return what the threads will need beside bodies, if those to come are of this format and size."""
        return (self._workers - len(self.reserved)) * self.forecast.bytes_beside(format, size)

    def check(self, seconds: float) -> None:
        """Refuse a call if those before it take too long, unless few bodies arrive for each free thread.

        Args:
            seconds: What the call itself takes; it sets when it may come back.

        Raises:
            Overloaded: They do.
        """
        has_room = len(self.arriving) < self.free * _FEW_ARRIVING
        if not has_room and self.seconds > self._longest_wait:
            raise self.refusal(seconds)

    def refuses(self) -> bool:
        """Return whether threads compute, and a call was refused lately."""
        return self.free < self._workers and time.perf_counter() - self._refused_at < _REFUSING_SECONDS

    def refusal(self, seconds: float, reason: str = "enough calls wait for a thread") -> Overloaded:
        """Return the error of a refused call, with the time at which one that takes so many seconds may come back."""
        now = self._refused_at = time.perf_counter()
        half_empty = now + self.seconds - self._longest_wait / 2
        self._next_slot = min(max(self._next_slot, half_empty) + seconds, now + _LONGEST_RETRY)
        retry_after = max(1, ceil(self._next_slot - now))
        return Overloaded(f"{reason}; retry in {retry_after} s", retry_after=retry_after)

    def is_too_long(self, own: float) -> bool:
        """Return whether a call whose body was let in would wait far longer than estimated; ``own`` are its seconds."""
        return bool(self._waiting) and self.seconds - own > 2 * self._longest_wait

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Look at the bodies on their way from time to time, until the block ends."""
        looks = asyncio.create_task(self._look_forever())
        try:
            yield
        finally:
            looks.cancel()

    async def enter(self, deadline: float, leaving: asyncio.Future[None]) -> bool:
        """Wait for a thread, until the deadline or until ``leaving`` is done; return whether there is one."""
        if self.free and not self._waiting:
            self.free -= 1
            return True
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        left = None if deadline == inf else deadline - time.perf_counter()
        try:
            await asyncio.wait((turn, leaving), timeout=left, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._give_up(turn)
            raise
        if not turn.done():
            self._give_up(turn)
            return False
        return True

    def leave(self, call: QueuedCall, started: float) -> None:
        """Give the thread of a call to the next one."""
        self._learn(call, time.perf_counter() - started)
        call.end_reservation()
        self._free_one()

    def add(self, seconds: float) -> None:
        """Count more seconds, or fewer."""
        with self.lock:
            self.seconds += seconds

    def _learn(self, call: QueuedCall, took: float) -> None:
        """Remember what a call took by the size of its body, beside others that computed.

        A small body is read before its call comes here: what is left does not depend on its size.
        """
        if not call.format or call.size <= self._inline_bytes:
            return
        took /= max(self._workers - self.free, 1)
        self.forecast.learn_seconds(call.format, call.size, took)
        if call in self.reserved:
            self.forecast.learn_bytes_beside(call.format, call.size, call.beside)

    def _free_one(self) -> None:
        self.free += 1
        while self._waiting and self.free:
            turn = self._waiting.popleft()
            if not turn.done():
                self.free -= 1
                turn.set_result(None)

    async def _look_forever(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            now = time.perf_counter()
            for call in [call for call in self.arriving if call.is_slow(now)]:
                call.forget_claim()

    def _give_up(self, turn: asyncio.Future[None]) -> None:
        if turn.done():
            self._free_one()
            return
        turn.cancel()
        self._waiting.remove(turn)
