"""One request and its answer: from a caller's values to bytes and headers, and from a response to a result."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import quote

import numpy as np
import orjson

from lossd.client.arrays import call_of, result_dtype
from lossd.client.catalogue import LossEntry, LossSummary, read_entry, read_summaries
from lossd.client.failure import AnswerTooLarge, MismatchedAnswer, ServiceError, read_problem
from lossd.client.gradcheck import read_check
from lossd.client.progress import SLICE
from lossd.client.result import Result, result_of
from lossd.errors import BodyTooLarge, ErrorDetail, MalformedBody, excerpt
from lossd.message import Call, GradientCheck
from lossd.wire import CODECS, Codec, Parts
from lossd.wire.codec import DecodeLimits
from lossd.wire.query import to_query
from lossd.wording import quoted

JSON = "application/json"
FORMATS = ("application/vnd.safetensors", JSON)
"""What calls are sent as, the best first."""

REQUEST_ID = re.compile(r"[A-Za-z0-9._~:/+=@-]{1,128}")
"""What the server repeats in its answer; any other id it replaces by one of its own."""

CATALOGUE = "/v1/losses"
COMBINE = "/combine"
PARTS_FORMAT = "application/vnd.msgpack"
"""What parts travel as: their nested objects have no place among arrays alone."""

_SHOWN = 100  # bytes of an answer that is none

T = TypeVar("T")

Headers = Mapping[str, str] | Callable[[], Mapping[str, str]]
"""Headers of every request, or what returns those of the next, such as the trace context of the moment."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request as it is sent, as often as it takes.

    Attributes:
        subject: What progress is reported of: the name of the loss, or ``catalogue``.
        method: ``POST`` or ``GET``.
        path: Where it goes, with the options that the body has no room for.
        headers: Its headers, in lower case.
        parts: The body in pieces, which are views on the caller's arrays where the format allows it.
        size: Bytes of the body.
        dtype: Type of the numbers of the answer.
    """

    subject: str
    method: str
    path: str
    headers: Mapping[str, str]
    parts: Parts = ()
    size: int = 0
    dtype: np.dtype[Any] | None = None

    @property
    def request_id(self) -> str:
        """The id that the answer must carry."""
        return self.headers["x-request-id"]

    def slices(self) -> Iterator[memoryview]:
        """Cut the body into pieces of at most 1 MiB."""
        for part in self.parts:
            view = memoryview(part)
            for start in range(0, len(view), SLICE):
                yield view[start : start + SLICE]


@dataclass(frozen=True, slots=True)
class Reply:
    """A response: its status, its headers and its whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytearray

    def result(self, outgoing: Outgoing, limits: DecodeLimits) -> Result:
        """Read the answer to a call.

        Raises:
            ServiceError: The service answered with an error.
            MalformedBody: The body is not an answer.
            AnswerTooLarge: It unpacks to more than ``limits`` allow.
        """
        asked = [media_type for media_type in CODECS if media_type in outgoing.headers["accept"]]
        codec = CODECS[self.check_type(asked or [*CODECS])]
        try:
            answer = codec.decode_answer(self.body, limits)
        except BodyTooLarge as error:
            raise AnswerTooLarge(str(error)) from None
        except MalformedBody as error:
            raise self.foreign(str(error), error.errors) from None
        if not answer.loss and not outgoing.path.endswith(COMBINE):
            raise self.foreign("expected a loss for each reduction, got none")
        return result_of(answer, self.headers.get("x-request-id", ""), outgoing.dtype)

    def summaries(self) -> list[LossSummary]:
        """Read the catalogue."""
        return self._read(read_summaries)

    def entry(self) -> LossEntry:
        """Read one entry of the catalogue."""
        return self._read(read_entry)

    def gradient_check(self) -> GradientCheck:
        """Read what a check of a gradient came to."""
        return self._read(read_check)

    def check(self, request_id: str) -> None:
        """Check that this is the answer to the request of this id; an error need not say, a proxy may have sent it.

        Raises:
            MismatchedAnswer: It is the answer to another one.
        """
        answered = self.headers.get("x-request-id", "")
        if answered == request_id or (self.status != 200 and not answered):
            return
        got = f"the answer to {answered[:128]}" if answered else "one without X-Request-ID"
        raise MismatchedAnswer(
            f"expected the answer to request {request_id}, got {got}; "
            "behind a proxy that sets X-Request-ID itself, use check_request_id=False"
        )

    def check_type(self, expected: Sequence[str]) -> str:
        """Return the format of an answer that is no error.

        Raises:
            ServiceError: It is an error.
            MalformedBody: It is in another format.
        """
        if self.status != 200:
            raise ServiceError(read_problem(self.status, self.headers, self.body))
        media_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type not in expected:
            got = excerpt(media_type) or "no type"
            raise self.foreign(f"expected the answer of a lossd server as {' or '.join(expected)}, got {got}")
        return media_type

    def _read(self, read: Callable[[Any], T]) -> T:
        self.check_type([JSON])
        try:
            return read(orjson.loads(self.body))
        except orjson.JSONDecodeError as error:
            raise self.foreign(f"expected JSON, got {error}") from None
        except MalformedBody as error:
            raise self.foreign(str(error), error.errors) from None

    def foreign(self, reason: str, errors: Sequence[ErrorDetail] = ()) -> MalformedBody:
        """Build the error for an answer that no lossd server gives: what is wrong, and how it begins."""
        begins = bytes(self.body[:_SHOWN]).decode("utf-8", "replace")
        return MalformedBody(
            f"{reason}; the answer has status {self.status} and begins with {quoted(begins, _SHOWN)}",
            errors=errors,
        )


