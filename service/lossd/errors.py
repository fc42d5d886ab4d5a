"""Every way a call can fail, and the HTTP status each one means.

LossdError                    500
├── MalformedBody             400   the bytes are not what their format says
├── UnknownLoss               404
├── NotAcceptable             406   no format the caller accepts can carry the answer
├── BodyTimeout               408   the body came too slowly
├── BodyTooLarge              413
├── UnsupportedMediaType      415
├── InvalidCall               422   an array or a setting is missing, unknown, or not what its loss means
├── Overloaded                503   try again after `retry_after` seconds
└── DeadlineExceeded          504

A message reads ``expected <what>, got <what> - at `target[3]` `` and never holds the caller's data at length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple


class Fault(NamedTuple):
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


class LossdError(Exception):
    """Base of every error that lossd raises on purpose.

    Attributes:
        status: HTTP status of the response.
        title: The kind of error in a few words, the same for every occurrence.
        faults: What is wrong and where; may be empty when the message says it all.
    """

    status: ClassVar[int] = 500
    title: ClassVar[str] = "internal error"

    def __init__(self, detail: str = "", *, faults: Sequence[Fault] = ()) -> None:
        super().__init__(detail or "; ".join(map(str, faults)) or self.title)
        self.faults = tuple(faults)


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
    return InvalidCall(faults=[Fault(at, expected, str(got))])


def malformed(at: str, expected: str, got: object) -> MalformedBody:
    """Build the error for bytes that are not what their format says, at ``at``."""
    return MalformedBody(faults=[Fault(at, expected, str(got))])
