"""Checks of the keys in a JSON body: that they are not too many, and that no object gives one twice.

Parsers accept repeated keys and take the first or the last. The check for them runs after the body has parsed, so
the text is known to be well-formed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson

from lossd.errors import malformed
from lossd.wire.json.byte_search import count_up_to
from lossd.wire.json.escapes import without_escapes

MOST_KEYS = 1 << 16
"""Keys that all objects of a body have together: a parsed one costs as much as 20 numbers."""

_MOST_MARKS = 3 * MOST_KEYS  # a colon for each key, and two braces for each object
_QUOTE, _COLON, _OPENING, _CLOSING = b'":{}'


def count_colons(text: bytes | bytearray) -> int:
    """Count the colons of a text, in strings as well.

    Raises:
        MalformedBody: There are more of them than a call has keys.
    """
    colons = count_up_to(text, b":", MOST_KEYS)
    if colons > MOST_KEYS:
        raise malformed("", f"at most {MOST_KEYS} keys in a body", "more")
    return colons


def refuse_repeated_keys(text: bytes | bytearray, colons: int, document: dict[str, Any]) -> None:
    """Raise MalformedBody if any object of ``text``, which parsed to ``document``, repeats a key."""
    # Every pair has its colon: no more colons than keys means none repeated.
    if not _has_keys(document, colons):
        _compare_keys(text)


def _has_keys(document: dict[str, Any], count: int) -> bool:
    """Look for keys where ordinary bodies have them, until there are enough; long lists of numbers are passed over."""
    waiting = [document]
    while waiting and count > 0:
        value = waiting.pop()
        count -= len(value)
        for item in value.values():
            if type(item) is dict:
                waiting.append(item)
            elif type(item) is list and item and type(item[0]) is dict:
                waiting.extend(entry for entry in item if type(entry) is dict)
    return count <= 0


def _compare_keys(text: bytes | bytearray) -> None:
    seen: list[set[str]] = []
    for position, key in _structure(text):
        if key == b"{":
            seen.append(set())
        elif key == b"}":
            seen.pop()
        else:
            name = orjson.loads(key)
            if name in seen[-1]:
                raise malformed(f"byte {position}", "each key once in an object", f'"{name[:40]}" again')
            seen[-1].add(name)


def _structure(text: bytes | bytearray) -> Iterator[tuple[int, bytes | bytearray]]:
    """Yield every brace outside strings, and every key with its quotes, each with its position."""
    at = count = 0
    last_quotes, inside = np.empty(0, np.intp), 0  # those of a key may be in the piece before its colon
    while at < len(text):
        block = without_escapes(text, at)
        codes = np.frombuffer(block, np.uint8)
        quotes = np.concatenate([last_quotes, np.flatnonzero(codes == _QUOTE) + at])
        marks = np.flatnonzero((codes == _COLON) | (codes == _OPENING) | (codes == _CLOSING)) + at
        before = np.searchsorted(quotes, marks)
        outside = (before - len(last_quotes) + inside) % 2 == 0
        count += int(np.count_nonzero(outside))
        if count > _MOST_MARKS:
            raise malformed("", f"at most {MOST_KEYS} objects in a body", "more")
        for position, quotes_before in zip(marks[outside].tolist(), before[outside].tolist(), strict=True):
            if text[position] != _COLON:
                yield position, text[position : position + 1]
                continue
            first, last = quotes[quotes_before - 2 : quotes_before].tolist()
            yield first, text[first : last + 1]
        inside = (inside + len(quotes) - len(last_quotes)) % 2
        last_quotes = quotes[-2:]
        at += len(block)
