"""Chooses the formats of a request and of its answer: ``Content-Type`` and ``Accept``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Generic, TypeVar

from lossd.api.header_cache import HeaderCache
from lossd.errors import NotAcceptable, UnsupportedMediaType, excerpt
from lossd.wire import BATCH_CODECS, CODECS, COMBINATION_CODECS, BatchCodec, Codec, CombinationCodec

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
UNTYPED = frozenset(("", "text/plain"))
"""Types that say nothing: none at all, and the one that ``fetch`` gives to a string whose type nobody states."""

_SAME_AS = dict.fromkeys(("application/msgpack", "application/x-msgpack"), "application/vnd.msgpack")
"""Other names of a media type that callers send."""

_MOST_RANGES, _MOST_PARAMETERS = 256, 8
FORMATS = {
    media_type: media_type.rpartition("/")[2].removeprefix("x-").removeprefix("vnd.") for media_type in CODECS
}
"""Media type to the name of the format in metrics and the log."""

C = TypeVar("C")


class Formats(Generic[C]):
    """The formats that one kind of request and its answer may have, by media type."""

    def __init__(self, codecs: Mapping[str, C]) -> None:
        self._codecs = codecs
        self._of_requests = HeaderCache(self._read_content_type)
        self._of_answers = {
            request: HeaderCache(partial(self._read_accept, request=request)) for request in codecs
        }

    def of_request(self, content_type: bytes) -> C:
        """Return the codec of a request body; a type that says nothing means JSON.

        Raises:
            UnsupportedMediaType: No codec reads that type.
        """
        return self._of_requests[content_type]

    def of_answer(self, accept: bytes, request: str) -> C:
        """Return the codec of an answer: the one the caller prefers, or else the request's media type.

        Raises:
            NotAcceptable: The caller accepts nothing that can carry an answer.
        """
        return self._of_answers[request][accept]

    def _read_content_type(self, header: bytes) -> C:
        media_type = _read_as(header)
        codec = self._codecs.get(media_type)
        if codec is None:
            hint = f"; with curl add -H 'Content-Type: {JSON}'" if media_type == FORM else ""
            raise UnsupportedMediaType(
                f"expected Content-Type: {self._possible()}, got {_shown(header)}{hint}"
            )
        return codec

    def _read_accept(self, header: bytes, request: str) -> C:
        ranges = preferences(header)
        candidates = [request, *(media_type for media_type in self._codecs if media_type != request)]
        best = max(candidates, key=lambda media_type: _quality(media_type, ranges))  # the first of equals
        if _quality(best, ranges) > 0:
            return self._codecs[best]
        raise NotAcceptable(f"expected an Accept header that allows {self._possible()}, got {_shown(header)}")

    def _possible(self) -> str:
        return " or ".join(self._codecs)


def format_name(header: bytes) -> str:
    """Return the name of the format that a ``Content-Type`` means; empty where it means none."""
    return FORMATS.get(_read_as(header), "")


def _read_as(header: bytes) -> str:
    """Return the media type whose codec reads a body of this ``Content-Type``."""
    media_type = _essence(header)
    if media_type in UNTYPED or media_type.endswith("+json"):
        return JSON
    return _SAME_AS.get(media_type, media_type)


def preferences(header: bytes) -> list[tuple[str, float]]:
    """Split a header such as ``Accept: application/json;q=0.5, */*`` into media ranges and their weights.

    Only the first `_MOST_RANGES` are read, and of each the first `_MOST_PARAMETERS` parameters.
    """
    parts = header.decode("latin-1").lower().split(",", _MOST_RANGES)[:_MOST_RANGES]
    return [_weight(part) for part in parts if part.strip()]


def _quality(media_type: str, ranges: list[tuple[str, float]]) -> float:
    """Return the weight of a media type: that of the most specific range that matches."""
    if not ranges:
        return 1.0
    liked = {_SAME_AS.get(pattern, pattern): weight for pattern, weight in ranges}
    group = media_type.partition("/")[0] + "/*"
    return next((liked[pattern] for pattern in (media_type, group, "*/*") if pattern in liked), 0.0)


def _weight(part: str) -> tuple[str, float]:
    """Split ``gzip;q=0.5`` into the name and its weight; one that is no number is 1."""
    pattern, *parameters = (
        piece.strip() for piece in part.split(";", _MOST_PARAMETERS + 1)[: _MOST_PARAMETERS + 1]
    )
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q" and value.strip().replace(".", "", 1).isdecimal():
            return pattern, float(value)
    return pattern, 1.0


def _essence(content_type: bytes) -> str:
    """Return a media type without its parameters."""
    return content_type.decode("latin-1").partition(";")[0].strip().lower()


def _shown(value: bytes) -> str:
    return excerpt(value.decode("latin-1"))


CALLS: Formats[Codec] = Formats(CODECS)
BATCHES: Formats[BatchCodec] = Formats(BATCH_CODECS)
COMBINATIONS: Formats[CombinationCodec] = Formats(COMBINATION_CODECS)
