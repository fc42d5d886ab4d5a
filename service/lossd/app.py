"""Composes the service: the only module that knows all of its parts."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import orjson
from fastapi import APIRouter, FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from lossd import __version__
from lossd.api import openapi
from lossd.api.access_control import access_control, asks_for_keys, authenticator
from lossd.api.admission import AdmissionControl
from lossd.api.batch import PATH as BATCH_PATH
from lossd.api.batch import BatchEndpoint
from lossd.api.body import start_joining
from lossd.api.combining import SUFFIX as COMBINE
from lossd.api.combining import CombineEndpoint
from lossd.api.compute import start_threads
from lossd.api.connections.listener import REFUSES_KEY
from lossd.api.connections.watch import STATE_KEY, Watch
from lossd.api.cross_origin import cross_origin
from lossd.api.dispatch import Dispatcher
from lossd.api.docs import add_docs
from lossd.api.error_boundary import ErrorBoundary
from lossd.api.evaluation import PREFIX, EvaluationEndpoint
from lossd.api.exchange import Exchange
from lossd.api.fast_routes import FastRoute, FastRoutes
from lossd.api.gradcheck import SUFFIX, GradcheckEndpoint
from lossd.api.health import Health, drain_on_sigterm
from lossd.api.in_flight import InFlightBytes
from lossd.api.log import Log, adopt_standard_logging, open_log
from lossd.api.request_log import Observe, RequestLog
from lossd.api.router_errors import RouterErrors
from lossd.api.routes import add_routes
from lossd.api.site import add_pages
from lossd.api.telemetry.expiry import Expiries, expiries
from lossd.api.telemetry.exposition import PATH as METRICS_PATH
from lossd.api.telemetry.exposition import add_metrics
from lossd.api.telemetry.layout import make_layout
from lossd.api.telemetry.metrics import Metrics, sampling
from lossd.api.telemetry.rows import open_table
from lossd.api.v2 import infer as v2
from lossd.api.v2.routes import add_v2
from lossd.settings import Settings

if TYPE_CHECKING:
    from lossd.api.telemetry.traces import Tracing


class _Routes(NamedTuple):
    """What answers requests, before any layer stands in front of it.

    Attributes:
        router: Every route, with the documentation of all.
        fast: The routes of calls, which skip the router.
        metrics: The numbers of this process, which one of the routes shows.
    """

    router: APIRouter
    fast: tuple[FastRoute, ...]
    metrics: Metrics


# How long a thread that computes may keep the interpreter's lock while others wait for it. The loop takes the lock for
# each connection on which something arrives: CPython's 5 ms doubled the wait of small calls beside large bodies.
SWITCH_SECONDS = 0.0002


def create_app(settings: Settings, log: Log | None = None) -> ASGIApp:
    """Build the application. ``log`` takes the place of the one that the settings describe."""
    health, in_flight = Health(), InFlightBytes(settings)
    pool = ThreadPoolExecutor(settings.compute_workers, thread_name_prefix="compute")
    dispatcher = Dispatcher(settings, pool)
    authenticate = authenticator(settings)
    expires = expiries(settings, authenticate)
    router, fast, metrics = _make_routes(settings, health, in_flight, dispatcher, expires)
    tracing = _open_tracing(settings)
    observe = metrics.observe if tracing is None else _both(metrics.observe, tracing.record)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, object]]:
        start_threads(pool, settings.compute_workers)
        start_joining()
        watch = Watch(settings)
        draining = drain_on_sigterm(health, settings.drain_seconds)
        async with draining, watch.running(), dispatcher.queue.watched(), sampling(metrics):
            yield {STATE_KEY: watch, REFUSES_KEY: dispatcher.queue.refuses}
        pool.shutdown(wait=False, cancel_futures=True)
        if tracing is not None:
            await asyncio.to_thread(tracing.close)

    app = FastAPI(
        routes=router.routes,
        lifespan=lifespan,
        redirect_slashes=False,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    # From the router outwards. FastAPI's own layers are left out: they answer errors, which the boundary does here.
    layers: ASGIApp = AsyncExitStackMiddleware(app.router)
    layers = RouterErrors(layers, routes=app.routes, guarded=asks_for_keys(settings))
    layers = FastRoutes(layers, routes=fast)
    layers = AdmissionControl(layers, settings=settings, queue=dispatcher.queue, in_flight=in_flight)
    layers = access_control(layers, settings, authenticate)
    layers = ErrorBoundary(layers)
    layers = cross_origin(layers, settings.cors_origins)
    layers = RequestLog(layers, log=log or open_log(settings), health=health, observe=observe)

    async def service(scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = app  # without it the router would answer 404 and 405 itself, and not raise them
        await layers(scope, receive, send)

    return service


def serve_from_environment() -> ASGIApp:
    """Build the application as ``LOSSD_`` variables say: what every server process calls first."""
    sys.setswitchinterval(SWITCH_SECONDS)
    settings = Settings()
    log = open_log(settings)
    adopt_standard_logging(log)
    app = create_app(settings, log)
    gc.collect()
    gc.freeze()  # what there is by now stays: to look at it again held the event loop for 50 ms and more each time
    return app


def openapi_document() -> bytes:
    """Return the OpenAPI document as it is committed: indented, with a newline at the end."""
    settings = Settings.model_construct()  # the defaults, whatever the environment says
    with ThreadPoolExecutor(1) as pool:
        routes = _make_routes(settings, Health(), InFlightBytes(settings), Dispatcher(settings, pool), ())
    document = openapi.document(routes.router.routes)
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _make_routes(
    settings: Settings, health: Health, in_flight: InFlightBytes, dispatcher: Dispatcher, expires: Expiries
) -> _Routes:
    """Build everything that answers requests; the metrics count them by the paths of all routes."""
    evaluation, infer = EvaluationEndpoint(settings, dispatcher), v2.InferEndpoint(settings, dispatcher)
    gradcheck, combining = GradcheckEndpoint(evaluation), CombineEndpoint(settings, dispatcher)
    fast = (
        FastRoute(PREFIX, SUFFIX, gradcheck),
        FastRoute(PREFIX, COMBINE, combining),
        FastRoute(PREFIX, "", evaluation),
        FastRoute(v2.PREFIX, v2.SUFFIX, infer),
    )
    batch = BatchEndpoint(settings, dispatcher)
    router = APIRouter()
    router.routes.append(Route(BATCH_PATH, batch, methods=["POST"]))
    # Every fast route is in the router too, which knows the methods of a path.
    router.routes.append(Route(PREFIX + "{name}", evaluation, methods=["POST"]))
    router.routes.append(Route(PREFIX + "{name}" + SUFFIX, gradcheck, methods=["POST"]))
    router.routes.append(Route(PREFIX + "{name}" + COMBINE, combining, methods=["POST"]))
    add_routes(router, health)
    add_v2(router, health, infer)
    add_docs(router, f"lossd {__version__}")
    add_pages(router, guarded=asks_for_keys(settings))
    paths = [route.path for route in router.routes if isinstance(route, Route)]
    layout = make_layout([*paths, METRICS_PATH, openapi.PATH], [route.path for route in fast], [BATCH_PATH])
    gauges = {
        "in_flight": lambda: health.in_flight,
        "waiting": lambda: dispatcher.waiting,
        "held": lambda: in_flight.held,
        "held_limit": lambda: in_flight.most,
        "pool_threads": lambda: settings.compute_workers,
    }
    metrics = Metrics(layout, open_table(layout.length, settings.workers), fast, gauges)
    add_metrics(router, metrics, expires)
    openapi.add_document(router)
    return _Routes(router, fast, metrics)


def _open_tracing(settings: Settings) -> Tracing | None:
    if settings.traces == "off":
        return None
    from lossd.api.telemetry.traces import open_tracing  # which imports packages that are optional

    return open_tracing()


def _both(first: Observe, second: Observe) -> Observe:
    def observe(scope: Scope, exchange: Exchange) -> None:
        first(scope, exchange)
        second(scope, exchange)

    return observe
