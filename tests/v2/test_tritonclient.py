"""The protocol's most used client, unmodified, against a server on a socket: each way in which it can call."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from tests.api.serving import ROOT, Served

httpclient = pytest.importorskip("tritonclient.http")
import tritonclient.http.aio as aioclient  # noqa: E402
from tritonclient.utils import InferenceServerException, np_to_triton_dtype  # noqa: E402

X = np.array([[0.5, 3.0], [-1.0, 0.25]], np.float32)
T = np.zeros((2, 2), np.float32)
# By hand, delta 1: 0.125, 2.5, 0.5, 0.03125; slopes 0.5, 1, -1, 0.25; the mean divides by 4.
LOSS = 3.15625 / 4
GRADIENT = np.array([[0.125, 0.25], [-0.25, 0.0625]], np.float32)


@pytest.fixture
def client(server: Served) -> Iterator[Any]:
    with httpclient.InferenceServerClient(f"127.0.0.1:{server.port}") as connected:
        yield connected


def test_the_documented_code_runs(server):
    text = (ROOT / "docs" / "open-inference.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    here = code.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}")
    exec(compile(here, "docs/open-inference.md", "exec"), {})


def given(name: str, array: np.ndarray, *, binary: bool = True, module: Any = httpclient) -> Any:
    described = module.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    described.set_data_from_numpy(array, binary_data=binary)
    return described


def both(*, binary: bool = True, module: Any = httpclient) -> list[Any]:
    return [given("input", X, binary=binary, module=module), given("target", T, binary=binary, module=module)]


def wanted(*names: str, binary: bool = True) -> list[Any]:
    return [httpclient.InferRequestedOutput(name, binary_data=binary) for name in names]


def test_health_and_metadata(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("huber")
    assert client.is_model_ready("huber", "1")
    assert not client.is_model_ready("huber", "2")
    assert not client.is_model_ready("no such loss")
    assert client.get_server_metadata()["extensions"] == [
        "binary_tensor_data",
        "model_configuration",
        "statistics",
    ]
    metadata = client.get_model_metadata("huber")
    assert metadata["platform"] == "lossd"
    assert [entry["name"] for entry in metadata["inputs"]] == ["input", "target", "weight"]
    assert [entry["name"] for entry in metadata["outputs"]][:2] == ["loss", "gradient.input"]


@pytest.mark.parametrize("version", ["", "1"])
@pytest.mark.parametrize("binary_in", [True, False], ids=["raw in", "JSON in"])
@pytest.mark.parametrize("binary_out", [True, False, None], ids=["raw out", "JSON out", "default out"])
@pytest.mark.parametrize("packing", [None, "gzip", "deflate"])
def test_infer(client, version, binary_in, binary_out, packing):
    outputs = None if binary_out is None else wanted("loss", "gradient.input", binary=binary_out)
    result = client.infer(
        "huber",
        both(binary=binary_in),
        version,
        outputs,
        request_id="seven",
        request_compression_algorithm=packing,
        response_compression_algorithm=packing,
    )
    np.testing.assert_array_equal(result.as_numpy("loss"), np.float32(LOSS), strict=True)
    np.testing.assert_array_equal(result.as_numpy("gradient.input"), GRADIENT, strict=True)
    answer = result.get_response()
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("huber", "1", "seven")
    assert ("data" in result.get_output("loss")) == (binary_out is False)


@pytest.mark.parametrize("packing", [None, "gzip", "deflate"])
def test_infer_with_asyncio(server, packing):
    async def infer() -> list[Any]:
        async with aioclient.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
            assert await client.is_server_ready()
            return await asyncio.gather(
                *(
                    client.infer(
                        "huber", both(binary=binary, module=aioclient), request_compression_algorithm=packing
                    )
                    for binary in (True, False)
                )
            )

    for result in asyncio.run(infer()):
        np.testing.assert_array_equal(result.as_numpy("gradient.input"), GRADIENT, strict=True)


def test_infer_in_the_background(client):
    handles = [client.async_infer("huber", both()) for _ in range(3)]
    for handle in handles:
        np.testing.assert_array_equal(handle.get_result().as_numpy("gradient.input"), GRADIENT)


def test_inputs_may_be_partly_json_and_partly_raw(client):
    inputs = [given("input", X, binary=False), given("target", T), given("weight", T + 2, binary=False)]
    result = client.infer("mse", inputs, parameters={"reduction": "sum"})
    assert result.as_numpy("loss") == 2 * (0.25 + 9 + 1 + 0.0625)


def test_a_request_without_an_id_gets_none(client):
    assert "id" not in client.infer("mse", both()).get_response()


def test_settings_and_options_are_parameters(client):
    result = client.infer("huber", both(), parameters={"delta": 2.0, "reduction": "none"})
    np.testing.assert_array_equal(result.as_numpy("loss"), np.array([[0.125, 4], [0.5, 0.03125]], np.float32))


def test_several_reductions_are_a_text_and_name_the_outputs(client):
    asked = wanted("loss.mean", "gradient.sum.input", "count")
    result = client.infer("mse", both(), outputs=asked, parameters={"reduction": "sum,mean"})
    one = client.infer("mse", both(), parameters={"reduction": "sum"})
    assert [output["name"] for output in result.get_response()["outputs"]] == [
        "loss.mean",
        "gradient.sum.input",
        "count",
    ]
    np.testing.assert_array_equal(result.as_numpy("loss.mean"), one.as_numpy("loss") / X.size)
    np.testing.assert_array_equal(result.as_numpy("gradient.sum.input"), one.as_numpy("gradient.input"))


def test_a_vector_setting_and_the_general_arrays_are_inputs(client):
    inputs = [
        given("input", np.array([[1.0, 2.0]])),
        given("target", np.array([3.0])),
        given("quantiles", np.array([0.25, 0.5])),
        given("sample_weight", np.array([2.0])),
        given("mask", np.array([True])),
    ]
    result = client.infer("multi_quantile", inputs, parameters={"reduction": "sum"})
    # By hand: max(0.25 * 2, -0.75 * 2) + max(0.5 * 1, -0.5 * 1), of weight 2.
    assert result.as_numpy("loss") == 2.0
    assert result.as_numpy("gradient.input").tolist() == [[-0.5, -1.0]]


def test_an_alias_is_a_model_of_its_own_name(client):
    assert client.get_model_metadata("HuberLoss")["name"] == "HuberLoss"
    assert client.infer("HuberLoss", both()).get_response()["model_name"] == "HuberLoss"


FLOATS = [np.float16, np.float32, np.float64]
WHOLE = [np.dtype(f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)]


@pytest.mark.parametrize("binary", [True, False], ids=["raw", "JSON"])
@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: np.dtype(dtype).name)
def test_floating_datatypes_come_back_as_they_went(client, dtype, binary):
    inputs = [given("input", X.astype(dtype), binary=binary), given("target", T.astype(dtype), binary=binary)]
    result = client.infer("huber", inputs, outputs=wanted("gradient.input", "loss", binary=binary))
    np.testing.assert_array_equal(result.as_numpy("gradient.input"), GRADIENT.astype(dtype), strict=True)


def test_bfloat16_comes_back_as_it_went(client):
    inputs = [given("input", X.astype(ml_dtypes.bfloat16)), given("target", T.astype(ml_dtypes.bfloat16))]
    result = client.infer("huber", inputs)
    assert result.as_numpy("gradient.input").dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(result.as_numpy("gradient.input").astype(np.float32), GRADIENT)


@pytest.mark.parametrize("binary", [True, False], ids=["raw", "JSON"])
@pytest.mark.parametrize("dtype", WHOLE, ids=str)
def test_whole_datatypes_are_labels(client, dtype, binary):
    inputs = [given("input", X), given("target", np.array([1, 0], dtype), binary=binary)]
    result = client.infer("cross_entropy", inputs, outputs=wanted("loss"))
    expected = np.mean([np.log1p(np.exp(-2.5)), np.log1p(np.exp(1.25))])
    np.testing.assert_allclose(result.as_numpy("loss"), expected, rtol=1e-6)


@pytest.mark.parametrize("binary", [True, False], ids=["raw", "JSON"])
def test_truth_values_are_a_mask(client, binary):
    mask = given("mask", np.array([[True, False], [False, False]]), binary=binary)
    result = client.infer("huber", [*both(), mask])
    assert result.as_numpy("loss") == 0.125
    assert result.as_numpy("gradient.input").tolist() == [[0.5, 0], [0, 0]]


def test_every_part_of_an_answer_can_be_asked_for(client):
    direction = given("hvp", np.ones_like(X))
    names = (
        "gradient.target",
        "loss",
        "count",
        "denominator",
        "hessian.input",
        "hvp.input",
        "gradient.input",
    )
    result = client.infer("mse", [*both(), direction], outputs=wanted(*names))
    assert [output["name"] for output in result.get_response()["outputs"]] == list(names)
    np.testing.assert_array_equal(result.as_numpy("gradient.target"), -X / 2)
    np.testing.assert_array_equal(result.as_numpy("hessian.input"), np.full_like(X, 0.5))
    np.testing.assert_array_equal(result.as_numpy("hvp.input"), np.full_like(X, 0.5))
    assert (result.as_numpy("count"), result.as_numpy("denominator")) == (4, 4.0)


def test_only_what_is_asked_for_comes(client):
    result = client.infer("mse", both(), outputs=wanted("loss"))
    assert [output["name"] for output in result.get_response()["outputs"]] == ["loss"]


def test_numbers_that_are_not_finite_survive_both_ways(client):
    x = np.array([np.nan, np.inf, 1.0], np.float32)
    inputs = [given("input", x), given("target", np.zeros_like(x))]
    for binary in (True, False):
        result = client.infer(
            "l1", inputs, outputs=wanted("loss", binary=binary), parameters={"reduction": "none"}
        )
        np.testing.assert_array_equal(result.as_numpy("loss"), x)


def test_an_empty_array(client):
    inputs = [given("input", np.empty((0, 2), np.float32)), given("target", np.empty((0, 2), np.float32))]
    result = client.infer("mse", inputs, parameters={"reduction": "none"})
    assert result.as_numpy("gradient.input").shape == (0, 2)


def test_a_body_of_many_parts(client):
    """Its arrays lie in a buffer of the server's own, and its gradient is written over the input."""
    x = np.random.default_rng(5).standard_normal((100, 1000)).astype(np.float32)
    inputs = [given("input", x), given("target", np.zeros_like(x))]
    for packing in (None, "gzip"):
        result = client.infer(
            "mse", inputs, parameters={"reduction": "sum"}, request_compression_algorithm=packing
        )
        np.testing.assert_array_equal(result.as_numpy("gradient.input"), 2 * x, strict=True)


