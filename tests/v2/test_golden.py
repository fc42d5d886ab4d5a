"""The protocol's bytes, written by hand from its text, and what they are to us and we to them."""

from __future__ import annotations

import json
import struct

import ml_dtypes
import numpy as np
import pytest

from lossd.errors import InvalidCall
from lossd.message import Call
from lossd.wire.open_inference.request import Inference, Output, decode_inference
from lossd.wire.open_inference.response import encode_inference
from tests.v2.bytes_of import CODES, tensor, written
from tests.wire.sameness import assert_same

X = np.array([0.5, 3.0], np.float32)
TWO = b"\x00\x00\x00\x3f\x00\x00\x40\x40"  # 0.5 and 3.0 as FP32
ONE = b'{"name":"input","shape":[2],"datatype":"FP32",'

# JSON, raw bytes behind it or None -> what it asks for
REQUESTS = {
    "numbers in JSON": (b'{"inputs":[' + ONE + b'"data":[0.5,3]}]}', None, Inference(Call({"input": X}))),
    "raw bytes": (
        b'{"inputs":[' + ONE + b'"parameters":{"binary_data_size":8}}]}',
        TWO,
        Inference(Call({"input": X})),
    ),
    "both, in the order of the inputs": (
        b'{"inputs":[' + ONE + b'"parameters":{"binary_data_size":8}},'
        b'{"name":"a","shape":[1],"datatype":"INT16","data":[-2]},'
        b'{"name":"b","shape":[1,2],"datatype":"INT16","parameters":{"binary_data_size":4}}]}',
        TWO + b"\xfe\xff\x01\x00",
        Inference(Call({"input": X, "a": np.array([-2], np.int16), "b": np.array([[-2, 1]], np.int16)})),
    ),
    "nested numbers": (
        b'{"inputs":[{"name":"a","shape":[2,2],"datatype":"UINT8","data":[[1,2],[3,255]]}]}',
        None,
        Inference(Call({"a": np.array([[1, 2], [3, 255]], np.uint8)})),
    ),
    "flat numbers of two axes": (
        b'{"inputs":[{"name":"a","shape":[2,2],"datatype":"FP64","data":[1,2,3,"NaN"]}]}',
        None,
        Inference(Call({"a": np.array([[1, 2], [3, np.nan]])})),
    ),
    "no axes": (
        b'{"inputs":[{"name":"a","shape":[],"datatype":"FP64","data":[7]},{"name":"b","shape":[],"datatype":"BOOL","data":true}]}',
        None,
        Inference(Call({"a": np.array(7.0), "b": np.array(True)})),
    ),
    "truth as numbers": (
        b'{"inputs":[{"name":"a","shape":[2],"datatype":"BOOL","data":[1,0]}]}',
        None,
        Inference(Call({"a": np.array([True, False])})),
    ),
    "nothing, with raw bytes": (
        b'{"inputs":[{"name":"a","shape":[0,3],"datatype":"FP16","parameters":{"binary_data_size":0}}]}',
        b"",
        Inference(Call({"a": np.empty((0, 3), np.float16)})),
    ),
    "nothing, in JSON": (
        b'{"inputs":[{"name":"a","shape":[0,3],"datatype":"INT8","data":[]}]}',
        None,
        Inference(Call({"a": np.empty((0, 3), np.int8)})),
    ),
    "no booleans, in JSON": (
        b'{"inputs":[{"name":"a","shape":[0,3],"datatype":"BOOL","data":[]}]}',
        None,
        Inference(Call({"a": np.empty((0, 3), bool)})),
    ),
    "bfloat16": (
        b'{"inputs":[{"name":"a","shape":[2],"datatype":"BF16","parameters":{"binary_data_size":4}}]}',
        b"\x80\x3f\x20\xc0",
        Inference(Call({"a": np.array([1.0, -2.5], ml_dtypes.bfloat16)})),
    ),
    "identity, parameters and outputs": (
        b'{"id":"a1","parameters":{"reduction":"sum","delta":0.5,"hessian":true,"axis":[0,1],"binary_data_output":true,'
        b'"timeout":1500000},"inputs":[],"outputs":[{"name":"loss","parameters":{"binary_data":false}},{"name":"count"}]}',
        None,
        Inference(
            Call({}, {"reduction": "sum", "delta": 0.5, "hessian": True, "axis": [0, 1]}),
            "a1",
            (Output("loss", False), Output("count", True)),
            True,
            1.5,
        ),
    ),
    "what is reserved or unknown is passed over": (
        b'{"parameters":{"sequence_id":1,"sequence_start":true,"sequence_end":true,"priority":3,"timeout":0,'
        b'"headers":"x","triton_enable_empty_final_response":true},"extra":1,'
        b'"inputs":[{"name":"a","shape":[1],"datatype":"INT8","data":[1],"parameters":{"content_type":"np"},"extra":{}}]}',
        None,
        Inference(Call({"a": np.array([1], np.int8)})),
    ),
}


@pytest.mark.parametrize(("text", "raw", "meant"), REQUESTS.values(), ids=REQUESTS)
def test_a_request_by_hand_is_read(text, raw, meant):
    received = decode_inference(text + (raw or b""), None if raw is None else len(text))
    assert_same(received.call.arrays, meant.call.arrays)
    assert received.call.options == meant.call.options
    assert (received.id, received.outputs, received.binary, received.timeout) == (
        meant.id,
        meant.outputs,
        meant.binary,
        meant.timeout,
    )


