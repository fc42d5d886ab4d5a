"""Spans arrive at a receiver of OTLP, say what the conventions ask for, and are off unless asked for."""

from __future__ import annotations

import gzip
import itertools
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("opentelemetry.exporter.otlp.proto.http")

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.api.serving import GOOD, PATIENCE_SECONDS, ROOT, InProcess, Served, environment, lossd, serve

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"
STEPS = ["receive", "decode", "prepare", "compute", "encode"]


class Receiver:
    """A receiver of OTLP over HTTP, which keeps what it is sent."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                body = self.rfile.read(int(self.headers["content-length"]))
                packed = self.headers.get("content-encoding") == "gzip"
                receiver.requests.append(
                    ExportTraceServiceRequest.FromString(gzip.decompress(body) if packed else body)
                )
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *words: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def spans(self) -> list[Span]:
        """Return every span so far."""
        return [
            span
            for request in list(self.requests)
            for of_resource in request.resource_spans
            for of_scope in of_resource.scope_spans
            for span in of_scope.spans
        ]

    def of_request(self, request_id: str, *, steps: int = 0) -> tuple[Span, list[Span]]:
        """Wait for the span of a request, and so many within it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            spans = self.spans()
            for span in spans:
                children = [each for each in spans if each.parent_span_id == span.span_id]
                if attributes(span).get("lossd.request_id") == request_id and len(children) >= steps:
                    return span, sorted(children, key=lambda child: child.start_time_unix_nano)
            time.sleep(0.02)
        raise AssertionError(f"no span of {request_id} with {steps} steps arrived")


def attributes(span: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes}


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    yield running
    running.server.shutdown()
    running.server.server_close()


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Served]:
    variables = {
        "LOSSD_TRACES": "otlp",
        "LOSSD_LOG_FORMAT": "json",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
    }
    with serve(tmp_path_factory.mktemp("traced"), **variables) as running:
        yield running


def call(server: Served, path: str = "/v1/losses/mse", json: Any = GOOD, **headers: str) -> httpx.Response:
    return httpx.post(f"{server.url}{path}", json=json, headers={"user-agent": "a test", **headers})


