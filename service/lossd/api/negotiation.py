"""Chooses the formats of a request and of its answer: ``Content-Type`` and ``Accept``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from lossd.errors import NotAcceptable, UnsupportedMediaType, excerpt
from lossd.wire import CODECS, Codec

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
UNTYPED = frozenset(("", "text/plain"))
"""Types that say nothing: none at all, and the one that ``fetch`` gives to a string whose type nobody states."""

_LONGEST_KEPT = 256  # bytes of a header whose meaning is kept: callers must not fill the memory
_MOST_KEPT = 256

T = TypeVar("T")


class HeaderCache(dict[bytes, T]):
    """A bounded cache from short headers to what they mean; the same few come with nearly all requests."""

    def __init__(self, read: Callable[[bytes], T]) -> None:
        self._read = read

    def __missing__(self, header: bytes) -> T:
        meaning = self._read(header)
        if len(header) <= _LONGEST_KEPT:
            if len(self) >= _MOST_KEPT:
                self.clear()
            self[header] = meaning
        return meaning


def request_codec(content_type: bytes) -> Codec:
    """Return the codec of a request body; a type that says nothing means JSON.

    Raises:
        UnsupportedMediaType: No codec reads that type.
    """
    return _REQUEST_CODECS[content_type]


def answer_codec(accept: bytes, request: str) -> Codec:
    """Return the codec of an answer: the one the caller likes best, or else the request's media type.

    Raises:
        NotAcceptable: The caller accepts nothing that can carry an answer.
    """
    return _ANSWER_CODECS[request][accept]


def preferences(header: bytes) -> list[tuple[str, float]]:
    """Split a header such as ``Accept: application/json;q=0.5, */*`` into what is liked, and how much."""
    return [_weight(part) for part in header.decode("latin-1").lower().split(",") if part.strip()]


def _quality(media_type: str, ranges: list[tuple[str, float]]) -> float:
    """Return how much the caller likes a media type: the most specific range that matches decides."""
    if not ranges:
        return 1.0
    liked = dict(ranges)
    group = media_type.partition("/")[0] + "/*"
    return next((liked[pattern] for pattern in (media_type, group, "*/*") if pattern in liked), 0.0)


def _weight(part: str) -> tuple[str, float]:
    """Split ``gzip;q=0.5`` into the name and its weight; one that is no number is 1."""
    pattern, *parameters = (piece.strip() for piece in part.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q" and value.strip().replace(".", "", 1).isdecimal():
            return pattern, float(value)
    return pattern, 1.0


def _essence(content_type: bytes) -> str:
    """Return a media type without its parameters."""
    return content_type.decode("latin-1").partition(";")[0].strip().lower()


def _possible() -> str:
    return " or ".join(CODECS)


def _shown(value: bytes) -> str:
    return excerpt(value.decode("latin-1"))


def _read_content_type(header: bytes) -> Codec:
    media_type = _essence(header)
    if media_type in UNTYPED or media_type.endswith("+json"):
        media_type = JSON
    codec = CODECS.get(media_type)
    if codec is None:
        hint = f"; with curl add -H 'Content-Type: {JSON}'" if media_type == FORM else ""
        raise UnsupportedMediaType(f"expected Content-Type: {_possible()}, got {_shown(header)}{hint}")
    return codec


def _read_accept(header: bytes, request: str) -> Codec:
    ranges = preferences(header)
    candidates = [request, *(media_type for media_type in CODECS if media_type != request)]
    best = max(candidates, key=lambda media_type: _quality(media_type, ranges))  # the first of equals
    if _quality(best, ranges) > 0:
        return CODECS[best]
    raise NotAcceptable(f"expected an Accept header that allows {_possible()}, got {_shown(header)}")


_REQUEST_CODECS = HeaderCache(_read_content_type)
_ANSWER_CODECS = {request: HeaderCache(partial(_read_accept, request=request)) for request in CODECS}
