"""Every loss is a model: described as its declaration says, and inferred with the bits of the engine."""

from __future__ import annotations

import numpy as np
import pytest

from lossd.declaration.loss import Loss
from lossd.declaration.samples import forms, sample_call
from lossd.engine import evaluate
from lossd.losses import LOSSES
from lossd.message import Call
from tests.v2.bytes_of import CODES, LENGTH, outputs_in, tensor, written

DATATYPES = {np.dtype(code): datatype for datatype, code in CODES.items()}

every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
every_form = pytest.mark.parametrize(
    ("loss", "form"),
    [
        pytest.param(loss, form, id=f"{loss.name}: {form.name}")
        for loss in LOSSES.values()
        for form in forms(loss)
    ],
)


def request(call: Call, *, binary: bool) -> dict:
    """Write a call, all of its arrays as raw bytes or all in JSON."""
    entries, raw = [], []
    for name, array in call.arrays.items():
        shape, datatype = list(array.shape), DATATYPES[array.dtype]
        if binary:
            raw.append(array.tobytes())
            entries.append(tensor(name, datatype, shape, size=array.nbytes))
        else:
            entries.append(tensor(name, datatype, shape, array.tolist()))
    document = {"inputs": entries, "parameters": {**call.options, "binary_data_output": binary}}
    return written(document, *raw)


@every_form
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["FP32", "FP64"])
def test_infer_gives_the_engines_bits(service, loss, form, dtype):
    call = sample_call(loss, np.random.default_rng(7), form=form, dtype=dtype, draw_settings=True)
    answer = evaluate(loss, Call(call.arrays, {**call.options, "gradient": True}))
    expected = {"loss": answer.loss["mean"]} | {
        f"gradient.{name}": array for name, array in answer.gradient["mean"].items()
    }
    for binary in (True, False):
        response = service.request("POST", f"/v2/models/{loss.name}/infer", **request(call, binary=binary))
        assert response.status_code == 200, response.text
        assert (LENGTH in response.headers) == binary
        outputs = outputs_in(response.content, response.headers.get(LENGTH))
        assert outputs.keys() == expected.keys()
        for name, array in expected.items():
            np.testing.assert_array_equal(outputs[name], array, strict=binary)
            assert outputs[name].dtype == dtype


@every_loss
def test_metadata_lists_the_arguments_and_what_can_be_differentiated(service, loss: Loss):
    metadata = service.request("GET", f"/v2/models/{loss.name}").json()
    assert (metadata["name"], metadata["versions"], metadata["platform"]) == (loss.name, ["1"], "lossd")
    assert [entry["name"] for entry in metadata["inputs"]] == [a.name for a in loss.arguments]
    outputs = ["loss", *(f"gradient.{name}" for name in loss.differentiable)]
    assert [entry["name"] for entry in metadata["outputs"]] == outputs


@every_loss
def test_a_call_by_metadata_alone_is_answered_as_the_metadata_says(service, loss: Loss):
    """What a client sends that knows no more: every required input, in the datatype and rank that stand there."""
    metadata = service.request("GET", f"/v2/models/{loss.name}").json()
    form = forms(loss)[0]
    required = [
        e["name"] for e in metadata["inputs"] if not e["parameters"]["optional"] or e["name"] in form.roles
    ]
    call = sample_call(loss, np.random.default_rng(1), form=form, dtype=np.float32)
    assert set(required) == set(call.arrays)
    described = {entry["name"]: entry for entry in metadata["inputs"]}
    for name, array in call.arrays.items():
        assert described[name]["datatype"] == DATATYPES[array.dtype]
        assert described[name]["shape"] == [-1] * array.ndim
    response = service.request("POST", f"/v2/models/{loss.name}/infer", **request(call, binary=True))
    promised = {entry["name"]: entry for entry in metadata["outputs"]}
    for name, array in outputs_in(response.content, response.headers[LENGTH]).items():
        assert promised[name]["datatype"] == DATATYPES[array.dtype]
        assert promised[name]["shape"] == [-1] * array.ndim


@every_loss
def test_every_alias_is_a_model(service, loss: Loss):
    for alias in loss.aliases:
        quoted = "".join(f"%{byte:02x}" for byte in alias.name.encode())
        ready = service.request("GET", f"/v2/models/{quoted}/ready").json()
        assert ready == {"name": alias.name, "ready": True}
