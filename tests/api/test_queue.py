"""Who waits for the thread pool, who is refused instead, and when they are told to come back."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import select
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from lossd.api.compute import in_pool
from lossd.api.dispatch import Dispatcher
from lossd.api.exchange import CallerGone, Exchange
from lossd.api.forecast import Forecast
from lossd.api.in_flight import Holding, InFlightBytes
from lossd.api.queue import Queue
from lossd.api.queued_call import QueuedCall
from lossd.engine import Checkpoint, CostLimits
from lossd.errors import DeadlineExceeded, Overloaded
from lossd.settings import Settings
from tests.api.serving import GOOD, raw_request, read_response, serve
from tests.api.test_socket import PATH, connect

Steps = Callable[[Queue], Coroutine[Any, Any, None]]


def with_queue(steps: Steps, *, workers: int = 1, inline_bytes: int = 0) -> None:
    """Run the steps with a queue that lets nobody wait for longer than a second."""
    with ThreadPoolExecutor(workers) as pool:
        queue = Queue(pool, workers=workers, longest_wait=1.0, inline_bytes=inline_bytes)
        asyncio.run(steps(queue))
        assert (queue.free, queue.waiting) == (workers, 0)
        assert queue.seconds == pytest.approx(0)


async def stays() -> dict[str, Any]:
    await asyncio.Event().wait()
    return {}


async def leaves() -> dict[str, Any]:
    return {"type": "http.disconnect"}


def run(queue: Queue, work: Callable[[], Any], *, receive: Any = stays, seconds: float = 60.0) -> Any:
    """Return a call that computes ``work``."""
    exchange = Exchange([])
    exchange.set_deadline(seconds)
    return in_pool(
        queue, lambda checkpoint: work(), exchange=exchange, receive=receive, queued=QueuedCall(queue)
    )


def test_calls_are_served_in_the_order_in_which_they_came() -> None:
    order: list[int] = []

    async def steps(queue: Queue) -> None:
        await asyncio.gather(*(run(queue, lambda i=i: order.append(i)) for i in range(20)))

    with_queue(steps)
    assert order == list(range(20))


def test_a_queue_that_refused_a_call_refuses_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    async def steps(queue: Queue) -> None:
        assert not queue.refuses()
        queue.seconds += 10
        queue.free -= 1
        with pytest.raises(Overloaded):
            queue.check(1.0)
        assert queue.refuses()
        queue.free += 1
        assert not queue.refuses()  # no thread is kept from its work
        queue.free -= 1
        monkeypatch.setattr("lossd.api.queue._REFUSING_SECONDS", 0.0)
        assert not queue.refuses()
        queue.free += 1
        queue.seconds -= 10

    with_queue(steps)


def test_no_call_is_refused_while_a_thread_is_free() -> None:
    async def steps(queue: Queue) -> None:
        ahead = QueuedCall(queue)
        ahead.set_seconds(100)
        queue.check(1)
        assert await queue.enter(float("inf"), asyncio.get_running_loop().create_future())
        with pytest.raises(Overloaded):
            queue.check(1)
        ahead.set_seconds(0.5)
        queue.check(1)
        queue.leave(ahead, time.perf_counter())
        ahead.set_seconds(0)

    with_queue(steps)


def test_each_refused_caller_is_told_to_come_later_than_the_one_before() -> None:
    async def steps(queue: Queue) -> None:
        ahead = QueuedCall(queue)
        ahead.set_seconds(4)
        told = [queue.refusal(1.0).retry_after for _ in range(30)]
        assert told[:3] == [5, 6, 7]
        assert told == sorted(told)
        assert told[-1] == 20
        ahead.set_seconds(0)

    with_queue(steps)


def test_a_byte_costs_what_it_took_of_late_in_its_format() -> None:
    async def steps(queue: Queue) -> None:
        for _ in range(50):
            assert await queue.enter(float("inf"), asyncio.get_running_loop().create_future())
            done = QueuedCall(queue, "json")
            done.arrive(1000)
            queue.leave(done, time.perf_counter() - 2)
            done.set_seconds(0)
        next_one = QueuedCall(queue, "json")
        next_one.arrive(500)
        next_one.arrive(500)
        assert next_one.seconds == pytest.approx(2, rel=0.05)
        assert queue.forecast.seconds("npz", 1000) < 1e-3
        next_one.set_seconds(0)

    with_queue(steps)


@pytest.mark.parametrize("learned", ["seconds", "bytes_beside"])
def test_no_call_speaks_for_all_of_its_format_and_what_none_confirms_is_forgotten(
    learned: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call of 122 bytes that needed 40 MB kept all others of its format out, whose calls would have mended it."""
    now = 0.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    forecast, size = Forecast(), 1000
    learn, read = getattr(forecast, f"learn_{learned}"), getattr(forecast, learned)
    first = read("json", size)
    learn("json", size, 1e6 * first)
    assert read("json", size) == 2 * first
    for _ in range(30):
        learn("json", size, 1e6 * first)
    assert read("json", size) == pytest.approx(1e6 * first, rel=0.1)
    assert read("npz", size) == first
    now = 200.0
    assert read("json", size) == pytest.approx(first)
    for _ in range(100):
        learn("json", size, 0.5 * first)
    assert read("json", size) == pytest.approx(0.5 * first, rel=0.01)


