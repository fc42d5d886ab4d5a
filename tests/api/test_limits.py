"""The limits hold in front of every route, and what they refuse can be tried again."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lossd.api.compute import in_pool
from lossd.api.exchange import CallerGone, Exchange
from lossd.api.queue import Queue
from lossd.api.queued_call import QueuedCall
from lossd.engine import Checkpoint
from tests.api.serving import GOOD, GOOD_LOSS, InProcess

SLOW = {"input": [[0.5] * 40] * 400, "label": [i % 40 for i in range(400)], "gradient": True}


def in_parts(body: bytes, size: int) -> AsyncIterator[bytes]:
    """Return a body without a length, in parts."""

    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(body), size):
            yield body[start : start + size]

    return parts()


BODY = json.dumps(GOOD).encode()


@pytest.mark.parametrize("size", [1, 7, len(BODY), 10_000])
def test_a_body_in_parts_is_the_same_body(service: InProcess, size: int) -> None:
    lengthy = service.post("mse", content=in_parts(BODY, size), headers={"content-length": str(len(BODY))})
    chunked = service.post("mse", content=in_parts(BODY, size))
    assert lengthy.json()["loss"] == chunked.json()["loss"] == GOOD_LOSS


@pytest.mark.parametrize("inline_body_bytes", [0, 10**6])
def test_the_pool_and_the_event_loop_give_the_same_bytes(inline_body_bytes: int) -> None:
    here, other = InProcess(inline_body_bytes=inline_body_bytes), InProcess(inline_body_bytes=0, threads=3)
    call = {"input": [0.1 * i for i in range(500)], "target": [0.0] * 500, "gradient": True}
    assert here.post("huber", json=call).content == other.post("huber", json=call).content


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_a_413(chunked: bool) -> None:
    service = InProcess(max_body_bytes=len(BODY))
    too_large = BODY + b" "
    response = service.post("mse", content=in_parts(too_large, 10) if chunked else too_large)
    assert response.status_code == 413
    assert str(len(BODY)) in response.json()["detail"]
    assert response.headers["connection"] == "close"
    assert service.post("mse", content=BODY).status_code == 200


def test_a_claimed_length_is_refused_before_the_first_byte_is_received() -> None:
    received: list[str] = []
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        received.append("asked before it answered" if not sent else "discarded after")
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(InProcess().app(post_scope(2**31), receive, send))
    assert sent[0]["status"] == 413
    assert "asked before it answered" not in received


def test_too_many_elements_are_a_413_that_names_the_limit() -> None:
    service = InProcess(max_elements=6)
    assert service.post("mse", json=GOOD).status_code == 200
    response = service.post("mse", json={"input": [1] * 4, "target": [1] * 4})
    assert response.status_code == 413
    assert "at most 6 elements" in response.json()["errors"][0]["expected"]


def test_too_many_dimensions_are_refused() -> None:
    service = InProcess(max_depth=3)
    assert service.post("mse", json={"input": [[[1]]], "target": [[[1]]]}).status_code == 200
    assert service.post("mse", json={"input": [[[[1]]]], "target": [[[[1]]]]}).status_code in (400, 422)
    service.assert_unharmed()


def test_bytes_in_flight_beyond_the_budget_are_a_503_and_come_back() -> None:
    service = InProcess(max_body_bytes=len(BODY), max_in_flight_bytes=len(BODY))

    async def slow_body() -> AsyncIterator[bytes]:
        yield BODY[:10]
        await asyncio.sleep(0.3)
        yield BODY[10:]

    slow = {"content": slow_body(), "headers": {"content-length": str(len(BODY))}}
    first, second = service.together(
        [("POST", "/v1/losses/mse", slow), ("POST", "/v1/losses/mse", {"content": BODY})]
    )
    assert first.json()["loss"] == GOOD_LOSS
    assert second.status_code == 503
    assert int(second.headers["retry-after"]) >= 1
    service.assert_unharmed()


@pytest.mark.parametrize("path", ["/v1/losses/mse", "/v2/models/mse/infer"])
def test_what_a_body_unpacks_to_counts_among_the_bytes_in_flight(path: str) -> None:
    service = InProcess(max_body_bytes=100_000, max_in_flight_bytes=150_000)
    packed = {"content": gzip.compress(b" " * 90_000), "headers": {"content-encoding": "gzip"}}

    async def slow_body() -> AsyncIterator[bytes]:
        yield BODY.ljust(90_000)
        await asyncio.sleep(0.3)
        yield b" "

    slow = ("POST", "/v1/losses/mse", {"content": slow_body()})
    first, second = service.together([slow, ("POST", path, packed)])
    assert (first.status_code, second.status_code) == (200, 503)
    assert service.request("POST", path, **packed).status_code == 400  # there is room, and it is no JSON


def test_health_is_answered_while_the_budget_is_spent() -> None:
    service = InProcess(max_body_bytes=len(BODY), max_in_flight_bytes=len(BODY))

    async def slow_body() -> AsyncIterator[bytes]:
        yield BODY[:10]
        await asyncio.sleep(0.2)
        yield BODY[10:]

    slow = {"content": slow_body(), "headers": {"content-length": str(len(BODY))}}
    responses = service.together([("POST", "/v1/losses/mse", slow), ("GET", "/readyz", {})])
    assert [response.status_code for response in responses] == [200, 200]


def test_a_silent_body_is_a_408() -> None:
    service = InProcess(body_timeout_seconds=0.1)

    async def silent_body() -> AsyncIterator[bytes]:
        yield BODY[:10]
        await asyncio.sleep(0.5)
        yield BODY[10:]

    assert service.post("mse", content=silent_body()).status_code == 408
    service.assert_unharmed()


def test_a_body_that_trickles_forever_is_a_408() -> None:
    service = InProcess(body_timeout_seconds=10, request_timeout_seconds=0.3)

    async def trickle() -> AsyncIterator[bytes]:
        for start in range(len(BODY)):
            yield BODY[start : start + 1]
            await asyncio.sleep(0.05)

    started = time.monotonic()
    assert service.post("mse", content=trickle()).status_code == 408
    assert time.monotonic() - started < 10
    service.assert_unharmed()


@pytest.mark.parametrize(
    "path", ["/v1/losses/mse", "/v1/losses/mse/combine", "/v1/batch", "/v2/models/mse/infer"]
)
def test_a_body_that_outlasts_the_callers_deadline_is_a_408(service: InProcess, path: str) -> None:
    async def trickle() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" "
            await asyncio.sleep(0.05)

    response = service.request("POST", path, content=trickle(), headers={"request-timeout": "0.2"})
    assert response.status_code == 408
    assert "within 0.2 s (Request-Timeout" in response.text
    assert service.log()[-1]["bytes_in"] < 100  # of which the last would have come after 5 s


@pytest.mark.parametrize("inline_body_bytes", [0, 10**6])
def test_a_deadline_that_passes_is_a_504(inline_body_bytes: int) -> None:
    service = InProcess(inline_body_bytes=inline_body_bytes)
    response = service.post("nt_xent", json=SLOW, headers={"request-timeout": "1e-6"})
    assert response.status_code == 504
    service.assert_unharmed()


def test_the_deadline_is_capped_by_the_setting() -> None:
    service = InProcess(request_timeout_seconds=1e-6)
    response = service.post("mse", json=GOOD, headers={"request-timeout": "1000"})
    assert response.status_code in (408, 504)


@pytest.mark.parametrize("asked", ["soon", "0", "-1", "nan", ""])
def test_a_deadline_that_is_no_time_is_a_400(service: InProcess, asked: str) -> None:
    response = service.post("mse", json=GOOD, headers={"request-timeout": asked})
    assert response.status_code == 400
    assert response.json()["errors"][0]["at"] == "Request-Timeout"


def test_a_caller_who_leaves_gets_nothing_and_is_logged_as_499(service: InProcess) -> None:
    body = json.dumps({"input": [0.5] * 200_000, "target": [0.0] * 200_000}).encode()
    messages: Iterator[dict[str, Any]] = iter(
        [{"type": "http.request", "body": body, "more_body": False}, {"type": "http.disconnect"}]
    )
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(service.app(post_scope(len(body)), receive, send))
    assert not sent
    assert service.log()[-1]["status"] == 499
    service.assert_unharmed()


def test_the_work_of_a_caller_who_leaves_stops_at_its_next_checkpoint() -> None:
    stopped = threading.Event()

    def work(checkpoint: Checkpoint) -> None:
        try:
            while True:
                checkpoint()
                time.sleep(0.001)
        finally:
            stopped.set()

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.05)
        return {"type": "http.disconnect"}

    with ThreadPoolExecutor(1) as pool:
        queue = Queue(pool, workers=1, longest_wait=1.0, inline_bytes=0)
        call = in_pool(queue, work, exchange=Exchange([]), receive=receive, queued=QueuedCall(queue))
        with pytest.raises(CallerGone):
            asyncio.run(call)
    assert stopped.is_set()


def post_scope(length: int) -> dict[str, Any]:
    """Return the scope of a POST as a server would give it."""
    headers = [(b"content-length", b"%d" % length)]
    path = "/v1/losses/mse"
    return {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
