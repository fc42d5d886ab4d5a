"""The fast path for the numbers of a request agrees with orjson on every document."""

from __future__ import annotations

import numpy as np
import orjson
from hypothesis import example, given
from hypothesis import strategies as st

from lossd.errors import BodyTooLarge, LossdError
from lossd.wire import DecodeLimits
from lossd.wire.json import buffers as json_buffers
from lossd.wire.open_inference.request import decode_inference
from tests.v2.bytes_of import tensor
from tests.wire.sameness import assert_same
from tests.wire.test_json_buffers import LONG, VALUES, accelerated, without_simdjson

LIMITS = DecodeLimits(max_elements=40, max_depth=4)

SHAPES = st.lists(st.integers(0, 4), max_size=4).map(str)
ENTRIES = st.lists(
    st.one_of(
        st.tuples(st.just("data"), VALUES),
        st.tuples(st.just("shape"), SHAPES),
        st.tuples(st.just("datatype"), st.sampled_from(['"FP32"', '"INT16"', '"BOOL"', '"FP64"'])),
        st.tuples(st.just("name"), st.sampled_from(['"a"', '"b"'])),
        st.tuples(st.sampled_from(["parameters", "a:", "dat\\u0061", "extra"]), VALUES),
    ),
    max_size=6,
).map(lambda pairs: "{" + ", ".join(f'"{key}": {value}' for key, value in pairs) + "}")


@st.composite
def fitting(draw):
    """Draw an entry that may be right: a shape, and as many numbers."""
    shape = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    numbers = draw(st.lists(st.sampled_from([0, 1, 2.5, "NaN", True]), min_size=1, max_size=1))
    data = np.full(shape, numbers[0], object).reshape(draw(st.sampled_from([shape, [-1]]))).tolist()
    return orjson.dumps(tensor(draw(st.sampled_from("ab")), "FP32", shape, data)).decode()


BODIES = st.tuples(
    st.lists(st.one_of(ENTRIES, fitting(), VALUES), max_size=3),
    st.sampled_from(["", ', "id": "["', ', "b": [1]']),
).map(lambda parts: f'{{"inputs": [{", ".join(parts[0])}]{parts[1]}}}'.encode())


def outcome(body):
    try:
        return decode_inference(LONG + body, None, LIMITS)
    except LossdError as error:
        return type(error)


GOOD = orjson.dumps({"inputs": [tensor("a", "FP32", [2, 2], [1.5, 2, 3, 4]), tensor("b", "FP32", [1], [1])]})


@accelerated
@given(body=BODIES)
@example(GOOD)
@example(GOOD.replace(b"[2,2]", b"[2,[2]]"))
@example(GOOD.replace(b'"b"', b'"a"').replace(b"[1]", b"[" + b"1," * 40 + b"1]"))
@example(GOOD.replace(b"1.5", b"[1.5]"))
@example(GOOD.replace(b"[1.5,2,3,4]", b"[[1.5,2],[3,[4]]]"))
@example(GOOD.replace(b"[1.5,2,3,4]", b"[[1.5,2],[3,4,5]]"))
@example(GOOD.replace(b'"data":[1]', b'"data":[1],"data":[2]'))
def test_both_ways_read_the_same(body):
    fast = outcome(body)
    with without_simdjson():
        slow = outcome(body)
    if isinstance(slow, type):
        # Of two things that are wrong, the short way sees the size of all arrays first.
        assert fast in (slow, BodyTooLarge)
        return
    assert_same(fast.call.arrays, slow.call.arrays)
    assert fast.call.options == slow.call.options


@accelerated
def test_an_ordinary_request_takes_the_short_way():
    document = json_buffers.read_entries(GOOD, frozenset(["inputs"]), frozenset(["data"]), LIMITS)
    assert [type(entry["data"]) for entry in document["inputs"]] == [np.ndarray, np.ndarray]
