"""Every bad body is refused with the right kind of error, and the error names the place."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from lossd.errors import BodyTooLarge, InvalidCall, MalformedBody
from lossd.wire import CODECS, Codec, DecodeLimits
from tests.wire.json_cases import TENSORS

JSON: Codec = CODECS["application/json"]

# body -> the place of the first error, and a part of its message
NOT_JSON = {
    "empty": (b"", "", "an empty body"),
    "blank": (b" \n ", "line 1, column 1", "expected JSON"),
    "an array": (b"[1]", "", "expected a JSON object, got a list"),
    "a number": (b"1", "", "got a number"),
    "null": (b"null", "", "got null"),
    "a string": (b'"x"', "", "got a string"),
    "a boolean": (b"true", "", "got a boolean"),
    "cut off": (b'{"input": [1, 2', "line 1, column 16", "unexpected end"),
    "trailing text": (b'{"input": [1]} x', "line 1, column 16", "unexpected content"),
    "two objects": (b"{}{}", "line 1, column 3", "unexpected content"),
    "a trailing comma": (b'{"input": [1,]}', "line 1, column 13", "trailing comma"),
    "a leading zero": (b'{"input": [01]}', "line 1, column 12", "leading zero"),
    "single quotes": (b"{'input': [1]}", "line 1, column 2", "expected JSON"),
    "a lone surrogate": (b'{"input": "\\ud800"}', "line 1, column 12", "surrogate"),
    "a control character": (b'{"a": "\n"}', "line 1, column 8", "control character"),
    "NaN": (b'{"input": [1,\n NaN]}', "line 2, column 2", 'the strings "NaN"'),
    "nan": (b'{"input": [nan]}', "line 1, column 12", "the bare token nan"),
    "Infinity": (b'{"delta": Infinity}', "line 1, column 11", "the bare token Infinity"),
    "-Infinity": (b'{"input": [-Infinity]}', "line 1, column 13", "the bare token -Infinity"),
    "NaN behind a letter of two bytes": ('{"é": NaN}'.encode(), "line 1, column 7", "the bare token NaN"),
    "not UTF-8": (b'{"input": [1], "a": "\xff"}', "byte 21", "expected JSON in UTF-8"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "byte 0", "expected JSON in UTF-8"),
    "a byte order mark": (b'\xef\xbb\xbf{"input": [1]}', "byte 0", "byte order mark"),
    "too large for float64": (b'{"input": [1e400]}', "line 1, column 12", "within the range of float64"),
    "too many digits for float64": (b'{"delta": %s}' % (b"9" * 400), "line 1, column 11", "range of float64"),
    "a key twice": (
        b'{"input": [1], "input": [2]}',
        "byte 15",
        'each key once in an object, got "input" again',
    ),
    "an option twice": (b'{"delta": 1, "delta": 1}', "byte 13", "each key once"),
    "a key twice, once escaped": (b'{"delta": 1, "\\u0064elta": 1}', "byte 13", "each key once"),
    "a key twice, behind a backslash": (
        b'{"a": "\\\\", "b": {"c": "\\""}, "b": 1}',
        "byte 30",
        'got "b" again',
    ),
    "a key twice, deeper": (b'{"a": [{"b": {}, "c": 1, "b": 2}]}', "byte 25", "each key once"),
    "a field of a tensor twice": (
        b'{"input": {"dtype": "int8", "shape": [1], "shape": [2], "data": "AQI="}}',
        "byte 42",
        "each key once",
    ),
    "nesting of 10,000": (
        b'{"input": %s1%s}' % (b"[" * 10_000, b"]" * 10_000),
        "line 1, column",
        "1024 levels",
    ),
    "nesting of 1,000": (b'{"input": %s1%s}' % (b"[" * 1_000, b"]" * 1_000), "input", "at most 8 dimensions"),
    "nesting of 9": (b'{"input": %s1%s}' % (b"[" * 9, b"]" * 9), "input", "at most 8 dimensions"),
    "an option nested 1,000 deep": (b'{"axis": %s1%s}' % (b"[" * 1_000, b"]" * 1_000), "axis", "nesting"),
    "an option nested 500 objects deep": (
        b'{"axis": %s1%s}' % (b'{"a":' * 500, b"}" * 500),
        "axis",
        "nesting",
    ),
}

NOT_AN_ARRAY = {
    "null among numbers": (
        b'{"input": [1, null]}',
        "input[1]",
        'expected a number (NaN and Infinity are written as the strings "NaN", "Infinity"), got null',
    ),
    "a boolean among numbers": (b'{"input": [[1, 2], [3, true]]}', "input[1][1]", "got a boolean"),
    "a number among booleans": (
        b'{"mask": [true, 1]}',
        "mask[1]",
        "expected a boolean as at `mask[0]`, got a number",
    ),
    "null among booleans": (b'{"mask": [true, null]}', "mask[1]", "got null"),
    "a string among numbers": (b'{"input": [1, "1.5"]}', "input[1]", 'got the string "1.5"'),
    "a string like NaN": (b'{"input": ["NaN", "nan"]}', "input[1]", 'got the string "nan"'),
    "a long string": (
        b'{"input": [1, "%s"]}' % (b"x" * 10_000),
        "input[1]",
        'got the string "xxxxxxxxxxxxxxxxxxxx..."',
    ),
    "an object among numbers": (b'{"input": [1, {"a": 2}]}', "input[1]", "got an object"),
    "a string for an array": (b'{"input": "abc"}', "input", 'got the string "abc"'),
    "a boolean and the non-finite": (b'{"input": ["NaN", false]}', "input[1]", "got a boolean"),
    "ragged": (
        b'{"target": [[1, 2], [3]]}',
        "target[1]",
        "expected a list of shape [2] as at `target[0]`, got a list of shape [1]",
    ),
    "ragged, longer": (b'{"target": [[1], [2], [3, 4]]}', "target[2]", "got a list of shape [2]"),
    "ragged, of the right number in all": (b'{"target": [[1, 2], [3], [4, 5, 6]]}', "target[1]", "shape [1]"),
    "ragged and deep": (
        b'{"target": [[[1, 2]], [[1], [2]]]}',
        "target[1]",
        "expected a list of shape [1, 2] as at `target[0]`, got a list of shape [2, 1]",
    ),
    "ragged in the last row": (b'{"target": [[[1], [2]], [[3], [4, 5]]]}', "target[1][1]", "`target[0][0]`"),
    "ragged, with nothing": (b'{"target": [[], [1]]}', "target[1]", "expected a list of shape [0]"),
    "a number among lists": (b'{"target": [[1], 2]}', "target[1]", "expected a list of shape [1]"),
    "a list among numbers": (b'{"target": [1, [2]]}', "target[1]", "expected a number as at `target[0]`"),
    "a list among numbers, deep": (
        b'{"target": [[1, 2], [3, [4]]]}',
        "target[1][1]",
        "got a list of shape [1]",
    ),
    "a null among lists": (b'{"target": [[1], null]}', "target[1]", "got null"),
    "an object of no form": (b'{"input": {"a": 1}}', "input", "an object with dtype, shape and data, got a"),
    "an object of nothing": (b'{"input": {}}', "input", "got no fields"),
    "a tensor without data": (b'{"input": {"dtype": "int8", "shape": [1]}}', "input", "got dtype, shape"),
    "a tensor with more": (
        b'{"input": {"dtype": "int8", "shape": [1], "data": "AQ==", "order": "F"}}',
        "input",
        "got data, dtype, order, shape",
    ),
    "complex without imag": (b'{"input": {"real": [1]}}', "input", "an object with real and imag, got real"),
    "complex of two shapes": (
        b'{"input": {"real": [1], "imag": [1, 2]}}',
        "input.imag",
        "shape [1] as at `input.real`",
    ),
    "complex of booleans": (b'{"input": {"real": [true], "imag": [1]}}', "input.real", "got booleans"),
    "complex of complex": (
        b'{"input": {"real": {"real": 1, "imag": 1}, "imag": 1}}',
        "input.real",
        "real numbers",
    ),
    "complex of complex64": (
        b'{"input": {"real": {"dtype": "complex64", "shape": [0], "data": ""}, "imag": []}}',
        "input.real",
        "got complex numbers",
    ),
    "complex with a hole": (b'{"input": {"real": [1], "imag": [[null]]}}', "input.imag[0][0]", "got null"),
}

TENSOR = b'{"input": {"dtype": %s, "shape": %s, "data": %s}}'
NOT_A_TENSOR = {
    "an unknown dtype": (TENSOR % (b'"float8"', b"[1]", b'""'), "input.dtype", 'got "float8"'),
    "a dtype of NumPy's": (TENSOR % (b'"<f4"', b"[1]", b'""'), "input.dtype", "expected one of bool, int8"),
    "object": (TENSOR % (b'"object"', b"[1]", b'""'), "input.dtype", "expected one of"),
    "a dtype that is a number": (TENSOR % (b"4", b"[1]", b'""'), "input.dtype", "got a number"),
    "a shape that is a number": (TENSOR % (b'"int8"', b"1", b'"AQ=="'), "input.shape", "a list of sizes"),
    "a negative size": (
        TENSOR % (b'"int8"', b"[2, -1]", b'"AQ=="'),
        "input.shape[1]",
        "non-negative integer",
    ),
    "a fractional size": (
        TENSOR % (b'"int8"', b"[1.0]", b'"AQ=="'),
        "input.shape[0]",
        "non-negative integer",
    ),
    "a boolean size": (TENSOR % (b'"int8"', b"[true]", b'"AQ=="'), "input.shape[0]", "non-negative integer"),
    "a shape of lists": (TENSOR % (b'"int8"', b"[[1]]", b'"AQ=="'), "input.shape[0]", "non-negative integer"),
    "too many dimensions": (
        TENSOR % (b'"int8"', b"[1,1,1,1,1,1,1,1,1]", b'"AQ=="'),
        "input.shape",
        "at most 8",
    ),
    "too few bytes": (
        TENSOR % (b'"int32"', b"[2]", b'"AQID"'),
        "input.data",
        "8 bytes for shape [2] of int32, got 3",
    ),
    "too many bytes": (
        TENSOR % (b'"int8"', b"[2]", b'"AQID"'),
        "input.data",
        "2 bytes for shape [2] of int8, got 3",
    ),
    "bytes of nothing": (TENSOR % (b'"int8"', b"[0]", b'"AQID"'), "input.data", "0 bytes"),
    "data that is a list": (TENSOR % (b'"int8"', b"[1]", b"[1]"), "input.data", "a base64 string"),
    "data that is not base64": (TENSOR % (b'"int8"', b"[3]", b'"A*ID"'), "input.data", "base64"),
    "the alphabet of URLs": (TENSOR % (b'"int8"', b"[3]", b'"__--"'), "input.data", "standard alphabet"),
    "no padding": (TENSOR % (b'"int8"', b"[1]", b'"AQ"'), "input.data", "padding"),
    **{
        f"base64 that is not canonical: {data}": (
            TENSOR % (b'"int8"', b"[%d]" % size, b'"%s"' % data.encode()),
            "input.data",
            "base64",
        )
        for data, size in {
            "AQ": 1,
            "AQ=": 1,
            "AQI": 2,
            "AQID=": 3,
            "AQ== ": 1,
            "AQ=A": 1,
            "=AQI": 2,
            "AR==": 1,
            "AQJ=": 2,
            "AQI=AQI=": 4,
            "-_-_": 3,
            "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyB=": 32,
            "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHy-_": 33,
        }.items()
    },
    "a line break": (TENSOR % (b'"int8"', b"[3]", b'"AQ\\nID"'), "input.data", "base64"),
    "not ASCII": (TENSOR % (b'"int8"', b"[3]", '"é"'.encode()), "input.data", "base64"),
    "a bool of 2": (TENSOR % (b'"bool"', b"[1]", b'"Ag=="'), "input.data", "bytes 0 and 1"),
}


def assert_refused(body, kind, at, message):
    with pytest.raises(kind) as caught:
        JSON.decode_call(body, TENSORS)
    assert type(caught.value) is kind
    assert caught.value.errors[0].at.startswith(at)
    assert bool(at) == bool(caught.value.errors[0].at)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", NOT_JSON)
def test_what_is_not_json_is_malformed(name):
    assert_refused(NOT_JSON[name][0], MalformedBody, *NOT_JSON[name][1:])


@pytest.mark.parametrize("name", NOT_AN_ARRAY | NOT_A_TENSOR)
def test_json_that_is_no_array_is_invalid(name):
    body, at, message = (NOT_AN_ARRAY | NOT_A_TENSOR)[name]
    assert_refused(body, InvalidCall, at, message)


TOO_LARGE = {
    "one list": b'{"input": [1, 2, 3, 4, 5, 6, 7]}',
    "two lists together": b'{"input": [[1, 2], [3, 4]], "target": [5, 6, 7]}',
    "a list and a string": b'{"input": [1, 2, 3, 4, 5, "NaN"], "target": "NaN"}',
    "empty lists": b'{"input": [[], [], [], [], [], [], []]}',
    "base64": TENSOR % (b'"int8"', b"[7]", b'"AQIDBAUGBw=="'),
    "base64 that only claims to be": TENSOR % (b'"float64"', b"[4294967296, 4294967296, 4294967296]", b'""'),
    "base64 with a zero beside an absurd size": TENSOR % (b'"int8"', b"[0, 9223372036854775807]", b'""'),
    "a size beyond 64 bits": TENSOR % (b'"int8"', b"[18446744073709551615]", b'""'),
    "complex": b'{"input": {"real": [1, 2, 3, 4], "imag": [1, 2, 3, 4]}}',
}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_more_elements_than_the_limit_are_too_large(name):
    with pytest.raises(BodyTooLarge, match=r"at most 6 elements .* max_elements"):
        JSON.decode_call(TOO_LARGE[name], TENSORS, DecodeLimits(max_elements=6))


def test_elements_up_to_the_limit_are_accepted():
    call = JSON.decode_call(
        b'{"input": [[1, 2], [3, 4]], "target": [5], "weight": 6}', TENSORS, DecodeLimits(6)
    )
    assert sum(array.size for array in call.arrays.values()) == 6


def test_depth_limit_is_the_number_of_dimensions():
    body = b'{"input": [[[1]]]}'
    assert JSON.decode_call(body, TENSORS, DecodeLimits(max_depth=3)).arrays["input"].ndim == 3
    with pytest.raises(MalformedBody, match="at most 2 dimensions"):
        JSON.decode_call(body, TENSORS, DecodeLimits(max_depth=2))


@pytest.mark.parametrize("start", [b"", b'{"input":', b'{"axis":', b'{"input":[1],"a":'])
@pytest.mark.parametrize("opening", [b"[", b'{"a":', b"[[],"])
def test_ten_megabytes_of_nesting_are_refused_quickly(start, opening):
    body = start + opening * (10_000_000 // len(opening))
    before = time.process_time()
    tracemalloc.start()
    with pytest.raises((MalformedBody, BodyTooLarge)):
        JSON.decode_call(body, TENSORS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert time.process_time() - before < 2
    assert peak < 16 * len(body)  # what the parser sets aside for a body of that size, whatever is in it


NOT_AN_ANSWER = {
    "an array": b"[]",
    "no loss": b'{"count":1,"denominator":1}',
    "a loss that is a number": b'{"loss":1,"count":1,"denominator":1}',
    "a loss of words": b'{"loss":{"mean":"x"},"count":1,"denominator":1}',
    "no count": b'{"loss":{},"denominator":1}',
    "a fractional count": b'{"loss":{},"count":1.5,"denominator":1}',
    "a complex denominator": b'{"loss":{},"count":1,"denominator":{"real":1,"imag":0}}',
    "no denominator": b'{"loss":{},"count":1}',
    "a gradient that is a list": b'{"loss":{},"count":1,"denominator":1,"gradient":[1]}',
    "a gradient of no argument": b'{"loss":{},"count":1,"denominator":1,"gradient":{"mean":[1]}}',
    "warnings that are no strings": b'{"loss":{},"count":1,"denominator":1,"warnings":[1]}',
}


@pytest.mark.parametrize("name", NOT_AN_ANSWER)
def test_what_is_no_answer_is_malformed(name):
    with pytest.raises(MalformedBody):
        JSON.decode_answer(NOT_AN_ANSWER[name])
