"""The JSON format, byte by byte, in both directions."""

from __future__ import annotations

import numpy as np
import pytest

from lossd.message import Answer, Call
from lossd.wire import CODECS, Codec
from tests.wire.json_cases import ANSWERS, CALLS, READ_ONLY_CALLS, TENSORS, WRITTEN_ARRAYS
from tests.wire.sameness import assert_same

JSON: Codec = CODECS["application/json"]


@pytest.mark.parametrize("name", CALLS | READ_ONLY_CALLS)
def test_call_is_read(name):
    body, call = (CALLS | READ_ONLY_CALLS)[name]
    assert_same(JSON.decode_call(body, TENSORS), call)


@pytest.mark.parametrize("name", CALLS)
def test_call_is_written(name):
    body, call = CALLS[name]
    assert b"".join(JSON.encode_call(call)) == body


@pytest.mark.parametrize("name", ANSWERS)
def test_answer_is_written(name):
    answer, options, body = ANSWERS[name]
    assert b"".join(JSON.encode_answer(answer, Call({}, options))) == body


@pytest.mark.parametrize("name", ANSWERS)
def test_answer_is_read(name):
    answer, _, body = ANSWERS[name]
    assert_same(JSON.decode_answer(body), answer)


@pytest.mark.parametrize("name", WRITTEN_ARRAYS)
def test_array_of_any_kind_is_written(name):
    array, text = WRITTEN_ARRAYS[name]
    answer = Answer({"none": array}, 1, 1.0)
    written = b"".join(JSON.encode_answer(answer, Call({})))
    assert written == b'{"loss":{"none":%s},"count":1,"denominator":1.0}' % text
    request = b"".join(JSON.encode_call(Call({"input": np.asarray(array)})))
    assert request in (b'{"input":%s}' % text, _base64(array))


def _base64(array) -> bytes:
    # A call says even of nothing what it is.
    return b"" if np.size(array) else b'{"input":{"dtype":"float64","shape":[2,0],"data":""}}'


@pytest.mark.parametrize(
    "form", [bytes, bytearray, memoryview, lambda body: memoryview(np.frombuffer(body, "u1"))]
)
def test_body_may_be_any_bytes(form):
    body, call = CALLS["the first request of the documentation"]
    assert_same(JSON.decode_call(form(body), TENSORS), call)
    answer, _, written = ANSWERS["everything"]
    assert_same(JSON.decode_answer(form(written)), answer)


def test_arrays_may_be_written_into():
    for name in (
        "the first request of the documentation",
        "non-finite numbers",
        "base64",
        "booleans",
        "complex",
    ):
        for array in JSON.decode_call(CALLS[name][0], TENSORS).arrays.values():
            assert array.flags.writeable
            assert array.flags.c_contiguous
            assert array.dtype.isnative
