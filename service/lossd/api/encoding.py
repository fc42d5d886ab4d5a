"""This file is the content encodings of request bodies: unpacked up to a limit, whatever a body claims.

A compressed body may unfold to a thousand times its size, so it is unpacked step by step, and no step may make
more than the limit leaves.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType

from lossd.errors import BodyTooLarge, UnsupportedMediaType, malformed
from lossd.wire import Body

_GZIP = 16 + zlib.MAX_WBITS


def _inflated(body: Body, largest: int, wbits: int) -> bytes:
    """Unpack the one stream that ``body`` is."""
    stream = zlib.decompressobj(wbits)
    try:
        unpacked = stream.decompress(body, largest + 1)
    except zlib.error as error:
        raise malformed("", "a body that is compressed as Content-Encoding says", error) from None
    if len(unpacked) > largest:
        raise BodyTooLarge(f"expected a body of at most {largest} bytes when unpacked, got more")
    if not stream.eof:
        raise malformed("", "a whole compressed body", "one that is cut short")
    if stream.unused_data:
        raise malformed("", "a compressed body", f"{len(stream.unused_data)} more bytes behind it")
    return unpacked


Unpack = Callable[[Body, int], bytes]
UNPACKING: Mapping[bytes, Unpack] = MappingProxyType(
    {
        b"gzip": lambda body, largest: _inflated(body, largest, _GZIP),
        b"deflate": lambda body, largest: _inflated(body, largest, zlib.MAX_WBITS),
    }
)
"""Every content encoding to the function that unpacks a body to at most so many bytes."""


def unpacking(content_encoding: bytes) -> Unpack | None:
    """Return how to unpack a body, None where it is not packed.

    Raises:
        UnsupportedMediaType: Nothing unpacks that encoding.
    """
    name = content_encoding.strip().lower()
    if name in (b"", b"identity"):
        return None
    if name not in UNPACKING:
        possible = " or ".join(sorted(known.decode() for known in UNPACKING))
        shown = content_encoding[:80].decode("latin-1")
        raise UnsupportedMediaType(f"expected Content-Encoding: {possible}, got {shown}")
    return UNPACKING[name]
