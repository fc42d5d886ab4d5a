"""Many calls in one request of the clients: results with their types, and errors that are returned."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from lossd.client import AsyncLossClient, LossClient, Result, ServiceError
from lossd.client.batch import prepare_batch
from lossd.client.outgoing import Reply
from lossd.errors import InvalidCall, LossdError, MalformedBody
from lossd.wire.batch import MOST_CALLS
from lossd.wire.codec import ANSWER_LIMITS
from tests.api.serving import Served

X, Y = np.array([1, 2, 3], np.float32), np.array([1, 2, 5], np.float32)
CALLS: list[dict[str, Any]] = [
    {"loss": "mse", "input": X, "target": Y, "gradient": True},
    {"loss": "huber", "input": X, "target": Y, "delta": -1.0},
    {"loss": "HuberLoss", "input": X.astype(np.float64), "target": Y, "reduction": ["sum", "none"]},
    {"loss": "mse", "input": [[1.0], [2.0, 3.0]], "target": Y},
    {"loss": "hubber", "input": X, "target": Y},
    {"loss": "mse", "input": X + 1j, "target": Y, "gradient": True},
    {
        "loss": "mse",
        "input": X.astype(ml_dtypes.bfloat16),
        "target": Y.astype(ml_dtypes.bfloat16),
        "mask": None,
    },
]


def alone(client: LossClient, call: dict[str, Any]) -> Result | LossdError:
    try:
        return client.evaluate(
            call["loss"], **{name: value for name, value in call.items() if name != "loss"}
        )
    except LossdError as error:
        return error


def assert_same(found: Result | LossdError, expected: Result | LossdError, place: str) -> None:
    assert type(found) is type(expected)
    if isinstance(expected, LossdError):
        assert [each.at for each in found.errors] == [f"{place}.{each.at}" for each in expected.errors]
        if isinstance(expected, ServiceError):
            assert (found.status, found.kind) == (expected.status, expected.kind)
        return
    assert found.reductions.keys() == expected.reductions.keys()
    assert (found.count, found.warnings) == (expected.count, expected.warnings)
    for name, reduced in expected.reductions.items():
        for kind in ("gradient", "hessian", "hvp"):
            theirs, ours = getattr(reduced, kind), getattr(found[name], kind)
            assert theirs.keys() == ours.keys()
            for of in theirs:
                np.testing.assert_array_equal(ours[of], theirs[of], strict=True)
                assert ours[of].flags.writeable
        np.testing.assert_array_equal(found[name].value, reduced.value, strict=True)


def test_each_result_is_that_of_the_call_alone(client: LossClient) -> None:
    results = client.batch(CALLS)
    assert len(results) == len(CALLS)
    for index, (call, found) in enumerate(zip(CALLS, results, strict=True)):
        assert_same(found, alone(client, call), f"calls[{index}]")
    assert [isinstance(each, Exception) for each in results] == [False, True, False, True, True, False, False]


def test_the_asynchronous_client_says_the_same(server: Served, client: LossClient) -> None:
    async def ask() -> list[Result | LossdError]:
        async with AsyncLossClient(server.url) as other:
            return await other.batch(CALLS)

    for index, (found, expected) in enumerate(zip(asyncio.run(ask()), client.batch(CALLS), strict=True)):
        if isinstance(expected, LossdError):
            assert (type(found), str(found)) == (type(expected), str(expected))
        else:
            assert_same(found, expected, f"calls[{index}]")


def test_an_error_says_which_call_it_is_and_can_be_raised_elsewhere(client: LossClient) -> None:
    _, refused, _, unsent, unknown, *_ = client.batch(CALLS)
    assert isinstance(refused, ServiceError)
    assert isinstance(unsent, InvalidCall)
    assert isinstance(unknown, ServiceError)
    assert refused.errors[0].at == "calls[1].delta"
    assert unsent.errors[0].at == "calls[3].input[1]"
    assert (unknown.status, unknown.kind) == (404, "unknown-loss")
    assert refused.request_id
    assert pickle.loads(pickle.dumps(refused)).problem == refused.problem


def test_a_batch_that_is_refused_as_a_whole_raises(client: LossClient) -> None:
    with pytest.raises(ServiceError, match=f"at most {MOST_CALLS} calls"):
        client.batch([CALLS[0]] * (MOST_CALLS + 1))


def test_no_calls_have_no_results(client: LossClient) -> None:
    assert client.batch([]) == []


@pytest.mark.parametrize("entry", [{"input": X}, {"loss": 3}, ("mse", X, Y)], ids=str)
def test_a_call_without_a_loss_is_a_mistake_in_the_program(client: LossClient, entry: object) -> None:
    with pytest.raises(TypeError, match=r"`loss` - at `calls\[1\]`"):
        client.batch([CALLS[0], entry])  # type: ignore[list-item]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x80",
        b"\x81\xa7results\x90",
        b"\x81\xa7results\x91\x80",
        b"\x81\xa7results\x91\x81\xa7problem\x01",
    ],
)
def test_an_answer_that_is_none_is_malformed(body: bytes) -> None:
    prepared = prepare_batch([CALLS[0]], headers={})
    reply = Reply(200, {"content-type": "application/vnd.msgpack"}, bytearray(body))
    with pytest.raises(MalformedBody):
        prepared.results(reply, ANSWER_LIMITS)
