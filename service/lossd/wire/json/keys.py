"""The check that no object in a JSON body gives a key twice, which parsers forgive in different ways.

It runs after the body has parsed, so the text is known to be well-formed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from lossd.errors import malformed
from lossd.wire.json.byte_search import holds_more

_SPACE = b" \t\n\r"
_NOT_BRACES = bytes(set(range(256)) - set(b"{}"))


def refuse_repeated_keys(text: bytes | bytearray, document: dict[str, Any]) -> None:
    """Raise MalformedBody if any object of ``text``, which parsed to ``document``, repeats a key."""
    # Every pair has its colon: no more colons than keys means none repeated.
    if holds_more(text, b":", _count(document)):
        _scan(text)


def _count(document: dict[str, Any]) -> int:
    """Count the keys of the objects in which ordinary bodies have them; long lists of numbers are passed over."""
    keys, waiting = 0, [document]
    while waiting:
        value = waiting.pop()
        keys += len(value)
        for item in value.values():
            if type(item) is dict:
                waiting.append(item)
            elif type(item) is list and item and type(item[0]) is dict:
                waiting.extend(entry for entry in item if type(entry) is dict)
    return keys


def _scan(text: bytes | bytearray) -> None:
    seen: list[set[str]] = []
    after = 0
    for start, end in _strings(text):
        for brace in text[after:start].translate(None, _NOT_BRACES):
            if brace == ord("{"):
                seen.append(set())
            else:
                seen.pop()
        after = end
        if not _is_key(text, end):
            continue
        key = orjson.loads(text[start:end])
        if key in seen[-1]:
            raise malformed(f"byte {start}", "each key once in an object", f'"{key[:40]}" again')
        seen[-1].add(key)


def _strings(text: bytes | bytearray) -> Iterator[tuple[int, int]]:
    """Yield where each string starts and ends, quotes included."""
    start = text.find(b'"')
    while start >= 0:
        quote = text.find(b'"', start + 1)
        while _is_escaped(text, quote):
            quote = text.find(b'"', quote + 1)
        yield start, quote + 1
        start = text.find(b'"', quote + 1)


def _is_escaped(text: bytes | bytearray, quote: int) -> bool:
    first = quote
    while text[first - 1] == ord("\\"):
        first -= 1
    return (quote - first) % 2 == 1


def _is_key(text: bytes | bytearray, end: int) -> bool:
    while end < len(text) and text[end] in _SPACE:
        end += 1
    return text[end : end + 1] == b":"
