"""Options in a query string mean what they mean in a body."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossd.errors import BodyTooLarge, InvalidCall, LossdError, MalformedBody
from lossd.message import Call
from lossd.wire import DecodeLimits
from lossd.wire.query import to_query, with_query
from tests.wire.json_cases import TENSORS
from tests.wire.sameness import assert_same

LIMITS = DecodeLimits(max_elements=10, max_depth=3)

READ = {
    b"": {},
    b"reduction=mean": {"reduction": "mean"},
    b"reduction=mean&reduction=none": {"reduction": ["mean", "none"]},
    b"reduction=mean,none": {"reduction": ["mean", "none"]},
    b"reduction=mean%2Cnone": {"reduction": ["mean", "none"]},
    b"gradient=input&axis=0,-1&delta=1,x": {"gradient": "input", "axis": [0, -1], "delta": [1, "x"]},
    b'label="a,b"&empty=,': {"label": "a,b", "empty": ["", ""]},
    b'reduction=["mean","none"]': {"reduction": ["mean", "none"]},
    b"reduction=%5B%22mean%22%2C+%22none%22%5D": {"reduction": ["mean", "none"]},
    b"gradient=true&delta=2&axis=[0,1]&empty=null": {
        "gradient": True,
        "delta": 2,
        "axis": [0, 1],
        "empty": None,
    },
    b"axis=0&axis=1": {"axis": [0, 1]},
    b"delta=1e-3&margin=-0.5": {"delta": 0.001, "margin": -0.5},
    b"delta=NaN&margin=1e999": {"delta": "NaN", "margin": "1e999"},
    b"convention=%22gbm%22": {"convention": "gbm"},
    b"gradient=": {"gradient": ""},
    b"gradient": {"gradient": ""},
    b"label=%C3%A9": {"label": "é"},
    b"axis=%20[" + b"1," * 2000 + b"1]": {"axis": [1] * 2001},
}
REFUSED = {
    b"label=\xc3\xa9": (MalformedBody, "text in UTF-8"),
    b"label=%FF": (MalformedBody, "text in UTF-8"),
    b"&".join([b"a=1"] * 1001): (MalformedBody, "at most 1000 values"),
    b"&".join([b"axis=" + b"x," * 29] * 40): (MalformedBody, "at most 1000 items in lists without brackets"),
    b"axis=" + b"x," * 1000: (MalformedBody, "at most 1000 items in lists without brackets, got 1001"),
    b"&".join([b"axis=[x," + b"x," * 500] * 2): (
        MalformedBody,
        "at most 1000 items in lists without brackets",
    ),
    b"&".join([b"axis=[" + b"," * 500] * 2): (MalformedBody, "at most 1000 items in lists without brackets"),
    b"axis=[[[[1]]]]": (MalformedBody, "fewer levels of nesting"),
    b"delta=1": (InvalidCall, "got both - at `delta`"),
    b"input=1": (InvalidCall, "got both - at `input`"),
    b"target=word": (InvalidCall, 'got the string "word" - at `target`'),
    b"weight=[[1],2]": (InvalidCall, "at `weight[1]`"),
    b"weight=[1,2,3,4,5,6,7,8,9,10,11]": (BodyTooLarge, "at most 10 elements"),
}


@pytest.mark.parametrize("query", READ)
def test_query_is_read(query):
    assert_same(with_query(Call({}), query, TENSORS, LIMITS), Call({}, READ[query]))


def test_query_adds_to_the_body_and_may_hold_small_arrays():
    body = Call({"input": np.array([1.5])}, {"delta": 2}, owned=True)
    call = with_query(body, b"weight=[1,2]&mask=true&target=1&target=2.5&axis=0", TENSORS, LIMITS)
    arrays = {"weight": np.array([1, 2]), "mask": np.array(True), "target": np.array([1, 2.5])}
    assert_same(call, Call({**body.arrays, **arrays}, {"delta": 2, "axis": 0}, owned=True))


@pytest.mark.parametrize("query", REFUSED)
def test_query_is_refused_at_its_place(query):
    kind, message = REFUSED[query]
    with pytest.raises(kind) as caught:
        with_query(Call({"input": np.array(1.0)}, {"delta": 1}), query, TENSORS, LIMITS)
    assert message in str(caught.value)


text = st.text(st.characters(codec="utf-8"))
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)
names = text.filter(lambda name: name and name not in TENSORS)


@given(options=st.dictionaries(names, values))
def test_what_is_written_reads_back(options):
    query = to_query(options).encode()
    assert_same(with_query(Call({}), query, TENSORS, DecodeLimits(max_depth=64)).options, options)


@given(query=st.binary(max_size=100))
def test_no_query_raises_anything_but_our_errors(query):
    with contextlib.suppress(LossdError):
        with_query(Call({}), query, TENSORS, LIMITS)
