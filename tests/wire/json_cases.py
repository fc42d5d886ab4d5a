"""The golden bytes of the JSON format, written by hand from its specification.

Each table is read in both directions. What is only read, because the same can be said in several ways but is
written in one, stands in a table of its own.
"""

from __future__ import annotations

import ml_dtypes
import numpy as np

from lossd.message import Answer, Call

TENSORS = frozenset({"input", "target", "weight", "mask", "quantiles", "sample_weight", "upstream", "hvp"})

nan, inf = float("nan"), float("inf")


def f64(*values, shape=None):
    array = np.array(values, np.float64)
    return array if shape is None else array.reshape(shape)


# bytes <-> Call
CALLS = {
    "the first request of the documentation": (
        b'{"reduction":["none","mean"],"gradient":true,"delta":1.0,"input":[1.0,2.5],"target":[1.0,5.0]}',
        Call(
            {"input": f64(1, 2.5), "target": f64(1, 5)},
            {"reduction": ["none", "mean"], "gradient": True, "delta": 1.0},
        ),
    ),
    "integers are int64": (
        b'{"target":[0,-1,9223372036854775807]}',
        Call({"target": np.array([0, -1, 2**63 - 1])}),
    ),
    "integers beyond int64 are uint64": (
        b'{"target":[0,9223372036854775808,18446744073709551615]}',
        Call({"target": np.array([0, 2**63, 2**64 - 1], np.uint64)}),
    ),
    "booleans": (
        b'{"mask":[[true,false],[false,true]]}',
        Call({"mask": np.array([[True, False], [False, True]])}),
    ),
    "a number is a 0-d array": (b'{"weight":0.5}', Call({"weight": np.array(0.5)})),
    "an integer is a 0-d array": (b'{"weight":2}', Call({"weight": np.array(2)})),
    "a boolean is a 0-d array": (b'{"mask":true}', Call({"mask": np.array(True)})),
    "a non-finite number is a 0-d array": (b'{"weight":"-Infinity"}', Call({"weight": np.array(-inf)})),
    "non-finite numbers": (
        b'{"input":[["NaN",1.0],["-Infinity","Infinity"]]}',
        Call({"input": f64(nan, 1, -inf, inf, shape=(2, 2))}),
    ),
    "only non-finite numbers": (b'{"input":["NaN","NaN"]}', Call({"input": f64(nan, nan)})),
    "negative zero": (b'{"input":[-0.0,0.0]}', Call({"input": f64(-0.0, 0.0)})),
    "extremes of float64": (
        b'{"input":[5e-324,1.7976931348623157e+308]}',
        Call({"input": f64(5e-324, 1.7976931348623157e308)}),
    ),
    "four dimensions": (b'{"input":[[[[1.0]],[[2.0]]]]}', Call({"input": f64(1, 2, shape=(1, 2, 1, 1))})),
    "complex": (
        b'{"input":{"real":[1.0,2.0],"imag":[-1.0,"NaN"]}}',
        Call({"input": np.array([complex(1, -1), complex(2, nan)])}),
    ),
    "a complex scalar": (b'{"input":{"real":1.0,"imag":2.0}}', Call({"input": np.array(1 + 2j)})),
    "nothing, of a shape": (
        b'{"input":{"dtype":"float32","shape":[0,3],"data":""}}',
        Call({"input": np.empty((0, 3), np.float32)}),
    ),
    "base64": (
        b'{"encoding":"base64","input":{"dtype":"float32","shape":[2,1],"data":"AACAPwAAAMA="},'
        b'"weight":{"dtype":"float64","shape":[],"data":"AAAAAAAAAEA="}}',
        Call({"input": np.array([[1], [-2]], np.float32), "weight": np.array(2.0)}, {"encoding": "base64"}),
    ),
    "options are left as they are": (
        b'{"delta":"NaN","axis":[0,-1],"empty":null,"terms":[{"loss":"mse","weight":[[1]]}],"label":"[{\\"a\\":1}]"}',
        Call(
            {},
            {
                "delta": "NaN",
                "axis": [0, -1],
                "empty": None,
                "terms": [{"loss": "mse", "weight": [[1]]}],
                "label": '[{"a":1}]',
            },
        ),
    ),
    "nothing at all": (b"{}", Call({})),
}

