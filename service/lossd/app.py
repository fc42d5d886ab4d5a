"""Wires the layers: the only module that knows all of them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
from fastapi import FastAPI, Response
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from lossd import __version__
from lossd.api import openapi
from lossd.api.admission import AdmissionControl
from lossd.api.cross_origin import cross_origin
from lossd.api.dispatch import Dispatcher
from lossd.api.docs import add_docs
from lossd.api.error_boundary import ErrorBoundary
from lossd.api.evaluation import PREFIX, EvaluationEndpoint
from lossd.api.fast_routes import FastRoute, FastRoutes
from lossd.api.health import Health, drain_on_sigterm
from lossd.api.log import Log, adopt_standard_logging, open_log
from lossd.api.router_errors import RouterErrors
from lossd.api.routes import add_routes
from lossd.api.v2 import infer as v2
from lossd.api.v2.routes import add_v2
from lossd.settings import Settings


def create_app(settings: Settings, log: Log | None = None) -> ASGIApp:
    """Build the application. ``log`` takes the place of the one that the settings describe."""
    health = Health()
    pool = ThreadPoolExecutor(settings.compute_workers, thread_name_prefix="compute")
    dispatcher = Dispatcher(settings, pool)
    evaluation, infer = EvaluationEndpoint(settings, dispatcher), v2.InferEndpoint(settings, dispatcher)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with drain_on_sigterm(health, settings.drain_seconds):
            yield
        pool.shutdown(wait=False, cancel_futures=True)

    routed = _routed(health, evaluation, infer, lifespan)
    fast = (FastRoute(PREFIX, "", evaluation), FastRoute(v2.PREFIX, v2.SUFFIX, infer))
    # From the router outwards. FastAPI's own layers are left out: they answer errors, which the boundary does here.
    layers: ASGIApp = AsyncExitStackMiddleware(routed.router)
    layers = RouterErrors(layers, routes=routed.routes)
    layers = FastRoutes(layers, routes=fast)
    layers = AdmissionControl(layers, settings=settings)
    layers = ErrorBoundary(layers, log=log or open_log(settings), health=health)
    layers = cross_origin(layers, settings.cors_origins)

    async def service(scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = routed  # which the router asks for
        await layers(scope, receive, send)

    return service


def _routed(
    health: Health,
    evaluation: EvaluationEndpoint,
    infer: v2.InferEndpoint,
    lifespan: Callable[[FastAPI], Any] | None = None,
) -> FastAPI:
    """Return the application with every route, documented, without layers in front."""
    app = FastAPI(
        title="lossd",
        version=__version__,
        lifespan=lifespan,
        redirect_slashes=False,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    app.router.routes.append(Route(PREFIX + "{name}", evaluation, methods=["POST"]))
    add_routes(app, health)
    add_v2(app, health, infer)
    add_docs(app)
    _add_openapi(app)
    return app


def serve_from_environment() -> ASGIApp:
    """Build the application as ``LOSSD_`` variables say: what every server process calls first."""
    settings = Settings()
    log = open_log(settings)
    adopt_standard_logging(log)
    return create_app(settings, log)


def openapi_document() -> bytes:
    """Return the OpenAPI document as it is committed: indented, with a newline at the end."""
    settings = Settings.model_construct()  # the defaults, whatever the environment says
    with ThreadPoolExecutor(1) as pool:
        dispatcher = Dispatcher(settings, pool)
        app = _routed(
            Health(), EvaluationEndpoint(settings, dispatcher), v2.InferEndpoint(settings, dispatcher)
        )
    return orjson.dumps(openapi.document(app), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _add_openapi(app: FastAPI) -> None:
    document = orjson.dumps(openapi.document(app))

    async def served() -> Response:
        return Response(document, media_type="application/json")

    app.add_api_route("/openapi.json", served, methods=["GET", "HEAD"], include_in_schema=False)
