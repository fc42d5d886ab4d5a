"""Values of MessagePack end where msgspec says that they end, in windows of any size."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import Raw

from lossd.errors import BodyTooLarge, LossdError, MalformedBody
from lossd.wire.codec import LONGEST_KEY, LONGEST_STRING
from lossd.wire.msgpack import document, extent
from lossd.wire.msgpack.headers import is_list, is_map

SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary()
VALUES = st.recursive(
    SCALARS,
    lambda items: st.lists(items, max_size=20) | st.dictionaries(st.text(max_size=3), items, max_size=20),
    max_leaves=60,
)
WINDOWS = st.sampled_from([(1, 2, 4), (2, 8, 32), (16, 64, 256)])
MISTAKES = st.none() | st.tuples(
    st.floats(0, 1, exclude_max=True), st.sampled_from([b"", b"\xc1", b"\xdf", b"\x91", b"\xa5"])
)
read_raw = msgspec.msgpack.Decoder(Raw).decode


def spoiled(body: bytes, mistake: tuple[float, bytes] | None) -> bytes:
    """Return a body with another byte somewhere, or with one fewer."""
    if mistake is None:
        return body
    at = int(mistake[0] * len(body))
    return body[:at] + mistake[1] + body[at + 1 :]


def end_or_error(find: Callable[[], int]) -> int | str:
    try:
        return find()
    except msgspec.DecodeError as error:
        return str(error)


def in_windows(sizes: tuple[int, ...]) -> Any:
    return patch.multiple(extent, _WINDOWS=sizes, _WINDOWS_OF_MAP=sizes[:2], _MOST_IN_VAIN=10**9)


@given(values=st.lists(VALUES, max_size=5), mistake=MISTAKES, windows=WINDOWS)
def test_values_end_where_msgspec_says(
    values: list[Any], mistake: tuple[float, bytes] | None, windows: tuple[int, ...]
) -> None:
    body = spoiled(msgspec.msgpack.encode(values), mistake)
    view = memoryview(body)
    with in_windows(windows):
        found = end_or_error(lambda: extent.Walk(view).end_of(0))
    if isinstance(found, int):
        body = body[:found]
    assert found == end_or_error(lambda: len(memoryview(read_raw(body))))


@given(
    value=st.dictionaries(st.text(max_size=3) | st.integers(0, 9), VALUES, max_size=6),
    mistake=MISTAKES,
    windows=WINDOWS,
)
def test_a_large_map_is_split_as_a_small_one(
    value: dict[Any, Any], mistake: tuple[float, bytes] | None, windows: tuple[int, ...]
) -> None:
    def outcome(body: bytes) -> dict[str, bytes] | str:
        try:
            return {name: bytes(raw) for name, raw in document.members(body, "").items()}
        except LossdError as error:
            return str(error)

    body = spoiled(msgspec.msgpack.encode(value), mistake)
    assume(len(body) > 5)  # a large one has a whole header
    small = outcome(body)
    with in_windows(windows), patch.object(document, "LONGEST_STRING", 0):
        large = outcome(body)
    if mistake is not None and isinstance(small, str):
        assert isinstance(large, str)  # of two mistakes, the first in the body is told
    else:
        assert large == small


@given(value=st.lists(VALUES, max_size=6), windows=WINDOWS)
def test_a_large_list_is_split_as_a_small_one(value: list[Any], windows: tuple[int, ...]) -> None:
    raw = Raw(msgspec.msgpack.encode(value))
    small = [bytes(item) for item in document.items(raw, "")]
    with in_windows(windows), patch.object(document, "LONGEST_STRING", 0):
        assert [bytes(item) for item in document.items(raw, "")] == small


MEGABYTE = 1 << 20
LONG = b"\xdd" + MEGABYTE.to_bytes(4, "big")
LARGE = {
    "numbers of a byte": LONG + b"\x01" * MEGABYTE,
    "numbers of nine bytes": LONG + b"\xcb\x3f\xf8\0\0\0\0\0\0" * MEGABYTE,
    "empty lists": LONG + b"\x90" * MEGABYTE,
    "one row": b"\x91" + LONG + b"\x01" * MEGABYTE,
    "rows of seven": LONG + (b"\x97" + b"\x01" * 7) * MEGABYTE,
    "a long row behind a short one": b"\x92\x91\x01" + LONG + b"\x01" * MEGABYTE,
    "a map of many": b"\xdf" + MEGABYTE.to_bytes(4, "big") + b"\x01" * 2 * MEGABYTE,
    "maps of maps": LONG + b"\x81\x01\x81\x01\x01" * MEGABYTE,
    "a list in sixty maps": b"\x81\x01" * 60 + LONG + b"\x01" * MEGABYTE,
    "bytes": b"\xc6" + (MEGABYTE << 2).to_bytes(4, "big") + bytes(MEGABYTE << 2),
}  # fmt: skip


def listed(items: bytes, *lengths: int) -> bytes:
    """Return a list of lists of these lengths, whose innermost have copies of the items."""
    for length in reversed(lengths):
        items = b"\xdd" + length.to_bytes(4, "big") + items * length
    return items


LARGE_ROW = listed(b"\x01", 270_000)
EVEN = {
    "rows": listed(LARGE_ROW, 40),
    "one of one of one": listed(LARGE_ROW, *[1] * 15),
    "two of two of two": listed(LARGE_ROW, *[2] * 7),
    "floats": listed(b"\xcb\x3f\xf8\0\0\0\0\0\0", 2, 1, 2, 2, 2, 29_222),
    "small rows": listed(b"\x01", 9, 9, 9, 1000, 3),
    "calls of all sizes": msgspec.msgpack.encode(
        {"calls": [{"arrays": {"input": list(range(3**number % 50_000))}} for number in range(400)]}
    ),
}
UNEVEN = {
    "one of one": listed(b"\x91" * 120 + LARGE_ROW, 20),
    "a small one behind": listed(b"\x92" * 20 + LARGE_ROW + b"\x01" * 20, 20),
    "a small one before": listed(b"\x92\x01" * 20 + LARGE_ROW, 20),
    "small ones around": listed(b"\x93\x01" * 20 + LARGE_ROW + b"\x01" * 20, 20),
    "maps": listed(b"\x82\x01\x01\x01" * 20 + LARGE_ROW, 20),
    "many small ones before": listed(
        b"\xdd\x00\x00\x10\x01" + b"\x01" * 4096 + b"\xdd\x00\x00\x10\x02" + b"\x01" * 4097 + LARGE_ROW, 20
    ),
}


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of what msgspec passes over."""
    sizes: list[int] = []

    def pass_over(piece: Any) -> Raw:
        if not is_list(piece) and not is_map(piece):  # msgspec passes any other value in no time
            return read_raw(piece)
        try:
            found = read_raw(piece)
        except msgspec.DecodeError as error:
            behind = extent._BEHIND.search(str(error))
            sizes.append(int(behind[1]) if behind else len(piece))
            raise
        sizes.append(len(piece))
        return found

    monkeypatch.setattr(extent, "_pass_over", pass_over)
    return sizes


