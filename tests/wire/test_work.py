"""No body costs much more to read or refuse than an ordinary one of its size, in whatever format.

Work is counted, not timed: function calls, garbage collections, and bytes of memory at the peak.
"""

from __future__ import annotations

import contextlib
import gc
import sys
import tracemalloc
from collections.abc import Callable
from typing import NamedTuple

import msgspec
import numpy as np
import orjson
import pytest

from lossd.errors import BodyTooLarge, LossdError
from lossd.message import Call
from lossd.wire import BATCH_CODECS, CODECS, COMBINATION_CODECS, DecodeLimits
from lossd.wire.batch import MOST_CALLS, ArrayNames
from lossd.wire.codec import MOST_CONTAINERS
from tests.wire.array_cases import archive, deflated, member, npy, safetensors
from tests.wire.json_cases import TENSORS

SIZE = 1 << 20
LIMITS = DecodeLimits(max_elements=SIZE, max_depth=16, max_bytes=8 * SIZE)
JSON, SAFETENSORS, MESSAGEPACK, NPZ = CODECS
NAMES = ArrayNames(lambda name: TENSORS, TENSORS)


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


LISTS = MOST_CONTAINERS + 1
MANY_CONTAINERS = {
    "json: empty lists": (JSON, b'{"input":[' + b"[]," * LISTS + b"1]}"),
    "json: empty objects in an option": (JSON, b'{"axis":[' + b"{}," * LISTS + b"1]}"),
    "json: rows of one": (JSON, b'{"input":[' + b"[1]," * LISTS + b"[1]]}"),
    "msgpack: empty lists": (MESSAGEPACK, b"\x81\xa5input\xdd" + LISTS.to_bytes(4, "big") + b"\x90" * LISTS),
    "msgpack: rows of one": (
        MESSAGEPACK,
        b"\x81\xa5input\xdd" + LISTS.to_bytes(4, "big") + b"\x91\x01" * LISTS,
    ),
}


@pytest.mark.parametrize(("media_type", "body"), MANY_CONTAINERS.values(), ids=MANY_CONTAINERS)
def test_more_lists_and_maps_than_a_body_may_hold_are_refused_before_they_are_built(media_type, body):
    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLarge, match=f"at most {MOST_CONTAINERS} lists"):
            CODECS[media_type].decode_call(body, TENSORS)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def option_of(item: bytes, count: int = 60_000) -> bytes:
    """Write the value of an option: a list of equal items."""
    return b"\xdd" + count.to_bytes(4, "big") + item * count


def call_with(options: list[bytes]) -> bytes:
    """Write the map of a call of a loss with options and no arrays."""
    names = b"".join(b"\xa3%03d" % index + value for index, value in enumerate(options))
    return b"\xde" + (1 + len(options)).to_bytes(2, "big") + b"\xa4loss\xa3mse" + names


def batch_of(call: bytes, count: int) -> bytes:
    return b"\x81\xa5calls\xdd" + count.to_bytes(4, "big") + call * count


MANY_VALUES = {
    "empty maps": call_with([option_of(b"\x80")]),
    "empty lists": call_with([option_of(b"\x90")]),
    "maps of maps": call_with([option_of(b"\x81\xa1a\x80", 10_000)]),
    "one list among numbers": call_with([option_of(b"\x01")[:-1] + b"\x90"]),
    "long lists of nothing": call_with([option_of(b"\xc0")] * 8),
}
MANY_CALLS = {
    "a map in each call": batch_of(call_with([b"\x91\x81\xa1a\x01"] * 20), MOST_CALLS),
    "many maps in one option of each": batch_of(call_with([option_of(b"\x80", 100)]), MOST_CALLS),
    "many unknown names in each": batch_of(call_with([b"\x01"] * 240), MOST_CALLS),
    "long lists of nothing": batch_of(call_with([option_of(b"\xc0")]), 100),
    "long shapes that are none": batch_of(
        call_with([b"\x01"]).replace(
            b"\xa3000\x01", b"\xa5input\x83\xa5dtype\xa7float32\xa4data\xc4\0\xa5shape"
        )
        + option_of(b"\xc0"),
        100,
    ),
}
PART = msgspec.msgpack.encode(
    dict.fromkeys(("first", "rows", "rows_per_block", "count"), 0)
    | {name: {} for name in ("settings", "types", "sums", "normalizers", "shared")}
    | {"loss": "mse", "arrays": [], "fused": False, "selected": False, "denominator": None}
)
MANY_PARTS = b"\x81\xa5parts" + option_of(
    b"\x8f" + PART[1:] + b"\xa8warnings" + option_of(b"\xa0", 1000), 1000
)
IN_OPTIONS = r"(at most \d+ values in all options|fewer lists and maps inside of options)"


