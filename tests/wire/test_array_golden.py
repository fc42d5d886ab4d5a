"""The array formats write and read the bytes of their specifications."""

from __future__ import annotations

import io
import zipfile

import ml_dtypes
import numpy as np
import pytest
import safetensors
import safetensors.numpy

from lossd.errors import InvalidCall, NotAcceptable
from lossd.message import Answer, Call
from lossd.wire import CODECS
from lossd.wire.tensor import DTYPES
from tests.wire.array_cases import ANSWER, CALL, GOLDEN, READ_ONLY
from tests.wire.json_cases import TENSORS
from tests.wire.sameness import assert_same

every_format = pytest.mark.parametrize("media_type", GOLDEN)
SAFETENSORS = CODECS["application/vnd.safetensors"]
NPZ = CODECS["application/x-npz"]


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


def test_the_safetensors_package_reads_what_we_write():
    arrays = {
        name: np.arange(6).astype(dtype).reshape(2, 3)
        for name, dtype in DTYPES.items()
        if name != "complex128"
    }
    body = b"".join(SAFETENSORS.encode_call(Call(arrays)))
    for name, entry in safetensors.deserialize(body):
        assert entry["shape"] == [2, 3]
        assert bytes(entry["data"]) == arrays[name].tobytes()
    assert (body.index(b"}}") + 2 + 7) // 8 * 8 <= 8 + int.from_bytes(
        body[:8], "little"
    )  # the data is aligned
    del arrays["bfloat16"]  # which the package reads for PyTorch alone
    assert_same(safetensors.numpy.load(b"".join(SAFETENSORS.encode_call(Call(arrays)))), arrays)


def test_we_read_what_the_safetensors_package_writes():
    arrays = {
        "a": np.arange(6, dtype=np.float16).reshape(2, 3),
        "b": np.array(2.5),
        "c": np.array([True, False]),
    }
    body = safetensors.numpy.save(arrays, metadata={"format": "np"})
    assert_same(dict(SAFETENSORS.decode_call(body, TENSORS).arrays), arrays)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_we_read_what_numpy_writes(save):
    arrays = {
        "a": np.arange(6, dtype=np.float16).reshape(2, 3),
        "b": np.array(2.5),
        "c": np.array([True, False]),
        "d": np.empty((0, 4), np.int32),
        "e": np.arange(3).astype(ml_dtypes.bfloat16),
        "f": np.array([1 + 2j], np.complex64),
        "long": np.zeros(1 << 19),
    }
    file = io.BytesIO()
    save(file, **arrays, g=np.asfortranarray(arrays["a"]), h=np.array([1.5], ">f8"))
    read = NPZ.decode_call(file.getvalue(), TENSORS).arrays
    assert_same(dict(read), {**arrays, "g": arrays["a"], "h": np.array([1.5])})


def test_numpy_and_zipfile_read_what_we_write():
    arrays = {name: np.arange(6).astype(dtype).reshape(2, 3) for name, dtype in DTYPES.items()}
    body = b"".join(NPZ.encode_call(Call(arrays)))
    assert zipfile.ZipFile(io.BytesIO(body)).testzip() is None
    loaded = np.load(io.BytesIO(body))
    arrays["bfloat16"] = arrays["bfloat16"].view("V2")
    assert_same({name: loaded[name] for name in loaded}, arrays)


def test_a_member_written_to_a_stream_is_read_although_its_local_header_knows_no_size():
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

        def tell(self):
            raise OSError

    pipe = Pipe()
    np.savez_compressed(pipe, a=np.arange(9.0))
    assert pipe.getvalue()[6] & 8, "the sizes should stand behind the data"
    assert_same(dict(NPZ.decode_call(pipe.getvalue(), TENSORS).arrays), {"a": np.arange(9.0)})


def test_complex128_is_refused_by_the_format_that_lacks_it():
    array = np.array([1 + 2j])
    with pytest.raises(InvalidCall, match="got complex128 - at `input`"):
        SAFETENSORS.encode_call(Call({"input": array}))
    with pytest.raises(NotAcceptable, match=r"got complex128 - at `gradient.mean.input`"):
        SAFETENSORS.encode_answer(Answer({}, 1, 1.0, {"mean": {"input": array}}), CALL)


@pytest.mark.parametrize("media_type", CODECS)
def test_a_dtype_that_no_format_has_is_refused_by_name(media_type):
    if media_type == "application/json":
        return  # writes numbers, whatever their dtype
    with pytest.raises(InvalidCall, match="`input`"):
        CODECS[media_type].encode_call(Call({"input": np.array(["a"])}))


@pytest.mark.parametrize("value", [np.float32(0.1), np.float16(0.1), ml_dtypes.bfloat16(0.1), np.int64(3)])
def test_messagepack_writes_a_value_of_no_dimensions_as_a_number(value):
    body = b"".join(CODECS["application/vnd.msgpack"].encode_answer(Answer({"mean": value}, 1, 1.0), CALL))
    back = CODECS["application/vnd.msgpack"].decode_answer(body).loss["mean"]
    assert back.astype(value.dtype) == value
    assert back.shape == ()