@pytest.mark.parametrize("name", LARGE | EVEN)
def test_large_values_end_where_they_end_and_no_more_than_a_window_is_passed_at_once(
    name: str, passed: list[int]
) -> None:
    body = (LARGE | EVEN)[name]
    assert extent.Walk(memoryview(body + b"\x01")).end_of(0) == len(body)
    assert max(passed, default=0) <= extent._WINDOWS[-1] + 5
    assert sum(passed) <= 7 * len(body) + 16 * extent._WINDOWS[-1]


@pytest.mark.parametrize("large", [1, 5, 40])
@pytest.mark.parametrize("size", [270_000, 400_000])
@pytest.mark.parametrize("as_bytes", [True, False], ids=["bytes", "lists"])
@pytest.mark.parametrize("order", ["behind", "before", "among"])
def test_a_batch_of_small_and_large_calls_is_even(large: int, size: int, as_bytes: bool, order: str) -> None:
    array: Any = {"shape": [size // 2], "data": bytes(size // 2)} if as_bytes else [0.5] * (size // 18)
    calls: list[Any] = [{"loss": "mse", "input": [1.0], "target": [2.0]}] * 2000
    for number in range(large):
        at = {"behind": len(calls), "before": 0, "among": number * 7919 % len(calls)}[order]
        calls.insert(at, {"loss": "mse", "input": array, "target": array})
    body = msgspec.msgpack.encode({"calls": calls})
    assert extent.Walk(memoryview(body)).end_of(0) == len(body)


@pytest.mark.parametrize("name", UNEVEN)
def test_no_body_is_passed_over_many_times(name: str, passed: list[int]) -> None:
    body = UNEVEN[name]
    with contextlib.suppress(extent.Uneven, RecursionError):
        assert extent.Walk(memoryview(body)).end_of(0) == len(body)
    assert sum(passed) <= 9 * len(body) + 34 * extent._WINDOWS[-1]


def test_a_body_that_would_be_passed_over_many_times_is_malformed() -> None:
    body = b"\x81\xa5input" + UNEVEN["a small one behind"]
    with pytest.raises(MalformedBody, match="large lists of like items"):
        document.members(body, "")


def test_large_values_nest_no_deeper_than_a_number_of_levels() -> None:
    levels = extent._MOST_LEVELS
    row = LARGE["numbers of a byte"]
    body = b"\x91" * (levels - 1) + row
    assert extent.Walk(memoryview(body)).end_of(0) == len(body)
    with pytest.raises(RecursionError):
        extent.Walk(memoryview(b"\x91" + body)).end_of(0)


def test_a_key_of_a_large_map_may_have_as_many_bytes_as_it_may() -> None:
    def named(size: int) -> bytes:
        return msgspec.msgpack.encode({"k" * size: 1, "rest": bytes(LONGEST_STRING)})

    assert len(document.members(named(LONGEST_KEY), "")) == 2
    with pytest.raises(BodyTooLarge, match=f"at most {LONGEST_KEY} bytes, got one of {LONGEST_KEY + 1}"):
        document.members(named(LONGEST_KEY + 1), "")
