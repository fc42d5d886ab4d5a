"""Configuration, statistics and the index of models, as Triton's clients read them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossd.losses import LOSSES
from tests.api.serving import Served, serve

httpclient = pytest.importorskip("tritonclient.http")
from tritonclient.utils import InferenceServerException  # noqa: E402

DURATIONS = (
    *("success", "fail", "queue", "compute_input"),
    *("compute_infer", "compute_output", "cache_hit", "cache_miss"),
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("server"), LOSSD_INLINE_BODY_BYTES="10000") as server:
        yield server


@pytest.fixture
def client(running: Served) -> Iterator[Any]:
    with httpclient.InferenceServerClient(f"127.0.0.1:{running.port}") as connected:
        yield connected


def infer(client: Any, loss: str, elements: int) -> None:
    inputs = []
    for name in ("input", "target"):
        inputs.append(httpclient.InferInput(name, [elements], "FP32"))
        inputs[-1].set_data_from_numpy(np.ones(elements, np.float32))
    client.infer(loss, inputs)


def statistics(client: Any, loss: str) -> dict[str, Any]:
    (found,) = client.get_inference_statistics(loss)["model_stats"]
    return found


@pytest.mark.parametrize("loss", LOSSES)
def test_the_configuration_has_the_tensors_of_the_metadata(client, loss):
    """What perf_analyzer reads to make up requests (client_backend/triton, model_parser)."""
    config, metadata = client.get_model_config(loss), client.get_model_metadata(loss)
    assert (config["name"], config["platform"], config["max_batch_size"]) == (loss, "lossd", 0)
    for mine, theirs in (("input", "inputs"), ("output", "outputs")):
        assert [(each["name"], each["data_type"], each["dims"]) for each in config[mine]] == [
            (each["name"], f"TYPE_{each['datatype']}", each["shape"]) for each in metadata[theirs]
        ]
    assert client.get_model_config(loss, "1") == config


def test_an_alias_has_the_configuration_of_its_loss_under_its_own_name(client):
    config = client.get_model_config("HuberLoss")
    assert config.pop("name") == "HuberLoss"
    assert config.items() <= client.get_model_config("huber").items()


@pytest.mark.parametrize("elements", [10, 100_000], ids=["on the event loop", "in the pool"])
def test_an_inference_is_counted_once_with_the_time_of_each_step(client, elements):
    before = statistics(client, "log_cosh")
    started = time.time()
    for _ in range(3):
        infer(client, "log_cosh", elements)
    after = statistics(client, "log_cosh")
    assert after["inference_count"] - before["inference_count"] == 3
    assert after["execution_count"] == after["inference_count"]
    assert started - 1 < after["last_inference"] / 1000 < time.time() + 1
    taken = {
        name: after["inference_stats"][name]["ns"] - before["inference_stats"][name]["ns"]
        for name in DURATIONS
    }
    steps = taken["queue"] + taken["compute_input"] + taken["compute_infer"] + taken["compute_output"]
    assert 0 < steps < taken["success"] < 1e9 * (time.time() - started)
    assert min(taken["compute_input"], taken["compute_infer"], taken["compute_output"]) > 0
    assert (taken["queue"] > 0) == (elements > 10)
    counts = {name: after["inference_stats"][name]["count"] for name in DURATIONS}
    assert {counts[name] for name in DURATIONS[2:6]} == {after["inference_count"]}
    assert (counts["cache_hit"], counts["cache_miss"]) == (0, 0)


def test_what_fails_is_counted_as_such(client):
    with pytest.raises(InferenceServerException):
        client.infer("fair", [])
    found = statistics(client, "fair")
    assert (found["inference_count"], found["last_inference"]) == (0, 0)
    assert found["inference_stats"]["fail"]["count"] == 1
    assert found["inference_stats"]["fail"]["ns"] > 0


def test_an_alias_counts_for_its_loss(client):
    infer(client, "HuberLoss", 3)
    assert statistics(client, "huber")["inference_count"] == 1
    assert statistics(client, "HuberLoss")["name"] == "HuberLoss"
    every = {each["name"]: each for each in client.get_inference_statistics()["model_stats"]}
    assert every.keys() == LOSSES.keys()
    assert every["huber"]["inference_count"] == 1
    assert client.get_inference_statistics("huber", "1")["model_stats"] == [every["huber"]]


def test_the_index_lists_every_loss(client):
    index = client.get_model_repository_index()
    assert [entry["name"] for entry in index] == list(LOSSES)
    assert {(entry["version"], entry["state"], entry["reason"]) for entry in index} == {("1", "READY", "")}


@pytest.mark.parametrize("body", [b"", b"{}", b'{"ready": false}', b'{"ready": true}'])
def test_the_index_takes_what_it_may_be_asked(service, body):
    response = service.request("POST", "/v2/repository/index", content=body)
    assert response.status_code == 200
    assert len(response.json()) == len(LOSSES)


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"ready": 1}', b'"' + b"x" * 5000 + b'"'])
def test_the_index_refuses_anything_else(service, body):
    response = service.request("POST", "/v2/repository/index", content=body)
    assert response.status_code == 400
    assert "ready" in response.json()["error"]
    assert len(response.content) < 400


@pytest.mark.slow
def test_a_server_about_to_stop_lists_nothing_as_ready(tmp_path: Path) -> None:
    with serve(tmp_path, LOSSD_DRAIN_SECONDS="30") as server:
        with httpclient.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
            server.process.terminate()
            deadline = time.monotonic() + 20
            while client.get_model_repository_index()[0]["state"] == "READY":
                assert time.monotonic() < deadline
                time.sleep(0.1)
        server.process.terminate()
        assert server.process.wait(30) == 0
