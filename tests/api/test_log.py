"""One structured line per request, and an identity that both sides can quote."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from lossd.api import log as log_module
from lossd.api.error_boundary import ErrorBoundary
from lossd.api.health import Health
from lossd.api.log import Seldom, open_log
from lossd.api.request_log import RequestLog
from lossd.api.telemetry.fields import LOG_FIELDS, STEPS
from lossd.settings import Settings
from tests.api.serving import GOOD, InProcess
from tests.api.test_metrics import scrape

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_request_is_one_line_that_says_what_it_was(service: InProcess) -> None:
    response = service.post("HuberLoss", json=GOOD, headers={"traceparent": TRACEPARENT})
    (line,) = service.log()
    assert line.pop("duration_ms") > 0
    assert line.pop("timestamp").endswith("Z")
    work = int(
        scrape(service)["lossd_estimated_work_operations_sum", frozenset({("route", "/v1/losses/{name}")})]
    )
    assert line == {
        "event": "request",
        "level": "info",
        "request_id": response.headers["x-request-id"],
        "trace_id": TRACEPARENT[3:35],
        "span_id": TRACEPARENT[36:52],
        "method": "POST",
        "path": "/v1/losses/HuberLoss",
        "loss": "huber",
        "format": "json",
        "elements": 6,
        "work": work,
        "status": 200,
        "bytes_in": len(response.request.content),
        "bytes_out": len(response.content),
    }


def test_every_request_is_one_line_whatever_becomes_of_it(service: InProcess) -> None:
    service.post("mse", json={})
    service.post("nothing", json={})
    service.request("GET", "/nowhere")
    service.request("PUT", "/v1/losses")
    service.request("OPTIONS", "/v1/losses")
    service.request("GET", "/livez")
    assert [line["status"] for line in service.log()] == [422, 404, 404, 405, 204, 200]
    assert ["problem" in line for line in service.log()] == [True] * 4 + [False] * 2


def test_the_request_id_is_the_callers_or_new(service: InProcess) -> None:
    given = service.request("GET", "/livez", headers={"x-request-id": "job-7/step.3"})
    assert given.headers["x-request-id"] == "job-7/step.3"
    made = {service.request("GET", "/livez").headers["x-request-id"] for _ in range(3)}
    assert len(made) == 3
    assert service.log()[0]["request_id"] == "job-7/step.3"


@pytest.mark.parametrize("strange", ["", "a b", "x" * 129, '"quoted"', "é", "a\tb"])
def test_a_strange_request_id_is_replaced(service: InProcess, strange: str) -> None:
    response = service.request("GET", "/livez", headers={"x-request-id": strange.encode("latin-1")})
    assert response.headers["x-request-id"] != strange
    assert len(response.headers["x-request-id"]) == 32


def test_a_trace_context_is_repeated_also_beside_an_error(service: InProcess) -> None:
    response = service.request("GET", "/nowhere", headers={"traceparent": TRACEPARENT})
    assert response.headers["traceparent"] == TRACEPARENT


@pytest.mark.parametrize("later", ["01" + TRACEPARENT[2:], "fe" + TRACEPARENT[2:] + "-more"])
def test_a_trace_context_of_a_later_version_is_repeated(service: InProcess, later: str) -> None:
    assert service.request("GET", "/livez", headers={"traceparent": later}).headers["traceparent"] == later


@pytest.mark.parametrize(
    "strange",
    [
        *(
            "",
            "00-xyz",
            TRACEPARENT.upper(),
            TRACEPARENT + "\t",
            TRACEPARENT + "-more",
            "ff" + TRACEPARENT[2:],
        ),
        TRACEPARENT.replace(TRACEPARENT[3:35], "0" * 32),
        TRACEPARENT.replace(TRACEPARENT[36:52], "0" * 16),
    ],
)
def test_what_is_no_trace_context_is_dropped(service: InProcess, strange: str) -> None:
    assert "traceparent" not in service.request("GET", "/livez", headers={"traceparent": strange}).headers


def test_a_bug_is_a_500_that_the_log_explains_and_the_caller_cannot_see() -> None:
    response, (line,) = through_observe(broken)
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert "secret" not in response.text
    assert "KeyError" not in response.text
    assert line["level"] == "error"
    assert line["status"] == 500
    assert line["request_id"] == response.headers["x-request-id"]
    assert "KeyError: 'secret'" in line["exception"]


def test_a_bug_after_the_response_has_started_cuts_the_connection() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise KeyError("secret")

    with pytest.raises(ConnectionError):
        through_observe(broken)


def test_a_call_in_the_pool_says_how_long_each_step_took() -> None:
    """A small call on the event loop takes so little that the fields would cost more than they tell."""
    for settings in ({"inline_body_bytes": 0}, {"inline_milliseconds": 0}, {}):
        service = InProcess(**settings)
        service.assert_unharmed()
        (line,) = service.log()
        times = {name: value for name, value in line.items() if name.removesuffix("_ms") in STEPS}
        assert times.keys() == ({f"{step}_ms" for step in STEPS} if settings else set())
        assert 0 <= sum(times.values()) <= line["duration_ms"] + 0.001 * len(times)


def test_every_field_is_documented_and_every_documented_field_is_used() -> None:
    keyless = InProcess(inline_body_bytes=0)
    keyless.post("mse", json=GOOD, headers={"traceparent": TRACEPARENT})
    keyless.post("mse", json={})
    keyless.request("POST", "/v1/batch", json={"calls": [{"loss": "mse", **GOOD}]})
    _, (bug,) = through_observe(broken)
    used = {name for line in [*keyless.log(), bug] for name in line}
    assert used | {"caller"} == LOG_FIELDS.keys()


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    raise KeyError("secret")


def test_the_level_silences_requests_and_not_bugs() -> None:
    service = InProcess(log_level="warning")
    service.assert_unharmed()
    assert service.log() == []


def test_the_console_format_is_a_line_for_people() -> None:
    stream = io.BytesIO()
    open_log(Settings(log_format="console"), stream).log(logging.INFO, "request", status=200, path="/é")
    assert b"status=200" in stream.getvalue()
    assert stream.getvalue().count(b"\n") == 1


def test_the_console_format_names_no_logger() -> None:
    for name, text in (("console", b"started"), ("json", b'"logger":"uvicorn.error"')):
        stream = io.BytesIO()
        log = open_log(Settings(log_format=name), stream)
        log.log(logging.INFO, "started", logger="uvicorn.error")
        assert text in stream.getvalue()
        assert (b"uvicorn.error" in stream.getvalue()) == (name == "json")


def test_what_may_fail_with_each_call_is_one_line_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(log_module.time, "monotonic", lambda: now)
    seldom, written = Seldom(), []

    def say(name: str) -> None:
        written.append(seldom.filter(logging.LogRecord(name, logging.ERROR, "", 0, "failed", (), None)))

    for name in (
        "opentelemetry.exporter.otlp",
        "opentelemetry.sdk",
        "lossd.tls",
        "lossd.tls",
        "lossd.access",
    ):
        say(name)
    say("lossd.access")
    assert written == [True, False, True, False, True, True]
    now += 61
    say("opentelemetry.sdk")
    assert written[-1]


def test_a_caller_writes_no_line_of_the_console_format() -> None:
    stream = io.BytesIO()
    service = open_log(Settings(log_format="console"), stream)
    service.log(logging.INFO, "request", status=404, path="/a\nb\x1b[2J", problem="got /a\rb")
    assert stream.getvalue().count(b"\n") == 1
    assert not {b"\x1b", b"\r"} & {stream.getvalue()[i : i + 1] for i in range(len(stream.getvalue()))}


def test_a_log_that_nobody_can_read_costs_no_request() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb", buffering=0) as stream:
        log = open_log(Settings(), stream)
        log.log(logging.INFO, "request", status=200)
        log.log(logging.ERROR, "request", status=500)


def through_observe(app: Any) -> tuple[httpx.Response, list[dict[str, Any]]]:
    """Send one request through the two outermost layers alone; return the response and the log."""
    stream = io.BytesIO()
    log = open_log(Settings(), stream)
    observed = RequestLog(ErrorBoundary(app), log=log, health=Health(), observe=lambda *_: None)

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(observed)
        async with httpx.AsyncClient(transport=transport, base_url="http://lossd") as client:
            return await client.get("/")

    return asyncio.run(send()), [json.loads(line) for line in stream.getvalue().splitlines()]
