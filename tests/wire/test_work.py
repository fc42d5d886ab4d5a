"""No body costs much more to read or refuse than an ordinary one of its size, in whatever format.

Work is counted, not timed: function calls, garbage collections, and bytes of memory at the peak.
"""

from __future__ import annotations

import contextlib
import gc
import sys
import tracemalloc
from typing import NamedTuple

import numpy as np
import orjson
import pytest

from lossd.errors import LossdError
from lossd.message import Call
from lossd.wire import CODECS, DecodeLimits
from tests.wire.array_cases import archive, deflated, member, npy, safetensors
from tests.wire.json_cases import TENSORS

SIZE = 1 << 20
LIMITS = DecodeLimits(max_elements=SIZE, max_depth=16, max_bytes=8 * SIZE)
JSON, SAFETENSORS, MESSAGEPACK, NPZ = CODECS


class Work(NamedTuple):
    """What reading a body takes."""

    calls: int
    collections: int
    memory: int


def work_of(media_type: str, body: bytes) -> Work:
    """Read a body, twice as the first time may fill caches, and count what the second takes."""
    collections = calls = 0

    def count_collection(phase, info):
        nonlocal collections
        collections += phase == "start" and info["generation"] > 0

    def count_call(frame, event, argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    def read():
        with contextlib.suppress(LossdError):
            CODECS[media_type].decode_call(body, TENSORS, LIMITS)

    read()
    gc.collect()
    gc.callbacks.append(count_collection)
    try:
        read()
    finally:
        gc.callbacks.remove(count_collection)
    tracemalloc.start()
    try:
        read()
        memory = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    profile = sys.getprofile()
    sys.setprofile(count_call)
    try:
        read()
    finally:
        sys.setprofile(profile)
    return Work(calls, collections, memory)


def json_list(item: bytes, start: bytes = b'{"input":[') -> bytes:
    """Write a list of as many of the items as make up the size."""
    count = SIZE // (len(item) + 1)
    return start + (item + b",") * count + item + b"]}"


def messagepack_list(item: bytes, name: bytes = b"\xa5input", last: bytes = b"") -> bytes:
    count = SIZE // len(item)
    header = b"\xdd" + (count + bool(last)).to_bytes(4, "big")
    return b"\x81" + name + header + item * count + last


def messagepack_map(key: bytes, start: bytes = b"") -> bytes:
    count = SIZE // (len(key) + 1)
    return start + b"\xdf" + count.to_bytes(4, "big") + (key + b"\x01") * count


def header_of(count: int) -> bytes:
    entry = b'"%05d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    return b"{" + b",".join(entry % index for index in range(count)) + b"}"


EMPTY = npy("'<f4'", "(0,)", b"")

HOSTILE = {
    JSON: {
        "lists in lists": b'{"input":' + b"[" * SIZE,
        "lists in lists of an option": b'{"axis":' + b"[" * SIZE,
        "objects in objects": b'{"a":' * (SIZE // 5),
        "empty lists": json_list(b"[]"),
        "rows of one": json_list(b"[1]"),
        "rows of one, and a bracket in a string": json_list(b"[1]", b'{"a":"[","input":['),
        "blocks of one": json_list(b"[[1]]"),
        "blocks of nothing": json_list(b"[[[[[[[]]]]]]]"),
        "empty lists in an option": json_list(b"[]", b'{"axis":['),
        "an option of numbers": json_list(b"1", b'{"axis":['),
        "empty objects": json_list(b"{}"),
        "objects": json_list(b'{"a":1}'),
        "objects in an option, and a colon in a string": json_list(b'{"a":1}', b'{"a":":","axis":['),
        "strings": json_list(b'""'),
        "strings for NaN, and a colon in a string": json_list(b'"NaN"', b'{"a":":","input":['),
        "strings in an option, and a colon in a string": json_list(b'"a"', b'{"a":":","axis":['),
        "many keys": b"{" + b",".join(b'"%d":1' % index for index in range(SIZE // 10)) + b"}",
        "many options": b"{" + b",".join(b'"%d":[]' % index for index in range(60_000)) + b"}",
        "a key twice among strings": json_list(b'"NaN"', b'{"a":1,"a":2,"input":['),
        "numbers of 800 digits": json_list(b"0." + b"1234567890" * 80),
        "one number": b'{"input":[0.' + b"1" * SIZE + b"]}",
        "long numbers with exponents": json_list(b"1.234567890123456789012e-300"),
        "null at the end": json_list(b"1")[:-2] + b",null]}",
        "backslashes": b'{"a":":","x":"' + b"\\\\" * (SIZE // 2) + b'"}',
    },
    MESSAGEPACK: {
        "lists in lists": b"\x81\xa5input" + b"\x91" * SIZE,
        "lists in lists of an option": b"\x81\xa4axis" + b"\x91" * SIZE,
        "empty lists": messagepack_list(b"\x90"),
        "rows of one": messagepack_list(b"\x91\x01"),
        "blocks of nothing": messagepack_list(b"\x91" * 7 + b"\x90"),
        "lists, then text that is not UTF-8": messagepack_list(b"\x91\x90", last=b"\xa1\xff"),
        "lists of other lengths than the first": messagepack_list(b"\x91\x01\x90"),
        "empty maps": messagepack_list(b"\x80"),
        "strings": messagepack_list(b"\xa2ab"),
        "nil": messagepack_list(b"\xc0"),
        "timestamps": messagepack_list(b"\xd6\xff\0\0\0\1"),
        "extensions": messagepack_list(b"\xd4\5a"),
        "an option of lists": messagepack_list(b"\x90", b"\xa4axis"),
        "an option of maps": messagepack_list(b"\x80", b"\xa4axis"),
        "many keys": messagepack_map(b"\xa1a"),
        "many keys that are numbers": messagepack_map(b"\x01"),
        "many fields of an array": messagepack_map(b"\xa1a", b"\x81\xa5input"),
    },
    SAFETENSORS: {
        "many arrays": safetensors(header_of(4000)),
        "lists in a header": safetensors(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        "much metadata": safetensors(
            b'{"__metadata__":{' + b",".join(b'"%d":":"' % index for index in range(20_000)) + b"}}"
        ),
    },
    NPZ: {
        "many ends": b"PK\5\6" * (SIZE // 4),
        "many members": archive(*[(f"{index}.npy", member(EMPTY)) for index in range(4000)]),
        "a directory of more entries than it states": archive(
            *[(f"{index}.npy", member(EMPTY)) for index in range(4000)], entries=256
        ),
        "much from little": archive(
            ("input.npy", member(b"", packed=deflated(bytes(100 * SIZE)), size=100 * SIZE)),
        ),
    },
}

_MANY = {f"{index}": np.zeros(1) for index in range(256)}
ORDINARY = {
    JSON: {"small integers": json_list(b"1"), "with a null at the end": json_list(b"1")[:-2] + b",null]}"},
    MESSAGEPACK: {"small integers": messagepack_list(b"\x01")},
    **{kind: {"256 arrays": b"".join(CODECS[kind].encode_call(Call(_MANY)))} for kind in (SAFETENSORS, NPZ)},
}


@pytest.fixture(scope="module")
def ordinary() -> dict[str, Work]:
    """The most that each kind of work takes for an ordinary body."""
    return {
        kind: Work(*map(max, zip(*(work_of(kind, body) for body in bodies.values()), strict=True)))
        for kind, bodies in ORDINARY.items()
    }


@pytest.mark.parametrize(("media_type", "name"), [(kind, name) for kind in HOSTILE for name in HOSTILE[kind]])
def test_a_hostile_body_takes_no_more_work_than_its_size_allows(ordinary, media_type, name):
    body, usual = HOSTILE[media_type][name], ordinary[media_type]
    work = work_of(media_type, body)
    assert work.calls <= usual.calls + len(body) * 2 // 3
    assert work.collections <= 3
    assert work.memory <= 3 * usual.memory + 32 * len(body)


def test_the_counts_do_count():
    regular = orjson.dumps({"input": [[0.5, 0.25]] * 1000})
    assert work_of(JSON, regular).calls > 1000  # the length of each row is looked at
    assert work_of(JSON, regular).memory > 1000 * 2 * 8
