"""Long strings and keys in JSON are refused before a parser builds them, and the data of arrays never is."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossd.errors import BodyTooLarge, MalformedBody
from lossd.wire.codec import LONGEST_KEY, LONGEST_STRING
from lossd.wire.json import codec as JSON
from lossd.wire.json.long_strings import refuse_long_strings
from lossd.wire.json.tensors import as_tensors
from lossd.wire.option import checked_option

ARRAYS = frozenset(("input", "target"))
WIDE = "\N{GRINNING FACE}"
LONG = "a" * LONGEST_STRING
TOO_LONG = {
    "a key": ({LONG + WIDE: 1}, 1),
    "a key of few bytes": ({"a" * (LONGEST_KEY + 1): 1}, 1),
    "an option": ({"reduction": LONG + WIDE}, 13),
    "an array": ({"input": LONG + WIDE}, 9),
    "a number": ({"input": [1, LONG + WIDE]}, 12),
    "an entry of a batch": ({"calls": [{"loss": LONG + WIDE}]}, 18),
    "data that is no base64": ({"input": {"data": LONG + WIDE}}, 17),
    "a string of quotes": ({"reduction": '"' * LONGEST_STRING + WIDE}, 13),
    "a string of backslashes": ({"reduction": "\\" * LONGEST_STRING + WIDE}, 13),
    "a string behind many others": ({"input": ["NaN"] * 50_000 + [LONG + WIDE]}, None),
}


@pytest.mark.parametrize("ensure_ascii", [False, True])
@pytest.mark.parametrize(("document", "place"), TOO_LONG.values(), ids=TOO_LONG)
def test_a_long_string_is_refused_at_its_place(document, place, ensure_ascii):
    body = json.dumps(document, ensure_ascii=ensure_ascii, separators=(",", ":")).encode()
    at = "" if place is None else f" - at `byte {place}`"
    with pytest.raises(BodyTooLarge, match=f"got one of [0-9]+.*{at}$") as caught:
        JSON.decode_call(body, ARRAYS)
    assert len(str(caught.value)) < 200


def test_no_parser_sees_a_long_string(monkeypatch):
    def parse(*_):
        raise AssertionError("the body was parsed")

    monkeypatch.setattr("orjson.loads", parse)
    with pytest.raises(BodyTooLarge):
        JSON.decode_call(json.dumps({LONG: 1}).encode(), ARRAYS)


@pytest.mark.parametrize(
    "written",
    [
        lambda text: text,
        lambda text: text.replace(b"/", rb"\/"),
        lambda text: text.replace(b"/", rb"\u002F").replace(b"+", rb"\u002b"),
        lambda text: text.replace(b'"data":', b'"data"' + b" \n" * 300 + b":" + b"\t" * 300),
    ],
)
def test_the_base64_data_of_an_array_may_be_long(written):
    array = np.random.default_rng(0).normal(size=30_000)
    data = base64.b64encode(array.tobytes()).decode()
    tensor = {"dtype": "float64", "shape": [30_000], "data": data}
    body = written(json.dumps({"input": tensor, "target": array.tolist()}).encode())
    call = JSON.decode_call(body, ARRAYS)
    np.testing.assert_array_equal(call.arrays["input"], call.arrays["target"])


def test_an_option_named_data_has_the_limit_of_options():
    for name, value in (("data", LONG + "a"), ("reduction", {"data": LONG + "a"})):
        with pytest.raises(MalformedBody, match=f"at most {LONGEST_STRING} characters in an option"):
            checked_option(value, name, 8)
    with pytest.raises(MalformedBody, match=f"at most {LONGEST_STRING} characters in an option"):
        JSON.decode_call(json.dumps({"data": LONG + "a"}).encode(), ARRAYS)


def test_strings_of_the_limit_pass():
    refuse_long_strings(json.dumps({"a" * LONGEST_KEY: 1, "b": LONG}).encode())


texts = st.sampled_from(["", "a", '"', "\\", '\\"', ":", "a:", WIDE, '",', "\\" * 3]).flatmap(
    lambda unit: st.sampled_from([0, 1, 7, 5_000, 70_000]).map(lambda count: unit * count)
)
values = st.recursive(
    texts | st.just(1) | st.just([1.25] * 20_000) | st.just(["NaN"] * 3_000),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


def _has_long(value, written):
    if isinstance(value, str):
        return written(value) > LONGEST_STRING
    if isinstance(value, dict):
        return any(written(key) > LONGEST_KEY or _has_long(item, written) for key, item in value.items())
    return isinstance(value, list) and any(_has_long(item, written) for item in value)


@given(document=st.dictionaries(texts, values, max_size=3), ensure_ascii=st.booleans(), wide=st.booleans())
def test_long_strings_are_refused_and_no_others(document, ensure_ascii, wide):
    def written(value):
        return len(json.dumps(value, ensure_ascii=ensure_ascii).encode()) - 2

    separators = (" , ", " : ") if wide else (",", ":")
    body = json.dumps(document, ensure_ascii=ensure_ascii, separators=separators).encode()
    if _has_long(document, written):
        with pytest.raises(BodyTooLarge):
            refuse_long_strings(body)
    else:
        refuse_long_strings(body)


def test_what_the_codec_writes_passes():
    refuse_long_strings(b"".join(map(bytes, JSON.dumps(as_tensors({"loss": np.arange(60_000.0)})))))
