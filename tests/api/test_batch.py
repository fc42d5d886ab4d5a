"""``POST /v1/batch``: each call has the answer or error that it has alone, and the sum of what they cost is bounded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import numpy as np
import pytest

from lossd.api import batch
from lossd.api.batch import ROOM_FOR_PROBLEMS
from lossd.api.batch_contract import ANSWER, EXAMPLE
from lossd.engine.batch import REFUSED_WORK
from lossd.losses import LOSSES
from lossd.message import Call
from lossd.wire import ENCODINGS
from lossd.wire.batch import MOST_CALLS
from lossd.wire.content_encoding import compress
from lossd.wire.json import codec as json_codec
from lossd.wire.msgpack import batch as msgpack_batch
from lossd.wire.msgpack import codec as msgpack_codec
from tests.api.serving import GOOD, InProcess

PATH = "/v1/batch"
JSON, MESSAGEPACK = json_codec.media_type, msgpack_codec.media_type
TINY = {"loss": "mse", "input": [1.0], "target": [3.0]}
# Each is wrong in a way of its own, and has the status that it has alone.
WRONG: Mapping[str, tuple[dict[str, Any], int]] = {
    "unknown loss": ({"loss": "msee", **GOOD}, 404),
    "a missing argument": ({"loss": "mse", "input": [1.0]}, 422),
    "an unknown name": ({"loss": "mse", **GOOD, "delta": 1}, 422),
    "an array of another loss": ({"loss": "mse", **GOOD, "tags": [1, 2, 3], "logits": 1}, 422),
    "a setting out of range": ({"loss": "huber", "input": [1], "target": [2], "delta": -1}, 422),
    "shapes that do not fit": ({"loss": "mse", "input": [1, 2], "target": [1, 2, 3]}, 422),
    "ragged lists": ({"loss": "mse", "input": [[1], [1, 2]], "target": [1]}, 422),
    "a value outside its domain": ({"loss": "bce", "input": [1.5], "target": [1]}, 422),
    "a target that no class has": ({"loss": "nll", "input": [[-1.0, -2.0]], "target": [7]}, 422),
    "an option nested too deeply": ({"loss": "mse", **GOOD, "axis": json.loads("[" * 40 + "]" * 40)}, 400),
    "an array nested too deeply": (
        {"loss": "mse", "target": [1], "input": json.loads("[" * 40 + "1" + "]" * 40)},
        400,
    ),
    "a tensor that is none": ({"loss": "mse", "input": {"dtype": "int9"}, "target": [1]}, 422),
    "too expensive": (
        {
            "loss": "nt_xent",
            "embeddings": {"dtype": "float64", "shape": [200000, 0], "data": ""},
            "labels": [1],
            "broadcast": True,
        },
        422,
    ),
}


@pytest.fixture(scope="module")
def service() -> InProcess:
    return InProcess()


def as_json(service: InProcess, calls: list[Any]) -> list[dict[str, Any]]:
    answer = service.request("POST", PATH, json={"calls": calls})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == JSON
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def examples() -> Iterator[tuple[str, dict[str, Any]]]:
    for loss in LOSSES.values():
        yield loss.name, {**loss.example.call, "gradient": True}
        yield loss.name, {**loss.example.call, "encoding": "base64"}
        for alias in loss.aliases[:1]:
            yield alias.name, dict(loss.example.call)


def test_json_has_the_bytes_of_every_example_alone(service: InProcess) -> None:
    calls = [{"loss": loss, **call} for loss, call in examples()]
    whole = service.request("POST", PATH, json={"calls": calls}).content
    alone = [service.post(loss, json=call) for loss, call in examples()]
    members = [
        b'{"status":%d,"%b":%b}'
        % (each.status_code, b"answer" if each.status_code == 200 else b"problem", each.content)
        for each in alone
    ]
    assert sum(each.status_code == 200 for each in alone) > len(LOSSES)
    assert [whole.startswith(b'{"results":['), whole.endswith(b"]}")] == [True, True]
    found = json.loads(whole)["results"]
    assert len(found) == len(members)
    for result, member in zip(found, members, strict=True):
        if result["status"] == 200:
            assert member in whole
        assert result["status"] == json.loads(member)["status"]


def test_messagepack_has_the_bytes_of_every_example_alone(service: InProcess) -> None:
    calls = [
        (loss, json_codec.decode_call(json.dumps(call).encode(), LOSSES[loss].array_names))
        for loss, call in examples()
        if loss in LOSSES
    ]
    entries = [msgpack_batch.encode_entry(*each) for each in calls]
    body = b"".join(msgpack_batch.encode_batch(entries))
    answer = service.request("POST", PATH, content=body, headers={"content-type": MESSAGEPACK})
    assert answer.headers["content-type"] == MESSAGEPACK
    results = msgspec.msgpack.decode(answer.content, type=dict[str, list[dict[str, msgspec.Raw]]])["results"]
    assert len(results) == len(calls)
    for (loss, call), result in zip(calls, results, strict=True):
        sent = b"".join(msgpack_codec.encode_call(call))
        alone = service.post(loss, content=sent, headers={"content-type": MESSAGEPACK})
        if alone.status_code == 200:
            assert bytes(result["answer"]) == alone.content, loss
        assert msgspec.msgpack.decode(bytes(result["status"])) == alone.status_code


@pytest.mark.parametrize(("reads", "writes"), [(JSON, MESSAGEPACK), (MESSAGEPACK, JSON)])
def test_a_batch_may_be_answered_in_the_other_format(service: InProcess, reads: str, writes: str) -> None:
    body = {"calls": [TINY, {"loss": "none"}]}
    content = json.dumps(body).encode() if reads == JSON else msgspec.msgpack.encode(body)
    headers = {"content-type": reads, "accept": writes}
    answer = service.request("POST", PATH, content=content, headers=headers)
    assert answer.headers["content-type"] == writes
    read = json.loads if writes == JSON else msgspec.msgpack.decode
    first, second = read(answer.content)["results"]
    assert (first["status"], first["answer"]["loss"]) == (200, {"mean": 4.0})
    assert (second["status"], second["problem"]["status"]) == (404, 404)


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("media_type", [JSON, MESSAGEPACK])
def test_each_error_is_that_of_the_call_alone_and_says_which_it_is(
    service: InProcess, media_type: str, long: bool
) -> None:
    right = [TINY] * (200 if long else 1)
    calls = [*right, *(call for call, _ in WRONG.values()), *right]

    def ask(path: str, body: object) -> Any:
        content = json.dumps(body).encode() if media_type == JSON else msgspec.msgpack.encode(body)
        headers = {"content-type": media_type, "accept": JSON}
        return service.request("POST", path, content=content, headers=headers).json()

    results = ask(PATH, {"calls": calls})["results"]
    assert [each["status"] for each in results] == [
        *[200] * len(right),
        *(status for _, status in WRONG.values()),
        *[200] * len(right),
    ]
    for index, (call, _) in enumerate(WRONG.values(), len(right)):
        options = {name: value for name, value in call.items() if name != "loss"}
        alone = ask(f"/v1/losses/{call['loss']}", options)
        problem = results[index]["problem"]
        place = f"calls[{index}]"
        for detail in alone["errors"]:
            detail["at"] = f"{place}.{detail['at']}" if detail["at"] else place
        for name in ("type", "title", "status", "errors"):
            assert problem[name] == alone[name]
        assert not problem["errors"] or f"at `{place}" in problem["detail"]


@pytest.mark.parametrize(
    ("entry", "at"),
    [
        (3, "calls[1]"),
        (None, "calls[1]"),
        ([], "calls[1]"),
        ({}, "calls[1].loss"),
        ({"loss": 3}, "calls[1].loss"),
    ],
)
@pytest.mark.parametrize("media_type", [JSON, MESSAGEPACK])
def test_an_entry_that_is_no_call_is_refused_with_its_place(
    service: InProcess, media_type: str, entry: object, at: str
) -> None:
    body = {"calls": [TINY, entry, TINY]}
    content = json.dumps(body).encode() if media_type == JSON else msgspec.msgpack.encode(body)
    headers = {"content-type": media_type, "accept": JSON}
    answer = service.request("POST", PATH, content=content, headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["at"]) == (422, at)


@pytest.mark.parametrize("media_type", [JSON, MESSAGEPACK])
@pytest.mark.parametrize(
    ("body", "status", "at"),
    [
        ({}, 422, "calls"),
        ({"calls": 3}, 422, "calls"),
        ({"calls": {"loss": "mse"}}, 422, "calls"),
        ({"calls": [], "loss": "mse"}, 422, "loss"),
        ({"calls": [TINY] * (MOST_CALLS + 1)}, 413, "calls"),
        ([TINY], 400, None),
    ],
    ids=str,
)
def test_what_is_no_batch_is_refused_as_a_whole(
    service: InProcess, media_type: str, body: object, status: int, at: str | None
) -> None:
    content = json.dumps(body).encode() if media_type == JSON else msgspec.msgpack.encode(body)
    headers = {"content-type": media_type, "accept": JSON}
    answer = service.request("POST", PATH, content=content, headers=headers)
    assert answer.status_code == status
    assert at is None or answer.json()["errors"][0]["at"] == at
    service.assert_unharmed()


def test_an_empty_batch_has_no_results(service: InProcess) -> None:
    assert as_json(service, []) == []


def test_as_many_calls_as_a_batch_may_have_are_answered(service: InProcess) -> None:
    results = as_json(service, [TINY] * MOST_CALLS)
    assert len(results) == MOST_CALLS
    assert {json.dumps(each) for each in results} == {json.dumps(results[0])}


def test_a_repeated_key_refuses_a_batch(service: InProcess) -> None:
    text = b'{"calls":[{"loss":"mse","input":[1],"target":[1],"input":[2]}]}'
    answer = service.request("POST", PATH, content=text)
    assert (answer.status_code, '"input" again' in answer.json()["detail"]) == (400, True)
    twice = b"\x81\xa5calls\x91\x82\xa4loss\xa3mse\xa4loss\xa3mse"
    headers = {"content-type": MESSAGEPACK, "accept": JSON}
    answer = service.request("POST", PATH, content=twice, headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["at"]) == (400, "calls[0].byte 10")


@pytest.mark.parametrize("media_type", ["application/x-npz", "application/vnd.safetensors"])
def test_formats_of_arrays_alone_hold_no_batch(service: InProcess, media_type: str) -> None:
    answer = service.request("POST", PATH, content=b"", headers={"content-type": media_type})
    assert answer.status_code == 415
    assert media_type not in answer.json()["detail"].partition("got")[0]
    answer = service.request("POST", PATH, json={"calls": []}, headers={"accept": media_type})
    assert answer.status_code == 406


def test_options_belong_to_the_calls(service: InProcess) -> None:
    answer = service.request("POST", f"{PATH}?reduction=sum", json={"calls": [TINY]})
    assert (answer.status_code, answer.json()["errors"][0]["at"]) == (422, "the query string")


@pytest.mark.parametrize("limit", ["max_work", "max_workspace_bytes", "max_answer_bytes"])
def test_calls_that_are_cheap_alone_may_be_too_expensive_together(limit: str) -> None:
    call = {"loss": "huber", "input": [[1.0] * 40] * 40, "target": [[0.0] * 40] * 40, "gradient": True}
    limited = InProcess(
        **{limit: {"max_work": 10**6, "max_workspace_bytes": 2**18, "max_answer_bytes": 2**15}[limit]}
    )
    alone, name = dict(call), limit.split("_")[1]
    assert limited.post(alone.pop("loss"), json=alone).status_code == 200
    assert [each["status"] for each in as_json(limited, [call])] == [200]
    refused = limited.request("POST", PATH, json={"calls": [call] * 40})
    assert refused.status_code == 422
    assert f"too expensive together: their {name}" in refused.json()["detail"]
    assert limited.log()[-1]["status"] == 422


def test_many_tiny_calls_cannot_ask_for_one_giant_answer() -> None:
    call = {
        "loss": "mse",
        "input": [[0.0]] * 100,
        "target": [[0.0] * 100],
        "broadcast": True,
        "reduction": "none",
    }
    small = InProcess(max_answer_bytes=2**20)
    assert [each["status"] for each in as_json(small, [call])] == [200]
    refused = small.request("POST", PATH, json={"calls": [call] * 100})
    assert (refused.status_code, "their answer would be" in refused.json()["detail"]) == (422, True)


def test_many_problems_are_told_in_brief(service: InProcess) -> None:
    call = {"loss": "mse", **{f"{number:080d}": 1 for number in range(15)}}
    answer = service.request("POST", PATH, json={"calls": [call] * 2000})
    assert len(answer.content) < ROOM_FOR_PROBLEMS + 200 * 2000
    first, *_, last = answer.json()["results"]
    assert len(first["problem"]["errors"]) == last["problem"]["errors_left_out"] > 15
    assert {**last["problem"], "errors_left_out": 0} == {
        "type": "/problems/invalid-call",
        "title": "invalid call",
        "status": 422,
        "detail": "invalid call",
        "errors": [],
        "errors_left_out": 0,
    }


@pytest.mark.parametrize("media_type", [JSON, MESSAGEPACK])
def test_all_arrays_together_hold_no_more_elements_than_those_of_one_call(media_type: str) -> None:
    small = InProcess(max_elements=100)
    content = {"calls": [{"loss": "mse", "input": [1.0] * 20, "target": [1.0] * 20}] * 3}
    body = json.dumps(content).encode() if media_type == JSON else msgspec.msgpack.encode(content)
    refused = small.request("POST", PATH, content=body, headers={"content-type": media_type, "accept": JSON})
    assert (refused.status_code, "max_elements" in refused.json()["detail"]) == (413, True)


def test_a_deadline_ends_a_batch_between_its_calls(service: InProcess) -> None:
    call = {"loss": "ctc", **LOSSES["ctc"].example.call, "gradient": True}
    headers = {"request-timeout": "0.02"}
    answer = service.request("POST", PATH, json={"calls": [call] * 2000}, headers=headers)
    assert answer.status_code == 504


def test_a_batch_is_one_line_of_the_log_and_one_request_of_the_metrics() -> None:
    service = InProcess()
    as_json(service, [TINY, {**TINY, "loss": "MSELoss"}, {**TINY, "loss": "hubber"}, {"loss": "l1"}])
    (line,) = service.log()
    assert (line["calls"], line["failed"], line["elements"]) == (4, 2, 4)
    assert (line["format"], line["path"], line["work"] > 0) == ("json", PATH, True)
    assert {"loss", "problem"}.isdisjoint(line)
    text = service.request("GET", "/metrics").text
    for expected in (
        'lossd_requests_total{format="none",loss="none",method="POST",route="/v1/batch",status="200"} 1.0',
        'lossd_batched_calls_total{loss="mse",status="200"} 2.0',
        'lossd_batched_calls_total{loss="l1",status="422"} 1.0',
        'lossd_batched_calls_total{loss="none",status="404"} 1.0',
        'lossd_request_body_bytes_count{route="/v1/batch"} 1.0',
        'lossd_estimated_work_operations_count{route="/v1/batch"} 1.0',
    ):
        assert expected in text


def test_the_work_of_all_calls_counts_against_the_callers_limit() -> None:
    limited = InProcess(work_per_second=10.0, work_burst=100_000)
    assert as_json(limited, [TINY])[0]["status"] == 200  # paid for afterwards
    refused = limited.request("POST", PATH, json={"calls": [TINY] * 10})
    assert (refused.status_code, "10 work a second" in refused.json()["detail"]) == (429, True)


def test_calls_that_are_wrong_count_as_work_too() -> None:
    limited = InProcess(work_per_second=10.0, work_burst=100_000)
    wrong = {**TINY, "delta": 1}
    assert {each["status"] for each in as_json(limited, [wrong] * 10)} == {422}
    assert limited.log()[-1]["work"] >= 10 * REFUSED_WORK
    assert limited.request("POST", PATH, json={"calls": [wrong]}).status_code == 429


def test_a_packed_body_that_is_refused_counts_as_work_too() -> None:
    limited = InProcess(work_per_second=10.0, work_burst=100_000)
    call = msgspec.msgpack.encode({"loss": "mse", **{f"unknown {number}": 1 for number in range(240)}})
    content = b"\x81\xa5calls\xdd" + MOST_CALLS.to_bytes(4, "big") + call * MOST_CALLS
    headers = {"content-type": MESSAGEPACK, "content-encoding": "zstd"}
    body = b"".join(compress([content], "zstd"))
    assert limited.request("POST", PATH, content=body, headers=headers).status_code == 413
    assert limited.post("mse", json=GOOD).status_code == 429


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_small_bodies_that_hold_many_calls_are_counted_before_they_are_read(encoding: str) -> None:
    limited = InProcess(max_wait_seconds=0.1)
    content = b"\x81\xa5calls\xdd" + MOST_CALLS.to_bytes(4, "big")
    content += (
        msgspec.msgpack.encode({"loss": "mse", **{f"unknown {number}": 1 for number in range(30)}})
        * MOST_CALLS
    )
    headers = {"content-type": MESSAGEPACK, "content-encoding": encoding}
    body = b"".join(compress([content], encoding))
    request = ("POST", PATH, {"content": body, "headers": headers})
    statuses = [answer.status_code for answer in limited.together([request] * 12)]
    assert set(statuses) == {200, 503}
    assert statuses.count(503) >= 8
    limited.assert_unharmed()


def test_every_call_counts_against_the_callers_limit() -> None:
    limited = InProcess(calls_per_second=0.001, calls_burst=5)
    assert len(as_json(limited, [TINY] * 3)) == 3
    assert [limited.post("mse", json=GOOD).status_code for _ in range(3)] == [200, 200, 429]


def test_a_batch_is_counted_before_its_work_is_done() -> None:
    """Its calls counted once they were answered: beyond the limit, they were computed all the same."""
    limited = InProcess(calls_per_second=0.001, calls_burst=5)
    assert limited.post("mse", json=GOOD).status_code == 200
    refused = limited.request("POST", PATH, json={"calls": [TINY] * 6})
    assert refused.status_code == 429
    assert refused.json()["type"] == "/problems/rate-limited"
    assert 990 < int(refused.headers["retry-after"]) <= 1000
    assert "calls" not in limited.log()[-1]
    assert len(as_json(limited, [TINY] * 3)) == 3
    assert limited.post("mse", json=GOOD).status_code == 429


def test_a_batch_of_more_calls_than_a_burst_passes_a_caller_who_has_paused() -> None:
    limited = InProcess(calls_per_second=0.001, calls_burst=5)
    assert len(as_json(limited, [TINY] * 30)) == 30
    assert limited.post("mse", json=GOOD).status_code == 429


def test_a_long_answer_is_compressed_for_those_who_ask(service: InProcess) -> None:
    calls = [TINY] * MOST_CALLS
    answer = service.request("POST", PATH, json={"calls": calls}, headers={"accept-encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert len(answer.json()["results"]) == MOST_CALLS


def test_a_batch_and_single_calls_together_are_answered(service: InProcess) -> None:
    requests = [("POST", PATH, {"json": {"calls": [TINY] * 500}})] * 3
    requests += [("POST", "/v1/losses/mse", {"json": GOOD})] * 5
    assert {answer.status_code for answer in service.together(requests)} == {200}


def test_the_contracts_example_is_what_the_service_answers(service: InProcess) -> None:
    assert service.request("POST", PATH, json=EXAMPLE).json() == ANSWER


def test_no_option_has_the_name_of_an_array_of_another_loss() -> None:
    """So that what the fast reader takes for an array is one, or wrong in any case."""
    arrays = set().union(*(loss.array_names for loss in LOSSES.values()))
    for loss in LOSSES.values():
        assert not (set(loss.settings) - loss.array_names) & arrays
    assert "loss" not in arrays


def test_gradients_may_take_the_place_of_arguments(service: InProcess) -> None:
    rows = np.linspace(0, 1, 600).reshape(200, 3)
    entries = [
        msgpack_batch.encode_entry("mse", Call({"input": rows + place, "target": rows}, {"gradient": True}))
        for place in range(50)
    ]
    body = b"".join(msgpack_batch.encode_batch(entries))
    answer = service.request("POST", PATH, content=body, headers={"content-type": MESSAGEPACK})
    for place, found in enumerate(msgpack_batch.decode_outcomes(answer.content)):
        np.testing.assert_allclose(found.gradient["mean"]["input"], 2 * place / 600, rtol=1e-12, atol=1e-15)


def test_a_caller_who_leaves_ends_a_batch() -> None:
    """The application is told that the caller has gone while the batch computes."""
    service = InProcess(compute_workers=1)
    call = {"loss": "ctc", **LOSSES["ctc"].example.call, "gradient": True}
    body = json.dumps({"calls": [call] * 4000}).encode()
    messages = [{"type": "http.request", "body": body}, {"type": "http.disconnect"}]

    async def receive() -> dict[str, Any]:
        if len(messages) == 1:
            await asyncio.sleep(0.05)
        return messages.pop(0)

    async def send(message: Mapping[str, Any]) -> None:
        raise AssertionError(f"expected no answer, got {message}")

    scope = {
        "type": "http", "method": "POST", "path": PATH, "query_string": b"", "root_path": "",
        "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))],
    }  # fmt: skip
    asyncio.run(service.app(scope, receive, send))
    (line,) = service.log()
    assert line["status"] == 499


@pytest.mark.parametrize("step", ["prepare", "compute_within"])
def test_a_fault_in_one_call_leaves_the_others_their_answers(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, calls = InProcess(), []
    sound = getattr(batch, step)

    def faulty(*arguments: Any, **named: Any) -> Any:
        calls.append(step)
        if len(calls) == 2:
            raise OverflowError("a fault")
        return sound(*arguments, **named)

    monkeypatch.setattr(batch, step, faulty)
    results = as_json(service, [TINY, TINY, TINY])
    assert [result["status"] for result in results] == [200, 500, 200]
    assert results[0] == results[2]
    assert "a fault" not in str(results[1])
    (line,) = service.log()
    assert (line["level"], line["failed"]) == ("error", 1)
    assert "OverflowError: a fault" in line["exception"]
