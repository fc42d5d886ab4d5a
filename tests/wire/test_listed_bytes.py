"""Lists are counted before they are read, and long ones are read in pieces as they would be whole."""

from __future__ import annotations

import json
from unittest.mock import patch

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossd.errors import BodyTooLarge, LossdError, MalformedBody, Overloaded
from lossd.message import Call
from lossd.wire import CODECS, DecodeLimits
from lossd.wire.growing_array import GrowingArray
from lossd.wire.json.parsed_size import parsed_size, refuse_long_gaps
from lossd.wire.msgpack import lists
from tests.wire.json_cases import TENSORS
from tests.wire.sameness import assert_same

JSON, MESSAGEPACK = CODECS["application/json"], CODECS["application/vnd.msgpack"]
MANY = 1 << 17


@pytest.mark.parametrize("codec", [JSON, MESSAGEPACK])
@pytest.mark.parametrize(
    ("item", "bytes_of_each"), [(1, 8), ([1], 8), (1.5, 8)], ids=["numbers", "rows", "floats"]
)
def test_a_list_takes_eight_bytes_for_each_number(codec, item, bytes_of_each):
    document = {"input": [item] * MANY, "target": 1}
    body = (
        json.dumps(document, indent=4).encode() if codec is JSON else msgspec.msgpack.encode(document)
    )  # spaces, for JSON of half a MiB is read at once
    enough = DecodeLimits(max_listed_bytes=bytes_of_each * MANY)
    assert codec.decode_call(body, TENSORS, enough).arrays["input"].size == MANY
    with pytest.raises(BodyTooLarge, match="send large arrays as bytes"):
        codec.decode_call(body, TENSORS, DecodeLimits(max_listed_bytes=bytes_of_each * MANY - 1))


def test_what_lists_take_beyond_their_text_is_reserved_before_they_are_read():
    body = msgspec.msgpack.encode({"input": [1] * MANY})
    reserved: list[int] = []
    MESSAGEPACK.decode_call(body, TENSORS, DecodeLimits(reserve=reserved.append))
    assert reserved == [8 * MANY - (MANY + 5)]  # a byte for each number, and the header of the list

    def refuse(size: int) -> None:
        raise Overloaded("full")

    for codec, text in ((MESSAGEPACK, body), (JSON, b'{"input":[%s"NaN"]}' % (b"1.5," * MANY * 2))):
        with pytest.raises(Overloaded):
            codec.decode_call(text, TENSORS, DecodeLimits(reserve=refuse))


@pytest.mark.parametrize(
    "text",
    [
        b'{"input":[%s"NaN"]}' % (b"1.5," * 300_000),
        b'{"axis":[%s1]}' % (b"1," * 300_000),
        b'{"input":[%s[1]]}' % (b"[1,2]," * 150_000),
        b'{"input":["NaN"%s]}' % (b',"NaN"' * 150_000),
    ],
    ids=["numbers and a string", "an option", "ragged", "strings"],
)
def test_what_is_parsed_as_objects_is_counted_as_such(text):
    size = parsed_size(text)
    assert size > 40 * text.count(b",")
    with pytest.raises(BodyTooLarge, match="send large arrays as bytes"):
        JSON.decode_call(text, TENSORS, DecodeLimits(max_listed_bytes=size - 1))


def test_strings_of_wide_characters_count_four_times():
    narrow, wide, escaped = (
        b"[%s1]" % (b'"%s%s",' % (b"a" * 4000, end) * 200)
        for end in (b"a", "\N{GRINNING FACE}".encode(), rb"\ud83d\ude00")
    )
    assert parsed_size(wide) > 3.9 * len(wide)
    assert parsed_size(escaped) > 3.9 * len(escaped)
    assert parsed_size(narrow) < 1.1 * len(narrow)


def test_a_body_that_is_too_large_and_no_json_is_told_where_it_is_not():
    body = b'{"input":[%sNaN]}' % (b"1.5," * 300_000)
    enough = 8 * 300_001  # for numbers alone
    with pytest.raises(MalformedBody, match=r"the bare token NaN - at `line 1, column 1200011`"):
        JSON.decode_call(body, TENSORS, DecodeLimits(max_listed_bytes=enough))


LONG = 600_000


