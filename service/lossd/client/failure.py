"""How a call fails at the caller's: the service refused it, no answer came, or that to another request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson

from lossd.errors import ErrorDetail, LossdError


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
        super().__init__(f"{problem.status} {problem.title}: {problem.detail}", faults=problem.errors)
        self.problem = problem
        self.status = problem.status  # type: ignore[misc]  # a class of our own errors has one, a response its own
        self.title = problem.title  # type: ignore[misc]
        self.detail = problem.detail
        self.kind = problem.kind
        self.errors = problem.errors
        self.request_id = problem.request_id

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.problem,)  # so that it survives the way out of a worker process


class Unreachable(LossdError):
    """No answer came, after every attempt; ``__cause__`` is the last error of the connection."""

    title = "service unreachable"


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
            detail = f"the address redirects to {location}: use the address that it leads to"
        return Problem(status, _phrase(status), detail, request_id=request_id)
    kind = str(document.get("type", "")).rpartition("/problems/")[2]
    return Problem(
        status,
        title=str(document.get("title", _phrase(status))),
        detail=str(document.get("detail", "")),
        kind="" if kind == "about:blank" else kind,
        errors=tuple(_faults(document.get("errors"))),
        request_id=request_id,
    )


def _faults(errors: Any) -> list[ErrorDetail]:
    entries = errors if isinstance(errors, list) else []
    return [
        ErrorDetail(*(str(entry.get(name, "")) for name in ErrorDetail._fields))
        for entry in entries
        if isinstance(entry, dict)
    ]


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "unknown status"
