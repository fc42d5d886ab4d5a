"""The content encodings: how a whole body, in whatever format, may be compressed on its way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from lossd.errors import BodyTooLarge
from lossd.wire.codec import Body, Parts
from lossd.wire.decompression import GZIP, ZLIB, Inflating, Unfolding, ZstdUnfolding, isal_zlib, zstd

_STEP = 1 << 20
_FASTEST = 1


class Encoding(NamedTuple):
    """One content encoding.

    Attributes:
        open: Begins to unfold a body that is at a place of the request.
        new_compressor: Begins to compress one, at the level that is quickest.
    """

    open: Callable[[memoryview, str], Unfolding]
    new_compressor: Callable[[], Any]


def _inflating(window_bits: int) -> Encoding:
    return Encoding(
        lambda folded, at: Inflating(folded, at, window_bits),
        lambda: isal_zlib.compressobj(_FASTEST, isal_zlib.DEFLATED, window_bits),
    )


ENCODINGS: Mapping[str, Encoding] = MappingProxyType(
    {
        "zstd": Encoding(ZstdUnfolding, lambda: zstd.ZstdCompressor(level=_FASTEST)),
        "gzip": _inflating(GZIP),
        "deflate": _inflating(ZLIB),
    }
)
"""Every content encoding by its name in ``Content-Encoding``, the best one first."""


def decompress(body: Body, encoding: str, max_bytes: int) -> bytearray:
    """Unfold a body, which must not become larger than ``max_bytes``.

    Raises:
        MalformedBody: It is not one whole stream of that encoding.
        BodyTooLarge: It unfolds to more.
    """
    stream = ENCODINGS[encoding].open(memoryview(body), "Content-Encoding")
    content = bytearray()
    # One byte more than is allowed is asked for, to see whether there is one.
    while step := stream.step(min(_STEP, max_bytes + 1 - len(content))):
        content += step
        if len(content) > max_bytes:
            raise BodyTooLarge(f"expected a body of at most {max_bytes} bytes once unfolded, got more")
    return content


def compress(parts: Parts, encoding: str) -> Parts:
    """Compress a body."""
    compressor = ENCODINGS[encoding].new_compressor()
    return [*filter(None, (compressor.compress(part) for part in parts)), compressor.flush()]
