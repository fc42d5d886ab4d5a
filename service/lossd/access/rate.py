"""How much each caller may ask for: token buckets by the generic cell rate algorithm.

A bucket is remembered as one number, the moment at which it will be full again. Nothing has to be refilled, and a
caller whose bucket is full need not be remembered.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Hashable
from dataclasses import dataclass, field

from lossd.errors import RateLimited

_KEPT = 0.9  # share of the callers that stays when there are too many, so that few calls pay for the search


@dataclass(frozen=True, slots=True)
class Rate:
    """What comes back to a bucket, and what fits into it.

    Attributes:
        name: What is counted: calls or work.
        per_second: Tokens that come back in a second.
        burst: Tokens of a full bucket.
        seconds: Seconds for one token.
        window: Seconds until an empty bucket is full.
    """

    name: str
    per_second: float
    burst: float
    seconds: float = field(init=False)
    window: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "seconds", 1 / self.per_second)
        object.__setattr__(self, "window", self.burst / self.per_second)


def rate(name: str, per_second: float | None, burst: float | None) -> Rate | None:
    """Return a rate, None for no limit; without a burst it is what comes back in one second, at least 1."""
    if per_second is None:
        return None
    return Rate(name, per_second, max(1.0, per_second) if burst is None else burst)


class Bucket:
    """The tokens of one kind that a caller has left.

    Attributes:
        full_at: When it will be full again, by `time.perf_counter`.
    """

    __slots__ = ("full_at",)

    def __init__(self) -> None:
        self.full_at = 0.0

    def take(self, rate: Rate, tokens: float = 1.0, now: float | None = None) -> None:
        """Take tokens; ``now`` is `time.perf_counter`, for those who have just read it.

        A call that costs more than a full bucket holds is let through when the bucket is full, and paid for
        afterwards: else it could never be made.

        Raises:
            RateLimited: There are not enough.
        """
        if now is None:
            now = time.perf_counter()
        full = self.full_at
        if full <= now:
            self.full_at = now + tokens * rate.seconds
            return
        after = full + tokens * rate.seconds
        if after > now + rate.window:
            raise _refusal(rate, tokens, full - now)
        self.full_at = after

    def take_more(self, rate: Rate, tokens: float) -> None:
        """Take tokens for what came together with one that was taken before, as if all were taken at once.

        Raises:
            RateLimited: There are not enough; the one stays taken.
        """
        self.full_at -= rate.seconds
        try:
            self.take(rate, 1 + tokens)
        except RateLimited:
            self.full_at += rate.seconds
            raise

    def owe(self, rate: Rate, tokens: float) -> None:
        """Take tokens for what has been let through already, also those that are not there yet."""
        self.full_at = max(self.full_at, time.perf_counter()) + tokens * rate.seconds


class Account:
    """The two buckets of one caller, with a lock: what a body holds and costs is known in a thread of the pool."""

    __slots__ = ("_lock", "_work", "calls")

    def __init__(self) -> None:
        self.calls = Bucket()
        self._work = Bucket()
        self._lock = threading.Lock()

    def take_call(self, rate: Rate, now: float | None = None) -> None:
        """Take one call; ``now`` is `time.perf_counter`, for those who have just read it.

        Raises:
            RateLimited: There is none.
        """
        with self._lock:
            self.calls.take(rate, 1.0, now)

    def take_more_calls(self, rate: Rate, count: int) -> None:
        """Take calls that came together with one that was taken, in any thread.

        Raises:
            RateLimited: There are not enough.
        """
        with self._lock:
            self.calls.take_more(rate, count)

    def take_work(self, rate: Rate, tokens: float) -> None:
        """Take the work of a call, in any thread.

        Raises:
            RateLimited: There is not enough.
        """
        with self._lock:
            self._work.take(rate, tokens)

    def owe_work(self, rate: Rate, tokens: float) -> None:
        """Take work that was done already, in any thread."""
        with self._lock:
            self._work.owe(rate, tokens)

    def is_full(self, now: float) -> bool:
        """Return whether both buckets are full, as those of a new caller are."""
        return self.calls.full_at <= now and self._work.full_at <= now


class Accounts(dict[Hashable, Account]):
    """The account of each caller, opened when it is first asked for; only the event loop may ask.

    Args:
        most: Callers that are remembered. Beyond it those with full buckets are forgotten, then the oldest ones.
    """

    def __init__(self, most: int) -> None:
        self._most = most

    def __missing__(self, caller: Hashable) -> Account:
        if len(self) >= self._most:
            self._forget(time.perf_counter())
        account = self[caller] = Account()
        return account

    def _forget(self, now: float) -> None:
        for caller in [caller for caller, account in self.items() if account.is_full(now)]:
            del self[caller]
        if len(self) >= self._most:
            for caller in list(self)[: len(self) - int(self._most * _KEPT)]:
                del self[caller]


def _refusal(rate: Rate, tokens: float, to_full: float) -> RateLimited:
    """Say when the same call would pass, in the fields of the IETF's draft on rate limits (RateLimit, -10)."""
    wait = max(1, math.ceil(to_full + min(0.0, tokens * rate.seconds - rate.window)))
    left = max(0, int((rate.window - to_full) * rate.per_second))
    return RateLimited(
        f"the limit of {rate.per_second:.12g} {rate.name} a second is reached; retry after {wait} s",
        retry_after=wait,
        policy=f'"{rate.name}";q={max(1, int(rate.burst))};w={max(1, math.ceil(rate.window))}',
        state=f'"{rate.name}";r={left};t={wait}',
    )