# bytes -> Call
READ_ONLY_CALLS = {
    "null means absent": (b'{"input":null,"target":[1]}', Call({"target": np.array([1])})),
    "white space": (b' {\n\t"input" :\r\n [ 1.5 , 2 ] } \n', Call({"input": f64(1.5, 2)})),
    "an integer among numbers": (b'{"input":[1,2.5]}', Call({"input": f64(1, 2.5)})),
    "integers before a number": (
        b'{"input":[[1,2],[3,4.0]]}',
        Call({"input": f64(1, 2, 3, 4, shape=(2, 2))}),
    ),
    "an integer among strings": (b'{"input":[1,"NaN"]}', Call({"input": f64(1, nan)})),
    "the way JavaScript writes 1e20": (b'{"input":[1,100000000000000000000]}', Call({"input": f64(1, 1e20)})),
    "negative and beyond int64": (b'{"input":[-1,9223372036854775808]}', Call({"input": f64(-1, 2**63)})),
    "an escaped key": (b'{"in\\u0070ut":[1]}', Call({"input": np.array([1])})),
    "an escaped slash in base64": (
        b'{"input":{"dtype":"uint8","shape":[3],"data":"\\/\\/\\/\\/"}}',
        Call({"input": np.array([255, 255, 255], np.uint8)}),
    ),
    "keys alike in two objects, behind a backslash": (
        b'{"a":{"b":"\\\\"},"c":{"b":"\\"b\\":"}}',
        Call({}, {"a": {"b": "\\"}, "c": {"b": '"b":'}}),
    ),
    "an empty list": (b'{"input":[]}', Call({"input": f64()})),
    "empty lists": (b'{"input":[[],[]]}', Call({"input": f64(shape=(2, 0))})),
    "a list of an empty list": (b'{"input":[[[]]]}', Call({"input": f64(shape=(1, 1, 0))})),
    "complex of two forms": (
        b'{"input":{"imag":[3],"real":{"dtype":"float32","shape":[1],"data":"AACAPw=="}}}',
        Call({"input": np.array([1 + 3j])}),
    ),
    "complex64 of two float32": (
        b'{"input":{"real":{"dtype":"float32","shape":[],"data":"AACAPw=="},'
        b'"imag":{"dtype":"float16","shape":[],"data":"AEA="}}}',
        Call({"input": np.array(1 + 2j, np.complex64)}),
    ),
    "complex128 of float64 and bfloat16": (
        b'{"input":{"real":{"dtype":"float64","shape":[1],"data":"mpmZmZmZuT8="},'
        b'"imag":{"dtype":"bfloat16","shape":[1],"data":"IMA="}}}',
        Call({"input": np.array([0.1 - 2.5j])}),
    ),
    "bool in base64": (
        b'{"mask":{"dtype":"bool","shape":[2],"data":"AQA="}}',
        Call({"mask": np.array([True, False])}),
    ),
    "bfloat16 in base64": (
        b'{"input":{"dtype":"bfloat16","shape":[2],"data":"gD8gwA=="}}',
        Call({"input": np.array([1, -2.5], ml_dtypes.bfloat16)}),
    ),
    "the byte order is little": (
        b'{"target":{"dtype":"int32","shape":[1],"data":"AQIDBA=="}}',
        Call({"target": np.array([0x04030201], np.int32)}),
    ),
}