def prepare(loss: str, values: Mapping[str, Any], *, media_type: str | None, headers: Headers) -> Outgoing:
    """Write a call; values that are None are left out.

    Args:
        loss: Name or alias of the loss.
        values: Its arguments, its settings and the general options.
        media_type: The format; the best that can hold the call, if None.
        headers: Headers to send besides those of the format.

    Raises:
        InvalidCall: A value is no array or option, or the format cannot hold an array.
    """
    call = call_of(loss, values)
    codec = CODECS[media_type or best_format(call)]
    accept = PARTS_FORMAT if "partial" in call.options and not codec.holds_options else codec.media_type
    if codec.media_type == JSON:  # which keeps an array's type and digits as base64 alone
        call = Call(call.arrays, {"encoding": "base64", **call.options})
    parts = codec.encode_call(call)
    size = sum(map(len, parts))
    dtype = result_dtype(call, loss) if CODECS[accept].holds_options else None
    return Outgoing(
        loss,
        "POST",
        _path(loss, call, codec),
        own_headers(codec.media_type, size, headers, accept=accept),
        parts,
        size,
        dtype,
    )


def own_headers(media_type: str, size: int, headers: Headers, accept: str = "") -> Mapping[str, str]:
    """Return the headers of a body of so many bytes, and the caller's; the answer is to have the same format."""
    own = {
        "content-type": media_type,
        "content-length": str(size),
        "accept": accept or media_type,
        "accept-encoding": "identity",  # deflating arrays takes longer than sending them
    }
    return _headers(own, headers)


def prepare_gradcheck(
    loss: str, values: Mapping[str, Any], *, media_type: str | None, headers: Headers
) -> Outgoing:
    """Write a call whose gradient is checked; the arguments are those of `prepare`."""
    outgoing = prepare(loss, values, media_type=media_type, headers=headers)
    path, query, options = outgoing.path.partition("?")
    return replace(
        outgoing, path=f"{path}/gradcheck{query}{options}", headers={**outgoing.headers, "accept": JSON}
    )


def prepare_reading(name: str | None, *, headers: Headers) -> Outgoing:
    """Ask for the catalogue, or for the entry of one loss."""
    path = CATALOGUE if name is None else f"{CATALOGUE}/{quote(name, safe='')}"
    return Outgoing("catalogue", "GET", path, _headers({"accept": JSON, "accept-encoding": "gzip"}, headers))


def best_format(call: Call) -> str:
    """Return the first format that can hold a call and its answer."""
    if "partial" in call.options:
        return PARTS_FORMAT
    is_complex = str(call.options.get("dtype", "")).startswith("complex")
    if is_complex or any(array.dtype.kind == "c" for array in call.arrays.values()):
        return JSON
    return next(media_type for media_type in FORMATS if media_type in CODECS)


def _headers(own: Mapping[str, str], given: Headers) -> Mapping[str, str]:
    """Join headers, whose names are the same in any case; the caller's come first."""
    theirs = {name.lower(): value for name, value in (given() if callable(given) else given).items()}
    request_id = theirs.setdefault("x-request-id", os.urandom(16).hex())
    if not REQUEST_ID.fullmatch(request_id):
        expected = "1 to 128 letters, digits or ._~:/+=@-"
        raise ValueError(f"expected {expected}, got {request_id[:200]!r} - at `X-Request-ID`")
    return {**own, **theirs}


def _path(loss: str, call: Call, codec: Codec) -> str:
    path = f"{CATALOGUE}/{quote(loss, safe='')}"
    if codec.holds_options or not call.options:
        return path
    return f"{path}?{to_query(call.options)}"
