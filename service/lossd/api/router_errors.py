"""Errors of the router: a path that does not exist, a method that the path does not have."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from lossd.api.site import page_of_nothing
from lossd.errors import excerpt


class RouterErrors:
    """Say in the router's errors what would be right, and answer OPTIONS."""

    def __init__(self, app: ASGIApp, *, routes: Sequence[BaseRoute], guarded: bool) -> None:
        self.app = app
        self.routes = routes
        self.guarded = guarded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on to the router."""
        try:
            await self.app(scope, receive, send)
        except HTTPException as error:
            if (
                error.status_code == 404 and error.detail == "Not Found"
            ):  # else a route says what does not exist
                unknown = HTTPException(
                    404, f"expected a path that /docs lists, got {excerpt(scope['path'])}"
                )
                page = await page_of_nothing(Request(scope), unknown, guarded=self.guarded)
                if page is None:
                    raise unknown from None
                await page(scope, receive, send)
                return
            if error.status_code != 405:
                raise
            await self._wrong_method(scope, receive, send)

    async def _wrong_method(self, scope: Scope, receive: Receive, send: Send) -> None:
        allowed = {"OPTIONS"}
        for route in self.routes:
            if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE:
                allowed |= route.methods or set()
        headers = {"allow": ", ".join(sorted(allowed))}
        if scope["method"] != "OPTIONS":
            told = f"expected {headers['allow']}, got {scope['method'][:20]}{self._call_hint(scope)}"
            raise HTTPException(405, told, headers) from None
        await Response(status_code=204, headers=headers)(scope, receive, send)

    def _call_hint(self, scope: Scope) -> str:
        """Name the path for programs behind the path of a page, where it has the method."""
        path = f"/v1{scope['path']}"
        found = any(route.matches({**scope, "path": path})[0] is Match.FULL for route in self.routes)
        return f"; {scope['method']} {excerpt(path)} computes" if found else ""
