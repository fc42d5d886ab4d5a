"""How a call fails at the caller's: the service refused it, no answer came, or that to another request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson

from lossd.errors import LISTED_OVER_HTTP, MOST_DETAILS, ErrorDetail, LossdError, excerpt

MOST_OF_AN_ERROR = 1 << 20
"""Bytes that are read of an answer which is an error; those of a lossd server are much shorter."""

_LONGEST_DETAIL = 2000


@dataclass(frozen=True, slots=True)
class Problem:
    """What the service says about a failure (RFC 9457).

    Attributes:
        status: The HTTP status.
        title: The kind of failure in a few words.
        detail: What happened this time.
        kind: The last part of the problem's type, such as ``invalid-call``; empty for a plain HTTP status.
        errors: What is wrong and where.
        request_id: The name of the call in the server's log.
    """

    status: int
    title: str
    detail: str
    kind: str = ""
    errors: tuple[ErrorDetail, ...] = ()
    request_id: str = ""


class ServiceError(LossdError):
    """The service answered with an error; the attributes of its `Problem` are attributes of this, too."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.status} {problem.title}: {problem.detail}", errors=problem.errors)
        self.problem = problem
        self.status = problem.status  # type: ignore[misc]  # a class of our own errors has one, a response its own
        self.title = problem.title  # type: ignore[misc]
        self.detail = problem.detail
        self.kind = problem.kind
        self.request_id = problem.request_id

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.problem,)  # so that it survives the way out of a worker process


class Unreachable(LossdError):
    """No answer came, after every attempt; ``__cause__`` is the last error of the connection."""

    title = "service unreachable"


class AnswerTooLarge(LossdError):
    """The answer has more bytes than the client's ``max_answer_bytes``."""

    title = "answer too large"


class MismatchedAnswer(LossdError):
    """The answer carries the id of another request, so its numbers may be those of another call."""

    title = "answer to another request"


def read_problem(status: int, headers: Mapping[str, str], body: bytes | bytearray) -> Problem:
    """Read the body of an error, which a proxy may have written: whatever is no problem document is its detail."""
    request_id = headers.get("x-request-id", "")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        detail = body[:500].decode("utf-8", "replace")
        if location := headers.get("location"):
            detail = f"the address redirects to {excerpt(location, 300)}: use the address that it leads to"
        return Problem(status, _phrase(status), detail, request_id=request_id)
    return problem_of(status, document, request_id)


def problem_of(status: int, document: Mapping[str, Any], request_id: str) -> Problem:
    """Return what a problem document says."""
    kind = _text(document, "type").rpartition("/problems/")[2]
    return Problem(
        status,
        title=_text(document, "title") or _phrase(status),
        detail=_text(document, "detail").replace(LISTED_OVER_HTTP, "; client.losses() lists them"),
        kind="" if kind == "about:blank" else kind,
        errors=tuple(_error_details(document.get("errors"))),
        request_id=request_id,
    )


def _error_details(errors: Any) -> list[ErrorDetail]:
    entries = errors[:MOST_DETAILS] if isinstance(errors, list) else []
    return [
        ErrorDetail(*(_text(entry, name) for name in ErrorDetail._fields)).bounded()
        for entry in entries
        if isinstance(entry, dict)
    ]


def _text(document: Mapping[str, Any], name: str) -> str:
    """Return a member that should be text, no more of it than a reader can use; another type counts as absent."""
    value = document.get(name)
    return excerpt(value, _LONGEST_DETAIL) if isinstance(value, str) else ""


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "unknown status"
