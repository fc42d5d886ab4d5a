"""The size that a compressed body states it will have, without decompressing it.

Who waits for the thread pool is decided before a body is decompressed. A stream that states too little does not
decompress; where it states nothing, the size is the most that its format makes of so many bytes.
"""

from __future__ import annotations

import struct

from lossd.wire.codec import MOST_NAMES, Body

# What a byte of deflate may become: a match of 258 bytes takes two bits.
_MOST_OF_DEFLATE = 1032
_GZIP_TRAILER = 18  # bytes of the shortest stream, of which the last four are its size modulo 2**32

# RFC 8878: a frame begins with its magic number and descriptor, a block with its size, type and whether it is the last.
_MAGIC, _BLOCK_HEADER, _LARGEST_BLOCK = 4, 3, 1 << 17
_DICTIONARY_BYTES, _CONTENT_BYTES = (0, 1, 2, 4), (0, 2, 4, 8)
_RAW, _RUN = 0, 1  # types of a block; a run is one byte repeated
_END, _ENTRY = (
    struct.Struct("<4s8xLL2x"),
    struct.Struct("<4s6xH12xL3H12x"),
)  # of a ZIP archive's central directory
_ENTRY_SIGNATURE, _DEFLATED = b"PK\1\2", 8
_MOST_BLOCKS = 1 << 9  # of the largest, 64 MiB: with more, what follows is taken for as many


def unpacked_size(body: Body, encoding: str) -> int:
    """Return the size of a body once it is decompressed, or more."""
    view = memoryview(body)
    if encoding == "zstd":
        return _of_zstd(view)
    most = len(view) * _MOST_OF_DEFLATE
    if encoding == "gzip" and len(view) >= _GZIP_TRAILER:
        return min(most, int.from_bytes(view[-4:], "little"))
    return most


def _of_zstd(view: memoryview) -> int:
    """Add up the blocks of a frame; of what is none, 0."""
    if len(view) <= _MAGIC:
        return 0
    descriptor = view[_MAGIC]
    single = descriptor >> 5 & 1  # then the size of the content stands for that of the window
    content_bytes = _CONTENT_BYTES[descriptor >> 6] or single
    position = _MAGIC + 1 + (1 - single) + _DICTIONARY_BYTES[descriptor & 3]
    if content_bytes:
        stated = int.from_bytes(view[position : position + content_bytes], "little")
        return stated + (256 if content_bytes == 2 else 0)
    return _of_blocks(view, position)


def _of_blocks(view: memoryview, position: int) -> int:
    size = 0
    for _ in range(_MOST_BLOCKS):
        header = int.from_bytes(view[position : position + _BLOCK_HEADER], "little")
        is_last, kind, stated = header & 1, header >> 1 & 3, header >> 3
        size += stated if kind in (_RAW, _RUN) else _LARGEST_BLOCK
        position += _BLOCK_HEADER + (1 if kind == _RUN else stated)
        if is_last or position >= len(view):
            return size
    return size + _MOST_BLOCKS * _LARGEST_BLOCK


def inflated_size(body: Body) -> int:
    """Return how many bytes the deflated members of a ZIP archive state that they will have; of what is none, 0.

    A stored member is a part of the body. One that turns out to be longer than it states is refused there.
    """
    view = memoryview(body)
    if len(view) < _END.size:
        return 0
    _, _, position = _END.unpack_from(view, len(view) - _END.size)
    size = 0
    for _ in range(MOST_NAMES):
        if position + _ENTRY.size > len(view):
            break
        signature, method, stated, *lengths = _ENTRY.unpack_from(view, position)
        if signature != _ENTRY_SIGNATURE:
            break
        size += stated if method == _DEFLATED else 0
        position += _ENTRY.size + sum(lengths)
    return size
