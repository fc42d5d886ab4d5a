"""What kinds of files share: arrays under names, and arrays as bytes."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from lossd.bulk.errors import UnusableFile
from lossd.message import Array


def chosen(names: Collection[str], member: str, path: str, kind: str) -> str:
    """Return the name of an array of a file: the one that is asked for, or the only one.

    Raises:
        UnusableFile: The file has no array of that name, or several and none is asked for.
    """
    if not member and len(names) == 1:
        return next(iter(names))
    if member in names:
        return member
    example = next(iter(names), "NAME")
    raise UnusableFile(
        path, f"one of the {kind} {', '.join(names)}, as in {path}:{example}", member or "no name"
    )


def bytes_of(array: Array) -> memoryview:
    """Return the bytes of a contiguous array, which may have none, to read or write in place."""
    return memoryview(np.atleast_1d(array).view(np.uint8).reshape(-1).data)
