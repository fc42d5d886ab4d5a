"""How an error looks to the caller: one shape for every status, and no internals.

The shape is RFC 9457's, but for paths whose callers were written for another protocol: `PROBLEM_FORMATS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import singledispatch
from http import HTTPStatus
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.types import Send

from lossd import errors
from lossd.errors import LISTED_OVER_HTTP, ErrorDetail, LossdError, Overloaded, UnknownLoss

MEDIA_TYPE = "application/problem+json"
PATH = "/problems/"


@dataclass(frozen=True)
class Problem:
    """One failed request.

    Attributes:
        kind: Last part of the problem's type; empty for a plain HTTP status such as 405.
        title: The kind in a few words.
        detail: What happened this time.
        errors: What is wrong and where.
        headers: Response headers that belong to the status.
        left_out: How many more things are wrong.
    """

    status: int
    title: str
    kind: str = ""
    detail: str = ""
    errors: tuple[ErrorDetail, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    left_out: int = 0

    def document(self) -> dict[str, Any]:
        """Return the members of RFC 9457, ``errors``, and how many of these are left out, if any."""
        left_out = {"errors_left_out": self.left_out} if self.left_out else {}
        return {
            "type": PATH + self.kind if self.kind else "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail or self.title,
            "errors": [detail._asdict() for detail in self.errors],
            **left_out,
        }


@dataclass(frozen=True)
class ProblemFormat:
    """How an error is written.

    Attributes:
        media_type: Type of the document.
        document: Writes a problem in this form.
        statuses: Status of a problem to the status it has in this form, where that differs.
    """

    media_type: str
    document: Callable[[Problem], Mapping[str, Any]]
    statuses: Mapping[int, int] = field(default_factory=dict)


RFC_9457 = ProblemFormat(MEDIA_TYPE, Problem.document)
PROBLEM_FORMATS: Mapping[str, ProblemFormat] = {
    # The Open Inference Protocol has one string, and one status for a request that is wrong.
    "v2": ProblemFormat(
        "application/json", lambda problem: {"error": problem.detail or problem.title}, {422: 400}
    ),
}
"""First segment of a path to the form of its errors; every other path has that of RFC 9457."""


def form_of(path: str) -> ProblemFormat:
    """Return the form in which a caller of ``path`` expects an error."""
    return PROBLEM_FORMATS.get(path.lstrip("/").partition("/")[0], RFC_9457)


def kinds() -> dict[str, type[LossdError]]:
    """Return every kind of problem by the name that ends its type."""
    return {_kind(error): error for error in _subclasses(LossdError)}


@singledispatch
def problem_of(error: Exception) -> Problem:
    """Describe an error; an unexpected one without its details."""
    return Problem(
        500, LossdError.title, detail="internal error; the server's log has it under the X-Request-ID"
    )


@problem_of.register
def _(error: LossdError) -> Problem:
    kind = _kind(type(error))
    return Problem(error.status, error.title, kind, str(error), error.errors, error.headers, error.left_out)


@problem_of.register
def _(error: UnknownLoss) -> Problem:
    told = Problem(error.status, error.title, _kind(type(error)), str(error))
    return replace(told, detail=told.detail + LISTED_OVER_HTTP) if error.unlike_any else told


@problem_of.register
def _(error: MemoryError) -> Problem:
    return problem_of(Overloaded("the server is out of memory; retry later"))


@problem_of.register
def _(error: HTTPException) -> Problem:
    if isinstance(error.__cause__, LossdError):  # FastAPI wraps what reading a body raised
        return problem_of(error.__cause__)
    title = HTTPStatus(error.status_code).phrase
    return Problem(error.status_code, title, detail=error.detail, headers=error.headers or {})


async def send_problem(send: Send, problem: Problem, form: ProblemFormat, *, close: bool = False) -> None:
    """Answer with a problem; with ``close`` the connection ends with it."""
    body = orjson.dumps(form.document(problem))
    status = form.statuses.get(problem.status, problem.status)
    headers = [
        (b"content-type", form.media_type.encode()),
        (b"content-length", b"%d" % len(body)),
        *(
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in problem.headers.items()
        ),
    ]
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _kind(error: type[LossdError]) -> str:
    """Spell a class name as the end of a path: ``InvalidCall`` is ``invalid-call``."""
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in error.__name__).lstrip(
        "-"
    )


def _subclasses(root: type[LossdError]) -> Iterator[type[LossdError]]:
    for error in root.__subclasses__():
        if error.__module__ == errors.__name__:
            yield error
        yield from _subclasses(error)