@pytest.mark.parametrize("learned", ["seconds", "bytes_beside"])
@pytest.mark.parametrize(("size", "other"), [(20_000, 11 << 20), (11 << 20, 20_000)])
def test_a_call_says_nothing_of_calls_of_another_size(learned: str, size: int, other: int) -> None:
    """Calls of 1 KB that compute for long said so of each byte: one of 33 KB was taken for 30 times as long."""
    forecast = Forecast()
    learn, read = getattr(forecast, f"learn_{learned}"), getattr(forecast, learned)
    first, first_of_other = read("json", size), read("json", other)
    for _ in range(30):
        learn("json", size, 1e6 * first)
    assert read("json", other) == first_of_other
    assert read("json", size) > 1e5 * first


@pytest.mark.parametrize(("size", "teaches"), [(1022, False), (16 * 1024, False), (16 * 1024 + 1, True)])
def test_no_call_whose_body_is_small_raises_a_forecast(size: int, teaches: bool) -> None:
    """In chunks it may be large by its head; with its length the queue would not have looked at it."""

    async def steps(queue: Queue) -> None:
        before = [queue.forecast.seconds("json", each) for each in (size, 33_000, 11 << 20)]
        room = queue.bytes_to_reserve("json", size)
        for _ in range(50):
            assert await queue.enter(float("inf"), asyncio.get_running_loop().create_future())
            done = QueuedCall(queue, "json")
            done.arrive(size)
            done.reserve(1 << 24)
            queue.leave(done, time.perf_counter() - 2)
            done.set_seconds(0)
        after = [queue.forecast.seconds("json", each) for each in (size, 33_000, 11 << 20)]
        assert (after != before) == teaches
        assert (queue.bytes_to_reserve("json", size) > room) == teaches

    with_queue(steps, inline_bytes=16 * 1024)


def test_a_call_that_leaves_before_it_computes_reserves_nothing() -> None:
    async def steps(queue: Queue) -> None:
        work = QueuedCall(queue)
        work.end_reservation()  # its request was cancelled, while its thread goes on
        work.reserve(300)
        assert queue.reserved == set()

    with_queue(steps)


def test_a_body_on_its_way_counts_with_its_claim_once_some_of_it_has_come() -> None:
    async def steps(queue: Queue) -> None:
        work = QueuedCall(queue, claimed=1 << 26)
        assert (queue.seconds, queue.bytes_to_come) == (0, 0)
        work.arrive(1 << 10)
        assert queue.bytes_to_come == 63 << 10
        work.arrive(1 << 20)
        assert work.expected == 1 << 26
        assert queue.seconds == pytest.approx(queue.forecast.seconds("", 1 << 26))
        work.arrive((1 << 26) - work.size)
        assert (queue.arriving, queue.bytes_to_come) == (set(), 0)
        work.end()

    with_queue(steps)


def test_room_is_reserved_for_as_many_calls_as_there_are_threads() -> None:
    async def steps(queue: Queue) -> None:
        assert queue.bytes_to_reserve("json", 100) == pytest.approx(2 * 100)
        for _ in range(50):
            work = QueuedCall(queue, "json")
            work.arrive(100)
            assert await queue.enter(float("inf"), asyncio.get_running_loop().create_future())
            work.reserve(300)
            assert queue.bytes_to_reserve("json", 100) <= 300
            queue.leave(work, time.perf_counter())
            work.end()
        assert queue.bytes_to_reserve("json", 100) == pytest.approx(2 * 300, rel=0.05)
        assert queue.bytes_to_reserve("npz", 100) == 2 * 100

    with_queue(steps, workers=2)


