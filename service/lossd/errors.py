"""Every way a call can fail, and the HTTP status each one means.

LossdError                    500
├── MalformedRequest          400   the head or the framing of the request is not HTTP
├── MalformedBody             400   the bytes are not what their format says
├── Unauthorized              401   the caller has no key, or one that this server does not know
├── Forbidden                 403   the caller's key lacks a scope
├── UnknownLoss               404
├── NotAcceptable             406   no format the caller accepts can carry the answer
├── HeadTimeout               408   the head of the request came too slowly; the connection closes
├── BodyTimeout               408   the body came too slowly
├── BodyTooLarge              413
├── UnsupportedMediaType      415
├── InvalidCall               422   an array or a setting is missing, unknown, or not what its loss means
├── RateLimited               429   the caller has asked for too much; try again after `retry_after` seconds
├── HeadTooLarge              431
├── UnknownTransferCoding     501
├── Overloaded                503   try again after `retry_after` seconds
│   └── Draining              503   the server is about to stop
└── DeadlineExceeded          504

A message reads ``expected <what>, got <what> - at `target[3]` `` and never holds the caller's data at length:
every error is cut to `MOST_DETAILS` details of bounded text here, whoever raises it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, NamedTuple, Self

MOST_DETAILS = 20
"""Details that an error keeps; of more it keeps the number."""

QUOTED = 80
"""Characters that a message repeats of a name or a value of the caller."""

LISTED_OVER_HTTP = "; GET /v1/losses lists them"
"""What a response adds to the error of a name unlike any; the command line and the client have words of their own."""

_MOST_SUMMED_UP = 3  # details that the message repeats
_LONGEST_PLACE = 300  # 64 indices of two digits, behind a name
_LONGEST_TEXT = 1000


class ErrorDetail(NamedTuple):
    """One thing that is wrong, and where.

    Attributes:
        at: Path of the offending value, for example ``target[3]``; empty when it is the whole body.
        expected: What belongs there.
        got: What was there.
    """

    at: str
    expected: str
    got: str

    def __str__(self) -> str:
        place = f" - at `{self.at}`" if self.at else ""
        return f"expected {self.expected}, got {self.got}{place}"

    def bounded(self) -> ErrorDetail:
        """Return the same detail without more text than a reader can use."""
        if len(self.at) + len(self.expected) + len(self.got) <= _LONGEST_PLACE:
            return self
        return ErrorDetail(
            excerpt(self.at, _LONGEST_PLACE),
            excerpt(self.expected, _LONGEST_TEXT),
            excerpt(self.got, _LONGEST_PLACE),
        )


def excerpt(text: str, longest: int = QUOTED) -> str:
    """Return a text, or the beginning of a long one."""
    return text if len(text) <= longest else f"{text[:longest]}..."


class LossdError(Exception):
    """Base of every error that lossd raises on purpose.

    Attributes:
        status: HTTP status of the response.
        title: The kind of error in a few words, the same for every occurrence.
        errors: What is wrong and where, at most `MOST_DETAILS`; may be empty when the message says it all.
        left_out: How many more things are wrong.
        headers: Response headers that belong to the status.
    """

    status: ClassVar[int] = 500
    title: ClassVar[str] = "internal error"
    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(self, detail: str = "", *, errors: Sequence[ErrorDetail] = (), left_out: int = 0) -> None:
        self.errors = tuple([each.bounded() for each in errors[:MOST_DETAILS]])
        self.left_out = left_out + len(errors) - len(self.errors)
        super().__init__(excerpt(detail, _LONGEST_TEXT) or self._summary() or self.title)

    def within(self, place: str) -> Self:
        """Return the same error of a call that lies at a place of a larger body."""
        return self.moved(lambda at: f"{place}.{at}" if at else place)

    def moved(self, move: Callable[[str], str]) -> Self:
        """Return the same error with other places, each made of the one that it has."""
        moved = type(self).__new__(
            type(self), *self.args
        )  # not `copy`, which Dask replaces for every exception
        vars(moved).update(vars(self))
        moved.errors = tuple([each._replace(at=move(each.at)).bounded() for each in self.errors])
        if self.errors and str(self) == self._summary():
            moved.args = (moved._summary(),)
        return moved

    def _summary(self) -> str:
        told = list(map(str, self.errors[:_MOST_SUMMED_UP]))
        more = len(self.errors) - len(told) + self.left_out
        return "; ".join([*told, f"and {more} more"] if more else told)


class MalformedRequest(LossdError):
    """The head of the request, or the framing of its body, is not HTTP; the connection closes."""

    status = 400
    title = "malformed request"


class MalformedBody(LossdError):
    """The bytes do not decode as the format they claim."""

    status = 400
    title = "malformed body"


class Unauthorized(LossdError):
    """The request has no key, or none that this server knows.

    Attributes:
        given: There was a key (RFC 6750, 3.1: only then the challenge names an error).
    """

    status = 401
    title = "unauthorized"

    def __init__(self, detail: str = "", *, given: bool = True) -> None:
        super().__init__(detail)
        self.given = given
        self.headers = {"www-authenticate": 'Bearer error="invalid_token"' if given else "Bearer"}


class Forbidden(LossdError):
    """The caller is known, and may not do this."""

    status = 403
    title = "forbidden"

    def __init__(self, detail: str = "", *, scope: str = "") -> None:
        super().__init__(detail)
        self.headers = {"www-authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'}


class UnknownLoss(LossdError):
    """No loss has that name or alias.

    Attributes:
        unlike_any: Whether no name is near, so that the caller should be told where all are listed.
    """

    status = 404
    title = "unknown loss"

    def __init__(self, detail: str = "", *, unlike_any: bool = False) -> None:
        super().__init__(detail)
        self.unlike_any = unlike_any


class NotAcceptable(LossdError):
    """No format that the caller accepts can carry the answer."""

    status = 406
    title = "not acceptable"


class HeadTimeout(LossdError):
    """The request line and the headers did not arrive in time; the connection closes."""

    status = 408
    title = "head timeout"


class BodyTimeout(LossdError):
    """The body did not arrive in time."""

    status = 408
    title = "body timeout"


class BodyTooLarge(LossdError):
    """The body is larger than this server accepts."""

    status = 413
    title = "body too large"


class UnsupportedMediaType(LossdError):
    """The body's format is not one this server reads."""

    status = 415
    title = "unsupported media type"