def most_calls_of(read: Callable[[], object]) -> int:
    """Read something that is refused as too large, and return how many functions of Python and C that called."""
    calls = 0

    def count_call(frame, event, argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    profile = sys.getprofile()
    sys.setprofile(count_call)
    try:
        with pytest.raises(BodyTooLarge, match=IN_OPTIONS):
            read()
    finally:
        sys.setprofile(profile)
    return calls


@pytest.mark.parametrize("body", MANY_VALUES.values(), ids=MANY_VALUES)
def test_options_that_take_long_to_read_are_refused_before_they_are_read(body):
    assert most_calls_of(lambda: CODECS[MESSAGEPACK].decode_call(body, TENSORS)) < 10_000


@pytest.mark.parametrize("body", MANY_CALLS.values(), ids=MANY_CALLS)
def test_the_options_of_all_calls_of_a_batch_are_counted_together(body):
    assert most_calls_of(lambda: BATCH_CODECS[MESSAGEPACK].decode_batch(body, NAMES)) < 5_000_000


def test_the_options_of_all_parts_are_counted_together():
    assert most_calls_of(lambda: COMBINATION_CODECS[MESSAGEPACK].decode_combination(MANY_PARTS)) < 100_000


def test_a_batch_of_the_most_calls_has_room_for_the_options_of_each():
    options = [
        b"\x93\xa3sum\xa4mean\xa4none",
        b"\x92\xa5input\xa6target",
        b"\x81\xa5first\0",
        *[b"\x01"] * 20,
    ]
    entries = BATCH_CODECS[MESSAGEPACK].decode_batch(batch_of(call_with(options), MOST_CALLS), NAMES)
    assert all(len(entry.call.options) == len(options) for entry in entries)


def test_a_call_has_room_for_long_lists_of_names_and_some_nesting():
    names = [f"name {index}" for index in range(500)]
    options = {
        "gradient": names,
        "nested": [names[:100], [[1]], {"a": {"b": names[:100]}}],
        "terms": {"a": 1},
    }
    assert CODECS[MESSAGEPACK].decode_call(msgspec.msgpack.encode(options), TENSORS).options == options


@pytest.mark.parametrize("media_type", BATCH_CODECS)
def test_the_reading_of_a_batch_ends_where_a_checkpoint_says_so(media_type):
    call = {"loss": "mse", "input": [1.0], "target": [2.0]}
    write = {JSON: orjson.dumps, MESSAGEPACK: msgspec.msgpack.encode}[media_type]
    left = iter(range(3))
    with pytest.raises(StopIteration):
        BATCH_CODECS[media_type].decode_batch(write({"calls": [call] * 5}), NAMES, LIMITS, lambda: next(left))
    assert next(left, None) is None


def test_the_counts_do_count():
    regular = orjson.dumps({"input": [[0.5, 0.25]] * 1000})
    assert work_of(JSON, regular).calls > 1000  # the length of each row is looked at
    assert work_of(JSON, regular).memory > 1000 * 2 * 8


def test_each_list_in_lists_is_measured_once() -> None:
    """To look at the first of a list's items again, once for the others' shape and once as one of them, doubled the
    work at each depth.
    """
    rows, depth = 100, 14
    body = b'{"input":[' + b",".join([b"[" * depth + b"1" + b"]" * depth] * rows) + b'],"target":[1]}'
    assert rows < work_of(JSON, body).calls < 6 * rows * depth