# Answer, options -> bytes; read back, the arrays are float64 where they were written as lists
ANSWERS = {
    "a value alone": (
        Answer({"mean": np.float64(0.5)}, 3, 3.0),
        {},
        b'{"loss":{"mean":0.5},"count":3,"denominator":3.0}',
    ),
    "everything": (
        Answer(
            {"none": f64(0, 1.5), "sum": np.array(1.5)},
            2,
            f64(1, 2),
            {"sum": {"input": f64(0, -1)}},
            {"sum": {"input": f64(1, 0)}},
            {"sum": {"input": f64(0.25, 0)}},
            ("reduce is deprecated",),
        ),
        {},
        b'{"loss":{"none":[0.0,1.5],"sum":1.5},"gradient":{"sum":{"input":[0.0,-1.0]}},'
        b'"hessian":{"sum":{"input":[1.0,0.0]}},"hvp":{"sum":{"input":[0.25,0.0]}},'
        b'"count":2,"denominator":[1.0,2.0],"warnings":["reduce is deprecated"]}',
    ),
    "non-finite numbers": (
        Answer({"none": f64(nan, -inf, 1, inf), "mean": np.float64(nan)}, 4, inf),
        {},
        b'{"loss":{"none":["NaN","-Infinity",1.0,"Infinity"],"mean":"NaN"},"count":4,"denominator":"Infinity"}',
    ),
    "a warning that says null is not a number that is none": (
        Answer({"mean": np.float64(1)}, 1, 1.0, warnings=("null",)),
        {},
        b'{"loss":{"mean":1.0},"count":1,"denominator":1.0,"warnings":["null"]}',
    ),
    "complex": (
        Answer(
            {"mean": np.float64(1)}, 1, 1.0, {"mean": {"input": np.array([[1 - 2j]]), "target": np.array(3j)}}
        ),
        {},
        b'{"loss":{"mean":1.0},"gradient":{"mean":{"input":{"real":[[1.0]],"imag":[[-2.0]]},'
        b'"target":{"real":0.0,"imag":3.0}}},"count":1,"denominator":1.0}',
    ),
    "float64 in base64, scalars in numbers": (
        Answer(
            {"none": f64(1, nan), "mean": np.array(nan)}, 2, 2.0, {"mean": {"input": f64(1, shape=(1, 1))}}
        ),
        {"encoding": "base64"},
        b'{"loss":{"none":{"dtype":"float64","shape":[2],"data":"AAAAAAAA8D8AAAAAAAD4fw=="},"mean":"NaN"},'
        b'"gradient":{"mean":{"input":{"dtype":"float64","shape":[1,1],"data":"AAAAAAAA8D8="}}},'
        b'"count":2,"denominator":2.0}',
    ),
}

# arrays of which JSON keeps the numbers but not the kind -> the JSON of each
WRITTEN_ARRAYS = {
    "float32 has its own shortest digits": (
        np.array([0.1, 16777216.0, 3e-39], np.float32),
        b"[0.1,16777216.0,3e-39]",
    ),
    "a float32 scalar too": (np.float32(0.1), b"0.1"),
    "a float32 of no dimensions too": (np.array(0.1, np.float32), b"0.1"),
    "float16": (np.array([0.5, 65504], np.float16), b"[0.5,65504.0]"),
    "float16 with the non-finite": (np.array([0.5, nan], np.float16), b'[0.5,"NaN"]'),
    "float32 with the non-finite": (np.array([[0.1, -inf]], np.float32), b'[[0.1,"-Infinity"]]'),
    "bfloat16": (np.array([1, -2.5], ml_dtypes.bfloat16), b"[1.0,-2.5]"),
    "a bfloat16 scalar": (ml_dtypes.bfloat16(0.5), b"0.5"),
    "a bfloat16 NaN": (np.array(nan, ml_dtypes.bfloat16), b'"NaN"'),
    "big-endian": (np.array([1, 2], ">f8"), b"[1.0,2.0]"),
    "reversed": (np.array([1.0, 2.0])[::-1], b"[2.0,1.0]"),
    "transposed": (np.array([[1.0, 2.0], [3.0, 4.0]]).T, b"[[1.0,3.0],[2.0,4.0]]"),
    "broadcast": (np.broadcast_to(np.float64(1), (2, 2)), b"[[1.0,1.0],[1.0,1.0]]"),
    "read-only": (np.frombuffer(b"\0" * 8), b"[0.0]"),
    "integers": (np.array([[1], [-2]]), b"[[1],[-2]]"),
    "empty": (np.empty((2, 0)), b"[[],[]]"),
    "a complex scalar": (np.complex64(1 + 2j), b'{"real":1.0,"imag":2.0}'),
}
