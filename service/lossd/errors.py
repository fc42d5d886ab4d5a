"""Every way a call can fail, and the HTTP status each one means.

LossdError                    500
├── MalformedRequest          400   the head or the framing of the request is not HTTP
├── MalformedBody             400   the bytes are not what their format says
├── UnknownLoss               404
├── NotAcceptable             406   no format the caller accepts can carry the answer
├── BodyTimeout               408   the body came too slowly
├── BodyTooLarge              413
├── UnsupportedMediaType      415
├── InvalidCall               422   an array or a setting is missing, unknown, or not what its loss means
├── HeadTooLarge              431
├── UnknownTransferCoding     501
├── Overloaded                503   try again after `retry_after` seconds
└── DeadlineExceeded          504

A message reads ``expected <what>, got <what> - at `target[3]` `` and never holds the caller's data at length:
every error is cut to `MOST_DETAILS` faults of bounded text here, whoever raises it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

MOST_DETAILS = 20
"""Faults that an error keeps; of more it keeps the number."""

QUOTED = 80
"""Characters that a message repeats of a name or a value of the caller."""

_MOST_SUMMED_UP = 3  # faults that the message itself has
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
        """Return the same fault without more text than a reader can use."""
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
        faults: What is wrong and where, at most `MOST_DETAILS`; may be empty when the message says it all.
        left_out: How many more things are wrong.
    """

    status: ClassVar[int] = 500
    title: ClassVar[str] = "internal error"

    def __init__(self, detail: str = "", *, faults: Sequence[ErrorDetail] = (), left_out: int = 0) -> None:
        self.faults = tuple([fault.bounded() for fault in faults[:MOST_DETAILS]])
        self.left_out = left_out + len(faults) - len(self.faults)
        super().__init__(excerpt(detail, _LONGEST_TEXT) or self._summary() or self.title)

    def _summary(self) -> str:
        told = list(map(str, self.faults[:_MOST_SUMMED_UP]))
        more = len(self.faults) - len(told) + self.left_out
        return "; ".join([*told, f"and {more} more"] if more else told)


class MalformedRequest(LossdError):
    """The head of the request, or the framing of its body, is not HTTP; the connection closes."""

    status = 400
    title = "malformed request"


class MalformedBody(LossdError):
    """The bytes do not decode as the format they claim."""

    status = 400
    title = "malformed body"


class UnknownLoss(LossdError):
    """No loss has that name or alias."""

    status = 404
    title = "unknown loss"


class NotAcceptable(LossdError):
    """No format that the caller accepts can carry the answer."""

    status = 406
    title = "not acceptable"


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
    """An array or a setting is missing, unknown, or not what its loss means by it."""

    status = 422
    title = "invalid call"


class TooExpensive(InvalidCall):
    """A call would cost more than one may, whatever its values are."""


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


class DeadlineExceeded(LossdError):
    """The call took longer than it may."""

    status = 504
    title = "deadline exceeded"


def invalid(at: str, expected: str, got: object) -> InvalidCall:
    """Build the error for one wrong value at ``at``."""
    return InvalidCall(faults=[ErrorDetail(at, expected, str(got))])


def malformed(at: str, expected: str, got: object) -> MalformedBody:
    """Build the error for bytes that are not what their format says, at ``at``."""
    return MalformedBody(faults=[ErrorDetail(at, expected, str(got))])