def test_reserved_parameters_change_nothing(client):
    result = client.infer(
        "mse", both(), sequence_id=3, sequence_start=True, sequence_end=True, priority=2, timeout=60_000_000
    )
    assert result.as_numpy("loss").shape == ()


# how to call -> status, a part of the message
REFUSED = {
    "no such model": (lambda c: c.infer("hubber", both()), "404", "huber"),
    "no such version": (lambda c: c.infer("huber", both(), "2"), "404", "version 1"),
    "metadata of no such model": (lambda c: c.get_model_metadata("x/y"), "404", "expected"),
    "metadata of no such version": (lambda c: c.get_model_metadata("huber", "3"), "404", "version 1"),
    "a missing input": (lambda c: c.infer("huber", both()[:1]), "400", "target"),
    "a bad setting": (lambda c: c.infer("huber", both(), parameters={"delta": -1}), "400", "> 0"),
    "an unknown setting": (lambda c: c.infer("huber", both(), parameters={"dleta": 1}), "400", "delta"),
    "an unknown output": (
        lambda c: c.infer("huber", both(), outputs=wanted("grad")),
        "400",
        "gradient.input",
    ),
    "no Hessian of that": (
        lambda c: c.infer("mse", both(), outputs=wanted("hessian.target")),
        "400",
        "hessian.input",
    ),
    "no direction": (lambda c: c.infer("mse", both(), outputs=wanted("hvp.input")), "400", "outputs[0].name"),
    "an output of one of two reductions": (
        lambda c: c.infer("mse", both(), outputs=wanted("loss"), parameters={"reduction": "sum,mean"}),
        "400",
        "loss.sum, loss.mean",
    ),
    "a wrong shape": (lambda c: c.infer("mse", [both()[0], given("target", T[0])]), "400", "(2, 2)"),
    "a complex answer": (
        lambda c: c.infer("mse", both(), parameters={"dtype": "complex64"}),
        "400",
        "complex64",
    ),
    "strings": (
        lambda c: c.infer("mse", [both()[0], given("target", np.array([b"a"], object))]),
        "400",
        "BYTES",
    ),
    "shared memory": (
        lambda c: c.register_system_shared_memory("r", "/r", 8),
        "501",
        "a call that lossd has",
    ),
    "loading": (lambda c: c.load_model("mse"), "501", "a call that lossd has"),
    "configuration of no loss": (lambda c: c.get_model_config("mes"), "404", "mse"),
    "statistics of no version": (lambda c: c.get_inference_statistics("mse", "2"), "404", "version 1"),
    "trace": (lambda c: c.get_trace_settings("mse"), "501", "a call that lossd has"),
    "logging": (lambda c: c.get_log_settings(), "501", "a call that lossd has"),
    "a late answer": (lambda c: c.infer("mse", both(), timeout=1), "504", "deadline"),
    "a body past the limit": (
        lambda c: c.infer("mse", [given("input", np.zeros(1_000_001, np.float32))]),
        "413",
        "4000000",
    ),
    "a body past the limit once unpacked": (
        lambda c: c.infer(
            "mse", [given("input", np.zeros(1_000_001, np.float32))], request_compression_algorithm="gzip"
        ),
        "413",
        "4000000",
    ),
    "NaN as a bare token": (
        lambda c: c.infer("mse", [given("input", np.array([np.nan]), binary=False)]),
        "400",
        "bare token NaN",
    ),
}


@pytest.mark.parametrize(("call", "status", "part"), REFUSED.values(), ids=REFUSED)
def test_an_error_reaches_the_caller_as_the_clients_own_exception(client, call, status, part):
    with pytest.raises(InferenceServerException) as caught:
        call(client)
    assert caught.value.status() == status
    assert part in caught.value.message()
    assert "exception occurred in the client" not in caught.value.message()
    assert client.is_server_live()


def test_an_error_reaches_an_asyncio_caller(server):
    async def infer() -> None:
        async with aioclient.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
            await client.infer("mse", both(module=aioclient)[:1])

    with pytest.raises(InferenceServerException, match="target") as caught:
        asyncio.run(infer())
    assert caught.value.status() == "400"
