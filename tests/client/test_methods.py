"""There is a method for every loss, generated from its declaration, and it gets the service's answer."""

from __future__ import annotations

import asyncio
import inspect
import os
import pydoc
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossd.client import AsyncLossClient, LossClient, ServiceError
from lossd.client.arrays import call_of
from lossd.client.methods import ALIASES, ARRAYS, DEFAULTS, GENERAL_ARRAYS, OBJECTIVES, Losses
from lossd.declaration.general_names import GENERAL_ARRAYS as GENERAL_ARRAYS_OF_LOSSES
from lossd.engine import Options, evaluate
from lossd.losses import LOSSES, find
from lossd.message import Call
from lossd.wire import CODECS
from tests.api.serving import ROOT, Served
from tests.client_methods import FILE, source
from tests.oracle.alias_values import BY_DEFAULT, assert_close

RUN = "stale: run `make client` and commit what changed"


@pytest.mark.declarations
def test_the_methods_are_those_of_the_declarations() -> None:
    assert FILE.read_text() == source(), RUN


def method_of(client: object, name: str) -> Callable[..., Any]:
    """Return the method of a loss."""
    assert hasattr(client, name), RUN
    method: Callable[..., Any] = getattr(client, name)
    return method


OPTIONS = {name: field for name, field in Options.model_fields.items() if name != "encoding"}
both = pytest.mark.parametrize("client", [LossClient, AsyncLossClient])


@both
@pytest.mark.parametrize("name", LOSSES)
def test_a_method_has_the_parameters_of_its_loss_and_the_general_options(client: type, name: str) -> None:
    loss = LOSSES[name]
    parameters = inspect.signature(method_of(client, name)).parameters
    arrays = [a.name for a in loss.arguments if not a.keyword]
    general = [option for option in OPTIONS if option not in loss.settings]
    lists = ["group"] if loss.ragged else []
    keywords = [a.name for a in loss.arguments if a.keyword]
    expected = ["self", *arrays, *lists, *keywords, *loss.settings, *general]
    assert list(parameters) == expected
    defaults = {option: OPTIONS[option].default for option in general}
    defaults |= {setting: default for setting, (_, default) in loss.settings.items() if default is not ...}
    for each in expected[1 + len(arrays) :]:
        assert parameters[each].kind is inspect.Parameter.KEYWORD_ONLY
        assert parameters[each].annotation is not inspect.Parameter.empty
    for each, default in defaults.items():
        assert parameters[each].default == default


@both
@pytest.mark.parametrize("name", LOSSES)
def test_the_help_of_a_method_has_a_line_for_every_parameter(client: type, name: str) -> None:
    method = method_of(client, name)
    text = pydoc.render_doc(method, renderer=pydoc.plaintext)
    assert LOSSES[name].summary in text
    for parameter in list(inspect.signature(method).parameters)[1:]:
        assert re.search(rf"(?m)^ +{parameter}: \S.*", text)


SAMPLE = """
import numpy as np
from lossd.client import AsyncLossClient, LossClient, Result

client = LossClient("http://127.0.0.1:8000")
result: Result = client.huber(np.ones(3), [0.0, 1.0, 2.0], delta=2.0, reduction=["none", "mean"], gradient=True)
value: float = float(client.cross_entropy(np.ones((2, 3)), [0, 1], weight=None, dtype=np.float32, axis=None))

async def ask(client: AsyncLossClient) -> Result:
    return await client.mse([1.0], [2.0], reduction="sum", gradient=["input"], mask=[True], empty="nan")
"""
WRONG = {
    'client.mse([1.0], [2.0], reduction="avg")': "arg-type",
    "client.mse([1.0], [2.0], gradiant=True)": "call-arg",
    "client.mse([1.0])": "call-arg",
    "client.huber([1.0], [2.0], delta=None)": "arg-type",
    "client.hubber([1.0], [2.0])": "attr-defined",
}


@pytest.mark.slow
def test_a_type_checker_knows_the_parameters(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is not installed")
    sample = tmp_path / "sample.py"
    sample.write_text(SAMPLE + "\n".join(WRONG))
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), str(sample)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": "service"},
    )
    found = re.findall(r"sample\.py:(\d+): error: .*\[([a-z-]+)\]", ran.stdout)
    first = SAMPLE.count("\n") + 1
    assert found == [(str(first + place), code) for place, code in enumerate(WRONG.values())], ran.stdout


def test_only_what_differs_from_its_default_is_sent() -> None:
    class Recorder(Losses[dict]):
        def evaluate(self, loss: str, /, **values: object) -> dict:
            return {"loss": loss, **values}

    sent = Recorder().huber([1.0], [2.0], gradient=True, reduction="sum")
    expected = {"input": [1.0], "target": [2.0], "weight": None, "delta": 1.0}
    assert sent == {"loss": "huber", **expected, "gradient": True, "reduction": "sum"}


