"""What a wrong request costs grows no faster than the request, and what is said of it does not grow."""

from __future__ import annotations

import gc
import json
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import httpx
import orjson
import pytest

from lossd.wire import DecodeLimits
from lossd.wire.json import buffers as json_buffers
from tests.api.excessive import BODIES, HEADS, JSON, Wrong
from tests.api.serving import GOOD, InProcess

LONGEST_ANSWER = 12_000
LONGEST_LINE = 2_500
MOST_STEPS, STEPS_FOR_EACH = 1000, 2
SMALL, LARGE = 10_000, 60_000
GROWTH = LARGE / SMALL * 1.25  # counted calls, of which some do not grow at all


def send(service: InProcess, wrong: Wrong) -> httpx.Response:
    headers = {"content-type": wrong.content_type, **wrong.headers}
    return service.request(wrong.method, wrong.path, content=wrong.body, headers=headers)


@pytest.mark.parametrize("size", [1_000, 100_000])
@pytest.mark.parametrize("make", (BODIES | HEADS).values(), ids=BODIES | HEADS)
def test_neither_the_answer_nor_the_log_grows_with_what_is_wrong(
    service: InProcess, make: Callable[[int], Wrong], size: int
) -> None:
    if make in HEADS.values():
        size = min(size, 60_000)  # httpx builds no longer URL
    response = send(service, make(size))
    (line,) = service.log()
    assert response.status_code != 500
    assert len(response.content) < LONGEST_ANSWER
    assert len(json.dumps(line)) < LONGEST_LINE


@pytest.mark.parametrize("make", BODIES.values(), ids=BODIES)
def test_an_error_takes_no_more_steps_for_each_byte_of_a_larger_body(make: Callable[[int], Wrong]) -> None:
    service = InProcess(inline_body_bytes=10 * LARGE)  # all of it on this thread
    small, large = make(SMALL), make(LARGE)
    send(service, small)  # fills what is kept
    few, many = (steps(lambda wrong=wrong: send(service, wrong)) for wrong in (small, large))
    assert many < few * max(GROWTH, 1.25 * len(large.body) / len(small.body))


def steps(work: Callable[[], Any]) -> int:
    """Count the calls of Python and of C functions in some work on this thread."""
    count = 0

    def called(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(called)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("count", [20, 99, 1000])
def test_unknown_names_are_told_in_few_steps(count: int) -> None:
    service = InProcess()
    wrong = Wrong(orjson.dumps(GOOD | dict.fromkeys([f"unknown_{number}" for number in range(count)], 1)))
    send(service, wrong)  # fills what is kept
    right = steps(lambda: send(service, Wrong(orjson.dumps(GOOD))))
    assert steps(lambda: send(service, wrong)) - right < MOST_STEPS + STEPS_FOR_EACH * count


def test_of_many_errors_the_first_are_told_and_the_others_counted(service: InProcess) -> None:
    names = [f"unknown_{number}" for number in range(20_000)]
    problem = service.post("mse", json={"input": [1], "target": [1], **dict.fromkeys(names, 1)}).json()
    assert [error["at"] for error in problem["errors"]] == names[:20]
    assert problem["errors_left_out"] == 19_980
    assert problem["detail"].endswith("; and 19997 more")
    few = service.post("mse", json={"input": [1], "target": [1], "unknown": 1}).json()
    assert "errors_left_out" not in few


@pytest.mark.parametrize("count", [19, 20, 21, 99])
def test_each_error_is_told_or_counted(service: InProcess, count: int) -> None:
    names = [f"unknown_{number}" for number in range(count)]
    problem = service.post("mse", json={"input": [1], "target": [1], **dict.fromkeys(names, 1)}).json()
    assert len(problem["errors"]) == min(count, 20)
    assert len(problem["errors"]) + problem.get("errors_left_out", 0) == count


def test_an_object_of_many_names_is_not_searched_for_each_of_them() -> None:
    text = json.dumps({str(number): [0.5] for number in range(1000)}).encode()
    assert json_buffers.read(text, frozenset(), DecodeLimits()) is None  # orjson reads each name once


def test_a_long_header_is_not_kept(service: InProcess) -> None:
    def send_all(length: int) -> None:
        for name in ("content-type", "accept", "accept-encoding"):
            padded = f"application/json;{name}={'x' * length}"
            assert (
                service.post("mse", json=GOOD, headers={"content-type": JSON, name: padded}).status_code
                == 200
            )

    send_all(1)
    tracemalloc.start()
    try:
        for length in range(100_000, 100_020):
            send_all(length)
        gc.collect()  # what the client leaves
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000  # of six million that came