def test_the_span_of_a_call_follows_the_conventions_and_says_what_it_computed(
    traced: Served, receiver: Receiver
) -> None:
    response = call(traced)
    span, _ = receiver.of_request(response.headers["x-request-id"])
    found = attributes(span)
    assert (span.name, span.kind) == ("POST /v1/losses/{name}", Span.SPAN_KIND_SERVER)
    assert found == found | {
        "http.request.method": "POST",
        "http.route": "/v1/losses/{name}",
        "http.response.status_code": 200,
        "http.request.body.size": len(response.request.content),
        "http.response.body.size": len(response.content),
        "url.path": "/v1/losses/mse",
        "url.scheme": "http",
        "server.address": "127.0.0.1",
        "server.port": traced.port,
        "client.address": "127.0.0.1",
        "network.protocol.version": "1.1",
        "user_agent.original": "a test",
        "lossd.loss": "mse",
        "lossd.format": "json",
        "lossd.elements": 6,
    }
    assert found["lossd.estimated_work"] > 0
    assert {f"lossd.{step}.seconds" for step in STEPS} <= found.keys()
    assert 0 < found["lossd.compute.seconds"] < (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9
    assert span.status.code == Status.STATUS_CODE_UNSET
    (resource,) = {str(request.resource_spans[0].resource) for request in receiver.requests}
    assert "lossd" in resource
    assert "deployment.environment.name" in resource


def test_a_call_whose_caller_is_sampled_has_a_span_for_each_step(traced: Served, receiver: Receiver) -> None:
    response = call(traced, traceparent=SAMPLED, tracestate="vendor=value")
    span, steps = receiver.of_request(response.headers["x-request-id"], steps=len(STEPS))
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
    assert span.trace_state == "vendor=value"
    assert [step.name for step in steps] == STEPS
    assert steps[0].start_time_unix_nano == span.start_time_unix_nano
    for one, following in itertools.pairwise(steps):
        assert one.end_time_unix_nano == following.start_time_unix_nano
    assert steps[-1].end_time_unix_nano <= span.end_time_unix_nano
    assert {step.trace_id.hex() for step in steps} == {TRACE}


def test_a_call_whose_caller_is_not_sampled_has_no_span(traced: Served, receiver: Receiver) -> None:
    skipped = call(traced, traceparent=UNSAMPLED)
    _, steps = receiver.of_request(call(traced).headers["x-request-id"])  # which comes after it
    assert steps == []  # of a trace that begins here, the timings are attributes
    ids = {attributes(span).get("lossd.request_id") for span in receiver.spans()}
    assert skipped.headers["x-request-id"] not in ids
    assert skipped.headers["traceparent"] == UNSAMPLED


def test_a_call_in_the_pool_shows_how_long_it_waited(traced: Served, receiver: Receiver) -> None:
    large = {"input": [0.0] * 10_000, "target": [0.0] * 10_000}
    response = call(traced, json=large, traceparent=SAMPLED)
    _, steps = receiver.of_request(response.headers["x-request-id"], steps=6)
    assert [step.name for step in steps] == ["receive", "wait", "decode", "prepare", "compute", "encode"]
    (line,) = [line for line in traced.log() if line.get("request_id") == response.headers["x-request-id"]]
    assert {f"{step.name}_ms" for step in steps} <= line.keys()


@pytest.mark.parametrize(
    ("path", "name", "status"),
    [
        ("/v1/losses/nothing", "POST /v1/losses/{name}", 404),
        ("/nowhere", "POST", 404),
        ("/v1/losses/mse", "POST /v1/losses/{name}", 422),
    ],
)
def test_a_mistake_of_the_caller_is_no_error_of_the_span(
    traced: Served, receiver: Receiver, path: str, name: str, status: int
) -> None:
    span, _ = receiver.of_request(call(traced, path, json={}).headers["x-request-id"])
    assert (span.name, span.status.code) == (name, Status.STATUS_CODE_UNSET)
    assert attributes(span)["http.response.status_code"] == status
    assert "error.type" not in attributes(span)


def test_the_span_of_a_batch_says_how_many_calls_it_had(traced: Served, receiver: Receiver) -> None:
    calls = [{"loss": "mse", **GOOD}, {"loss": "mse"}, {"loss": "l1", **GOOD}]
    response = call(traced, "/v1/batch", json={"calls": calls}, traceparent=SAMPLED)
    assert [result["status"] for result in response.json()["results"]] == [200, 422, 200]
    span, steps = receiver.of_request(response.headers["x-request-id"], steps=1)
    found = attributes(span)
    assert span.name == "POST /v1/batch"
    assert (found["lossd.calls"], found["lossd.failed_calls"], found["lossd.elements"]) == (3, 1, 12)
    assert len({step.name for step in steps}) == len(steps), "a step is that of all calls together"
    alone, _ = receiver.of_request(call(traced).headers["x-request-id"])
    assert "lossd.calls" not in attributes(alone)


def test_a_failure_of_the_server_is_an_error_with_its_kind(traced: Served, receiver: Receiver) -> None:
    tensor = {"datatype": "FP32", "shape": [1], "data": [0.0]}
    inputs = [{"name": name, **tensor} for name in ("input", "target")]
    late = {"inputs": inputs, "parameters": {"timeout": 1}}  # microseconds; it counts once the body is there
    response = call(traced, "/v2/models/mse/infer", json=late)
    span, _ = receiver.of_request(response.headers["x-request-id"])
    assert (response.status_code, span.status.code) == (504, Status.STATUS_CODE_ERROR)
    assert attributes(span)["error.type"] == "deadline-exceeded"


def test_the_log_has_the_ids_of_the_span(traced: Served, receiver: Receiver) -> None:
    response = call(traced, traceparent=SAMPLED)
    span, _ = receiver.of_request(response.headers["x-request-id"])
    (line,) = [line for line in traced.log() if line.get("request_id") == response.headers["x-request-id"]]
    assert (line["trace_id"], line["span_id"]) == (TRACE, span.span_id.hex())


def test_what_is_left_is_sent_when_the_server_stops(tmp_path: Path, receiver: Receiver) -> None:
    variables = {
        "LOSSD_TRACES": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_BSP_SCHEDULE_DELAY": "600000",
    }
    with serve(tmp_path, **variables) as server:
        request_id = call(server).headers["x-request-id"]
        assert server.stop() == 0
    assert request_id in {attributes(span).get("lossd.request_id") for span in receiver.spans()}


def test_a_collector_that_is_away_costs_neither_calls_nor_the_stop(tmp_path: Path) -> None:
    variables = {
        "LOSSD_TRACES": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
    }
    with serve(tmp_path, **variables) as server:
        assert call(server).status_code == 200
        begun = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - begun < 30


def test_every_attribute_is_documented(traced: Served, receiver: Receiver) -> None:
    text = (ROOT / "docs" / "telemetry.md").read_text()
    receiver.of_request(call(traced).headers["x-request-id"])
    sent = {name for span in receiver.spans() for name in attributes(span)}
    assert {re.sub(r"lossd\.[a-z]+\.seconds", "lossd.STEP.seconds", name) for name in sent} <= set(
        re.findall(r"`([a-z_A-Z.]+)`", text)
    )


def test_without_traces_nothing_of_opentelemetry_s_sdk_is_loaded() -> None:
    program = "import lossd.app, sys; from lossd.settings import Settings; lossd.app.create_app(Settings())\n"
    program += "sys.exit('opentelemetry.sdk' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], env=environment(), check=True)


def test_traces_without_the_packages_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['opentelemetry.exporter'] = None\n")
    path = environment()["PYTHONPATH"]
    done = lossd("serve", LOSSD_TRACES="otlp", PYTHONPATH=f"{tmp_path}:{path}")
    assert done.returncode == 2
    assert b"expected OpenTelemetry for LOSSD_TRACES=otlp, got none; pip install '.[otel]'" in done.stderr


def test_a_trace_context_is_logged_also_without_traces_of_our_own(service: InProcess) -> None:
    service.request("GET", "/livez", headers={"traceparent": UNSAMPLED})
    (line,) = service.log()
    assert (line["trace_id"], line["span_id"]) == (TRACE, PARENT)
