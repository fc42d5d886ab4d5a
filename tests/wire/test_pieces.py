"""A body that is read or written in pieces is the same as one that is read or written whole, wherever it is cut."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lossd.errors import LossdError
from lossd.message import Answer, Call
from lossd.wire import CODECS, DecodeLimits, numbers, pieces
from lossd.wire.json import codec, document, escapes, long_lists, long_text
from lossd.wire.json import text as json_text
from lossd.wire.pieces import PIECE_BYTES
from lossd.wire.tensor import DTYPES
from tests.wire.json_cases import CALLS, READ_ONLY_CALLS, TENSORS
from tests.wire.sameness import assert_same
from tests.wire.test_json_buffers import DOCUMENTS, accelerated

JSON = CODECS["application/json"]


@contextmanager
def written_in_pieces_of(count: int) -> Iterator[None]:
    """Write arrays of more numbers in pieces."""
    with (
        patch.object(json_text, "PIECE_BYTES", 8 * count),
        patch.object(json_text, "_BASE64_BYTES", 3 * count),
    ):
        yield


ARRAYS = hnp.arrays(
    st.sampled_from([*DTYPES.values(), np.dtype(">f4"), np.dtype(">i8")]).filter(
        lambda d: d.name != "bfloat16"
    ),
    hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
)


@given(
    array=ARRAYS,
    count=st.integers(1, 9),
    encoding=st.sampled_from(["list", "base64"]),
    order=st.sampled_from("CF"),
)
def test_an_answer_in_pieces_has_the_bytes_of_a_whole_one(array, count, encoding, order):
    array = np.asarray(array, order=order)
    answer = Answer(
        {"mean": np.array(0.5)},
        3,
        1.0,
        {"mean": {"input": array, "target": array[..., :1] if array.ndim else array}},
        warnings=("\0",),
    )
    call = Call({"input": array, "weight": array}, {"encoding": encoding, "label": "\0"})
    with np.errstate(all="ignore"):
        whole = b"".join(JSON.encode_answer(answer, call)), b"".join(JSON.encode_call(call))
        with written_in_pieces_of(count):
            assert (b"".join(JSON.encode_answer(answer, call)), b"".join(JSON.encode_call(call))) == whole


@contextmanager
def read_in_pieces_of(size: int) -> Iterator[None]:
    """Read bodies of any size as if they were large."""
    with (
        patch.object(pieces, "PIECE_ITEMS", max(size, 1)),
        patch.object(numbers, "PIECE_ITEMS", max(size, 1)),
        patch.object(codec, "PIECE_BYTES", 0),
        patch.object(document, "_LONG", 0),
        patch.object(document, "_SHORT", 0),
        patch.object(long_text, "PIECE_BYTES", max(size, 1)),
        patch.object(escapes, "PIECE_BYTES", max(size, 2)),
        patch.object(long_lists, "_WORTH_TAKING", 0),
        patch.object(long_lists, "PIECE_BYTES", size),
    ):
        yield


def outcome(body: bytes) -> Call | tuple[type, str]:
    try:
        return JSON.decode_call(body, TENSORS, DecodeLimits(max_depth=4))
    except LossdError as error:
        return type(error), str(error)


@given(body=DOCUMENTS, size=st.integers(0, 30))
@example(body=b'{"input": 0, "input": [[[0, 0]]], "input": []}', size=20)
@example(body=b'{"a": {"b": {"c": 1, "d": 2}}, "a": {}}', size=20)
@example(body=b'{"a": {"b": {"c": 1, "d": 2}}, "a": {"x": {}}}', size=20)
def test_a_body_in_pieces_reads_as_a_whole_one(body, size):
    whole = outcome(body)
    with read_in_pieces_of(size):
        assert_same(outcome(body), whole)


@pytest.mark.parametrize("body", [body for body, _ in [*CALLS.values(), *READ_ONLY_CALLS.values()]])
def test_every_golden_body_reads_the_same_in_pieces(body):
    whole = outcome(body)
    for size in range(12):
        with read_in_pieces_of(size):
            assert_same(outcome(body), whole)


LISTS = {
    "a comma at the end": "[[1, 2], [3, 4],]",
    "a comma at the end of a row": "[[1, 2,], [3, 4]]",
    "two commas": "[[1, 2],, [3, 4]]",
    "a row that is shorter": "[[1, 2], [3], [5, 6]]",
    "a row that is longer": "[[1, 2], [3, 4, 5], [5, 6]]",
    "a row of nothing": "[[1, 2], [], [5, 6]]",
    "rows of nothing": "[[], [], []]",
    "a number for a row": "[[1, 2], 3, [5, 6]]",
    "a row for a number": "[[1, 2], [3, [4]], [5, 6]]",
    "two lists": "[[1, 2]], [[3, 4]]",
    "too few brackets": "[[1, 2], [3, 4]",
    "too many brackets": "[[1, 2], [3, 4]]]",
    "brackets of another kind": "[[1, 2}, {3, 4]]",
    "an object at the end": "[[1, 2], {}]",
    "a boolean": "[[1, 2], [3, true]]",
    "null": "[[1, 2], [3, null]]",
    "an integer that is too long": "[[1, 2], [3, 100000000000000000000]]",
    "integers that are not negative": "[[1, 2], [3, 18446744073709551615]]",
    "integers of every size": "[[-1, 2], [3, 18446744073709551615]]",
    "a number of another kind at the end": "[[-1, 2], [3, 9007199254740993], [18446744073709551615, 1.5]]",
    "blocks": "[[[1, 2], [3, 4]], [[5, 6], [7, 8]], [[9, 10], [11, 12]]]",
    "blocks of which one is shorter": "[[[1, 2], [3, 4]], [[5, 6]], [[9, 10], [11, 12]]]",
    "blocks of one": "[[[1], [2]], [[3], [4]]]",
    "white space": "[ [1 , 2 ]\n,\t[3, 4 ] ]  ",
    "a bare word": "[[1, 2], [NaN, 4]]",
    "a line that is wrong": "[[1, 2],\n[3, x]]",
    "numbers that are strings": '[[1, "NaN"], ["-Infinity", 4]]',
    "strings with brackets": '[[1, "]"], ["[", 4], [5, "\\"], "]]]]]", "\\\\", ",,,,"]',
    "text that is not UTF-8": "[[1, 2], [3, \xff]]",
}


@pytest.mark.parametrize("value", LISTS.values(), ids=LISTS)
@pytest.mark.parametrize(
    "form", ['{"input": %s}', '{"axis": 1, "input": %s, "a": [1]}', '{"input": {"real": %s, "imag": %s}}']
)
def test_a_list_in_pieces_reads_as_a_whole_one(value, form):
    body = form.replace("%s", value).encode("latin-1")
    whole = outcome(body)
    for size in range(len(value)):
        with read_in_pieces_of(size):
            assert_same(outcome(body), whole)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 10**25)
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["\\", '"', ",", "]}", "[{"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=20,
)


def parsed(loads, text: bytes):
    try:
        return repr(loads(text))
    except orjson.JSONDecodeError as error:
        if long_text.first_undecodable(text):  # of which the caller is told, whatever else is wrong
            return "not UTF-8"
        return error.msg, error.lineno, error.colno


@given(
    value=JSON_VALUES,
    indent=st.sampled_from([None, 0, 1]),
    ascii_only=st.booleans(),
    size=st.integers(1, 30),
    at=st.integers(0, 200),
    wrong=st.sampled_from(
        [
            b"",
            b",",
            b"]",
            b"}",
            b"[",
            b"{",
            b'"',
            b"\\",
            b":",
            b"x",
            b"\n",
            b"\x01",
            b"\xff",
            b"1",
            b" ",
            b'"":1,',
            b"[,",
            b"nul",
        ]
    ),
    cut_off=st.sampled_from([0, 0, 0, 1, 3]),
)
def test_a_text_in_pieces_is_parsed_as_a_whole_one(value, indent, ascii_only, size, at, wrong, cut_off):
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    text = text[:at] + wrong + text[at : len(text) - cut_off]
    with patch.object(long_text, "PIECE_BYTES", size), patch.object(escapes, "PIECE_BYTES", max(size, 2)):
        assert parsed(lambda each: long_text.loads(each)[0], text) == parsed(orjson.loads, text)


def test_a_text_without_a_place_to_cut_is_looked_at_once(monkeypatch):
    seen = []
    find = long_text.without_escapes
    monkeypatch.setattr(long_text, "without_escapes", lambda text, at: seen.append(at) or find(text, at))
    text = b'{"a":[' + b'","' * 1_000_000 + b"]}"
    with pytest.raises(orjson.JSONDecodeError, match="column 10"):
        long_text.loads(text)
    assert len(seen) <= len(text) // PIECE_BYTES + 1


def test_what_was_read_is_freed_some_items_at_a_time():
    lists = [[[1.5, 2], []], 3, [[[4]], "a"] * 3]
    inner = lists[0]
    with patch.object(pieces, "PIECE_ITEMS", 2):
        pieces.discard(lists)
    assert (lists, inner) == ([], [])


@given(
    text=st.text(max_size=20).map(str.encode),
    at=st.integers(0, 40),
    wrong=st.binary(max_size=6),
    size=st.integers(1, 9),
)
def test_the_first_byte_that_is_not_utf_8_is_found_in_pieces(text, at, wrong, size):
    text = text[:at] + wrong + text[at:]
    try:
        text.decode()
        expected = None
    except UnicodeDecodeError as error:
        expected = error.start, error.reason
    with patch.object(long_text, "PIECE_BYTES", size):
        found = long_text.first_undecodable(text)
    assert found == expected


@accelerated
@pytest.mark.parametrize(
    "shape", [(60_000,), (1, 60_000), (2, 30_000), (30_000, 2), (20, 30, 100), (1, 1, 60_000)]
)
def test_long_lists_are_read_in_pieces(shape):
    expected = np.random.default_rng(0).standard_normal(shape)
    body = b'{"weight": 1, "input": %s, "target": [1]}' % str(expected.tolist()).encode()
    read = long_lists.read(
        body, document.orjson.loads, lambda found: [(found, TENSORS)], DecodeLimits(max_depth=4)
    )
    assert read is not None
    assert_same(read["input"], expected)
    assert read["target"] == [1]


def test_a_large_answer_is_written_in_pieces():
    array = np.random.default_rng(0).standard_normal((300, 1000))
    for encoding in ("list", "base64"):
        parts = JSON.encode_answer(
            Answer({}, 1, 1.0, {"mean": {"input": array}}), Call({}, {"encoding": encoding})
        )
        assert len(parts) > 5
        assert max(map(len, parts)) < 1 << 20
