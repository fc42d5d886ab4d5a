"""Long strings and keys in JSON are refused before a parser builds them, and the data of arrays never is."""

from __future__ import annotations

import base64
import json
from unittest.mock import patch

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossd.errors import BodyTooLarge, InvalidCall, LossdError, MalformedBody
from lossd.wire.batch import ArrayNames
from lossd.wire.codec import LONGEST_KEY, LONGEST_STRING
from lossd.wire.json import codec as JSON
from lossd.wire.json import document, long_strings
from lossd.wire.json.batch import decode_batch
from lossd.wire.json.long_strings import check_long_strings
from lossd.wire.json.tensors import as_tensors
from lossd.wire.option import MOST_VALUES, checked_option
from lossd.wire.pieces import PIECE_BYTES

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
    check_long_strings(json.dumps({"a" * LONGEST_KEY: 1, "b": LONG}).encode())


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
            check_long_strings(body)
    else:
        check_long_strings(body)


def test_what_the_codec_writes_passes():
    check_long_strings(b"".join(map(bytes, JSON.dumps(as_tensors({"loss": np.arange(60_000.0)})))))


MANY = 1 << 17  # numbers, whose base64 is above a mebibyte
NUMBERS = np.random.default_rng(1).normal(size=MANY)


def tensor_of(array: np.ndarray, data: str | None = None) -> dict[str, object]:
    written = base64.b64encode(array.tobytes()).decode() if data is None else data
    return {"dtype": array.dtype.name, "shape": list(array.shape), "data": written}


@pytest.fixture
def longest_parsed(monkeypatch):
    """The lengths of all texts that orjson parses."""
    lengths, loads = [0], orjson.loads

    def parse(text):
        lengths.append(len(text))
        return loads(text)

    monkeypatch.setattr("orjson.loads", parse)
    return lengths


@pytest.mark.parametrize("count", [MANY, MANY - 1, MANY - 2], ids=["no padding", "two signs", "one sign"])
@pytest.mark.parametrize(
    "written", [bytes, lambda text: text.replace(b"/", rb"\/")], ids=["plain", "escaped"]
)
def test_no_parser_sees_long_data_and_no_digit_is_lost(written, count, longest_parsed):
    array = NUMBERS[:count]
    body = written(json.dumps({"target": 1.5, "input": tensor_of(array), "reduction": "sum"}).encode())
    call = JSON.decode_call(body, ARRAYS)
    assert call.arrays["input"].tobytes() == array.tobytes()
    assert call.options == {"reduction": "sum"}
    assert max(longest_parsed) <= PIECE_BYTES + 2


def test_complex_parts_and_calls_of_a_batch_have_long_data_too(longest_parsed):
    parts = {"real": tensor_of(NUMBERS), "imag": tensor_of(-NUMBERS)}
    call = JSON.decode_call(json.dumps({"input": parts}).encode(), ARRAYS)
    np.testing.assert_array_equal(call.arrays["input"], NUMBERS - 1j * NUMBERS)
    body = json.dumps({"calls": [{"loss": "mse", "input": tensor_of(NUMBERS), "target": 0.0}]}).encode()
    (entry,) = decode_batch(body, ArrayNames(lambda _: ARRAYS, ARRAYS))
    np.testing.assert_array_equal(entry.call.arrays["input"], NUMBERS)
    assert max(longest_parsed) <= PIECE_BYTES + 2


@pytest.mark.parametrize(
    ("spoil", "got"),
    [
        (lambda data: data[:-1] + "!", "a wrong character or padding"),
        (lambda data: data[: 1 << 19] + "==" + data[(1 << 19) + 2 :], "a wrong character or padding"),
        (lambda data: data[: PIECE_BYTES - 1] + "=" + data[PIECE_BYTES:], "a wrong character or padding"),
        (lambda data: data[:-1], "a wrong character or padding"),
        (lambda data: data[:-4] + "AB==", "its last characters AB=="),
        (lambda data: data + "AAAA", f"{8 * MANY + 5} bytes"),
    ],
)
def test_long_data_that_is_no_base64_is_refused_as_short_data_is(spoil, got):
    long = tensor_of(NUMBERS, spoil(base64.b64encode(NUMBERS.tobytes() + b"\0\0").decode()))
    with pytest.raises(InvalidCall) as caught:
        JSON.decode_call(json.dumps({"input": long}).encode(), ARRAYS)
    (error,) = caught.value.errors
    assert (error.at, error.got) == ("input.data", got)


BAD_STRINGS = {
    "an escape": (r"\q", "invalid escaped sequence"),
    "a short escape": (r"\u00g0", "invalid escaped sequence"),
    "a control character": ("\x01", "control character"),
    "a new line": ("\n", "control character"),
}


