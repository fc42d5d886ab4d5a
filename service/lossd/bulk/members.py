"""What kinds of files share: arrays under names, and arrays as bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from lossd.bulk.errors import UnusableFile
from lossd.message import Array
from lossd.wording import quoted


def chosen(names: Collection[str], member: str, path: str, kind: str) -> str:
    """Return the name of an array of a file: the one that is asked for, or the only one.

    Raises:
        UnusableFile: The file has no array of that name, or several and none is asked for.
    """
    if not member and len(names) == 1:
        return next(iter(names))
    if member in names:
        return member
    if not names:
        raise UnusableFile(path, f"one of the {kind}", "a file without any")
    example = next(iter(names))
    raise UnusableFile(
        path, f"one of the {kind} {', '.join(names)}, as in {path}:{example}", member or "no name"
    )


def check_names(path: str, names: Iterable[str], place: str = "") -> None:
    """Refuse a file of which two arrays or columns have one name: a caller cannot mean both.

    Raises:
        UnusableFile: The error has the name, and the place in the file.
    """
    if twice := _twice(names):
        raise UnusableFile(path, "each name once", f"{quoted(twice[0])} twice", place)


def each_key_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON, for `json.loads`, which would take the last of two keys.

    Raises:
        ValueError: Two keys are the same.
    """
    if twice := _twice(key for key, _ in pairs):
        raise ValueError(f"the key {quoted(twice[0])} twice in an object")
    return dict(pairs)


def _twice(names: Iterable[str]) -> list[str]:
    """Return the name that is there most often, if more than once."""
    return [name for name, times in Counter(names).most_common(1) if times > 1]


def bytes_of(array: Array) -> memoryview:
    """Return the bytes of a contiguous array, which may have none, to read or write in place."""
    return memoryview(np.atleast_1d(array).view(np.uint8).reshape(-1).data)