SPACE = b" " * 5_000_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            b'{"input":[1.' + b"1" * LONG + b"]}", "a number of at most 262144 bytes", id="a number"
        ),
        pytest.param(
            b'{"input":' + SPACE + b"[1]}", "white space of at most 4194304 bytes", id="white space"
        ),
        pytest.param(
            b'{"data":"a","input":[1' + SPACE + b"]}", "white space of at most 4194304", id="behind data"
        ),
    ],
)
def test_a_text_without_a_comma_for_long_is_refused(text, expected):
    with pytest.raises(BodyTooLarge, match=f"expected {expected}"):
        JSON.decode_call(text, TENSORS)
    refuse_long_gaps(b"[" + b"1" * 262_000 + b"," + b"1" * 262_000 + b"]", [])
    refuse_long_gaps(b"[1" + b" " * 4_000_000 + b"]", [])


def test_base64_may_be_as_long_as_it_is():
    array = np.arange(MANY, dtype=np.float64)
    body = b"".join(JSON.encode_call(Call({"input": array}, {"encoding": "base64"})))
    assert len(body) > LONG
    np.testing.assert_array_equal(JSON.decode_call(body, TENSORS).arrays["input"], array)


NUMBERS = st.one_of(
    st.booleans(),
    st.integers(-5, 5),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    st.sampled_from(["NaN", "-Infinity", "x", "a" * 300, None, [], [1]]),
)
ROWS = st.integers(1, 4).flatmap(
    lambda columns: st.lists(st.lists(NUMBERS, min_size=columns, max_size=columns), min_size=1, max_size=8)
)
VALUES = st.one_of(
    st.lists(NUMBERS, max_size=12),
    st.lists(st.integers(-2, 2), max_size=12),
    st.lists(st.integers(2**63 - 2, 2**63 + 2), max_size=12),
    ROWS,
    st.lists(ROWS, max_size=3),
    st.lists(st.one_of(ROWS, NUMBERS), max_size=4),
)


def outcome(body: bytes) -> Call | tuple[type, str]:
    try:
        return MESSAGEPACK.decode_call(body, TENSORS)
    except LossdError as error:
        return type(error), str(error)


@given(value=VALUES, piece=st.integers(1, 5))
def test_a_list_of_messagepack_in_pieces_reads_as_a_whole_one(value, piece):
    body = msgspec.msgpack.encode({"input": value, "target": 1})
    whole = outcome(body)
    with patch.object(lists, "PIECE_ITEMS", piece):
        found = outcome(body)
    if isinstance(whole, Call) or isinstance(found, Call):
        assert_same(found, whole)
    else:
        assert found[0] is whole[0]  # of two mistakes, the one in an earlier piece may come first


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ([[1, 2], [3, "x"], [5, 6]], "input[1][1]"),
        ([[1, 2], [3], [5, 6]], "input[1]"),
        ([[[1, 2], [3, 4]], [[5, 6], 7]], "input[1][1]"),
        ([[[1, 2], [3, 4]], 7], "input[1]"),
        ([True, False, True, 1], "input[3]"),
        ([1, 2, 3, True], "input[3]"),
        ([1, 2, 3, "a" * 70_000, 5], "input[3]"),
        ([1, 2, 3, None, 5], "input[3]"),
    ],
    ids=str,
)
def test_a_mistake_in_a_piece_has_the_error_that_it_has_in_the_whole(value, place):
    body = msgspec.msgpack.encode({"input": value})
    whole = outcome(body)
    assert isinstance(whole, tuple)
    assert whole[1].endswith(f"`{place}`")
    for piece in range(1, 6):
        with patch.object(lists, "PIECE_ITEMS", piece):
            assert outcome(body) == whole


@given(pieces=st.lists(st.lists(st.integers(-(2**63), 2**64 - 1) | st.floats(), min_size=1), min_size=1))
def test_an_array_that_grows_has_the_type_of_all_its_numbers(pieces):
    items = [item for piece in pieces for item in piece]
    expected = JSON.decode_call(_written(items), TENSORS).arrays["input"]
    array = GrowingArray(len(items) + 1)
    for piece in pieces:
        array.add(JSON.decode_call(_written(piece), TENSORS).arrays["input"])
    assert array.size == len(items)
    np.testing.assert_array_equal(array.whole(), expected, strict=True)


def _written(items: list[float]) -> bytes:
    return b"".join(JSON.encode_call(Call({}, {"input": items})))
