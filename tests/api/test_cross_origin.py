"""Pages of the origins that an operator allows may call from a browser, and others may not."""

from __future__ import annotations

import asyncio
import io
import json
import socket
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError
from starlette.types import Receive, Scope, Send

from lossd.access.keys import write_entry
from lossd.api.cross_origin import cross_origin
from lossd.api.error_boundary import ErrorBoundary
from lossd.api.health import Health
from lossd.api.log import open_log
from lossd.api.request_log import RequestLog
from lossd.settings import Settings
from tests.api.serving import GOOD, GOOD_LOSS, InProcess, read_response, serve

PAGE, OTHER = "https://page.example", "https://other.example"
PATH = "/v1/losses/mse"
# What a browser asks before it posts JSON with headers of its own.
PREFLIGHT = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,request-timeout,x-request-id",
}


@pytest.fixture
def service() -> InProcess:
    return InProcess(cors_origins=f"{PAGE}, http://localhost:3000")


def cors(response: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name.startswith("access-control")}


def test_a_page_that_is_allowed_may_post_and_read_the_answer(service: InProcess) -> None:
    asked = service.request("OPTIONS", PATH, headers={"origin": PAGE, **PREFLIGHT})
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == PAGE
    assert "POST" in asked.headers["access-control-allow-methods"].split(", ")
    allowed = asked.headers["access-control-allow-headers"].lower().split(", ")
    assert set(PREFLIGHT["access-control-request-headers"].split(",")) < set(allowed)
    answered = service.post("mse", json=GOOD, headers={"origin": PAGE})
    assert answered.json()["loss"] == GOOD_LOSS
    assert answered.headers["access-control-allow-origin"] == PAGE
    exposed = answered.headers["access-control-expose-headers"].split(", ")
    assert {"X-Request-ID", "Retry-After", "RateLimit", "RateLimit-Policy"} <= set(exposed)
    assert answered.headers["vary"] == "Origin"


@pytest.mark.parametrize("path", ["/v1/losses", PATH, "/v2/models/mse/infer", "/readyz", "/openapi.json"])
def test_every_path_answers_a_preflight(service: InProcess, path: str) -> None:
    response = service.request("OPTIONS", path, headers={"origin": PAGE, **PREFLIGHT})
    assert response.is_success
    assert response.headers["access-control-allow-origin"] == PAGE


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/v1/losses/none", 404), ("POST", PATH, 400), ("GET", "/nowhere", 404), ("PUT", PATH, 405)],
)
def test_a_page_may_read_why_its_call_failed(service: InProcess, method: str, path: str, status: int) -> None:
    response = service.request(method, path, content=b"{", headers={"origin": PAGE})
    assert response.status_code == response.json()["status"] == status
    assert response.headers["access-control-allow-origin"] == PAGE


def test_a_preflight_has_a_request_id_and_a_line_of_the_log(service: InProcess) -> None:
    headers = {"origin": PAGE, **PREFLIGHT, "x-request-id": "preflight-1"}
    assert service.request("OPTIONS", PATH, headers=headers).headers["x-request-id"] == "preflight-1"
    (line,) = service.log()
    assert (line["method"], line["status"], line["request_id"]) == ("OPTIONS", 200, "preflight-1")


def assert_readable(response: httpx.Response, status: int) -> None:
    assert response.status_code == response.json()["status"] == status
    assert response.headers["access-control-allow-origin"] == PAGE
    assert "x-request-id" in response.headers


def test_a_page_may_read_that_it_has_no_key_or_called_too_often(tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text(write_entry("trainer", "lossd_trainer_0123456789", ["evaluate"]))
    service = InProcess(auth="keys", keys_file=str(keys), cors_origins=PAGE)
    assert_readable(service.post("mse", json=GOOD, headers={"origin": PAGE}), 401)
    service = InProcess(calls_per_second=0.01, calls_burst=1, cors_origins=PAGE)
    service.post("mse", json=GOOD)
    assert_readable(service.post("mse", json=GOOD, headers={"origin": PAGE}), 429)


def test_a_page_may_read_that_its_body_is_too_large() -> None:
    too_large = InProcess(max_body_bytes=10, cors_origins=PAGE)
    assert_readable(too_large.post("mse", json=GOOD, headers={"origin": PAGE}), 413)


def test_a_page_may_read_that_the_server_is_at_fault() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise KeyError("secret")

    layers = cross_origin(ErrorBoundary(broken), (PAGE,))
    log = open_log(Settings(), io.BytesIO())
    app = RequestLog(layers, log=log, health=Health(), observe=lambda *_: None)

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://lossd") as client:
            return await client.get("/", headers={"origin": PAGE})

    assert_readable(asyncio.run(ask()), 500)


@pytest.mark.parametrize("origin", [OTHER, "null", PAGE + ".evil.example", PAGE.upper(), ""])
def test_another_page_gets_no_leave(service: InProcess, origin: str) -> None:
    for method, more in (("OPTIONS", PREFLIGHT), ("GET", {}), ("POST", {})):
        response = service.request(method, PATH, headers={"origin": origin, **more})
        assert "access-control-allow-origin" not in response.headers


def test_a_star_allows_every_page() -> None:
    service = InProcess(cors_origins="*")
    for origin in (PAGE, "null"):
        response = service.post("mse", json=GOOD, headers={"origin": origin})
        assert response.headers["access-control-allow-origin"] == "*"


def test_a_call_without_an_origin_is_no_call_of_a_page(service: InProcess) -> None:
    assert cors(service.post("mse", json=GOOD)) == {}


def test_without_the_setting_no_page_gets_leave() -> None:
    service = InProcess()
    for method, more in (("OPTIONS", PREFLIGHT), ("GET", {})):
        response = service.request(method, PATH, headers={"origin": PAGE, **more})
        assert cors(response) == {}
        assert "vary" not in response.headers


@pytest.mark.parametrize(
    "wrong", ["page.example", PAGE + "/", "null", PAGE + ",", "ftp://page.example", "http://"]
)
def test_what_is_no_origin_is_refused_at_the_start(wrong: str) -> None:
    with pytest.raises(ValidationError, match="expected origins such as"):
        Settings(cors_origins=wrong)


def test_a_server_reads_the_origins_from_its_environment(tmp_path: Path) -> None:
    with serve(tmp_path, LOSSD_CORS_ORIGINS=f"http://localhost:3000,{PAGE}") as server:
        asked = httpx.options(server.url + PATH, headers={"origin": PAGE, **PREFLIGHT})
        assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (200, PAGE)
        answered = httpx.post(server.url + PATH, json=GOOD, headers={"origin": PAGE})
        assert answered.json()["loss"] == GOOD_LOSS
        assert answered.headers["access-control-allow-origin"] == PAGE
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nOrigin: %s\r\n\r\n" % PAGE.encode())
            status, headers, body = read_response(connection)
        assert status == json.loads(body)["status"] == 400
        assert headers["access-control-allow-origin"] == PAGE