def test_a_claim_is_forgotten_where_its_body_comes_slowly() -> None:
    async def steps(queue: Queue) -> None:
        slow, fast = QueuedCall(queue, claimed=1 << 26), QueuedCall(queue, claimed=1 << 26)
        async with queue.watched():
            slow.arrive(1 << 16)
            fast.arrive(1 << 25)
            while slow in queue.arriving:
                await asyncio.sleep(0.05)
        assert queue.arriving == {fast}
        assert slow.expected == 1 << 16
        slow.arrive(1 << 16)
        assert queue.arriving == {fast}
        slow.end()
        fast.end()

    with_queue(steps)


@pytest.mark.parametrize(
    ("receive", "seconds", "error"), [(stays, 0.05, DeadlineExceeded), (leaves, 60.0, CallerGone)]
)
def test_a_call_that_nobody_waits_for_is_not_begun(
    receive: Any, seconds: float, error: type[Exception]
) -> None:
    begun: list[str] = []
    release = threading.Event()

    async def steps(queue: Queue) -> None:
        first = asyncio.ensure_future(run(queue, release.wait))
        await asyncio.sleep(0.05)
        with pytest.raises(error):
            await run(queue, lambda: begun.append("second"), receive=receive, seconds=seconds)
        release.set()
        await first

    with_queue(steps)
    assert begun == []


def test_a_large_call_is_refused_from_its_head_and_small_ones_are_served(tmp_path: Path) -> None:
    slow = {
        "embeddings": [[i / 7 % 1, 1.0] for i in range(3000)],
        "labels": [i % 9 for i in range(3000)],
        "gradient": True,
    }
    head = raw_request(PATH, b"", Content_Type="application/json", Content_Length="1000000")
    with serve(tmp_path, LOSSD_COMPUTE_WORKERS="1", LOSSD_MAX_WAIT_SECONDS="0.01") as server:
        answers: list[int] = []

        def keep_busy() -> None:
            answers.append(httpx.post(f"{server.url}/v1/losses/nt_xent", json=slow, timeout=60).status_code)

        busy = [threading.Thread(target=keep_busy) for _ in range(3)]
        for thread in busy:
            thread.start()
        refused = False
        while not refused and any(thread.is_alive() for thread in busy):
            with connect(server) as connection:
                connection.sendall(head)
                refused = bool(select.select([connection], [], [], 0.2)[0])
                if refused:
                    status, headers, body = read_response(connection)
                    assert httpx.post(server.url + PATH, json=GOOD, timeout=60).status_code == 200
        for thread in busy:
            thread.join()
        assert refused
        assert (status, headers["connection"]) == (503, "close")
        assert 1 <= int(headers["retry-after"]) <= 20
        assert "retry in" in json.loads(body)["detail"]
        assert set(answers) <= {200, 503}
        large = {"input": [0.5] * 50_000, "target": [0.0] * 50_000}
        assert httpx.post(server.url + PATH, json=large, timeout=60).status_code == 200


