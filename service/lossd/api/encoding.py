"""Chooses the content encodings of a request and of its answer.

A request may always be compressed. An answer is only where the caller asks for it and it pays: text, and a lot
of it. Nearly every HTTP client says that it accepts gzip, and arrays as bytes hardly become smaller.
"""

from __future__ import annotations

from collections.abc import Callable

from lossd.api.negotiation import HeaderCache, preferences
from lossd.errors import UnsupportedMediaType, excerpt
from lossd.wire import ENCODINGS, Body
from lossd.wire.content_encoding import decompress

Unpack = Callable[[Body, int], Body]


def unpacking(content_encoding: bytes) -> Unpack | None:
    """Return how to unpack a body to at most so many bytes, None where it is not packed.

    Raises:
        UnsupportedMediaType: Nothing unpacks that encoding.
    """
    name = content_encoding.decode("latin-1").strip().lower()
    if name in ("", "identity"):
        return None
    if name not in ENCODINGS:
        possible = " or ".join(ENCODINGS)
        raise UnsupportedMediaType(f"expected Content-Encoding: {possible}, got {excerpt(name)}")
    return lambda body, largest: decompress(body, name, largest)


def answer_encoding(accept_encoding: bytes) -> str | None:
    """Return the encoding that the caller likes best, None where he likes none more than none at all."""
    return _ANSWER_ENCODINGS[accept_encoding]


def _read_accept_encoding(header: bytes) -> str | None:
    liked = dict(preferences(header))
    rest = liked.get("*", 0.0)
    best = max(ENCODINGS, key=lambda name: liked.get(name, rest))  # the first of equals
    quality = liked.get(best, rest)
    return best if quality > 0 and quality >= liked.get("identity", 0.0) else None


_ANSWER_ENCODINGS = HeaderCache(_read_accept_encoding)
