"""Gathers the pieces of a body into a few parts to send."""

from __future__ import annotations

from collections.abc import Iterable

from lossd.wire.codec import Parts

_SMALL = 1 << 14  # bytes; copying so few costs less than sending them apart


def gather(pieces: Iterable[bytes | bytearray | memoryview]) -> Parts:
    """Join small neighbouring pieces, so that few parts are left and no large one is copied."""
    parts: list[bytes | bytearray | memoryview] = []
    small = bytearray()
    for piece in pieces:
        if len(piece) <= _SMALL:
            small += piece
            continue
        if small:
            parts.append(small)
            small = bytearray()
        parts.append(piece)
    if small or not parts:
        parts.append(small)
    return parts
