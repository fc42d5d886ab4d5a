"""safetensors: what its own package writes and reads, and every bad header with the place of its error."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import safetensors as package
import safetensors.numpy as numpy_package

from lossd.errors import BodyTooLarge, InvalidCall, MalformedBody, NotAcceptable
from lossd.message import Answer, Call
from lossd.wire import CODECS
from lossd.wire.tensor import DTYPES
from tests.wire.array_cases import CALL, safetensors
from tests.wire.json_cases import TENSORS
from tests.wire.refusal import LIMITS, assert_refused
from tests.wire.sameness import assert_same

MEDIA_TYPE = "application/vnd.safetensors"
CODEC = CODECS[MEDIA_TYPE]


def one(dtype=b'"F32"', shape=b"[2]", offsets=b"[0,8]") -> bytes:
    """Write a header of one array."""
    return b'{"input":{"dtype":%s,"shape":%s,"data_offsets":%s}}' % (dtype, shape, offsets)


def two(first: bytes, second: bytes, names=(b"a", b"b")) -> bytes:
    """Write a header of two arrays of two float32, where they are said to be."""
    entry = b'"%s":{"dtype":"F32","shape":[2],"data_offsets":%s}'
    return b"{%s,%s}" % (entry % (names[0], first), entry % (names[1], second))


MANY = b"{%s}" % b",".join(b'"%d":0' % index for index in range(257))

# name -> body, the place of the first error, a part of its message
SAFETENSORS = {
    "empty": (b"", "byte 0", "got 0 bytes"),
    "seven bytes": (b"\0" * 7, "byte 0", "expected 8 bytes with the length of the header, got 7 bytes"),
    "no header": (safetensors(b""), "header", "got an empty body"),
    "a header longer than the body": (struct.pack("<Q", 3) + b"{}", "byte 0", "a header of at most 2 bytes, got 3"),
    "a header of 2**64 - 1 bytes": (b"\xff" * 8 + b"{}", "byte 0", "at most 2 bytes, got 18446744073709551615"),
    "a header of more than 256 KiB": (safetensors(b" " * (1 << 19)), "byte 0", "at most 262144 bytes"),
    "257 arrays": (safetensors(MANY), "header", "at most 256 arrays, got 257"),
    "no JSON": (safetensors(b"{input}"), "header, line 1, column 2", "expected JSON"),
    "a list": (safetensors(b"[]"), "header", "got a list"),
    "a name twice": (
        safetensors(two(b"[0,8]", b"[8,16]", (b"a", b"a")), bytes(16)), "header, byte 54", '"a" again',
    ),
    "a field twice": (safetensors(b'{"a":{"dtype":"F32","dtype":"F32"}}'), "header, byte 20", "each key once"),
    "no object": (safetensors(b'{"input":[1,2]}'), "input", "an object with dtype, shape and data_offsets"),
    "no shape": (safetensors(b'{"input":{"dtype":"F32","data_offsets":[0,0]}}'), "input", "shape and"),
    "an unknown dtype": (safetensors(one(b'"F8_E4M3"'), bytes(8)), "input.dtype", 'F64, C64, got "F8_E4M3"'),
    "a dtype that is no string": (safetensors(one(b"4"), bytes(8)), "input.dtype", "got a number"),
    "a negative size": (safetensors(one(shape=b"[-2]"), bytes(8)), "input.shape[0]", "non-negative integer, got -2"),
    "a fractional size": (safetensors(one(shape=b"[2.0]"), bytes(8)), "input.shape[0]", "got 2.0"),
    "a shape that is no list": (safetensors(one(shape=b"2"), bytes(8)), "input.shape", "a list of sizes"),
    "too many dimensions": (safetensors(one(shape=b"[2,1,1,1,1]"), bytes(8)), "input.shape", "at most 4 dimensions"),
    "bytes that disagree with the shape": (
        safetensors(one(shape=b"[3]"), bytes(8)), "input.data_offsets", "12 bytes for shape [3] of float32, got 8",
    ),
    "offsets beyond the data": (safetensors(one(offsets=b"[0,9]"), bytes(8)), "input.data_offsets", "within 8 bytes"),
    "offsets in reverse": (safetensors(one(offsets=b"[8,0]"), bytes(8)), "input.data_offsets", "got [8, 0]"),
    "a negative offset": (safetensors(one(offsets=b"[-8,0]"), bytes(8)), "input.data_offsets", "got [-8, 0]"),
    "an offset of 2**64 - 1": (
        safetensors(one(offsets=b"[0,18446744073709551615]"), bytes(8)), "input.data_offsets", "within 8 bytes",
    ),
    "one offset": (safetensors(one(offsets=b"[0]"), bytes(8)), "input.data_offsets", "a list of two integers"),
    "fractional offsets": (safetensors(one(offsets=b"[0,8.0]"), bytes(8)), "input.data_offsets", "two integers"),
    "overlapping arrays": (safetensors(two(b"[0,8]", b"[4,12]"), bytes(12)), "b.data_offsets", "overlaps it"),
    "the same bytes twice": (safetensors(two(b"[0,8]", b"[0,8]"), bytes(8)), "b.data_offsets", "overlaps it"),
    "a hole": (safetensors(two(b"[0,8]", b"[12,20]"), bytes(20)), "b.data_offsets", "begin at 8"),
    "a hole at the beginning": (safetensors(one(offsets=b"[4,12]"), bytes(12)), "input.data_offsets", "a hole"),
    "trailing bytes": (safetensors(one(), bytes(9)), "", "expected 8 bytes of data, as the header says, got 9"),
    "data cut short": (safetensors(one(), bytes(7)), "input.data_offsets", "within 7 bytes of data, got [0, 8]"),
    "a boolean of 2": (safetensors(one(b'"BOOL"', b"[1]", b"[0,1]"), b"\2"), "input.data_offsets", "bytes 0 and 1"),
    "metadata that is no object": (safetensors(b'{"__metadata__":[]}'), "__metadata__", "an object of strings"),
    "metadata of numbers": (safetensors(b'{"__metadata__":{"a":1}}'), "__metadata__", "an object of strings"),
}  # fmt: skip


@pytest.mark.parametrize("name", SAFETENSORS)
def test_a_bad_body_is_refused_at_its_place(name):
    assert_refused(MEDIA_TYPE, *SAFETENSORS[name])


TOO_LARGE = {
    "a product beyond 64 bits": (safetensors(one(shape=b"[4294967296,4294967296]"), bytes(8))),
    "a huge size behind a zero": (safetensors(one(shape=b"[0,4611686018427387904]", offsets=b"[0,0]"))),
    "too many in all": safetensors(
        b'{"a":{"dtype":"I8","shape":[600],"data_offsets":[0,600]},'
        b'"b":{"dtype":"I8","shape":[600],"data_offsets":[600,1200]}}',
        bytes(1200),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TOO_LARGE)
def test_arrays_beyond_the_limits_are_refused(name):
    with pytest.raises(BodyTooLarge):
        CODEC.decode_call(TOO_LARGE[name], TENSORS, LIMITS)


def test_the_safetensors_package_reads_what_we_write():
    arrays = {
        name: np.arange(6).astype(dtype).reshape(2, 3)
        for name, dtype in DTYPES.items()
        if name != "complex128"
    }
    body = b"".join(CODEC.encode_call(Call(arrays)))
    for name, entry in package.deserialize(body):
        assert entry["shape"] == [2, 3]
        assert bytes(entry["data"]) == arrays[name].tobytes()
    assert (body.index(b"}}") + 2 + 7) // 8 * 8 <= 8 + int.from_bytes(
        body[:8], "little"
    )  # the data is aligned
    del arrays["bfloat16"]  # which the package reads for PyTorch alone
    assert_same(numpy_package.load(b"".join(CODEC.encode_call(Call(arrays)))), arrays)


def test_we_read_what_the_safetensors_package_writes():
    arrays = {
        "a": np.arange(6, dtype=np.float16).reshape(2, 3),
        "b": np.array(2.5),
        "c": np.array([True, False]),
    }
    body = numpy_package.save(arrays, metadata={"format": "np"})
    assert_same(dict(CODEC.decode_call(body, TENSORS).arrays), arrays)


def test_complex128_is_refused_by_the_format_that_lacks_it():
    array = np.array([1 + 2j])
    with pytest.raises(InvalidCall, match="got complex128 - at `input`"):
        CODEC.encode_call(Call({"input": array}))
    with pytest.raises(NotAcceptable, match=r"got complex128 - at `gradient.mean.input`"):
        CODEC.encode_answer(Answer({}, 1, 1.0, {"mean": {"input": array}}), CALL)


def test_warnings_that_are_no_list_of_strings_are_refused():
    for text in ("x", "[1]", "{}"):
        with pytest.raises(MalformedBody, match="`warnings`"):
            CODEC.decode_answer(
                safetensors(
                    b'{"__metadata__":{"warnings":"%s"},"count":{"dtype":"I8","shape":[],"data_offsets":[0,1]},'
                    b'"denominator":{"dtype":"I8","shape":[],"data_offsets":[1,2]}}' % text.encode(),
                    b"\1\1",
                )
            )