def test_a_call_that_finds_no_room_to_compute_is_refused_from_its_head(tmp_path: Path) -> None:
    """What it needs beside its body is known once that is read; to refuse it then throws the reading away."""
    body = json.dumps({"input": [0.1234567] * 50_000, "target": [0.0] * 50_000, "gradient": True}).encode()
    limits = {"LOSSD_MAX_BODY_BYTES": str(2 << 20), "LOSSD_MAX_IN_FLIGHT_BYTES": str(24 << 20)}
    with serve(tmp_path, LOSSD_MAX_WAIT_SECONDS="60", **limits) as server:
        assert httpx.post(server.url + PATH, content=body).status_code == 200

        def call_often() -> None:
            for _ in range(4):
                _send(server.url, body)

        callers = [threading.Thread(target=call_often) for _ in range(40)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        server.stop()
        answers = [line for line in server.log() if line.get("path") == PATH]
    refused = [line["bytes_in"] for line in answers if line["status"] == 503]
    read = sum(size == len(body) for size in refused)
    assert len(refused) > 0
    assert read <= 0.05 * len(answers)  # bodies of others may need more than those before
    assert sum(line["status"] == 200 for line in answers) > 4


def test_a_small_call_that_finds_no_room_leaves_the_queue_as_it_was() -> None:
    """Each such call added its seconds for good, until large ones were refused though nobody waited."""
    settings = Settings()
    in_flight = InFlightBytes(settings)
    in_flight.change(in_flight.most)
    cost = SimpleNamespace(workspace=1 << 24, answer=8, seconds=0.5, inner_lists=0, work=1)

    class Refused:
        reads_text = answers_in_text = True
        body_bytes, hidden_seconds = 100, 0.0

        def __init__(self) -> None:
            self.exchange = Exchange([])
            self.exchange.holding = Holding(in_flight)

        def decode(self, checkpoint: Checkpoint) -> int:
            return 1

        def prepare(self, limits: CostLimits, checkpoint: Checkpoint) -> Any:
            return cost

    async def call(dispatcher: Dispatcher) -> None:
        job: Any = Refused()
        job.exchange.set_deadline(60.0)
        await dispatcher.dispatch(job, stays)

    with ThreadPoolExecutor(1) as pool:
        dispatcher = Dispatcher(settings, pool)
        for _ in range(3):
            with pytest.raises(Overloaded, match="bytes in flight"):
                asyncio.run(call(dispatcher))
        assert dispatcher.queue.seconds == 0


def test_a_heavy_call_in_few_bytes_and_a_slow_claim_keep_no_others_out(tmp_path: Path) -> None:
    """The first taught what a byte needs; the other made the room that is kept for it count."""
    column = {"input": [[0.5]] * 1400, "target": [0.5] * 1400, "broadcast": True}
    heavy = gzip.compress(json.dumps({**column, "reduction": "none", "gradient": True}).encode())
    body = json.dumps({"input": [0.1234567] * 50_000, "target": [0.0] * 50_000}).encode()
    claim = raw_request(PATH, b"", Content_Type="application/json;a=1", Content_Length="17000") + b"{"
    statuses: Counter[int] = Counter()
    with serve(tmp_path) as server, contextlib.ExitStack() as open_ones:

        def keep_calling() -> None:
            for _ in range(10):
                statuses[httpx.post(server.url + PATH, content=body, timeout=60).status_code] += 1

        def packed() -> Iterator[bytes]:
            yield heavy

        for _ in range(3):
            httpx.post(server.url + PATH, content=packed(), headers={"Content-Encoding": "gzip"}, timeout=60)
        callers = [threading.Thread(target=keep_calling) for _ in range(6)]
        for caller in callers:
            caller.start()
        while any(caller.is_alive() for caller in callers):
            open_ones.enter_context(connect(server)).sendall(claim)
            time.sleep(0.1)
    assert statuses == {200: 60}


def test_small_calls_in_chunks_that_compute_for_long_keep_no_others_out(tmp_path: Path) -> None:
    """Three connections with them had two of three calls of 33 KB beside them refused, and some long after."""
    cost = [[abs(i - j) / 4 for j in range(12)] for i in range(12)]
    shares = {"input": [1 / 12] * 12, "target": [1 / 12] * 12, "cost": cost}
    heavy = json.dumps({**shares, "iterations": 700}).encode()
    body = json.dumps({"input": [0.1234567] * 2200, "target": [0.0] * 2200}).encode()
    statuses: Counter[int] = Counter()
    ended = threading.Event()

    def in_chunks() -> Iterator[bytes]:
        yield heavy

    def compute_for_long() -> None:
        with httpx.Client(timeout=60) as client:
            while not ended.is_set():
                client.post(f"{server.url}/v1/losses/sinkhorn", content=in_chunks())

    def keep_calling() -> None:
        with httpx.Client(timeout=60) as client:
            for _ in range(20):
                statuses[client.post(server.url + PATH, content=body).status_code] += 1
                time.sleep(0.01)

    with serve(tmp_path) as server:
        heavy_callers = [threading.Thread(target=compute_for_long) for _ in range(3)]
        for caller in heavy_callers:
            caller.start()
        time.sleep(1.5)  # in which the forecast would learn
        callers = [threading.Thread(target=keep_calling) for _ in range(3)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        ended.set()
        for caller in heavy_callers:
            caller.join()
        lines = [line for line in server.log() if line.get("loss") == "sinkhorn"]
    assert {line["status"] for line in lines} == {200}
    assert statuses == {200: 60}


def _send(url: str, body: bytes) -> None:
    with contextlib.suppress(httpx.TransportError):  # refused while it sends
        httpx.post(url + PATH, content=body, timeout=60)
