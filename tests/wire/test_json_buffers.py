"""The fast path for numbers agrees with orjson and the checks of `array` on every document."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lossd.errors import BodyTooLarge, InvalidCall, LossdError
from lossd.wire import CODECS, DecodeLimits
from lossd.wire.json import buffers as json_buffers
from tests.wire.json_cases import CALLS, READ_ONLY_CALLS, TENSORS
from tests.wire.sameness import assert_same

JSON = CODECS["application/json"]
LIMITS = DecodeLimits(max_elements=40, max_depth=4)
LONG = b" " * 5000  # shorter bodies go to orjson at once

accelerated = pytest.mark.skipif(json_buffers.simdjson is None, reason="pysimdjson is not installed")


@contextmanager
def without_simdjson():
    """Take the accelerator away, as the import guard does where it is not installed."""
    simdjson, json_buffers.simdjson = json_buffers.simdjson, None
    try:
        yield
    finally:
        json_buffers.simdjson = simdjson


def outcome(body):
    try:
        return JSON.decode_call(LONG + body, TENSORS, LIMITS)
    except LossdError as error:
        return type(error)


SCALARS = [
    *("0", "-0", "1", "-7", "1.5", "-0.0", "1e3", "1E400", "5e-324", "0.1", "123456789012345678"),
    *("9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616"),
    *("-9223372036854775808", "-9223372036854775809", "100000000000000000000"),
    *(
        "true",
        "false",
        "null",
        "NaN",
        "{}",
        '{"a":[1]}',
        '{"a":1,"a":2}',
        '"NaN"',
        '"-Infinity"',
        '"["',
        '"]"',
        '"\\u005b"',
        '"a:b"',
    ),
]
NUMBERS = SCALARS[:7]


def nested(leaves, longest=3):
    return st.recursive(leaves, lambda inner: st.lists(inner, max_size=longest).map(_list), max_leaves=8)


def _list(items):
    return f"[{', '.join(items)}]"


@st.composite
def regular(draw):
    """Draw nested lists of one shape, and perhaps corrupt one place in them."""
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    leaves = [draw(st.sampled_from(NUMBERS)) for _ in range(int(np.prod(shape)))]
    if draw(st.booleans()):
        leaves[draw(st.integers(0, len(leaves) - 1))] = draw(
            st.one_of(st.sampled_from(SCALARS), nested(st.just("1")))
        )
    for size in reversed(shape):
        leaves = [_list(leaves[start : start + size]) for start in range(0, len(leaves), size)]
    text = leaves[0]
    if draw(st.booleans()):  # a bracket, comma or number lost or moved leaves lists that are ragged or mixed
        at = draw(st.integers(0, len(text)))
        text = (
            text[:at] + draw(st.sampled_from(("[1], ", "[], ", "1, ", "2", "[", "]", ", [3, 4]"))) + text[at:]
        )
    return text


VALUES = st.one_of(regular(), nested(st.sampled_from(SCALARS)), st.sampled_from(SCALARS))
KEYS = st.sampled_from(
    ("input", "target", "weight", "axis", "axi\\u0073", "a[", "a:", "inp\\u0075t", "a\\u0000", "a")
)
DOCUMENTS = st.lists(st.tuples(KEYS, VALUES), max_size=4).map(
    lambda pairs: ("{" + ", ".join(f'"{key}": {value}' for key, value in pairs) + "}").encode()
)


@accelerated
@given(body=DOCUMENTS)
@example(b'{"input": [[1, 2], [3, 4], [5]]}')
@example(b'{"input": [[1, 2], [3, [4]]]}')
@example(b'{"input": [[1, 2], [[3, 4]]]}')
@example(b'{"input": [[1, 2, 3], [4], [5, 6]]}')
@example(b'{"input": [[1, [2]], [3, 4]]}')
@example(b'{"axis": ["\\u005b"], "input": [[1, 2], [3, [4]]]}')
@example(b'{"axis": [1], "axis": 1, "input": [[1, 2], [3, [4]]]}')
@example(b'{"axis": {"a": [1], "a": 1}, "input": [[1, 2], [3, [4]]]}')
@example(b'{"axis": [{"a": 1, "a": 2}], "input": [1.5]}')
@example(b'{"axis": {"b": [[{"a": 1, "a": 2}]]}, "input": [1.5]}')
@example(b'{"input": [1.5, {"a": 1, "a": 2}]}')
@example(b'{"input": {"dtype": "int8", "shape": [1], "shape": [1], "data": "AQ=="}}')
@example(b'{"a": [1], "a\\u0000": 2}')
@example(b'{"a": {"b": 1, "b\\u0000": 2}}')
@example(b'{"input": [1, 2.5], "mask": [[true], [false]]}')
@example(b'{"input": [1, 18446744073709551615]}')
@example(b'{"input": [-1, 18446744073709551615]}')
def test_with_and_without_it_every_document_reads_the_same(body):
    fast = outcome(body)
    with without_simdjson():
        slow = outcome(body)
    if fast is BodyTooLarge:  # counted over all arrays before the numbers of any are read
        assert slow in (BodyTooLarge, InvalidCall)
    else:
        assert_same(fast, slow)


def test_regular_lists_read_as_a_plain_parser_reads_them():
    rng = np.random.default_rng(5)
    for shape in [(1,), (7,), (3, 5), (1, 1), (2, 3, 4), (1, 2, 1, 3)]:
        for values in (rng.normal(size=shape), rng.integers(-9, 9, shape)):
            body = LONG + orjson.dumps({"input": values.tolist(), "target": 3})
            assert_same(JSON.decode_call(body, TENSORS, LIMITS).arrays["input"], values)


@accelerated
def test_regular_lists_take_the_fast_path():
    body = b'{"input": [[1.5, 2], [3, 4]], "target": [0, 1], "reduction": ["none"], "m": {"a": [[]]}}'
    document = json_buffers.read(body, TENSORS, LIMITS)
    assert document is not None
    assert [type(value) for value in document.values()] == [np.ndarray, np.ndarray, list, dict]


@accelerated
def test_objects_in_lists_do_too():
    body = b'{"input": [1.5], "outputs": [{"name": "loss"}, [{"a": [1, {"b": 2.5}], "c": null}], 3]}'
    document = json_buffers.read(body, TENSORS, LIMITS)
    assert document is not None
    assert document["outputs"] == [{"name": "loss"}, [{"a": [1, {"b": 2.5}], "c": None}], 3]


@accelerated
@pytest.mark.parametrize("size", [10, 5_000, 100_000])
def test_brackets_are_counted_in_bodies_of_any_size(size):
    rows = [[1.5, 2.5]] * size
    body = orjson.dumps({"input": rows})
    document = json_buffers.read(body, TENSORS, DecodeLimits())
    assert document is not None
    assert document["input"].shape == (size, 2)
    mixed = body.replace(b"2.5]]}", b"[2.5]]]}")
    assert json_buffers.read(mixed, TENSORS, DecodeLimits()) is None


@accelerated
@pytest.mark.slow
def test_more_items_than_the_parser_can_count_are_read():
    count = 0xFFFFFF + 2
    for item, dtype in ((b"0", np.int64), (b"true", np.bool_)):  # 128 MiB of numbers, and 16 MiB
        body = b'{"input":[' + (item + b",") * (count - 1) + item + b"]}"
        array = JSON.decode_call(body, TENSORS).arrays["input"]
        assert (array.shape, array.dtype) == ((count,), dtype)


@accelerated
def test_numbers_that_the_parser_reads_slowly_are_left_to_orjson():
    slow = b'{"input": [%s1]}' % (b"1.2345678901234567890123e-300, " * 500)
    assert json_buffers.read(slow, TENSORS, DecodeLimits()) is None
    with_exponents = b'{"input": [%s1]}' % (b"-1.2345678901234567e-300, " * 500)
    assert json_buffers.read(with_exponents, TENSORS, DecodeLimits()) is not None


@accelerated
def test_blocks_of_few_numbers_are_left_to_orjson():
    assert json_buffers.read(orjson.dumps({"input": [[[1]]] * 20_000}), TENSORS, DecodeLimits()) is None
    assert (
        json_buffers.read(orjson.dumps({"input": [[[1] * 16]] * 20_000}), TENSORS, DecodeLimits()) is not None
    )


@accelerated
def test_long_options_are_left_to_orjson():
    assert (
        json_buffers.read(orjson.dumps({"input": [1.5], "axis": [1] * 40_000}), TENSORS, DecodeLimits())
        is None
    )


@pytest.mark.parametrize("name", CALLS | READ_ONLY_CALLS)
def test_without_the_accelerator_every_case_reads_the_same(name):
    body, call = (CALLS | READ_ONLY_CALLS)[name]
    with without_simdjson():
        assert_same(JSON.decode_call(body, TENSORS), call)


def test_package_imports_without_the_accelerator():
    program = (
        "import sys; sys.modules['simdjson'] = None\n"
        "from lossd.wire import CODECS\n"
        "call = CODECS['application/json'].decode_call(b'{\"input\": [[1.5, 2]]}', frozenset({'input'}))\n"
        "print(call.arrays)"
    )
    where = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=where, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "{'input': array([[1.5, 2. ]])}"


def test_threads_decode_side_by_side():
    def decode(seed):
        rng = np.random.default_rng(seed)
        values = rng.normal(size=(int(rng.integers(1, 200)), 3))
        target = [1, [2]] if seed % 7 == 0 else [1, 2]
        body = LONG + orjson.dumps({"input": values.tolist(), "target": target})
        if seed % 7 == 0:  # an error among the others must not corrupt their parser
            with pytest.raises(LossdError):
                JSON.decode_call(body, TENSORS)
        else:
            assert_same(JSON.decode_call(body, TENSORS).arrays, {"input": values, "target": np.array([1, 2])})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(decode, range(400)))
