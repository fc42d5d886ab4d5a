"""The array formats write and read the bytes of their specifications."""

from __future__ import annotations

import numpy as np
import pytest

from lossd.errors import InvalidCall, MalformedBody
from lossd.message import Answer, Call
from lossd.wire import CODECS
from tests.wire.array_cases import ANSWER, CALL, GOLDEN, READ_ONLY
from tests.wire.json_cases import TENSORS
from tests.wire.sameness import assert_same

every_format = pytest.mark.parametrize("media_type", GOLDEN)


@every_format
def test_call_is_written(media_type):
    assert b"".join(CODECS[media_type].encode_call(CALL)) == GOLDEN[media_type][0]


@every_format
def test_call_is_read(media_type):
    assert_same(CODECS[media_type].decode_call(GOLDEN[media_type][0], TENSORS), CALL)


@every_format
def test_answer_is_written(media_type):
    assert b"".join(CODECS[media_type].encode_answer(ANSWER, CALL)) == GOLDEN[media_type][1]


@every_format
def test_answer_is_read(media_type):
    assert_same(CODECS[media_type].decode_answer(GOLDEN[media_type][1]), ANSWER)


@pytest.mark.parametrize(
    ("media_type", "name"), [(kind, name) for kind in READ_ONLY for name in READ_ONLY[kind]]
)
def test_what_others_write_is_read(media_type, name):
    body, arrays, options = READ_ONLY[media_type][name]
    assert_same(CODECS[media_type].decode_call(body, TENSORS), Call(arrays, options))


@every_format
@pytest.mark.parametrize("form", [bytes, bytearray, lambda body: memoryview(np.frombuffer(body, "u1"))])
def test_body_may_be_any_bytes(media_type, form):
    assert_same(CODECS[media_type].decode_call(form(GOLDEN[media_type][0]), TENSORS), CALL)
    assert_same(CODECS[media_type].decode_answer(form(GOLDEN[media_type][1])), ANSWER)


@every_format
def test_arrays_are_views_that_may_be_written_into_where_the_body_may(media_type):
    large = {"input": np.arange(100_000.0), "target": np.arange(100_000, dtype=np.float32)}
    body = np.frombuffer(b"".join(CODECS[media_type].encode_call(Call(large))), np.uint8)
    for whole, writable in ((body.copy(), True), (body, False)):
        arrays = CODECS[media_type].decode_call(whole.data, TENSORS).arrays
        assert_same(arrays, large)
        for array in arrays.values():
            assert np.shares_memory(array, whole)
            assert array.flags.writeable == writable


@every_format
def test_large_arrays_are_sent_from_where_they_lie(media_type):
    large = np.arange(100_000.0)
    for parts in (
        CODECS[media_type].encode_call(Call({"input": large})),
        CODECS[media_type].encode_answer(Answer({"none": large}, 1, 1.0), CALL),
    ):
        assert any(np.shares_memory(np.frombuffer(part, np.uint8), large) for part in parts)


@pytest.mark.parametrize("media_type", CODECS)
def test_a_dtype_that_no_format_has_is_refused_by_name(media_type):
    if media_type == "application/json":
        return  # writes numbers, whatever their dtype
    with pytest.raises(InvalidCall, match="`input`"):
        CODECS[media_type].encode_call(Call({"input": np.array(["a"])}))


def test_every_truncation_of_a_golden_body_is_refused():
    for media_type, bodies in GOLDEN.items():
        for length in range(len(bodies[0])):
            with pytest.raises(MalformedBody):
                CODECS[media_type].decode_call(bodies[0][:length], TENSORS)
        for length in range(len(bodies[1])):
            with pytest.raises(MalformedBody):
                CODECS[media_type].decode_answer(bodies[1][:length])
