"""A cache of what headers mean, which callers cannot fill the memory with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

_LONGEST_KEPT = 256  # bytes of a header whose meaning is kept
_MOST_KEPT = 256

T = TypeVar("T")


class HeaderCache(dict[bytes, T]):
    """A bounded cache from short headers to what they mean; the same few come with nearly all requests."""

    def __init__(self, read: Callable[[bytes], T]) -> None:
        self._read = read

    def __missing__(self, header: bytes) -> T:
        meaning = self._read(header)
        if len(header) <= _LONGEST_KEPT:
            if len(self) >= _MOST_KEPT:
                self.clear()
            self[header] = meaning
        return meaning
