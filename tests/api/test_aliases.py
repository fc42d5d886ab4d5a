"""A call by an alias has its framework's defaults on every way in: HTTP, the Open Inference Protocol, the command."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

from lossd.__main__ import main
from lossd.declaration.alias import NOT_OFFERED
from lossd.losses import LOSSES
from tests.api.serving import InProcess
from tests.oracle.alias_values import BY_DEFAULT, assert_close, assert_given

every_alias = pytest.mark.parametrize("name", BY_DEFAULT)


@every_alias
def test_over_http(service: InProcess, name: str) -> None:
    line = BY_DEFAULT[name]
    assert_given(line, service.post(name, json=line["arrays"]).json())


@every_alias
def test_by_the_command(name: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    line = BY_DEFAULT[name]
    words = [f"--{key}={json.dumps(values)}" for key, values in line["arrays"].items()]
    assert main(["eval", "--loss", name, *words]) == 0
    assert_given(line, json.loads(capfdbinary.readouterr().out))


@every_alias
def test_as_a_model(service: InProcess, name: str) -> None:
    line = BY_DEFAULT[name]
    inputs = [tensor(key, np.asarray(values)) for key, values in line["arrays"].items()]
    response = service.request("POST", f"/v2/models/{name}/infer", json={"inputs": inputs})
    outputs = {each["name"]: np.reshape(each["data"], each["shape"]) for each in response.json()["outputs"]}
    for expected in line.get("loss", {}).values():
        assert_close(outputs["loss"], expected, line["rtol"])
    for kind in {"gradient", "hessian"} & line.keys():
        assert_close(outputs[f"{kind}.input"], line[kind]["sum"]["input"], line["rtol"])


def tensor(name: str, array: Any) -> dict[str, Any]:
    datatype = "INT64" if array.dtype.kind == "i" else "FP64"
    return {
        "name": name,
        "datatype": datatype,
        "shape": list(array.shape),
        "data": array.reshape(-1).tolist(),
    }


@pytest.mark.parametrize("name", LOSSES)
def test_the_catalogue_says_whose_each_alias_is_and_what_differs(service: InProcess, name: str) -> None:
    details = service.request("GET", f"/v1/losses/{name}").json()["alias_details"]
    assert details == [
        {
            "name": alias.name,
            "framework": alias.framework,
            "defaults": alias.defaults,
            "reductions": list(alias.reductions),
            "difference": alias.difference,
        }
        for alias in LOSSES[name].aliases
    ]


def test_the_entry_of_an_alias_has_its_defaults(service: InProcess) -> None:
    assert service.request("GET", "/v1/losses/mse").json()["options"]["reduction"]["default"] == "mean"
    entry = service.request("GET", "/v1/losses/mean_squared_error").json()
    assert (entry["name"], entry["options"]["reduction"]["default"]) == ("mse", "weighted_mean")
    assert service.request("GET", "/v1/losses/Dice").json()["settings"]["smooth"]["default"] == 0


@pytest.mark.parametrize("name", NOT_OFFERED)
def test_a_name_that_means_another_number_is_a_404_that_says_what_to_call(
    service: InProcess, name: str
) -> None:
    for response in (
        service.request("GET", f"/v1/losses/{name}"),
        service.post(name, json={"input": [1], "target": [1]}),
    ):
        assert (response.status_code, response.json()["type"]) == (404, "/problems/unknown-loss")
        assert NOT_OFFERED[name] in response.json()["detail"]


def test_the_entry_of_every_name_is_found(service: InProcess) -> None:
    """Also of those that offer no mean, as objectives of boosting, whose gradients are those of a sum."""
    for loss in LOSSES.values():
        own = service.request("GET", f"/v1/losses/{loss.name}").json()["example"]
        for alias in loss.aliases:
            entry = service.request("GET", f"/v1/losses/{quote(alias.name, safe='')}").json()
            assert (entry["name"], entry["example"]) == (loss.name, own)