@pytest.mark.declarations
def test_the_tables_are_those_of_the_declarations() -> None:
    assert {name: frozenset((*arrays, *GENERAL_ARRAYS)) for name, arrays in ARRAYS.items()} == {
        name: loss.array_names - loss.directions.keys() for name, loss in LOSSES.items()
    }
    assert {alias: find(alias).name for alias in ALIASES} == ALIASES
    assert GENERAL_ARRAYS == GENERAL_ARRAYS_OF_LOSSES
    assert {name: field.default for name, field in OPTIONS.items()} == DEFAULTS


@pytest.mark.parametrize("name", LOSSES)
def test_a_method_gives_the_worked_example(client: LossClient, name: str) -> None:
    example = LOSSES[name].example
    result = method_of(client, name)(**example.call, reduction="none")
    np.testing.assert_allclose(result.value, example.value, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("target", [[True, False], np.array([True, False])], ids=["list", "array"])
def test_booleans_are_0_and_1(client: LossClient, target: object) -> None:
    assert client.bce([0.25, 0.5], target).value == client.bce([0.25, 0.5], [1, 0]).value


@pytest.mark.parametrize("media_type", CODECS)
@pytest.mark.parametrize("name", LOSSES)
def test_every_format_carries_the_bits_of_the_engine(server: Served, name: str, media_type: str) -> None:
    loss = LOSSES[name]
    given = dict(loss.example.call)
    options = {"reduction": ["mean", "none"], "gradient": True}
    arrays = {key: np.asarray(given.pop(key)) for key in sorted(given.keys() & loss.array_names)}
    expected = evaluate(loss, Call(arrays, {**given, **options}))
    with LossClient(server.url, media_type=media_type) as client:
        result = client.evaluate(name, **arrays, **given, **options)
    assert list(result.reductions) == ["mean", "none"]
    assert result.count == expected.count
    assert result.denominator == expected.denominator
    for reduction, value in expected.loss.items():
        np.testing.assert_array_equal(result[reduction].value, value)
        assert result[reduction].gradient.keys() == expected.gradient[reduction].keys()
        for argument, gradient in expected.gradient[reduction].items():
            np.testing.assert_array_equal(result[reduction].gradient[argument], gradient)
            assert result[reduction].gradient[argument].dtype == gradient.dtype


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "complex64", "complex128"])
def test_a_gradient_has_the_type_of_its_argument(client: LossClient, dtype: str) -> None:
    kind = np.dtype(__import__("ml_dtypes").bfloat16 if dtype == "bfloat16" else dtype)
    result = client.l1(np.ones(3, kind), np.zeros(3, kind), gradient=True)
    assert result.gradient["input"].dtype == kind
    assert result.gradient["input"].flags.writeable
    np.testing.assert_allclose(result.gradient["input"].astype(complex), 1 / 3, rtol=1e-2)


def test_an_asynchronous_client_has_many_calls_in_flight(server: Served) -> None:
    async def together() -> list[float]:
        async with AsyncLossClient(server.url) as client:
            calls = [client.huber([float(n)], [0.0], delta=1.0) for n in range(20)]
            return [float(result.value) for result in await asyncio.gather(*calls)]

    assert asyncio.run(together()) == [0.0, *(n - 0.5 for n in range(1, 20))]


def test_settings_and_options_reach_the_service_as_they_are(client: LossClient) -> None:
    result = client.dice(
        np.full((2, 3), 0.5, np.float32), np.ones((2, 3), np.float32), axis=(1,), smooth=np.float64(0.5)
    )
    # One minus (2 * 1.5 + 0.5) / (1.5 + 3 + 0.5).
    np.testing.assert_allclose(result.value, 0.3, rtol=1e-6)
    several = client.mse(np.array([1.0, 3.0]), np.zeros(2), reduction=["sum", "none"], denominator=4)
    assert several["sum"].value == 10
    assert several["none"].value.tolist() == [1, 9]
    weighed = client.mse([1.0, 3.0], [0, 0], sample_weight=[1, 0], mask=[True, False], reduction="sum")
    assert weighed.value == 1


