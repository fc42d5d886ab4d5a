"""Bytes are found in text of any size, rare or not."""

from __future__ import annotations

import pytest

from lossd.wire.json.byte_search import holds_more, holds_null


@pytest.mark.parametrize("rest", [b"", b"1", b"1" * 255, b"1" * 10_000])
@pytest.mark.parametrize("marks", [0, 1, 2, 3, 100])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 99, 100, 101])
def test_more_is_more(rest: bytes, marks: int, count: int) -> None:
    text = b":".join([rest] * (marks + 1))
    assert holds_more(text, b":", count) == (marks > count)
    assert holds_more(bytearray(text), b":", count) == (marks > count)


@pytest.mark.parametrize("before", [b"", b"u", b"count", b"u" * 63, b"u" * 64, b"u" * 65, b"nulnuul" * 50])
@pytest.mark.parametrize("between", [b"", b"1.5," * 1000])
def test_null_is_found_wherever_it_is(before: bytes, between: bytes) -> None:
    assert not holds_null(before + between)
    assert holds_null(before + between + b"null")
    assert holds_null(b"null" + before + between)
    assert holds_null(before + between + b"null" + between)
