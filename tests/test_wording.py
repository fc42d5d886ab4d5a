"""Values in error messages: in JSON's words, short, and printable."""

from __future__ import annotations

import datetime
import math

import pytest

from lossd.errors import invalid
from lossd.wording import described, quoted, shown, type_name


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-1, "number -1"),
        (0.5, "number 0.5"),
        (math.nan, "number NaN"),
        (-math.inf, "number -Infinity"),
        (True, "boolean true"),
        ("2", 'string "2"'),
        (None, "null"),
        ([1, "a", False], 'list [1, "a", false]'),
        ([], "list []"),
        ([[1]], "a list"),
        ([1] * 1000, "a list"),
        ({"a": 1}, "an object"),
        pytest.param(10**5000, "a number", id="too long to write"),
        (b"\0", "raw bytes"),
        (datetime.date(2020, 1, 1), "a value of type date"),
    ],
)
def test_a_value_is_shown_as_json_has_it(value: object, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(
    ("text", "written"),
    [("délta", '"délta"'), ("a\nb", '"a\\nb"'), ("\u202e", '"\\u202e"'), ("\udc80", '"\\udc80"')],
)
def test_what_cannot_be_printed_is_escaped(text: str, written: str) -> None:
    assert quoted(text) == written


def test_a_long_text_is_cut() -> None:
    assert quoted("x" * 1000, 5) == '"xxxxx..."'
    assert len(shown("x" * 1000)) < 60


def test_a_number_where_another_value_was_expected_is_json_too() -> None:
    assert described("abc") == 'the string "abc"'
    assert type_name(True) == "a boolean"
    assert invalid("a", "b", float("nan")).errors[0].got == "NaN"
    assert invalid("a", "b", True).errors[0].got == "true"
