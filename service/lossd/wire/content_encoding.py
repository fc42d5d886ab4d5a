"""The content encodings: compression of a whole body, whatever its format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from lossd.errors import BodyTooLarge
from lossd.message import Checkpoint
from lossd.wire.codec import Body, Parts, Reserve, never_end, reserve_nothing
from lossd.wire.decompression import (
    GZIP,
    ZLIB,
    Decompressor,
    DeflateDecompressor,
    ZstdDecompressor,
    isal_zlib,
    zstd,
)

_STEP = 1 << 20
_FASTEST = 1


class Encoding(NamedTuple):
    """One content encoding.

    Attributes:
        decompressor: Starts to decompress a body; the text names its place in the request.
        compressor: Starts to compress one, at the fastest level.
    """

    decompressor: Callable[[memoryview, str], Decompressor]
    compressor: Callable[[], Any]


def _deflate(window_bits: int) -> Encoding:
    return Encoding(
        lambda compressed, at: DeflateDecompressor(compressed, at, window_bits),
        lambda: isal_zlib.compressobj(_FASTEST, isal_zlib.DEFLATED, window_bits),
    )


ENCODINGS: Mapping[str, Encoding] = MappingProxyType(
    {
        "zstd": Encoding(ZstdDecompressor, lambda: zstd.ZstdCompressor(level=_FASTEST)),
        "gzip": _deflate(GZIP),
        "deflate": _deflate(ZLIB),
    }
)
"""Every content encoding by its name in ``Content-Encoding``, the best one first."""


def decompress(body: Body, encoding: str, max_bytes: int, reserve: Reserve = reserve_nothing) -> bytearray:
    """Decompress a body, which must not become larger than ``max_bytes``; what it grows by is reserved as it comes.

    Raises:
        MalformedBody: It is not one whole stream of that encoding.
        BodyTooLarge: It decompresses to more.
    """
    stream = ENCODINGS[encoding].decompressor(memoryview(body), "Content-Encoding")
    content = bytearray()
    reserved = len(body)  # which is counted already
    # One byte more than is allowed is asked for, to see whether there is one.
    while step := stream.read(min(_STEP, max_bytes + 1 - len(content))):
        content += step
        if len(content) > max_bytes:
            raise BodyTooLarge(f"expected a body of at most {max_bytes} bytes once decompressed, got more")
        if len(content) > reserved:
            reserve(len(content) - reserved)
            reserved = len(content)
    return content


def compress(parts: Parts, encoding: str, checkpoint: Checkpoint = never_end) -> Parts:
    """Compress a body; what ``checkpoint`` raises, which is called between its pieces, ends that."""
    compressor = ENCODINGS[encoding].compressor()
    packed = []
    for part in parts:
        view = memoryview(part)
        for start in range(0, len(view), _STEP):
            checkpoint()
            packed.append(compressor.compress(view[start : start + _STEP]))
    return [*filter(None, packed), compressor.flush()]
