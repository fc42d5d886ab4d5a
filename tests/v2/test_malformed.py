"""Every bad request is refused, and the error names the place."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from lossd.errors import BodyTooLarge, InvalidCall, MalformedBody
from lossd.wire import DecodeLimits
from lossd.wire.open_inference.request import decode_inference, read_header_length
from tests.v2.bytes_of import tensor

F = tensor("a", "FP32", [2], [1, 2])
RAW = tensor("a", "FP32", [2], size=8)
EIGHT = struct.pack("<2f", 1, 2)
MANY = DecodeLimits(max_elements=100, max_depth=4)


def inputs(*entries: Any) -> dict[str, Any]:
    return {"inputs": list(entries)}


def changed(entry: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {**entry, **members}


# document, raw bytes behind it -> place, a part of the message
DOCUMENTS = {
    "no inputs": ({}, b"", "inputs", "a list of objects, got nothing"),
    "inputs are no list": ({"inputs": {}}, b"", "inputs", "got an object"),
    "an input is no object": (inputs(1), b"", "inputs[0]", "got a number"),
    "no name": (inputs(F | {"name": None}), b"", "inputs[0].name", "a string"),
    "name is no string": (inputs(F | {"name": 5}), b"", "inputs[0].name", "a string"),
    "a name twice": (inputs(F, F), b"", "inputs[1].name", 'each name once, got "a" again'),
    "no datatype": (inputs({"name": "a", "shape": [1]}), b"", "inputs[0].datatype", "BOOL, UINT8"),
    "unknown datatype": (inputs(changed(F, datatype="FP8")), b"", "inputs[0].datatype", 'got "FP8"'),
    "a datatype in small letters": (inputs(changed(F, datatype="fp32")), b"", "inputs[0].datatype", "FP32"),
    "strings": (inputs(changed(F, datatype="BYTES", data=["a"])), b"", "inputs[0].datatype", '"BYTES"'),
    "no shape": (inputs({"name": "a", "datatype": "FP32"}), b"", "inputs[0].shape", "a list of sizes"),
    "negative size": (inputs(changed(F, shape=[-1])), b"", "inputs[0].shape[0]", "non-negative"),
    "fractional size": (inputs(changed(F, shape=[2.0])), b"", "inputs[0].shape[0]", "non-negative integer"),
    "a size that is true": (inputs(changed(F, shape=[True])), b"", "inputs[0].shape[0]", "integer"),
    "a size that no machine counts to": (
        inputs(changed(F, shape=[10**30])),
        b"",
        "inputs[0].shape[0]",
        "integer",
    ),
    "many axes": (inputs(changed(F, shape=[1] * 5)), b"", "inputs[0].shape", "4 dimensions"),
    "no data": (inputs({"name": "a", "shape": [2], "datatype": "FP32"}), b"", "inputs[0].data", "nothing"),
    "data is a string": (inputs(changed(F, data="AAAA")), b"", "inputs[0].data", "a string"),
    "data is a number": (inputs(changed(F, data=1)), b"", "inputs[0].data", "a number"),
    "data in base64": (
        inputs(changed(F, data={"dtype": "float32", "shape": [2], "data": "AAAAAAAAAAA="})),
        b"",
        "inputs[0].data",
        "an object",
    ),
    "too few numbers": (inputs(changed(F, data=[1])), b"", "inputs[0].data", "2 numbers"),
    "too many numbers": (inputs(changed(F, data=[1, 2, 3])), b"", "inputs[0].data", "shape [3]"),
    "nested in another shape": (
        inputs(tensor("a", "FP32", [2, 2], [[1], [2], [3], [4]])),
        b"",
        "inputs[0].data",
        "flat or of shape [2, 2]",
    ),
    "ragged": (inputs(tensor("a", "FP32", [3], [[1, 2], [3]])), b"", "inputs[0].data[1]", "shape [2]"),
    "a string among numbers": (inputs(changed(F, data=[1, "x"])), b"", "inputs[0].data[1]", '"x"'),
    "null among numbers": (inputs(changed(F, data=[1, None])), b"", "inputs[0].data[1]", "null"),
    "booleans as numbers": (inputs(changed(F, data=[True, False])), b"", "inputs[0].data[0]", "FP32"),
    "numbers as booleans": (
        inputs(tensor("a", "BOOL", [2], [1, 2])),
        b"",
        "inputs[0].data[1]",
        "BOOL, got 2",
    ),
    "fractions as booleans": (inputs(tensor("a", "BOOL", [1], [0.5])), b"", "inputs[0].data[0]", "BOOL"),
    "too large for INT8": (
        inputs(tensor("a", "INT8", [2], [127, 128])),
        b"",
        "inputs[0].data[1]",
        "INT8, got 128",
    ),
    "too large for INT64": (inputs(tensor("a", "INT64", [1], [2**63])), b"", "inputs[0].data[0]", "INT64"),
    "far too large for INT64": (
        inputs(tensor("a", "INT64", [1], [2**70])),
        b"",
        "inputs[0].data[0]",
        "INT64",
    ),
    "negative for UINT64": (
        inputs(tensor("a", "UINT64", [1], [-1])),
        b"",
        "inputs[0].data[0]",
        "UINT64, got -1",
    ),
    "a fraction for INT32": (
        inputs(tensor("a", "INT32", [1], [1.5])),
        b"",
        "inputs[0].data[0]",
        "INT32, got 1.5",
    ),
    "NaN for INT32": (inputs(tensor("a", "INT32", [1], ["NaN"])), b"", "inputs[0].data[0]", "got NaN"),
    "too large for FP32": (inputs(tensor("a", "FP32", [1], [1e39])), b"", "inputs[0].data[0]", "FP32"),
    "too large for FP16": (inputs(tensor("a", "FP16", [1], [70000])), b"", "inputs[0].data[0]", "FP16"),
    "bfloat16 in JSON": (inputs(changed(F, datatype="BF16")), b"", "inputs[0].data", "as raw bytes"),
    "nested place": (
        inputs(tensor("a", "UINT8", [2, 2], [[1, 2], [3, 256]])),
        b"",
        "inputs[0].data[1][1]",
        "got 256",
    ),
    "raw bytes and data": (inputs(changed(RAW, data=[1, 2])), EIGHT, "inputs[0]", "both"),
    "size is a string": (
        inputs(changed(RAW, parameters={"binary_data_size": "8"})),
        EIGHT,
        "inputs[0].parameters.binary_data_size",
        "a string",
    ),
    "negative binary size": (
        inputs(changed(RAW, parameters={"binary_data_size": -8})),
        EIGHT,
        "inputs[0].parameters.binary_data_size",
        "got -8",
    ),
    "size and shape disagree": (
        inputs(changed(RAW, shape=[3])),
        EIGHT,
        "inputs[0].parameters.binary_data_size",
        "12, the bytes of FP32 of shape [3], got 8",
    ),
    "cut short": (
        inputs(RAW),
        EIGHT[:-1],
        "inputs[0].parameters.binary_data_size",
        "8 bytes behind the JSON, got 7",
    ),
    "one input cut short": (
        inputs(RAW, changed(RAW, name="b")),
        EIGHT,
        "inputs[1].parameters.binary_data_size",
        "got 0",
    ),
    "trailing bytes": (inputs(RAW), EIGHT + b"\0", "", "1 more bytes"),
    "trailing bytes without a binary input": (inputs(F), b"\0", "", "1 more bytes"),
    "booleans other than 0 and 1": (
        inputs(tensor("a", "BOOL", [1], size=1)),
        b"\2",
        "inputs[0].parameters.binary_data_size",
        "0 and 1",
    ),
    "input parameters are no object": (
        inputs(changed(F, parameters=[])),
        b"",
        "inputs[0].parameters",
        "an object",
    ),
    "shared memory": (
        inputs(changed(F, parameters={"shared_memory_region": "r"})),
        b"",
        "inputs[0].parameters",
        "shared_memory_region",
    ),
    "parameters are no object": ({**inputs(F), "parameters": [1]}, b"", "parameters", "a list"),
    "a parameter is an object": ({**inputs(F), "parameters": {"x": {}}}, b"", "parameters.x", "a string"),
    "a parameter is a list of lists": (
        {**inputs(F), "parameters": {"x": [[1]]}},
        b"",
        "parameters.x",
        "a list of them",
    ),
    "a parameter as an input": ({**inputs(F), "parameters": {"a": 1}}, b"", "parameters.a", "no input has"),
    "binary_data_output is a number": (
        {**inputs(F), "parameters": {"binary_data_output": 1}},
        b"",
        "parameters.binary_data_output",
        "true or false",
    ),
    "negative timeout": ({**inputs(F), "parameters": {"timeout": -1}}, b"", "parameters.timeout", "positive"),
    "timeout is a string": (
        {**inputs(F), "parameters": {"timeout": "9"}},
        b"",
        "parameters.timeout",
        "positive",
    ),
    "timeout is true": (
        {**inputs(F), "parameters": {"timeout": True}},
        b"",
        "parameters.timeout",
        "positive",
    ),
    "id is a number": ({**inputs(F), "id": 5}, b"", "id", "a string"),
    "outputs are no list": ({**inputs(F), "outputs": {"name": "loss"}}, b"", "outputs", "a list"),
    "an output twice": (
        {**inputs(F), "outputs": [{"name": "loss"}, {"name": "loss"}]},
        b"",
        "outputs[1].name",
        "again",
    ),
    "binary_data is a string": (
        {**inputs(F), "outputs": [{"name": "loss", "parameters": {"binary_data": "true"}}]},
        b"",
        "outputs[0].parameters.binary_data",
        "true or false",
    ),
    "classification": (
        {**inputs(F), "outputs": [{"name": "loss", "parameters": {"classification": 3}}]},
        b"",
        "outputs[0].parameters",
        "classification",
    ),
}


@pytest.mark.parametrize(("document", "raw", "at", "part"), DOCUMENTS.values(), ids=DOCUMENTS)
def test_a_bad_document_is_refused_with_its_place(document, raw, at, part):
    text = json.dumps(document).encode()
    with pytest.raises((MalformedBody, InvalidCall)) as caught:
        decode_inference(text + raw, len(text) if raw else None, MANY)
    (detail,) = caught.value.errors
    assert detail.at == at
    assert part in str(caught.value)


# value of the header -> a part of the message
LENGTHS = {
    "negative": (b"-1", "got -1"),
    "signed": (b"+5", "got +5"),
    "no number": (b"five", "got five"),
    "empty": (b"", "a number of bytes"),
    "a fraction": (b"1.5", "got 1.5"),
    "separated": (b"1_0", "got 1_0"),
    "absurd": (b"9" * 5000, "got 999"),
    "zero": (b"0", "a JSON object before the raw bytes"),
}


@pytest.mark.parametrize(("value", "part"), LENGTHS.values(), ids=LENGTHS)
def test_a_bad_length_of_the_json_is_refused(value, part):
    with pytest.raises(MalformedBody, match="Inference-Header-Content-Length") as caught:
        read_header_length(value)
    assert part in str(caught.value)
    assert len(str(caught.value)) < 200


def test_a_length_past_the_body_is_refused():
    with pytest.raises(MalformedBody, match="at most the 9 bytes of the body, got 10"):
        decode_inference(b'{"a": {}}', 10)


def test_a_length_inside_the_json_is_refused():
    text = json.dumps(inputs(F)).encode()
    with pytest.raises(MalformedBody, match="line 1"):
        decode_inference(text, len(text) - 5)


# body -> a part of the message
NOT_JSON = {
    "empty": (b"", "an empty body"),
    "a list": (b"[]", "a list"),
    "a repeated key": (b'{"inputs": [{"name": "a", "name": "b"}]}', '"name" again'),
    "NaN": (b'{"inputs": [{"name": "a", "data": [NaN]}]}', "the bare token NaN"),
    "deep": (b'{"inputs":' + b"[" * 2000 + b"]" * 2000 + b"}", "levels of nesting"),
}


@pytest.mark.parametrize(("body", "part"), NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_no_json_object_is_refused(body, part):
    with pytest.raises(MalformedBody) as caught:
        decode_inference(body)
    assert part in str(caught.value)


@pytest.mark.parametrize(
    "entries",
    [
        [tensor("a", "INT8", [101], size=101)],
        [tensor("a", "INT8", [2**40, 2**40], size=0)],
        [tensor("a", "INT8", [0, 2**40], size=0)],
        [tensor("a", "INT8", [60], [0] * 60), tensor("b", "INT8", [60], [0] * 60)],
        [tensor("a", "INT8", [2], [0] * 101)],
    ],
    ids=[
        "too many",
        "overflow",
        "a zero hides an absurd size",
        "together",
        "in data",
    ],
)
def test_too_many_elements_are_refused_before_they_are_made(entries):
    text = json.dumps(inputs(*entries)).encode()
    with pytest.raises((BodyTooLarge, InvalidCall, MalformedBody)) as caught:
        decode_inference(text, len(text), MANY)
    assert "101" in str(caught.value) or "at most 100" in str(caught.value)


@pytest.mark.parametrize("size", [100_000, 1_000_000])
def test_a_long_string_is_a_string_wherever_it_stands(size: int) -> None:
    text = "A" * size
    for document, part in (
        (inputs(changed(F, data=text)), r"a list of numbers, got a string - at `inputs\[0\].data`"),
        (inputs(F) | {"parameters": {"data": text}}, "characters in an option"),
    ):
        with pytest.raises(MalformedBody, match=part):
            decode_inference(json.dumps(document).encode(), None)
