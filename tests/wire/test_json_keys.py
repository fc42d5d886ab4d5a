"""Keys of JSON objects are counted before the body is parsed, and compared however the text spells them."""

from __future__ import annotations

import json
from unittest.mock import patch

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossd.errors import MalformedBody
from lossd.wire import CODECS
from lossd.wire.json import escapes
from lossd.wire.json.keys import MOST_KEYS, count_colons, refuse_repeated_keys
from tests.wire.json_cases import TENSORS

JSON = CODECS["application/json"]


class _Pairs(list):
    """The pairs of an object, whose keys may repeat."""


text = st.text(st.sampled_from('ab":{}[],\\ \n'), max_size=6)
values = st.recursive(
    st.integers(0, 9) | text,
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(text, inner), max_size=3).map(_Pairs),
    max_leaves=12,
)


def _written(value):
    if type(value) is _Pairs:
        pairs = " , ".join(f"{json.dumps(key)} : {_written(item)}" for key, item in value)
        return f"{{{pairs}}}"
    if type(value) is list:
        return f"[{', '.join(map(_written, value))}]"
    return json.dumps(value)


def _repeats(value):
    if type(value) is _Pairs:
        keys = [key for key, _ in value]
        return len(set(keys)) < len(keys) or any(_repeats(item) for _, item in value)
    return type(value) is list and any(map(_repeats, value))


@given(pairs=st.lists(st.tuples(text, values), max_size=4).map(_Pairs), size=st.integers(2, 40))
def test_repeated_keys_are_refused_and_no_others(pairs, size):
    body = _written(pairs).encode()
    document = orjson.loads(body)
    with patch.object(escapes, "PIECE_BYTES", size):
        if _repeats(pairs):
            with pytest.raises(MalformedBody, match="each key once in an object"):
                refuse_repeated_keys(body, body.count(b":"), document)
        else:
            refuse_repeated_keys(body, body.count(b":"), document)


@pytest.mark.parametrize("value", [b"1", b'"s"', b"true", b"null", b"[1]", b'{"z":1}'])
def test_a_key_that_repeats_where_a_long_text_is_cut_is_refused(value):
    body = b'{"a":{"x":%s,"y":[%s1]},"a":{"x":%s}}' % (value, b"1," * 40_000, value)
    with pytest.raises(MalformedBody, match='each key once in an object, got "a" again'):
        JSON.decode_call(body, TENSORS)


def test_the_place_of_a_repeated_key_is_where_it_stands_again():
    body = b'{"a": "\\\\", "b": {"c": "\\":"}, "b" : 1}'
    place = body.rindex(b'"b"')
    with pytest.raises(MalformedBody, match=f"at `byte {place}`"):
        refuse_repeated_keys(body, body.count(b":"), orjson.loads(body))


@pytest.mark.parametrize("junk", [b'{"a":1},', b'{"a":{}},'])
@pytest.mark.parametrize("start", [b'{"input":[', b'{"axis":['])
def test_many_keys_are_refused_before_any_is_read(monkeypatch, start, junk):
    def parse(*_):
        raise AssertionError("the body was parsed")

    monkeypatch.setattr("lossd.wire.json.document.orjson.loads", parse)
    monkeypatch.setattr("lossd.wire.json.document.buffers.read", parse)
    with pytest.raises(MalformedBody, match="at most 65536 keys in a body, got more"):
        JSON.decode_call(start + junk * (MOST_KEYS + 1) + b"1]}", TENSORS)


def test_as_many_keys_as_are_allowed_are_read():
    text = b"{" + b",".join(b'"%d":1' % index for index in range(MOST_KEYS)) + b"}"
    assert count_colons(text) == MOST_KEYS


def test_objects_that_would_have_to_be_compared_are_not_many():
    body = b'{"a": ":", "b": [%s{}]}' % (b"{}, " * 2 * MOST_KEYS)
    with pytest.raises(MalformedBody, match="at most 65536 objects in a body, got more"):
        refuse_repeated_keys(body, 3, orjson.loads(body))
