"""Long strings and keys in MessagePack are refused before msgspec builds them."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from lossd.errors import BodyTooLarge, InvalidCall, LossdError, MalformedBody
from lossd.wire.batch import ArrayNames
from lossd.wire.codec import LONGEST_STRING
from lossd.wire.msgpack import batch, combination, document
from lossd.wire.msgpack import codec as MESSAGEPACK

ARRAYS = frozenset(("input", "target"))
LONG = "a" * LONGEST_STRING + "\N{GRINNING FACE}"
BIN = bytes(100_000)
CALLS = {
    "a key": ({LONG: 1}, BodyTooLarge, "got one of 65540 - at `byte 1`"),
    "a key behind a bin": ({"x": BIN, LONG: 1}, BodyTooLarge, "at `byte 100008`"),
    "an array": ({"input": LONG}, BodyTooLarge, "at `input`"),
    "an option": ({"reduction": LONG}, MalformedBody, "at `reduction`"),
    "a number": ({"input": [1.0, 2 * LONG]}, InvalidCall, r"got a string - at `input\[1\]`"),
    "a dtype": ({"input": {"dtype": LONG, "shape": [1], "data": b""}}, MalformedBody, "at `input.dtype`"),
    "a field": ({"input": {LONG: 1, "shape": [1], "data": b""}}, BodyTooLarge, "at `input`"),
    "a field behind the data": ({"input": {"data": BIN, "shape": [1], LONG: 1}}, BodyTooLarge, "at `input`"),
}


@pytest.mark.parametrize(("call", "error", "message"), CALLS.values(), ids=CALLS)
def test_a_long_string_is_refused_at_its_place(call, error, message):
    with pytest.raises(error, match=message) as caught:
        MESSAGEPACK.decode_call(msgspec.msgpack.encode(call), ARRAYS)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("entry", [{"loss": LONG}, {LONG: 1}])
def test_a_batch_with_a_long_string_is_refused(entry):
    with pytest.raises(BodyTooLarge, match=r"at `calls\[0\]\."):
        batch.decode_batch(
            msgspec.msgpack.encode({"calls": [entry]}), ArrayNames(lambda name: ARRAYS, ARRAYS)
        )


@pytest.mark.parametrize("parts", [LONG, [LONG], [{LONG: 1}], [{"loss": {LONG: 1}}]])
def test_parts_with_a_long_string_are_refused(parts):
    with pytest.raises(LossdError, match="at `parts") as caught:
        combination.decode_combination(msgspec.msgpack.encode({"parts": parts}))
    assert len(str(caught.value)) < 200


def test_keys_are_looked_at_behind_values_of_every_type():
    values = [0, -1, 1.5, None, True, "x" * 40, BIN, [1, [2]], {"a": {"b": 1}}, msgspec.msgpack.Ext(1, b"x")]
    encoded = msgspec.msgpack.encode({str(index): value for index, value in enumerate(values)} | {LONG: 1})
    with pytest.raises(BodyTooLarge, match="at `x`"):
        document.members(encoded, "x")


@pytest.mark.parametrize("order", [("dtype", "shape", "data"), ("data", "dtype", "shape")])
def test_a_large_array_is_a_view_whatever_the_order_of_its_fields(order):
    array = np.arange(20_000.0)
    fields = {"dtype": "float64", "shape": [20_000], "data": array.tobytes()}
    body = bytearray(msgspec.msgpack.encode({"input": {name: fields[name] for name in order}}))
    found = MESSAGEPACK.decode_call(body, ARRAYS).arrays["input"]
    np.testing.assert_array_equal(found, array)
    assert np.shares_memory(found, np.frombuffer(body, np.uint8))
