"""A bucket lets through what its rate says, and forgets what it need not know."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from lossd.access import rate as module
from lossd.access.rate import Account, Accounts, Bucket, Rate, rate
from lossd.errors import RateLimited


class Clock:
    """A clock that a test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(module.time, "perf_counter", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def passes(bucket: Bucket, limit: Rate, tokens: float = 1.0) -> bool:
    try:
        bucket.take(limit, tokens)
    except RateLimited:
        return False
    return True


def test_a_burst_passes_and_then_as_many_as_come_back(clock: Clock) -> None:
    bucket, limit = Bucket(), Rate("calls", per_second=2, burst=5)
    assert [passes(bucket, limit) for _ in range(7)] == [True] * 5 + [False] * 2
    clock.now += 0.5
    assert [passes(bucket, limit) for _ in range(2)] == [True, False]
    clock.now += 1.0
    assert [passes(bucket, limit) for _ in range(3)] == [True, True, False]
    clock.now += 1000
    assert [passes(bucket, limit) for _ in range(6)] == [True] * 5 + [False]


def test_callers_have_buckets_of_their_own(clock: Clock) -> None:
    accounts, limit = Accounts(10), Rate("calls", per_second=1, burst=1)
    assert passes(accounts["one"].calls, limit)
    assert passes(accounts["two"].calls, limit)
    assert not passes(accounts["one"].calls, limit)


def test_calls_and_work_have_buckets_of_their_own(clock: Clock) -> None:
    account, limit = Accounts(10)["one"], Rate("work", per_second=1, burst=1)
    account.take_work(limit, 1)
    assert passes(account.calls, limit)
    with pytest.raises(RateLimited):
        account.take_work(limit, 1)


def test_no_work_is_lost_that_threads_take_at_the_same_time() -> None:
    account, limit = Accounts(10)["one"], Rate("work", per_second=1e-9, burst=1e9)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: account.take_work(limit, 1), range(20_000)))
    account.take_work(limit, 1e9 - 20_000 - 1)
    with pytest.raises(RateLimited):
        account.take_work(limit, 2)


def test_over_a_long_time_the_rate_holds(clock: Clock) -> None:
    bucket, limit = Bucket(), Rate("calls", per_second=10, burst=20)
    passed = 0
    for _ in range(10_000):
        passed += passes(bucket, limit)
        clock.now += 0.01
    assert passed == pytest.approx(20 + 10 * 100, abs=1)


def test_a_call_larger_than_the_bucket_passes_when_it_is_full_and_is_paid_for(clock: Clock) -> None:
    bucket, limit = Bucket(), Rate("work", per_second=100, burst=100)
    assert passes(bucket, limit, 1000)
    clock.now += 9.0
    assert not passes(bucket, limit, 1)
    clock.now += 0.9
    assert not passes(bucket, limit, 1000)
    clock.now += 0.1
    assert passes(bucket, limit, 1000)


@pytest.mark.parametrize("tokens", [1, 40, 100, 250])
def test_what_is_refused_passes_after_the_seconds_that_it_was_told(clock: Clock, tokens: float) -> None:
    bucket, limit = Bucket(), Rate("work", per_second=10, burst=100)
    assert passes(bucket, limit, 170)
    with pytest.raises(RateLimited) as raised:
        bucket.take(limit, tokens)
    error = raised.value
    assert error.headers["retry-after"] == str(error.retry_after)
    clock.now += error.retry_after - 1
    early = passes(Bucket(), limit) and passes(bucket, limit, tokens)
    assert not early
    clock.now += 1
    assert passes(bucket, limit, tokens)


def test_calls_that_come_together_are_taken_at_once_or_not_at_all(clock: Clock) -> None:
    account, limit = Account(), Rate("calls", per_second=1, burst=5)
    account.take_call(limit)
    account.take_more_calls(limit, 3)
    account.take_call(limit)
    clock.now += 3
    account.take_call(limit)
    with pytest.raises(RateLimited):
        account.take_more_calls(limit, 3)
    account.take_call(limit)
    account.take_call(limit)
    with pytest.raises(RateLimited):
        account.take_call(limit)


def test_more_calls_than_a_burst_pass_together_when_the_bucket_is_full_and_are_paid_for(clock: Clock) -> None:
    account, limit = Account(), Rate("calls", per_second=1, burst=5)
    account.take_call(limit)
    account.take_more_calls(limit, 19)
    clock.now += 15
    with pytest.raises(RateLimited):
        account.take_call(limit)
    clock.now += 1
    account.take_call(limit)


def test_a_refusal_has_the_fields_of_the_draft(clock: Clock) -> None:
    bucket, limit = Bucket(), Rate("calls", per_second=0.5, burst=5)
    for _ in range(5):
        bucket.take(limit)
    with pytest.raises(RateLimited, match=r"0.5 calls a second is reached; retry after 2 s") as raised:
        bucket.take(limit)
    assert raised.value.headers == {
        "retry-after": "2",
        "ratelimit-policy": '"calls";q=5;w=10',
        "ratelimit": '"calls";r=0;t=2',
    }


def test_no_more_callers_are_remembered_than_may_be(clock: Clock) -> None:
    accounts, limit = Accounts(100), Rate("calls", per_second=1, burst=10)
    for number in range(10_000):
        accounts[f"caller {number}"].take_call(limit)
        assert len(accounts) <= 100


@pytest.mark.parametrize("kind", ["calls", "work"])
def test_those_with_full_buckets_are_forgotten_first(clock: Clock, kind: str) -> None:
    accounts, limit = Accounts(3), Rate(kind, per_second=1, burst=1)

    def take(caller: str) -> None:
        account = accounts[caller]
        account.take_work(limit, 1) if kind == "work" else account.take_call(limit)

    take("old")
    clock.now += 5
    for caller in ("a", "b", "c"):
        take(caller)
    assert list(accounts) == ["a", "b", "c"]
    for caller in ("a", "b", "c"):
        with pytest.raises(RateLimited):
            take(caller)


def test_without_a_number_there_is_no_limit_and_without_a_burst_it_is_a_second() -> None:
    assert rate("calls", None, None) is None
    assert rate("calls", 0.1, None) == Rate("calls", 0.1, 1.0)
    assert rate("calls", 30, None) == Rate("calls", 30, 30)
    assert rate("calls", 30, 90) == Rate("calls", 30, 90)
