"""Options of a call: values of JSON's types, bounded in depth and number so that their readers may recurse."""

from __future__ import annotations

from typing import Any

from lossd.errors import malformed
from lossd.wire.codec import LONGEST_STRING
from lossd.wire.long_base64 import LongBase64

MOST_VALUES = 1 << 16
"""Values that one option may hold, on all its levels together."""

_CONTAINERS = (list, dict)
STRINGS = (str, LongBase64)
"""What a string of JSON is read as."""


def checked_option(value: Any, name: str, depth: int) -> Any:
    """Return an option that has at most ``depth`` levels and `MOST_VALUES` values.

    Raises:
        MalformedBody: It is nested more deeply, or holds more, or a long string.
    """
    count = 0
    if type(value) in STRINGS:
        _refuse_long([value], name)
    level = [value] if type(value) in _CONTAINERS else []
    while level:
        if depth == 0:
            raise malformed(name[:40], "fewer levels of nesting", "deeper nesting")
        depth -= 1
        count += sum(map(len, level))
        check_values(count, name)
        children = [child for item in level for child in (item.values() if type(item) is dict else item)]
        _refuse_long(children, name)
        level = [child for child in children if type(child) in _CONTAINERS]
    return value


def check_values(count: int, name: str) -> None:
    """Raise MalformedBody if an option has too many values."""
    if count > MOST_VALUES:
        expected = f"the name of an array, or an option of at most {MOST_VALUES} values"
        raise malformed(name[:40], expected, "an option of more")


def _refuse_long(values: list[Any], name: str) -> None:
    for value in values:
        if type(value) in STRINGS and len(value) > LONGEST_STRING:
            expected = f"strings of at most {LONGEST_STRING} characters in an option"
            raise malformed(name[:40], expected, f"one of {len(value)}")
