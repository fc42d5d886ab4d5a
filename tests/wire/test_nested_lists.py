"""Arrays with short rows as nested lists: the same text however it is written, in about the time of a flat list."""

from __future__ import annotations

import json
from time import process_time

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossd.message import Answer, Call, Checkpoint, inner_lists
from lossd.wire import CODECS
from lossd.wire.content_encoding import ENCODINGS, compress
from lossd.wire.json.text import dumps

SHAPES = st.lists(st.sampled_from([0, 1, 1, 1, 2, 3, 40]), min_size=1, max_size=8).filter(
    lambda shape: np.prod([max(length, 1) for length in shape]) < 10**5
)


class Ended(Exception):
    """What a checkpoint raises."""


def text(array: np.ndarray) -> bytes:
    return b"".join(dumps({"a": array}))


@given(SHAPES, st.sampled_from([np.float16, np.float32, np.float64, np.int64, np.bool_]), st.integers(0, 9))
def test_brackets_stand_where_a_writer_of_nested_lists_puts_them(shape, dtype, seed):
    array = (100 * np.random.default_rng(seed).normal(size=shape)).astype(dtype)
    assert text(array) == orjson.dumps({"a": array}, option=orjson.OPT_SERIALIZE_NUMPY)


@given(SHAPES)
def test_non_finite_numbers_lie_in_the_same_lists(shape):
    array = np.resize([1.5, np.nan, -2.0, np.inf, -np.inf], shape)
    spelled = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
    wanted = np.array([spelled.get(str(value), value) for value in array.ravel().tolist()], object)
    assert json.loads(text(array))["a"] == wanted.reshape(shape).tolist()


@given(SHAPES)
def test_lists_inside_others_are_counted_by_the_shape(shape):
    assert text(np.zeros(shape)).count(b"[") == inner_lists(shape) + 1


def seconds(array: np.ndarray) -> float:
    best = np.inf
    for _ in range(3):
        begun = process_time()
        dumps({"a": array})
        best = min(best, process_time() - begun)
    return best


def test_axes_of_length_1_take_no_multiple_of_the_time():
    """orjson alone took 60 times as long; they take twice as long, and the bar leaves room for a busy machine."""
    numbers = np.random.default_rng(0).random(1 << 17)
    assert seconds(numbers.reshape(-1, *[1] * 15)) < 15 * seconds(numbers)


LONG = {
    "one-wide axes": np.zeros((1 << 18, *[1] * 12)),
    "pairs": np.zeros((2,) * 18),
    "empty rows": np.zeros((1 << 20, 0)),
    "one list": np.zeros(1 << 18),
}


@pytest.mark.parametrize("array", LONG.values(), ids=LONG)
def test_a_checkpoint_is_called_for_every_piece_of_a_long_text(array):
    calls = 0

    def count() -> None:
        nonlocal calls
        calls += 1

    size = sum(map(len, dumps({"a": array}, count)))
    assert calls >= size >> 18  # of 256 KiB, which take some milliseconds


def ends_at_third() -> Checkpoint:
    """Return a checkpoint that lets two calls pass."""
    left = iter(range(2))

    def checkpoint() -> None:
        if next(left, None) is None:
            raise Ended

    return checkpoint


@pytest.mark.parametrize("encoding", ["list", "base64"])
def test_a_checkpoint_ends_the_writing_of_text(encoding):
    answer = Answer({"none": LONG["one-wide axes"]}, 1, 1.0)
    with pytest.raises(Ended):
        CODECS["application/json"].encode_answer(answer, Call({}, {"encoding": encoding}), ends_at_third())


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_checkpoint_ends_compression(encoding):
    with pytest.raises(Ended):
        compress([bytes(1 << 23)], encoding, ends_at_third())
