"""Wires the layers: the only module that knows all of them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
from fastapi import FastAPI, Response
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from lossd import __version__
from lossd.api import openapi
from lossd.api.admission import Admit
from lossd.api.calls import Calls
from lossd.api.cross_origin import add_cross_origin
from lossd.api.docs import add_docs
from lossd.api.evaluation import PREFIX, Evaluation, Hot, Shortcut
from lossd.api.health import Health, drain_on_sigterm
from lossd.api.log import Log, adopt_standard_logging, open_log
from lossd.api.observe import Observe
from lossd.api.refusals import add_refusals
from lossd.api.routes import add_routes
from lossd.api.v2 import infer as v2
from lossd.api.v2.routes import add_v2
from lossd.settings import Settings


class _Service(FastAPI):
    """A FastAPI application whose outermost layer is ours.

    FastAPI puts three of its own in front of what `add_middleware` adds. They only see to errors that `Observe`
    never lets through and to limits that `Admit` keeps, and take a sixth of a small call's time. Before them it asks
    for a root path and for telemetry, of which this service has neither.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the layers answer."""
        scope["app"] = self
        if self.middleware_stack is None:
            self.middleware_stack = self.build_middleware_stack()
        await self.middleware_stack(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        """Return the layers from the outermost of ours inwards."""
        stack: Any = super().build_middleware_stack()
        while not isinstance(stack, (Observe, CORSMiddleware)):
            stack = stack.app
        return stack


def create_app(settings: Settings, log: Log | None = None) -> FastAPI:
    """Build the application. ``log`` takes the place of the one that the settings describe."""
    health = Health()
    pool = ThreadPoolExecutor(settings.compute_workers, thread_name_prefix="compute")
    calls = Calls(settings, pool)
    evaluation, infer = Evaluation(settings, calls), v2.Infer(settings, calls)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with drain_on_sigterm(health, settings.drain_seconds):
            yield
        pool.shutdown(wait=False, cancel_futures=True)

    app = _Service(
        title="lossd",
        version=__version__,
        lifespan=lifespan,
        redirect_slashes=False,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # asking what is set up takes 10 us
    )
    app.router.routes.append(Route(PREFIX + "{name}", evaluation, methods=["POST"]))
    add_routes(app, health)
    add_v2(app, health, infer)
    add_docs(app)
    add_refusals(app)
    _add_contract(app)
    # The last one added stands in front.
    hot = (Hot(PREFIX, "", evaluation), Hot(v2.PREFIX, v2.SUFFIX, infer))
    app.add_middleware(Shortcut, hot=hot)
    app.add_middleware(Admit, settings=settings)
    app.add_middleware(Observe, log=log or open_log(settings), health=health)
    add_cross_origin(app, settings.cors_origins)
    return app


def serve_from_environment() -> FastAPI:
    """Build the application as ``LOSSD_`` variables say: what every server process calls first."""
    settings = Settings()
    log = open_log(settings)
    adopt_standard_logging(log)
    return create_app(settings, log)


def contract() -> bytes:
    """Return the OpenAPI document as it is committed: indented, with a newline at the end."""
    app = create_app(Settings.model_construct())  # the defaults, whatever the environment says
    return orjson.dumps(openapi.document(app), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _add_contract(app: FastAPI) -> None:
    document = orjson.dumps(openapi.document(app))

    async def served() -> Response:
        return Response(document, media_type="application/json")

    app.add_api_route("/openapi.json", served, methods=["GET", "HEAD"], include_in_schema=False)
