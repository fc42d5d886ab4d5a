"""Properties of every codec: what is written reads back, and no bytes raise anything but our errors."""

from __future__ import annotations

import contextlib
import tracemalloc

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lossd.errors import LossdError
from lossd.message import Answer, Call
from lossd.wire import CODECS, DecodeLimits
from lossd.wire.tensor import DTYPES
from tests.wire.array_cases import GOLDEN, READ_ONLY
from tests.wire.json_cases import ANSWERS, CALLS, READ_ONLY_CALLS, TENSORS
from tests.wire.sameness import assert_same

# Media type to the dtypes that the format has no name for.
LACKING = {"application/vnd.safetensors": {"complex128"}}

every_codec = pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS.keys())
SHAPES = hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4)


@st.composite
def arrays(draw, dtypes=tuple(DTYPES)):
    """Draw an array of any dtype, shape, bits, layout and byte order that the wire may have to carry."""
    name, shape = draw(st.sampled_from(dtypes)), draw(SHAPES)
    if name == "bfloat16":
        array = draw(hnp.arrays(np.uint16, shape)).view(ml_dtypes.bfloat16)
    else:
        array = draw(hnp.arrays(np.dtype(name).newbyteorder(draw(st.sampled_from("<>"))), shape))
    return draw(
        st.sampled_from(
            (lambda a: a, np.transpose, np.asfortranarray, lambda a: a[..., ::-1] if a.ndim else a)
        )
    )(array)


calls = st.dictionaries(st.sampled_from(sorted(TENSORS)), arrays(), max_size=3)


@every_codec
@given(arrays_by_name=calls)
def test_call_in_base64_keeps_every_bit(codec, arrays_by_name):
    assume_writable(codec, *arrays_by_name.values())
    sent = Call(arrays_by_name, {"encoding": "base64"})
    received = codec.decode_call(b"".join(codec.encode_call(sent)), TENSORS)
    assert received.options == (sent.options if codec.holds_options else {})
    assert_same(received.arrays, {name: _native(array) for name, array in sent.arrays.items()})


@every_codec
@given(arrays_by_name=calls)
def test_call_keeps_every_number(codec, arrays_by_name):
    assume_writable(codec, *arrays_by_name.values())
    received = codec.decode_call(b"".join(codec.encode_call(Call(arrays_by_name))), TENSORS)
    assert received.arrays.keys() == arrays_by_name.keys()
    for name, sent in arrays_by_name.items():
        assert_same_numbers(received.arrays[name], sent)


@every_codec
@given(
    array=arrays(("float16", "float32", "float64", "bfloat16", "complex64", "complex128")),
    base64=st.booleans(),
)
def test_answer_keeps_every_number(codec, array, base64):
    assume_writable(codec, array)
    sent = Answer(
        {"none": array}, 7, array.real, {"mean": {"input": array}}, {}, {"sum": {"input": array}}, ("é",)
    )
    body = b"".join(codec.encode_answer(sent, Call({}, {"encoding": "base64"} if base64 else {})))
    received = codec.decode_answer(body)
    if array.size:
        assert_same_numbers(received.loss["none"], array)
        assert_same_numbers(received.gradient["mean"]["input"], array)
        assert_same_numbers(received.hvp["sum"]["input"], array)
        assert_same_numbers(np.asarray(received.denominator), array.real)
    assert (received.count, received.hessian, received.warnings) == (7, {}, ("é",))


def assume_writable(codec, *arrays):
    assume(not {array.dtype.name for array in arrays} & LACKING.get(codec.media_type, set()))


def assert_same_numbers(received, sent):
    """Hold that ``received``, in whatever dtype, is ``sent`` once it is cast back to that dtype."""
    assert received.shape == sent.shape
    with np.errstate(over="ignore"):
        back = received.astype(sent.dtype)
    np.testing.assert_array_equal(_comparable(back), _comparable(sent), strict=True)
    if sent.dtype.kind == "f":
        there = ~np.isnan(sent)
        assert (np.signbit(back) == np.signbit(sent))[there].all()


def _comparable(array):
    return array.astype(np.float32) if array.dtype == ml_dtypes.bfloat16 else array


def _native(array):
    return array.astype(array.dtype.newbyteorder("="), order="C")


JSON_SEEDS = [body for body, _ in (CALLS | READ_ONLY_CALLS).values()] + [
    body for *_, body in ANSWERS.values()
]
SEEDS = {
    "application/json": JSON_SEEDS,
    **{kind: [*GOLDEN[kind], *(body for body, *_ in READ_ONLY[kind].values())] for kind in GOLDEN},
}
LIMITS = DecodeLimits(max_elements=1000, max_bytes=10_000)


@st.composite
def mutated(draw, seeds):
    """Draw a good body with a few of its bytes changed, removed, repeated or exchanged for another body's."""
    body = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(body)))
        end = draw(st.integers(start, min(start + 8, len(body))))
        other = draw(st.sampled_from(seeds))
        cut = draw(st.integers(0, len(other)))
        piece = draw(
            st.one_of(
                st.binary(max_size=3), st.sampled_from((b"", body[start:end] * 2, other[cut : cut + 9]))
            )
        )
        body[start:end] = piece
    return bytes(body)


@every_codec
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_no_bytes_raise_anything_but_our_errors(codec, data):
    body = data.draw(mutated(SEEDS[codec.media_type]))
    tracemalloc.start()
    try:
        with contextlib.suppress(LossdError):
            codec.decode_call(body, TENSORS, LIMITS)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    with contextlib.suppress(LossdError):
        codec.decode_answer(body)


@every_codec
@given(body=st.binary(max_size=200))
def test_no_noise_raises_anything_but_our_errors(codec, body):
    with contextlib.suppress(LossdError):
        codec.decode_call(body, TENSORS, LIMITS)
    with contextlib.suppress(LossdError):
        codec.decode_answer(body)


@pytest.mark.parametrize("cut", [b"", b"\0", b"\xff", b"{"])
@every_codec
def test_every_byte_of_every_seed_may_be_lost_or_changed(codec, cut):
    for body in SEEDS[codec.media_type]:
        for place in range(len(body)):
            with contextlib.suppress(LossdError):
                codec.decode_call(body[:place] + cut + body[place + 1 :], TENSORS, LIMITS)
