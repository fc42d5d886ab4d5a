"""Decompresses streams step by step, so that no more memory is taken than the reader allows.

Input is fed in slices: zlib and its relatives copy what they have not consumed at every step, which would be
quadratic for a whole large body.
"""

from __future__ import annotations

import sys
from typing import Any, Protocol, cast

from isal import isal_zlib

from lossd.errors import malformed

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = [
    "GZIP",
    "RAW_DEFLATE",
    "ZLIB",
    "Decompressor",
    "DeflateDecompressor",
    "ZstdDecompressor",
    "crc32",
    "isal_zlib",
    "zstd",
]

crc32 = isal_zlib.crc32

RAW_DEFLATE, ZLIB, GZIP = -15, 15, 31
"""The frames around a deflate stream, as zlib numbers them."""

_FRAMES = {RAW_DEFLATE: "deflate", ZLIB: "zlib", GZIP: "gzip"}

_SLICE = 1 << 18
_DAMAGED = cast(type[Exception], isal_zlib.error)  # its stubs call the class an instance

_LARGEST_WINDOW = 23  # 8 MiB, the most that RFC 9659 lets a sender of HTTP use


class Decompressor(Protocol):
    """One compressed stream, read from start to end."""

    def read(self, most: int) -> bytes:
        """Return from 1 to ``most`` bytes, or none at the end of the stream.

        Raises:
            MalformedBody: The stream is damaged, cut short, or something comes after it.
        """


class DeflateDecompressor:
    """A deflate stream in the frame that ``window_bits`` names."""

    def __init__(self, compressed: memoryview, at: str, window_bits: int) -> None:
        self._input = _Slices(compressed)
        self._at = at
        self._frame = _FRAMES[window_bits]
        self._stream = isal_zlib.decompressobj(window_bits)
        self._unconsumed = b""

    def read(self, most: int) -> bytes:
        """Return from 1 to ``most`` bytes, or none at the end of the stream."""
        while not self._stream.eof:
            compressed = self._unconsumed or self._input.take()
            try:
                content: bytes = self._stream.decompress(compressed, most)
            except _DAMAGED as error:
                raise malformed(self._at, self._expected("an intact"), str(error)[:80]) from None
            self._unconsumed = self._stream.unconsumed_tail
            if content:
                return content
            if not compressed:
                raise malformed(self._at, self._expected("a whole"), "one that is cut short")
        self._input.check_end(self._stream.unused_data, self._at)
        return b""

    def _expected(self, state: str) -> str:
        return f"{state} {self._frame} stream"


class ZstdDecompressor:
    """One frame of zstd, whose window is no larger than HTTP allows."""

    def __init__(self, compressed: memoryview, at: str) -> None:
        self._input = _Slices(compressed)
        self._at = at
        option: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _LARGEST_WINDOW}
        self._stream = zstd.ZstdDecompressor(options=option)

    def read(self, most: int) -> bytes:
        """Return from 1 to ``most`` bytes, or none at the end of the stream."""
        while not self._stream.eof:
            needs_input = self._stream.needs_input
            compressed = self._input.take() if needs_input else b""
            try:
                content: bytes = self._stream.decompress(compressed, most)
            except zstd.ZstdError as error:
                raise malformed(self._at, "an intact zstd frame", str(error)[:80]) from None
            if content:
                return content
            if needs_input and not compressed:
                raise malformed(self._at, "a whole zstd frame", "one that is cut short")
        self._input.check_end(self._stream.unused_data, self._at)
        return b""


class _Slices:
    """The rest of the input, in slices."""

    def __init__(self, compressed: memoryview) -> None:
        self._rest = compressed

    def take(self) -> Any:
        """Take the next slice; an empty one where there is no more."""
        piece, self._rest = self._rest[:_SLICE], self._rest[_SLICE:]
        return piece

    def check_end(self, unused: bytes, at: str) -> None:
        """Refuse bytes behind the end of the stream."""
        if more := len(unused) + len(self._rest):
            raise malformed(at, "nothing after the compressed stream", f"{more} more bytes")