class InvalidCall(LossdError):
    """An array or a setting is missing, unknown, or not what its loss means by it.

    Attributes:
        of_signature: Whether the values of arrays have no part in it: every call of the same names, shapes, types and
            options fails with the same words.
    """

    status = 422
    title = "invalid call"

    def __init__(
        self,
        detail: str = "",
        *,
        errors: Sequence[ErrorDetail] = (),
        left_out: int = 0,
        of_signature: bool = False,
    ) -> None:
        super().__init__(detail, errors=errors, left_out=left_out)
        self.of_signature = of_signature


class TooExpensive(InvalidCall):
    """A call would cost more than one may, whatever its values are."""


class RateLimited(LossdError):
    """The caller has asked for more than it may in this time.

    Attributes:
        retry_after: Seconds after which the same request would pass.
    """

    status = 429
    title = "rate limited"

    def __init__(self, detail: str = "", *, retry_after: int = 1, policy: str = "", state: str = "") -> None:
        super().__init__(detail)
        self.retry_after = retry_after
        self.headers = {"retry-after": str(retry_after), "ratelimit-policy": policy, "ratelimit": state}


class HeadTooLarge(LossdError):
    """The request line and the headers are larger than this server accepts; the connection closes."""

    status = 431
    title = "request head too large"


class UnknownTransferCoding(LossdError):
    """The body has a transfer coding other than chunked; the connection closes."""

    status = 501
    title = "unknown transfer coding"


class Overloaded(LossdError):
    """The server has as much work as it accepts.

    Attributes:
        retry_after: Seconds after which another attempt makes sense.
    """

    status = 503
    title = "overloaded"

    def __init__(self, detail: str = "", *, retry_after: int = 1) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
        self.headers = {"retry-after": str(retry_after)}


class Draining(Overloaded):
    """The server is about to stop and takes no new callers; another one is ready, or soon will be."""

    title = "draining"


class DeadlineExceeded(LossdError):
    """The call took longer than it may."""

    status = 504
    title = "deadline exceeded"


def invalid(at: str, expected: str, got: object) -> InvalidCall:
    """Build the error for one wrong value at ``at``."""
    return InvalidCall(errors=[ErrorDetail(at, expected, _in_json(got))])


def malformed(at: str, expected: str, got: object) -> MalformedBody:
    """Build the error for bytes that are not what their format says, at ``at``."""
    return MalformedBody(errors=[ErrorDetail(at, expected, _in_json(got))])


def _in_json(value: object) -> str:
    """Write a number or a boolean, which may be NumPy's, as JSON has it; text stays as it is."""
    return str(value) if isinstance(value, str) else _JSON_WORDS.get(str(value), str(value))


_JSON_WORDS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity", "True": "true", "False": "false"}
