"""Values of MessagePack that mean no array, or one too large, are refused with the place of the error."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from lossd.errors import BodyTooLarge, InvalidCall
from lossd.message import Answer
from lossd.wire import CODECS
from tests.wire.array_cases import CALL
from tests.wire.array_cases import messagepack_tensor as tensor
from tests.wire.json_cases import TENSORS
from tests.wire.refusal import LIMITS, assert_refused

MEDIA_TYPE = "application/vnd.msgpack"
CODEC = CODECS[MEDIA_TYPE]

# Well-formed, but not arrays: the kind of error that JSON has for the same.
NOT_ARRAYS = {
    "an unknown dtype": (tensor(b"\xa8float128"), "input.dtype", 'got "float128"'),
    "a dtype that is no string": (tensor(b"\x01"), "input.dtype", "got a number"),
    "a negative size": (tensor(shape=b"\x91\xfe"), "input.shape[0]", "got -2"),
    "a fractional size": (tensor(shape=b"\x91\xca\x40\x00\x00\x00"), "input.shape[0]", "got 2.0"),
    "a shape that is no list": (tensor(shape=b"\x02"), "input.shape", "a list of sizes"),
    "bytes that disagree with the shape": (tensor(shape=b"\x91\x03"), "input.data", "12 bytes for shape [3] of"),
    "data as text": (tensor(data=b"\xa8AACAPwAA"), "input.data", "a bin"),
    "no data": (b"\x81\xa5input\x81\xa5dtype\xa4int8", "input", "got dtype"),
    "another field": (b"\x81\xa5input\x81\xa1x\x01", "input", "got x"),
    "a string": (b"\x81\xa5input\xa1x", "input", 'got the string "x"'),
    "bytes without a dtype": (b"\x81\xa5input\xc4\x01x", "input", "got raw bytes"),
    "an extension in a list": (b"\x81\xa5input\x92\x01\xd4\x05a", "input[1]", "a number, got an extension type"),
    "a wrong timestamp in a list": (b"\x81\xa5input\x91\xd7\xff" + b"\xff" * 8, "input[0]", "an extension type"),
    "nil in a list": (b"\x81\xa5input\x92\x01\xc0", "input[1]", "a number, got nil"),
    "a map in a list": (b"\x81\xa5input\x92\x01\x80", "input[1]", "a number, got a map"),
    "a bin in a list": (b"\x81\xa5input\x92\x01\xc4\x01x", "input[1]", "a number, got a bin"),
    "a boolean in a list": (b"\x81\xa5input\x92\x01\xc3", "input[1]", "a number, got a boolean"),
    "a string in a list": (b"\x81\xa5input\x92\x01\xa1x", "input[1]", 'got the string "x"'),
    "a number among lists": (b"\x81\xa5input\x92\x91\x01\x02", "input[1]", "a list, got a number"),
    "a list among numbers": (b"\x81\xa5input\x92\x01\x91\x02", "input[1]", "a number, got a list"),
    "longer lists": (b"\x81\xa5input\x92\x92\x91\x01\x91\x02\x92\x91\x03\x92\x04\x05", "input[1][1]", "`input[0][0]`"),
    "ragged lists": (b"\x81\xa5input\x92\x91\x01\x92\x01\x02", "input[1]", "a list of 1 items as at `input[0]`"),
    "a boolean of 2": (tensor(b"\xa4bool", b"\x91\x01", b"\xc4\x01\x02"), "input.data", "bytes 0 and 1"),
    "parts of unequal shape": (b"\x81\xa5input\x82\xa4real\x91\x01\xa4imag\x01", "input.imag", "shape [1]"),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_ARRAYS)
def test_what_is_no_array_is_an_invalid_call(name):
    assert_refused(MEDIA_TYPE, *NOT_ARRAYS[name], error=InvalidCall)


SQUARE = b"\x92\xcf\x00\x00\x00\x01\x00\x00\x00\x00\xcf\x00\x00\x00\x01\x00\x00\x00\x00"
LIST_OF_600 = b"\xdc\x02\x58" + b"\x01" * 600
TOO_LARGE = {
    "a product beyond 64 bits": tensor(shape=SQUARE),
    "a list": b"\x81\xa5input\xdc\x03\xe9" + b"\x01" * 1001,
    "too many in all": b"\x82\xa5input" + LIST_OF_600 + b"\xa6target" + LIST_OF_600,
}  # fmt: skip


@pytest.mark.parametrize("name", TOO_LARGE)
def test_arrays_beyond_the_limits_are_refused(name):
    with pytest.raises(BodyTooLarge):
        CODEC.decode_call(TOO_LARGE[name], TENSORS, LIMITS)


@pytest.mark.parametrize("value", [np.float32(0.1), np.float16(0.1), ml_dtypes.bfloat16(0.1), np.int64(3)])
def test_messagepack_writes_a_value_of_no_dimensions_as_a_number(value):
    body = b"".join(CODEC.encode_answer(Answer({"mean": value}, 1, 1.0), CALL))
    back = CODEC.decode_answer(body).loss["mean"]
    assert back.astype(value.dtype) == value
    assert back.shape == ()
