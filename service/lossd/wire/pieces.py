"""The pieces in which large bodies are read and written, so that threads beside get the interpreter's lock in between.

A parser or writer in C keeps the lock until it returns, and a waiting thread gets it at the earliest when it does.
Each piece takes half a millisecond.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

PIECE_BYTES = 1 << 16
"""Bytes of text or of an array that one call into C reads or writes."""

PIECE_ITEMS = 1 << 15
"""Items of a list that one call into C reads or frees."""


def slices(items: list[Any]) -> Iterator[list[Any]]:
    """Cut a list into pieces; a short one is its own only piece."""
    if len(items) <= PIECE_ITEMS:
        yield items
        return
    for start in range(0, len(items), PIECE_ITEMS):
        yield items[start : start + PIECE_ITEMS]


def joined(rows: list[list[Any]], length: int) -> list[Any]:
    """Join lists that all have so many items."""
    if len(rows) * length <= PIECE_ITEMS:
        return list(chain.from_iterable(rows))
    items: list[Any] = []
    step = max(1, PIECE_ITEMS // max(length, 1))
    for start in range(0, len(rows), step):
        if step > 1:
            items.extend(chain.from_iterable(rows[start : start + step]))
        else:
            for part in slices(rows[start]):
                items.extend(part)
    return items


def discard(items: list[Any]) -> None:
    """Empty a list and the lists in it: to free millions of items at once takes as long as to build them."""
    waiting = [items]
    while waiting:
        each = waiting.pop()
        while each:
            part = each[-PIECE_ITEMS:]
            del each[-PIECE_ITEMS:]
            if list in {*map(type, part)}:
                for item in part:
                    if type(item) is list:
                        waiting += (item,)
