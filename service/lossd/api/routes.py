"""The ordinary routes: the catalogue, health, the kinds of problem, and the redirect to the documentation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import cleandoc

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel

from lossd.api import problems
from lossd.api.catalogue import LossEntry, LossSummary, describe, summarise
from lossd.api.health import Health
from lossd.losses import LOSSES, find


class Catalogue(BaseModel):
    """Every loss, in brief."""

    losses: list[LossSummary]


class State(BaseModel):
    """Whether the server is what was asked."""

    status: str


class ProblemKind(BaseModel):
    """What one type of problem means."""

    type: str
    title: str
    status: int
    description: str


def add_routes(router: APIRouter, health: Health) -> None:
    """Add every slow route."""

    async def list_losses() -> Catalogue:
        """List every loss."""
        return Catalogue(losses=[summarise(loss) for loss in LOSSES.values()])

    async def describe_loss(name: str) -> LossEntry:
        """Describe one loss, by its name or one of its aliases."""
        return describe(find(name))

    async def livez() -> State:
        """Say that the process answers."""
        return State(status="alive")

    async def readyz() -> State:
        """Say whether the server wants requests: not once it is about to stop."""
        health.refuse_if_draining()
        return State(status="ready")

    async def describe_problem(kind: str) -> ProblemKind:
        """Describe one type of problem."""
        error = problems.kinds().get(kind)
        if error is None:
            raise HTTPException(404, f"expected one of {', '.join(problems.kinds())}, got {kind[:80]}")
        text = cleandoc(error.__doc__ or "").partition("\n")[0]
        return ProblemKind(
            type=problems.PATH + kind, title=error.title, status=error.status, description=text
        )

    add_reading(router, "/v1/losses", list_losses, "catalogue")
    add_reading(router, "/v1/losses/{name}", describe_loss, "catalogue")
    add_reading(router, "/livez", livez, "health")
    add_reading(router, "/readyz", readyz, "health")
    add_reading(router, problems.PATH + "{kind}", describe_problem, "problems")


def add_reading(
    router: APIRouter, path: str, endpoint: Callable[..., Awaitable[BaseModel]], tag: str
) -> None:
    """Add a route that can only be read, named after its function."""
    router.add_api_route(path, endpoint, methods=["GET"], tags=[tag], operation_id=endpoint.__name__)
    router.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False)
