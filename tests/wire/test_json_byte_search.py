"""Bytes are found in text of any size, rare or not."""

from __future__ import annotations

import pytest

from lossd.wire.json.byte_search import holds_more, holds_null, holds_slow_numbers


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


@pytest.mark.parametrize(
    "number",
    [
        b"12345678901234567890e-300",
        b"1.234567890123456789012E300",
        b"-12345678901.234567890e+5",
        b"1000000000000000000000000000000.5e-300",
        b"0.12345678901234567890e-30",
    ],
)
def test_slow_numbers_are_found_among_others(number: bytes) -> None:
    assert holds_slow_numbers(b"[" + (number + b",") * 100 + b"1.5e-7]")
    assert holds_slow_numbers(b"[" + (b"1.5e-7, " + number + b",") * 500 + b"1]")
    assert not holds_slow_numbers(b"[" + (number + b",") * 10 + b"1]")


@pytest.mark.parametrize(
    "number", [b"1.2345678901234567e-300", b"-5e-324", b"12345678901234567890.5", b'"true"', b"1e5,2e5", b"e"]
)
def test_ordinary_numbers_are_not_slow(number: bytes) -> None:
    assert not holds_slow_numbers(b"[" + (number + b",") * 1000 + b"1]")


def test_base64_is_not_searched_for_slow_numbers(monkeypatch) -> None:
    text = b'{"data": "%s"}' % (b"12345678901234567890e123" * 1000)
    monkeypatch.setattr("lossd.wire.json.byte_search.np", None)  # to look at all exponents takes arrays
    assert not holds_slow_numbers(text)
