"""A call is repeated where it can help: the service is busy, or the connection broke. It is pure, so that is safe."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path

import httpx
import pytest

from lossd.client import AsyncLossClient, LossClient, Progress, Retries, ServiceError, Unreachable
from lossd.client.retries import seconds_asked
from tests.api.serving import raw_request, serve

ANSWER = {"loss": {"mean": 4.0}, "count": 1, "denominator": 1.0}
QUICK = Retries(first_pause=0.001, draw=lambda: 1.0)


def transport_of(
    *answers: int | Exception, headers: dict[str, str] | None = None
) -> tuple[httpx.MockTransport, list]:
    """Answer call after call with a status, 200 having a body, or an error; and list the requests."""
    remaining, seen = iter(answers), []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        what = next(remaining)
        if isinstance(what, Exception):
            raise what
        return httpx.Response(what, json=ANSWER if what == 200 else None, headers=headers)

    return httpx.MockTransport(answer), seen


def ask(transport: httpx.MockTransport, retries: Retries = QUICK) -> float:
    with LossClient("http://lossd", transport=transport, retries=retries) as client:
        return float(client.mse([1.0], [3.0]).value)


def ask_asynchronously(transport: httpx.MockTransport, retries: Retries = QUICK) -> float:
    async def evaluate() -> float:
        async with AsyncLossClient("http://lossd", transport=transport, retries=retries) as client:
            return float((await client.mse([1.0], [3.0])).value)

    return asyncio.run(evaluate())


both = pytest.mark.parametrize("ask", [ask, ask_asynchronously])


@both
@pytest.mark.parametrize(
    "failure",
    [503, 429, httpx.ConnectError("no"), httpx.ReadError("no"), httpx.RemoteProtocolError("no")],
    ids=repr,
)
def test_what_may_pass_is_tried_again_with_the_same_bytes(
    ask: Callable[..., float], failure: int | Exception
) -> None:
    transport, seen = transport_of(failure, failure, failure, 200)
    assert ask(transport) == 4
    assert len(seen) == 4
    assert len({request.content for request in seen}) == 1
    assert len({request.headers["x-request-id"] for request in seen}) == 1


@both
def test_the_last_attempt_tells_what_was_wrong(ask: Callable[..., float]) -> None:
    transport, seen = transport_of(503, 503, 503, 503, 200)
    with pytest.raises(ServiceError) as failed:
        ask(transport)
    assert (failed.value.status, len(seen)) == (503, 4)
    transport, seen = transport_of(*[httpx.ConnectError("refused")] * 4, 200)
    with pytest.raises(Unreachable, match=r"refused \(attempts: 4\)") as gone:
        ask(transport)
    assert isinstance(gone.value.__cause__, httpx.ConnectError)
    assert len(seen) == 4


@both
@pytest.mark.parametrize("status", [400, 404, 413, 422, 500, 504])
def test_what_will_not_pass_is_not_tried_again(ask: Callable[..., float], status: int) -> None:
    transport, seen = transport_of(status, 200)
    with pytest.raises(ServiceError) as failed:
        ask(transport)
    assert (failed.value.status, len(seen)) == (status, 1)


@both
def test_a_call_that_took_too_long_is_not_tried_again(ask: Callable[..., float]) -> None:
    transport, seen = transport_of(httpx.ReadTimeout("slow"), 200)
    with pytest.raises(Unreachable, match=r"ReadTimeout: slow \(attempts: 1\)"):
        ask(transport)
    assert len(seen) == 1


@both
def test_the_pause_is_what_the_service_asks_for_and_some_more(ask: Callable[..., float]) -> None:
    transport, _ = transport_of(503, 200, headers={"Retry-After": "1"})
    begun = time.monotonic()
    ask(transport, Retries(first_pause=0.1, draw=lambda: 1.0))
    assert 1.1 <= time.monotonic() - begun < 3


@both
def test_a_service_that_asks_for_too_long_a_pause_is_given_up(ask: Callable[..., float]) -> None:
    transport, seen = transport_of(503, 200, headers={"Retry-After": "3600"})
    with pytest.raises(ServiceError, match="503"):
        ask(transport)
    assert len(seen) == 1


def test_pauses_double_up_to_the_longest_and_are_spread() -> None:
    retries = Retries(attempts=9, first_pause=0.5, longest_pause=3.0, draw=lambda: 1.0)
    assert [retries.pause(attempt, 503, {}) for attempt in range(1, 6)] == [0.5, 1, 2, 3, 3]
    assert retries.pause(9, 503, {}) is None
    drawn = {Retries(first_pause=0.5).pause(1, 503, {}) for _ in range(50)}
    assert len(drawn) > 40
    assert all(0 <= pause <= 0.5 for pause in drawn if pause is not None)


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        ("3", 3, 3),
        ("0", 0, 0),
        ("", 0, 0),
        ("soon", 0, 0),
        ("-5", 0, 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, low: float, high: float) -> None:
    assert low <= seconds_asked(header) <= high


def test_retry_after_may_be_a_date_to_come() -> None:
    assert 98 < seconds_asked(formatdate(time.time() + 100, usegmt=True)) <= 100


def test_a_real_server_that_is_full_is_waited_for(tmp_path: Path) -> None:
    full = {"LOSSD_MAX_BODY_BYTES": "100000", "LOSSD_MAX_IN_FLIGHT_BYTES": "100000"}
    with serve(tmp_path, **full) as running, socket.create_connection(("127.0.0.1", running.port)) as other:
        other.sendall(
            raw_request("/v1/losses/mse", b"{", Content_Length="100000", Content_Type="application/json")
        )
        attempts: set[int] = set()

        def make_room(progress: Progress) -> None:
            attempts.add(progress.attempt)
            if progress.phase == "receiving":  # the first answer, which is 503
                other.close()

        with LossClient(running.url, progress=make_room, retries=QUICK) as client:
            assert client.mse([1.0], [3.0]).value == 4
        assert attempts == {1, 2}
