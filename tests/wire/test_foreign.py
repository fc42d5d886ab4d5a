"""Bytes of one format under the name of another are told as what they look like."""

from __future__ import annotations

import gzip
import io
from itertools import product

import numpy as np
import pytest

from lossd.errors import MalformedBody
from lossd.message import Call
from lossd.wire import CODECS

ARRAYS = {"input": np.arange(3.0), "target": np.zeros(3)}
NPZ, SAFETENSORS, MSGPACK = ("application/x-npz", "application/vnd.safetensors", "application/vnd.msgpack")


def npy() -> bytes:
    file = io.BytesIO()
    np.save(file, ARRAYS["input"])
    return file.getvalue()


def encoded(media_type: str) -> bytes:
    return b"".join(CODECS[media_type].encode_call(Call(ARRAYS)))


BODIES = {
    "a .npy file": npy(),
    "a ZIP archive": encoded(NPZ),
    "safetensors": encoded(SAFETENSORS),
    "gzip": gzip.compress(b"{}"),
    "JSON": b'{"input": [1], "target": [1]}',
}
# What is right, and the first byte of a length that may be that of a map.
NOT_FOREIGN = {("a ZIP archive", NPZ), ("safetensors", SAFETENSORS), ("safetensors", MSGPACK)}


@pytest.mark.parametrize(
    ("looks", "media_type"), sorted({*product(BODIES, (NPZ, SAFETENSORS, MSGPACK))} - NOT_FOREIGN)
)
def test_the_error_says_what_the_bytes_look_like(media_type: str, looks: str) -> None:
    with pytest.raises(MalformedBody, match=f"; the bytes look like {looks}"):
        CODECS[media_type].decode_call(BODIES[looks], frozenset(ARRAYS))


@pytest.mark.parametrize("media_type", [NPZ, SAFETENSORS, MSGPACK])
def test_bytes_of_no_format_are_told_as_none(media_type: str) -> None:
    with pytest.raises(MalformedBody) as refused:
        CODECS[media_type].decode_call(b"hello, here are no arrays at all", frozenset(ARRAYS))
    assert "look like" not in str(refused.value)