@pytest.mark.parametrize("datatype", CODES)
def test_every_datatype_is_read_from_raw_bytes_and_from_json(datatype):
    values = {"B": [True, False], "U": [0, 200]}.get(datatype[0], [-100, 100])
    raw = struct.pack(f"<2{CODES[datatype][-1]}", *values)
    in_json = written({"inputs": [tensor("a", datatype, [2], values)]})["content"]
    request = written({"inputs": [tensor("a", datatype, [2], size=len(raw))]}, raw)
    length = int(request["headers"]["inference-header-content-length"])
    expected = np.array(values, CODES[datatype])
    assert_same(decode_inference(in_json).call.arrays["a"], expected)
    assert_same(decode_inference(request["content"], length).call.arrays["a"], expected)


def test_aligned_raw_bytes_are_not_copied():
    text = written({"inputs": [tensor("a", "FP32", [2], size=8)]})["content"]
    room = np.zeros(len(text) + 8 + 64, np.uint8)
    start = -(room.ctypes.data + len(text)) % 64
    body = room[start : start + len(text) + 8]
    body[: len(text)] = np.frombuffer(text, np.uint8)
    array = decode_inference(body.data, len(text)).call.arrays["a"]
    assert np.shares_memory(array, room)
    assert array.flags.writeable
    assert array.dtype is np.dtype(np.float32)  # what the engine need not convert


def test_misaligned_raw_bytes_are_copied_because_they_are_slow_to_compute_with():
    text = written({"inputs": [tensor("a", "FP32", [2], size=8)]})["content"]
    room = np.zeros(len(text) + 8 + 64, np.uint8)
    start = -(room.ctypes.data + len(text)) % 64 + 1
    room[start : start + len(text)] = np.frombuffer(text, np.uint8)
    array = decode_inference(room[start : start + len(text) + 8].data, len(text)).call.arrays["a"]
    assert array.flags.aligned
    assert not np.shares_memory(array, room)


JSON_ANSWER = (
    b'{"model_name":"huber","model_version":"1","id":"7",'
    b'"outputs":[{"name":"loss","datatype":"FP64","shape":[],"data":[2.5]},'
    b'{"name":"g","datatype":"FP32","shape":[2,2],"data":[1.0,"NaN","Infinity",0.1]}]}'
)
MIXED_ANSWER = (
    b'{"model_name":"huber","model_version":"1","parameters":{"warnings":"one; two"},'
    b'"outputs":[{"name":"loss","datatype":"FP64","shape":[],"data":[2.5]},'
    b'{"name":"g","datatype":"INT16","shape":[1,2],"parameters":{"binary_data_size":4}},'
    b'{"name":"h","datatype":"BF16","shape":[1],"parameters":{"binary_data_size":2}}]}'
)
EMPTY_ANSWER = (
    b'{"model_name":"m","model_version":"1","outputs":'
    b'[{"name":"g","datatype":"FP32","shape":[0,3],"parameters":{"binary_data_size":0}}]}'
)


def test_an_answer_in_json():
    outputs = {"loss": np.float64(2.5), "g": np.array([[1, np.nan], [np.inf, 0.1]], np.float32)}
    encoded = encode_inference(Inference(Call({}), "7"), outputs, model="huber", version="1")
    assert b"".join(encoded.parts) == JSON_ANSWER
    assert encoded.header_length is None


def test_an_answer_with_raw_bytes_behind_the_json():
    asked = Inference(Call({}), outputs=(Output("loss", False), Output("g", True), Output("h", True)))
    outputs = {
        "loss": np.float64(2.5),
        "g": np.array([[1, -2]], ">i2"),
        "h": np.array([1], ml_dtypes.bfloat16),
    }
    encoded = encode_inference(asked, outputs, model="huber", version="1", warnings=("one", "two"))
    assert b"".join(encoded.parts) == MIXED_ANSWER + b"\x01\x00\xfe\xff\x80\x3f"
    assert encoded.header_length == len(MIXED_ANSWER)


def test_an_answer_whose_raw_bytes_are_none_is_json():
    outputs = {"g": np.empty((0, 3), np.float32)}
    encoded = encode_inference(Inference(Call({}), binary=True), outputs, model="m", version="1")
    assert b"".join(encoded.parts) == EMPTY_ANSWER
    assert encoded.header_length is None


def test_bfloat16_in_a_json_answer_is_exact():
    outputs = {"g": np.array([1 / 3], ml_dtypes.bfloat16)}
    encoded = encode_inference(Inference(Call({})), outputs, model="m", version="1")
    (output,) = json.loads(b"".join(encoded.parts))["outputs"]
    assert output["datatype"] == "BF16"
    assert np.array(output["data"], ml_dtypes.bfloat16) == outputs["g"]


def test_a_large_raw_output_is_sent_from_where_it_lies():
    gradient = np.zeros(10_000)
    encoded = encode_inference(Inference(Call({}), binary=True), {"g": gradient}, model="m", version="1")
    assert np.shares_memory(np.frombuffer(encoded.parts[-1], np.uint8), gradient)


def test_a_type_that_the_protocol_lacks_is_refused():
    with pytest.raises(InvalidCall, match="complex64"):
        encode_inference(Inference(Call({})), {"loss": np.complex64(1)}, model="m", version="1")
