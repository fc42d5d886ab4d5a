"""Spans of OpenTelemetry, made when a request has ended: while it is served, only the time of each step is noted.

OpenTelemetry's own variables (``OTEL_``) say where spans go, which are sampled, and what the service is called. Import
this only where traces are on: it needs the extra ``otel``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Tracer, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.trace.status import Status, StatusCode
from starlette.types import Scope

from lossd import __version__
from lossd.api.exchange import Exchange
from lossd.api.telemetry.layout import METHODS, OTHER

Value = str | int | float

_PARENT = TraceContextTextMapPropagator()

ATTRIBUTES: dict[str, Callable[[Scope, Exchange], Value | None]] = {
    "http.request.method": lambda scope, exchange: _method(scope),
    "http.route": lambda scope, exchange: _route(exchange),
    "http.response.status_code": lambda scope, exchange: exchange.status if exchange.status != 499 else None,
    "http.request.body.size": lambda scope, exchange: exchange.bytes_in,
    "http.response.body.size": lambda scope, exchange: exchange.bytes_out,
    "url.path": lambda scope, exchange: scope["path"][:200],
    "url.scheme": lambda scope, exchange: scope["scheme"],
    "server.address": lambda scope, exchange: (scope.get("server") or ("",))[0],
    "server.port": lambda scope, exchange: (scope.get("server") or ("", None))[1],
    "client.address": lambda scope, exchange: (scope.get("client") or ("",))[0],
    "network.protocol.version": lambda scope, exchange: scope["http_version"],
    "user_agent.original": lambda scope, exchange: exchange.headers.get(b"user-agent", b"")[:200].decode(
        "latin-1"
    ),
    "error.type": lambda scope, exchange: exchange.problem_kind if _failed(exchange) else None,
    "lossd.request_id": lambda scope, exchange: exchange.request_id.decode(),
    "lossd.caller": lambda scope, exchange: exchange.caller,
    "lossd.loss": lambda scope, exchange: exchange.loss,
    "lossd.format": lambda scope, exchange: exchange.format,
    "lossd.calls": lambda scope, exchange: exchange.record_calls().get("calls"),
    "lossd.failed_calls": lambda scope, exchange: exchange.record_calls().get("failed"),
    "lossd.elements": lambda scope, exchange: exchange.elements or None,
    "lossd.estimated_work": lambda scope, exchange: exchange.work or None,
}
"""Attribute of a request's span to what reads it; empty ones are left out. Those of HTTP are the conventions' own."""


class Tracing:
    """Makes the spans of requests that have ended, and sends them."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("lossd", __version__)

    def record(self, scope: Scope, exchange: Exchange) -> None:
        """Make the span of a request, and of its steps where the caller's own span is sampled; tell the log its ids."""
        carrier = {
            name: exchange.headers.get(name.encode(), b"").decode("latin-1")
            for name in ("traceparent", "tracestate")
        }
        parent = _PARENT.extract(carrier)
        ended = time.time_ns()
        started = ended - int(exchange.seconds * 1e9)
        span = self._tracer.start_span(
            f"{_method(scope)} {_route(exchange)}".strip(), parent, SpanKind.SERVER, start_time=started
        )
        context = span.get_span_context()
        exchange.trace_id, exchange.span_id = f"{context.trace_id:032x}", f"{context.span_id:016x}"
        if span.is_recording():
            span.set_attributes(dict(_attributes(scope, exchange)))
            if _failed(exchange):
                span.set_status(Status(StatusCode.ERROR))
            if get_current_span(parent).get_span_context().trace_flags.sampled:
                _record_steps(self._tracer, span, exchange, started)
        span.end(ended)

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


def open_tracing() -> Tracing:
    """Return what sends spans by OTLP over HTTP, as OpenTelemetry's variables say."""
    resource = Resource.create({SERVICE_VERSION: __version__})
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: "lossd"}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider)


def _attributes(scope: Scope, exchange: Exchange) -> Iterator[tuple[str, Value]]:
    for name, read in ATTRIBUTES.items():
        value = read(scope, exchange)
        if value not in (None, ""):
            yield name, value
    for step, seconds in exchange.step_seconds():
        yield f"lossd.{step}.seconds", seconds


def _record_steps(tracer: Tracer, span: Span, exchange: Exchange, started: int) -> None:
    """Make a span for each step, from the end of the one before."""
    inside = set_span_in_context(span)
    for step, seconds in exchange.step_seconds():
        child = tracer.start_span(step, inside, start_time=started)
        started += int(seconds * 1e9)
        child.end(started)


def _method(scope: Scope) -> str:
    method: Any = scope["method"]
    return method if method in METHODS and method != OTHER else "_OTHER"


def _route(exchange: Exchange) -> str:
    return "" if exchange.route == OTHER else exchange.route


def _failed(exchange: Exchange) -> bool:
    """Return whether the server is at fault; a caller's mistake is no error of a server's span."""
    return exchange.status >= 500 or exchange.status == 0
