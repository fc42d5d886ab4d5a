"""This file is what the router refuses: a path that does not exist, a method that the path does not have."""

from __future__ import annotations

from typing import NoReturn

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from lossd.errors import excerpt


def add_refusals(app: FastAPI) -> None:
    """Let the router's refusals pass on to the layer that turns every error into an answer."""

    async def no_path(request: Request, error: HTTPException) -> NoReturn:
        if error.detail != "Not Found":  # the route exists and says itself what does not
            raise error
        raise HTTPException(404, f"expected a path that /docs lists, got {excerpt(request.scope['path'])}")

    async def no_method(request: Request, error: HTTPException) -> Response:
        allowed = {"OPTIONS"}
        for route in app.routes:
            if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
                allowed |= route.methods or set()
        headers = {"allow": ", ".join(sorted(allowed))}
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=headers)
        raise HTTPException(405, f"expected {headers['allow']}, got {request.method[:20]}", headers)

    async def pass_on(request: Request, error: Exception) -> NoReturn:
        raise error

    app.add_exception_handler(404, no_path)  # type: ignore[arg-type]  # Starlette calls it with this kind alone
    app.add_exception_handler(405, no_method)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, pass_on)