@pytest.mark.parametrize("kind", [LossClient, AsyncLossClient])
@pytest.mark.parametrize(("wrong", "meant"), [("detla", "delta"), ("sampleweight", "sample_weight")])
def test_a_misspelt_keyword_is_told_its_neighbour(kind: type, wrong: str, meant: str) -> None:
    own = rf"huber\(\) got an unexpected keyword argument '{wrong}'; did you mean {meant}\?$"
    with pytest.raises(TypeError, match=own):
        kind("http://127.0.0.1:9").huber([1.0], [2.0], **{wrong: 1.0})
    with pytest.raises(TypeError, match=r"unexpected keyword argument .nothing.$"):
        kind("http://127.0.0.1:9").huber([1.0], [2.0], nothing=1.0)


def test_a_misspelt_name_of_a_derivative_is_told_its_neighbour(client: LossClient) -> None:
    for option in ({"gradient": ["inptu"]}, {"hessian": "inptu"}, {"hvp": {"inptu": [1.0]}}):
        with pytest.raises(ServiceError, match=r"did you mean (hvp\.)?input\?"):
            client.mse([1.0], [2.0], **option)


def test_an_alias_names_the_loss(client: LossClient) -> None:
    assert client.evaluate("reg:squarederror", input=[3.0], target=[1.0]).gradient["input"].tolist() == [2]
    assert client.evaluate("HuberLoss", input=[3.0], target=[0.0], delta=1.0).value == 2.5


def test_one_reduction_needs_no_name_and_several_do(client: LossClient) -> None:
    one = client.mse([1.0, 3.0], [0, 0], gradient=True, hessian=True)
    assert (one.value, one["mean"].value) == (5, 5)
    assert one.gradient["input"].tolist() == [1, 3]
    assert one.hessian["input"].tolist() == [1, 1]
    product = client.mse([1.0, 3.0], [0, 0], hvp=[1.0, 0.0])
    assert product.hvp["input"].tolist() == [1, 0]
    several = client.mse([1.0, 3.0], [0, 0], reduction=["mean", "sum"])
    with pytest.raises(ValueError, match=r'got mean, sum: write result\["mean"\]'):
        _ = several.value
    with pytest.raises(KeyError):
        _ = several["none"]


def test_a_refusal_is_an_exception_with_the_fields_of_the_problem(client: LossClient) -> None:
    with pytest.raises(ServiceError) as refused:
        client.cross_entropy([[0.1, 0.2, 0.3]], [3])
    error = refused.value
    assert (error.status, error.title, error.kind) == (422, "invalid call", "invalid-call")
    assert error.errors == error.problem.errors
    (detail,) = error.errors
    assert (detail.at, detail.expected, detail.got) == ("target[0]", "whole numbers in [0, 3)", "3")
    assert error.detail == str(detail)
    assert str(error) == f"422 invalid call: {detail}"
    assert len(error.request_id) == 32


def test_a_loss_that_the_service_does_not_have_is_a_refusal(client: LossClient) -> None:
    with pytest.raises(ServiceError, match="did you mean huber") as refused:
        client.evaluate("hubber", input=np.ones(2), target=np.ones(2))
    assert (refused.value.status, refused.value.kind) == (404, "unknown-loss")


@pytest.mark.parametrize("name", ALIASES)
def test_an_alias_has_the_defaults_of_its_framework(client: LossClient, name: str) -> None:
    line = BY_DEFAULT[name]
    result = client.evaluate(name, **{key: np.asarray(values) for key, values in line["arrays"].items()})
    for reduction, expected in line.get("loss", {}).items():
        assert_close(result[reduction].value, expected, line["rtol"])
    for kind in {"gradient", "hessian"} & line.keys():
        assert_close(getattr(result["sum"], kind), line[kind]["sum"], line["rtol"])


@pytest.mark.declarations
def test_the_objectives_are_those_of_the_declarations() -> None:
    declared = [alias for loss in LOSSES.values() for alias in loss.aliases]
    assert [alias.name for alias in declared if alias.defaults.get("convention") == "gbm"] == [*OBJECTIVES]


def test_a_loss_that_is_newer_than_the_client_is_evaluated_by_its_name(
    client: LossClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lossd.client.arrays.ARRAYS", {})
    monkeypatch.setattr("lossd.client.arrays.ALIASES", {})
    for input, target in (([3.0], [0.0]), (np.array([3.0]), np.zeros(1)), (np.float32(3), np.float32(0))):
        result = client.evaluate("huber", input=input, target=target, delta=np.float64(1), gradient=["input"])
        assert result.value == 2.5
        assert result.gradient["input"].tolist() in (1, [1])


def test_directions_are_given_by_name() -> None:
    call = call_of("mse", {"input": [1.0], "target": [0.0], "hvp": {"input": [1.0], "target": [2.0]}})
    assert {name: array.tolist() for name, array in call.arrays.items()} == {
        "input": [1.0],
        "target": [0.0],
        "hvp.input": [1.0],
        "hvp.target": [2.0],
    }
