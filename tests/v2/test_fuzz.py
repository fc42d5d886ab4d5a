"""Whatever the bytes, the decoder answers or raises an error of ours."""

from __future__ import annotations

import contextlib
import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lossd.errors import LossdError
from lossd.wire import DecodeLimits
from lossd.wire.open_inference.named_tensor import DATATYPES
from lossd.wire.open_inference.request import Inference, decode_inference, read_header_length
from lossd.wire.open_inference.response import encode_inference
from tests.v2.bytes_of import tensor
from tests.wire.sameness import assert_same
from tests.wire.test_codecs import arrays

SMALL = DecodeLimits(max_elements=1000, max_depth=6)
GOOD = json.dumps(
    {
        "id": "x",
        "parameters": {"reduction": "sum", "timeout": 5, "binary_data_output": True},
        "inputs": [
            tensor("input", "FP32", [2, 2], size=16),
            tensor("target", "FP32", [2, 2], [[1, 2], [3, "NaN"]]),
            tensor("mask", "BOOL", [2], size=2),
        ],
        "outputs": [{"name": "loss", "parameters": {"binary_data": False}}],
    }
).encode()
RAW = bytes(range(16)) + b"\0\1"

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text('az\u00e9"', max_size=5)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab", max_size=4), inner, max_size=3),
    max_leaves=8,
)
sizes = st.lists(st.integers(-1, 4) | st.integers(), max_size=3)
entries = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["a", "b"]) | values,
        "datatype": st.sampled_from(sorted(DATATYPES)) | values,
        "shape": sizes | values,
        "data": st.lists(st.integers(-2, 300) | st.floats() | st.booleans(), max_size=5) | values,
        "parameters": st.fixed_dictionaries({}, optional={"binary_data_size": st.integers(-1, 20) | values})
        | values,
    },
)
documents = st.fixed_dictionaries(
    {},
    optional={
        "id": values,
        "inputs": st.lists(entries, max_size=3) | values,
        "outputs": st.lists(entries, max_size=2) | values,
        "parameters": st.dictionaries(
            st.sampled_from(["timeout", "binary_data_output", "a"]), values, max_size=3
        )
        | values,
    },
)


def read(body, length):
    with contextlib.suppress(LossdError):
        assert isinstance(decode_inference(body, length, SMALL), Inference)


@given(st.binary(max_size=200), st.none() | st.integers(1, 300))
def test_any_bytes(body, length):
    read(body, length)


@given(documents, st.binary(max_size=40))
def test_any_document(document, raw):
    text = json.dumps(document).encode()
    read(text + raw, len(text))


@given(st.integers(0, len(GOOD + RAW) - 1), st.binary(max_size=3), st.integers(0, 3), st.integers(-2, 2))
def test_a_good_request_with_a_place_changed(place, inserted, removed, shifted):
    body = (GOOD + RAW)[:place] + inserted + (GOOD + RAW)[place + removed :]
    read(body, len(GOOD) + shifted)


def test_the_good_request_is_good():
    assert set(decode_inference(GOOD + RAW, len(GOOD), SMALL).call.arrays) == {"input", "target", "mask"}


@given(st.binary(max_size=30))
def test_any_length(value):
    with contextlib.suppress(LossdError):
        assert read_header_length(value) == int(value)


REAL = tuple(dtype.name for dtype in DATATYPES.values())


@given(st.lists(arrays(REAL), max_size=3), st.booleans())
def test_what_is_written_reads_back_bit_for_bit(sent, writeable):
    """An answer's tensors are written as a request's are, so the one reads the other."""
    outputs = {str(index): array for index, array in enumerate(sent)}
    asked = decode_inference(b'{"inputs":[],"parameters":{"binary_data_output":true}}')
    encoded = encode_inference(asked, outputs, model="m", version="1")
    document, body = (
        json.loads(bytes(b"".join(encoded.parts))[: encoded.header_length]),
        b"".join(encoded.parts),
    )
    text = json.dumps({"inputs": document["outputs"]}).encode()
    body = text + body[encoded.header_length or len(body) :]
    received = decode_inference(bytearray(body) if writeable else body, len(text)).call.arrays
    for name, array in outputs.items():
        native = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(array.shape)
        assert_same(received[name], native)
