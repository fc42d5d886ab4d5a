"""What a thread keeps from part to part: open files, arrays that all rows share, and memory to read into.

A worker outlives jobs, so files are kept by their state. It has several threads, and each reads its own part.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from threading import local
from typing import Any

import numpy as np

from lossd.bulk.errors import naming
from lossd.bulk.sources import Fingerprint, Source, open_source, parse_name
from lossd.message import Array


class _Kept(local):
    """The caches of one thread."""

    def __init__(self) -> None:
        self.source = lru_cache(maxsize=64)(_open)
        self.whole = lru_cache(maxsize=8)(_read)
        self.memory = lru_cache(maxsize=16)(_allocate)


def state_of(fingerprint: Fingerprint) -> str:
    """Return what tells one state of a source from another, in few bytes however many its files are."""
    return sha256(repr(fingerprint).encode()).hexdigest()


def source_of(text: str, state: str) -> Source:
    """Open what a name such as ``a.npz:x`` stands for, in a state of its files."""
    return _KEPT.source(text, state)


def whole(text: str, state: str) -> Array:
    """Read all of a source."""
    return _KEPT.whole(text, state)


def memory(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return memory that the rows of an argument are read into, part after part."""
    return _KEPT.memory(name, shape, dtype)


def _open(text: str, state: str) -> Source:
    return open_source(parse_name(text))


def _read(text: str, state: str) -> Array:
    source = source_of(text, state)
    with naming(text, "an array that fits in memory"):
        array = np.empty(source.shape, source.dtype)
    source.read(0, array)
    return array


def _allocate(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    return np.empty(shape, dtype)


_KEPT = _Kept()