@pytest.mark.parametrize("at", [0, 1000, PIECE_BYTES - 1, PIECE_BYTES, 3 * PIECE_BYTES])
@pytest.mark.parametrize(("wrong", "got"), BAD_STRINGS.values(), ids=BAD_STRINGS)
@pytest.mark.parametrize("read", [True, False], ids=["an array", "ignored"])
def test_long_data_that_is_no_string_of_json_is_refused_whoever_reads_it(wrong, got, at, read):
    data = tensor_of(NUMBERS)["data"]
    holder = {**tensor_of(NUMBERS), "data": data[:at] + "#" + data[at:]}
    body = json.dumps({"input": holder} if read else {"other": {"x": holder}}).encode()
    place = body.index(b"#")
    with pytest.raises(MalformedBody) as caught:
        JSON.decode_call(body.replace(b"#", wrong.encode()), ARRAYS)
    (error,) = caught.value.errors
    assert got in error.got
    assert 0 <= int(error.at.removeprefix("byte ")) - place <= 6


@pytest.mark.parametrize("at", [0, PIECE_BYTES - 3, PIECE_BYTES - 2, PIECE_BYTES - 1, PIECE_BYTES])
@pytest.mark.parametrize("escape", [r"\\", r"\\\\\\", r"\"", r"\/", r"\n", r"\u0041", r"\\\u0041"])
def test_long_data_may_have_the_escapes_of_json_anywhere(escape, at):
    data = tensor_of(NUMBERS)["data"]
    text = f'{{"input":1,"other":{{"data":"{data[:at]}{escape}{data[at:]}"}}}}'.encode()
    with pytest.raises(MalformedBody, match="characters in an option"):  # and no error of syntax
        JSON.decode_call(text, ARRAYS)


def test_an_array_under_the_name_of_another_loss_is_an_option_of_so_many_values():
    def entry(size):
        body = json.dumps({"calls": [{"loss": "mse", "input": 1, "target": 1, "anchor": [1.5] * size}]})
        return decode_batch(body.encode(), ArrayNames(lambda _: ARRAYS, ARRAYS | {"anchor"}))[0]

    assert entry(MOST_VALUES).call.options["anchor"] == [1.5] * MOST_VALUES
    assert f"an option of at most {MOST_VALUES} values" in str(entry(MOST_VALUES + 1).call)


def test_long_data_in_an_option_has_the_limit_of_options():
    body = json.dumps({"reduction": tensor_of(NUMBERS), "input": 1.0}).encode()
    with pytest.raises(MalformedBody, match=f"at most {LONGEST_STRING} characters in an option"):
        JSON.decode_call(body, ARRAYS)


def test_an_error_behind_long_data_has_its_place_in_the_whole_text():
    text = json.dumps({"input": tensor_of(NUMBERS), "target": 1})
    with pytest.raises(MalformedBody, match=f"line 1, column {len(text) - 1}"):
        JSON.decode_call((text[:-2] + "x}").encode(), ARRAYS)


def test_data_outside_an_array_is_refused_without_being_parsed(longest_parsed):
    data = tensor_of(NUMBERS)["data"]
    for wrong, error in (
        (
            {"input": {"shape": [MANY], "data": data}},
            "an object with dtype, shape and data, got data, shape - at `input`",
        ),
        ({"input": [1, {"data": data}]}, "got one of .* - at `byte 23`"),
        ({"data": data, "input": 1.0}, "characters in an option"),
    ):
        with pytest.raises(LossdError, match=error):
            JSON.decode_call(json.dumps(wrong).encode(), ARRAYS)
    assert max(longest_parsed) <= PIECE_BYTES + 2


@given(
    members=st.lists(
        st.sampled_from([b"A" * 20, b"A" * 44, b"", "é\u20ac".encode()]), min_size=1, max_size=5
    ),
    space=st.sampled_from([b"", b" ", b"\n", b"\n\n  "]),
    at=st.floats(0, 1),
    wrong=st.sampled_from([b"x", b"]", b"}", b",", b"\n,", b'"', "é".encode(), b"\xff", b"NaN"]),
)
def test_an_error_beside_long_data_has_the_place_that_it_has_without(members, space, at, wrong):
    tensors = b",".join(
        b'%s"a%d":%s{"dtype":"int8","shape":[15],"data":%s"%s"}' % (space, number, space, space, data)
        for number, data in enumerate(members)
    )
    text = b"{%s%s}" % (tensors, space)
    spots = [spot for spot in range(1, len(text)) if b"A" not in text[spot - 1 : spot + 1]]
    spot = spots[int(at * (len(spots) - 1))]
    body = text[:spot] + wrong + text[spot:]

    def outcome(long):
        with (
            patch.multiple(long_strings, LONGEST_STRING=16, LONGEST_KEY=16),
            patch.object(document, "_LONG", long),
        ):
            try:
                return JSON.decode_call(body, frozenset({"a0", "a1", "a2", "a3", "a4"})).arrays.keys()
            except LossdError as error:
                return type(error), str(error)

    assert outcome(0) == outcome(1 << 19)
