"""Small arrays of MessagePack are read and written in one go, and mean what they mean piece by piece."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from lossd.errors import LossdError
from lossd.message import Answer, Call
from lossd.wire.gathering import gather
from lossd.wire.msgpack import array as module
from lossd.wire.msgpack import codec, writer
from lossd.wire.tensor import DTYPES

NAMES = frozenset({"input"})
GOOD = {"dtype": "float64", "shape": [2], "data": b"\0" * 16}
ODD = [
    GOOD,
    {**GOOD, "shape": [2.0]},
    {**GOOD, "shape": [True, 2]},
    {**GOOD, "shape": [-2]},
    {**GOOD, "shape": [2**63]},
    {**GOOD, "shape": [1] * 20},
    {**GOOD, "shape": 2},
    {**GOOD, "dtype": "float65"},
    {**GOOD, "dtype": 64},
    {**GOOD, "data": b"\0" * 15},
    {**GOOD, "data": "\0" * 16},
    {**GOOD, "more": 1},
    {"dtype": "float64", "shape": [2]},
    {"dtype": "bool", "shape": [1], "data": b"\2"},
    {"dtype": "float64", "shape": [], "data": b"\0" * 8},
    {"dtype": "float64", "shape": [0, 3], "data": b""},
]


def read(body: bytes) -> object:
    try:
        array = codec.decode_call(bytearray(body), NAMES).arrays["input"]
    except LossdError as error:
        return type(error), str(error)
    return array.dtype, array.shape, array.tobytes(), array.flags.writeable or not array.size


@pytest.mark.parametrize("value", ODD, ids=repr)
def test_an_array_is_read_as_piece_by_piece(value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    body = msgspec.msgpack.encode({"input": value})
    found = read(body)
    monkeypatch.setattr(module, "_MAP_OF_THREE", -1)
    assert read(body) == found


def test_a_field_given_twice_is_refused_beside_all_three() -> None:
    fields = b"\xa5dtype\xa4int8\xa5shape\x91\x01\xa4data\xc4\x01\x01"
    assert read(b"\x81\xa5input\x83" + fields)[0] == np.dtype(np.int8)
    for body in (b"\x84" + fields + b"\xa5shape\x90", b"\x83" + fields[:-8] + b"\xa5shape\x91\x01"):
        assert read(b"\x81\xa5input" + body)[0].__name__ == "MalformedBody"


def test_small_arrays_are_aligned_wherever_they_lie() -> None:
    for shift in range(8):
        body = codec.encode_call(Call({"input": np.ones(3)}, {"x" * shift: 1} if shift else {}))
        array = codec.decode_call(bytearray(b"".join(body)), NAMES).arrays["input"]
        assert array.flags.aligned
        assert array.flags.writeable


@pytest.mark.parametrize("dtype", [*DTYPES, ">f8", ">c8"])
@pytest.mark.parametrize("layout", [np.asarray, np.asfortranarray, lambda array: array[::-1, ::2]])
def test_an_answer_is_written_as_piece_by_piece(dtype: str, layout) -> None:
    array = layout(np.arange(24).reshape(4, 6).astype(DTYPES.get(dtype, dtype)))
    answer = Answer(
        {"mean": array[0, 0], "none": array}, 24, array, {"mean": {"input": array}}, warnings=("é",)
    )
    document = codec.to_document(answer)
    piecewise = b"".join(gather(writer.written(writer.numbers(document), "")))
    assert b"".join(codec.encode_answer(answer, Call({}))) == piecewise


def test_large_arrays_are_not_copied_into_the_answer() -> None:
    array = np.zeros(1 << 16)
    parts = codec.encode_answer(Answer({"none": array}, 1, 1.0), Call({}))
    assert any(isinstance(part, memoryview) and part.nbytes == array.nbytes for part in parts)
