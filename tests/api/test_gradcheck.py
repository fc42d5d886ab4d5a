"""The check of a gradient by HTTP, by the client and by the command line."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest

from lossd.client import AsyncLossClient, GradientCheck, LossClient
from lossd.client.gradcheck import read_check
from lossd.errors import MalformedBody
from lossd.losses import LOSSES
from tests.api.serving import InProcess, lossd, serve

CALL = {"input": [0.5, 3, -3], "target": [0, 0, 0], "gradient": ["input", "delta"]}


@pytest.fixture(scope="module")
def service() -> InProcess:
    return InProcess()


@pytest.mark.parametrize("name", LOSSES)
def test_the_example_of_every_loss_passes(service: InProcess, name: str) -> None:
    answer = service.request("POST", f"/v1/losses/{name}/gradcheck", json=dict(LOSSES[name].example.call))
    assert answer.status_code == 200
    assert answer.json()["largest"]["deviation"] < 1e-9


def test_an_alias_and_another_format_are_taken(service: InProcess) -> None:
    answer = service.request("POST", "/v1/losses/HuberLoss/gradcheck", json=CALL)
    assert set(answer.json()["by_argument"]) == {"input", "delta"}
    assert answer.json()["elements"] == 4


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("huber", {**CALL, "delta": -1}, 422),
        ("huber", {**CALL, "reduction": ["none", "sum"]}, 422),
        ("hubber", CALL, 404),
        ("", CALL, 404),
    ],
)
def test_what_is_wrong_is_a_problem(service: InProcess, path: str, body: dict, status: int) -> None:
    answer = service.request("POST", f"/v1/losses/{path}/gradcheck", json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_it_costs_what_its_evaluations_cost() -> None:
    small = InProcess(max_work=10**8)
    many = {"input": [1.0] * 1000, "target": [0.0] * 1000}
    assert small.post("mse", json={**many, "gradient": True}).status_code == 200
    refused = small.request("POST", "/v1/losses/mse/gradcheck", json=many)
    assert (refused.status_code, "moves 1000 numbers" in refused.json()["detail"]) == (422, True)


def test_the_clients_and_the_command_say_the_same(tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        arrays = {name: np.array(CALL[name], float) for name in ("input", "target")}
        with LossClient(server.url) as client:
            check = client.gradcheck("huber", **arrays, gradient=["input", "delta"], delta=1.0)

        async def ask() -> GradientCheck:
            async with AsyncLossClient(server.url) as other:
                return await other.gradcheck("HuberLoss", **arrays, gradient=["input", "delta"])

        assert asyncio.run(ask()) == check
    done = lossd("gradcheck", "--loss", "huber", "--json", "-", stdin=json.dumps(CALL).encode())
    assert done.returncode == 0, done.stderr
    assert read_check(json.loads(done.stdout)) == check


def test_the_command_fails_above_the_tolerance() -> None:
    call = json.dumps({"loss": "cross_entropy", **LOSSES["cross_entropy"].example.call}).encode()
    assert lossd("gradcheck", stdin=call).stdout.endswith(b"passed\n")
    failed = lossd("gradcheck", "--tolerance", "1e-30", stdin=call)
    assert failed.returncode == 1
    assert b"failed: above 1e-30" in failed.stdout
    assert lossd("gradcheck", "--nonsense").returncode == 2


def test_the_command_does_not_pass_what_it_could_not_compare() -> None:
    done = lossd("gradcheck", "--loss", "l1", "--input", "1", "--target", "1", "--reduction", "none")
    assert done.returncode == 1
    first, kinks, verdict = done.stdout.decode().splitlines()
    assert first.endswith(" evaluations of the unreduced loss")
    assert kinks.startswith("not compared at 1 kink: ")
    assert verdict.startswith("nothing compared")


def test_another_document_is_no_check() -> None:
    for strange in ([], {}, {"largest": 3}, {"largest": None, "by_argument": {"input": {}}}):
        with pytest.raises(MalformedBody):
            read_check(strange)
