"""Chooses the content encodings of a request and of its answer.

A request may always be compressed. An answer is only where the caller asks for it and it pays: text, and a lot
of it. Nearly every HTTP client says that it accepts gzip, and arrays as bytes hardly become smaller.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from lossd.api.header_cache import HeaderCache
from lossd.api.negotiation import preferences
from lossd.errors import UnsupportedMediaType, excerpt
from lossd.wire import ENCODINGS, Body
from lossd.wire.codec import Reserve
from lossd.wire.content_encoding import decompress
from lossd.wire.unpacked_size import unpacked_size


@dataclass(frozen=True, slots=True)
class Unpack:
    """How a body of one content encoding is unpacked."""

    encoding: str

    def __call__(self, body: Body, largest: int, reserve: Reserve) -> Body:
        """Return the body, which must not have more bytes than the largest; each is reserved."""
        return decompress(body, self.encoding, largest, reserve)

    def size(self, body: Body) -> int:
        """Return how many bytes it will have, or more, before it is unpacked."""
        return unpacked_size(body, self.encoding)


def unpacking(content_encoding: bytes) -> Unpack | None:
    """Return how to unpack a body; None where it is not packed.

    Raises:
        UnsupportedMediaType: Nothing unpacks that encoding.
    """
    name = content_encoding.decode("latin-1").strip().lower()
    if name in ("", "identity"):
        return None
    if name not in ENCODINGS:
        possible = " or ".join(ENCODINGS)
        raise UnsupportedMediaType(f"expected Content-Encoding: {possible}, got {excerpt(name)}")
    return Unpack(name)


def answer_encoding(accept_encoding: bytes) -> str | None:
    """Return the encoding that the caller prefers; None where it prefers an answer that is not encoded."""
    return _ANSWER_ENCODINGS[accept_encoding]


def preferred_encoding(accept_encoding: bytes, possible: Iterable[str]) -> str | None:
    """Return the possible encoding that the caller prefers; None where it prefers an answer that is not encoded."""
    liked = dict(preferences(accept_encoding))
    rest = liked.get("*", 0.0)
    best = max(possible, key=lambda name: liked.get(name, rest))  # the first of equals
    quality = liked.get(best, rest)
    return best if quality > 0 and quality >= liked.get("identity", 0.0) else None


_ANSWER_ENCODINGS = HeaderCache(partial(preferred_encoding, possible=tuple(ENCODINGS)))
