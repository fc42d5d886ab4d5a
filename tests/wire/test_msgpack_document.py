"""Maps of MessagePack are split and options read, or refused with the place of the error."""

from __future__ import annotations

import numpy as np
import pytest

from lossd.errors import MalformedBody
from lossd.message import Answer
from lossd.wire import CODECS
from tests.wire.array_cases import HALF
from tests.wire.array_cases import messagepack_tensor as tensor
from tests.wire.refusal import assert_refused

MEDIA_TYPE = "application/vnd.msgpack"

MALFORMED = {
    "empty": (b"", "", "a map of MessagePack, got an empty body"),
    "a list": (b"\x91\x01", "byte 0", "got Expected `object`, got `array`"),
    "a number": (b"\x01", "byte 0", "got Expected `object`, got `int`"),
    "cut off": (tensor()[:-1], "the end of the body", "truncated"),
    "trailing bytes": (tensor() + b"\x01", "byte 45", "trailing characters"),
    "a type that MessagePack has not": (b"\x81\xa5input\xc1", "byte 7", "invalid opcode"),
    "a map that claims 2**32 members": (b"\xdf\xff\xff\xff\xff\xa1a\x01", "", "at most 256 names"),
    "a map that claims 256 members": (b"\xde\x01\x00\xa1a\x01", "the end of the body", "truncated"),
    "a list that claims 2**32 items": (b"\x81\xa5input\xdd\xff\xff\xff\xff\x01", "the end of the body", "truncated"),
    "bytes that claim 2**32": (tensor(data=b"\xc6\xff\xff\xff\xff\x00"), "the end of the body", "truncated"),
    "a key that is a number": (b"\x81\x01\x01", "byte 1", "Expected `str`, got `int`"),
    "a key that is not UTF-8": (b"\x81\xa1\xff\x01", "byte 1", "text in UTF-8"),
    "a second key that is not UTF-8": (b"\xde\x00\x02\xa1a\x01\xa1\xff\x01", "byte 6", "text in UTF-8"),
    "an item that is not UTF-8": (b"\x81\xa5input\x93\x01\x02\xa1\xff", "input", "text in UTF-8"),
    "a nested item that is not UTF-8": (b"\x81\xa5input\x92\x91\x01\x91\xa1\xff", "input", "text in UTF-8"),
    "a wrong timestamp": (b"\x81\xa4axis\xd7\xff" + b"\xff" * 8, "axis", "timestamp"),
    "an option that is not UTF-8": (b"\x81\xa4axis\xa1\xff", "axis", "text in UTF-8"),
    "a name twice": (b"\x82\xa5input\x01\xa5input\x01", "byte 8", 'each key once in a map, got "input" again'),
    "a name twice in a long map": (b"\xde\x00\x02\xa4axis\x01\xa4axis\x01", "byte 9", 'got "axis" again'),
    "a field of a tensor twice": (
        b"\x81\xa5input\x84\xa5dtype\xa4int8\xa5shape\x90\xa5shape\x90\xa4data\xc4\x01\x01", "input", '"shape" again',
    ),
    "a name of an option twice, deeper": (b"\x81\xa5terms\x91\x82\xa1a\x01\xa1a\x02", "terms[0]", '"a" again'),
    "bytes as an option": (b"\x81\xa4axis\xc4\x01a", "axis", "a type that JSON has too, got raw bytes"),
    "bytes deep in an option": (b"\x81\xa4axis\x91\x81\xa1a\xc4\x01a", "axis[0].a", "got raw bytes"),
    "a timestamp": (b"\x81\xa4axis\xd6\xff\x00\x00\x00\x00", "axis", "a value of type datetime"),
    "an extension": (b"\x81\xa4axis\xd4\x05a", "axis", "a value of type Ext"),
    "an option of 70,000 bytes": (b"\x81\xa4axis\xda\xff\xff" + b"a" * 65535, "axis", "at most 65536 bytes"),
    "an option nested five deep": (b"\x81\xa4axis" + b"\x91" * 5 + b"\x01", "axis[0][0][0][0]", "fewer levels"),
    "nesting of 100,000": (b"\x81\xa4axis" + b"\x91" * 100_000 + b"\x01", "", "fewer levels of nesting"),
    "maps nested 100,000 deep": (b"\x81\xa1a" * 100_000 + b"\x01", "", "fewer levels of nesting"),
    "a tensor nested five deep": (b"\x81\xa5input" + b"\x91" * 5 + b"\x01", "input", "at most 4 dimensions"),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_a_bad_body_is_refused_at_its_place(name):
    assert_refused(MEDIA_TYPE, *MALFORMED[name])


def test_a_nested_answer_of_messagepack_is_checked_too():
    messagepack = CODECS["application/vnd.msgpack"]
    for body in (b"\x80", b"\x81\xa4loss\x01", b"\x83\xa4loss\x80\xa5count\xc3\xabdenominator\x01"):
        with pytest.raises(MalformedBody):
            messagepack.decode_answer(body)
    read = messagepack.decode_answer(
        b"\x83\xa4loss\x81\xa4mean\xcb" + HALF[::-1] + b"\xa5count\x01\xabdenominator\x01"
    )
    assert read == Answer({"mean": np.array(0.5)}, 1, 1.0)
