"""Who is let in, what they may do and how often, through all layers and over a socket."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from lossd.access.keys import write_entry
from lossd.api import access_control
from lossd.api.access_control import required_scope
from lossd.settings import Settings
from tests.api.serving import (
    GOOD,
    GOOD_LOSS,
    PATIENCE_SECONDS,
    InProcess,
    lossd,
    raw_request,
    read_response,
    serve,
)

PATH = "/v1/losses/mse"
KEYS = {name: f"lossd_{name}_0123456789" for name in ("trainer", "reader", "prometheus", "stranger")}
SCOPES = {"trainer": ["evaluate", "catalogue"], "reader": ["catalogue"], "prometheus": ["metrics"]}
PROBLEM = "application/problem+json"


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.toml"
    path.write_text("\n".join(write_entry(name, KEYS[name], scopes) for name, scopes in SCOPES.items()))
    return path


@pytest.fixture
def service(keys_file: Path) -> InProcess:
    return InProcess(auth="keys", keys_file=str(keys_file))


def bearer(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {KEYS[name]}"}


def test_a_key_lets_its_caller_in_and_the_log_names_him(service: InProcess) -> None:
    response = service.post("mse", json=GOOD, headers=bearer("trainer"))
    assert response.json()["loss"] == GOOD_LOSS
    (line,) = service.log()
    assert line["caller"] == "trainer"
    assert KEYS["trainer"] not in json.dumps(line)


@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        ({}, "Bearer"),
        ({"authorization": "Basic dXNlcjpwYXNz"}, "Bearer"),
        ({"authorization": "Bearer "}, 'Bearer error="invalid_token"'),
        ({"authorization": "Bearer é"}, 'Bearer error="invalid_token"'),
        (bearer("stranger"), 'Bearer error="invalid_token"'),
        ({"authorization": f"Bearer {KEYS['trainer']}x"}, 'Bearer error="invalid_token"'),
    ],
)
def test_nobody_else_is_let_in(service: InProcess, headers: dict[str, str], challenge: str) -> None:
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    for method, path in (("POST", PATH), ("GET", "/v1/losses"), ("GET", "/metrics"), ("GET", "/nowhere")):
        response = service.request(method, path, headers=encoded)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == challenge
        assert response.headers["content-type"] == PROBLEM
        assert response.json()["type"] == "/problems/unauthorized"
    assert all("caller" not in line and line["problem"] for line in service.log())
    assert KEYS["stranger"] not in json.dumps(service.log())


@pytest.mark.parametrize(
    ("name", "method", "path", "scope"),
    [
        ("reader", "POST", PATH, "evaluate"),
        ("reader", "GET", "/metrics", "metrics"),
        ("prometheus", "GET", "/v1/losses/mse", "catalogue"),
        ("prometheus", "GET", "/nowhere", "catalogue"),
        ("trainer", "GET", "/metrics", "metrics"),
    ],
)
def test_a_caller_without_a_scope_is_told_which(
    service: InProcess, name: str, method: str, path: str, scope: str
) -> None:
    response = service.request(method, path, headers=bearer(name))
    assert response.status_code == 403
    assert response.json()["type"] == "/problems/forbidden"
    assert f"a key with the scope {scope}, got one with" in response.json()["detail"]
    assert response.headers["www-authenticate"] == f'Bearer error="insufficient_scope", scope="{scope}"'
    assert service.log()[0]["caller"] == name


@pytest.mark.parametrize(("headers", "status"), [({}, 401), (bearer("reader"), 403)])
def test_the_open_inference_protocol_has_its_own_form(
    service: InProcess, headers: dict[str, str], status: int
) -> None:
    response = service.request("POST", "/v2/models/mse/infer", headers=headers)
    assert (response.status_code, response.headers["content-type"]) == (status, "application/json")
    assert list(response.json()) == ["error"]
    assert response.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "path",
    [
        *("/livez", "/readyz", "/v2/health/live", "/v2/health/ready", "/v2/models/mse/ready"),
        *("/docs", "/docs/swagger-ui.css", "/openapi.json", "/problems/forbidden"),
        *("/", "/try", "/compare", "/losses/mse"),
    ],
)
def test_health_and_the_documentation_need_no_key(service: InProcess, path: str) -> None:
    assert service.request("GET", path).status_code in (200, 307)


def test_every_route_needs_the_scope_that_it_should(service: InProcess) -> None:
    needed = {
        (method.upper(), path): required_scope(method.upper(), path.replace("{name}", "mse"))
        for path, methods in service.request("GET", "/openapi.json").json()["paths"].items()
        for method in methods
    }
    posts = {path: scope for (method, path), scope in needed.items() if method == "POST"}
    assert posts.pop("/v2/repository/index") == "catalogue"  # reads, though by POST
    assert set(posts.values()) == {"evaluate"}
    without = {path for (_, path), scope in needed.items() if scope is None}
    assert without == {
        *("/livez", "/readyz", "/problems/{kind}", "/v2/health/live", "/v2/health/ready"),
        *("/v2/models/{name}/ready", "/v2/models/{name}/versions/{version}/ready"),
    }


def test_a_preflight_needs_no_key_and_allows_the_header_that_has_one(keys_file: Path) -> None:
    service = InProcess(auth="keys", keys_file=str(keys_file), cors_origins="https://page.example")
    origin = {"origin": "https://page.example"}
    asked = service.request(
        "OPTIONS",
        PATH,
        headers={
            **origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type",
        },
    )
    assert asked.status_code == 200
    assert "authorization" in asked.headers["access-control-allow-headers"].lower()
    answered = service.post("mse", json=GOOD, headers={**origin, **bearer("trainer")})
    assert answered.status_code == 200
    refused = service.post("mse", json=GOOD, headers=origin)
    assert refused.status_code == 401  # which the page may read
    assert refused.headers["access-control-allow-origin"] == "https://page.example"


# Rates


def statuses(service: InProcess, count: int, **content: Any) -> list[int]:
    return [service.post("mse", json=GOOD, **content).status_code for _ in range(count)]


def test_more_calls_than_the_rate_get_a_429_that_says_when() -> None:
    service = InProcess(calls_per_second=0.01, calls_burst=3)
    assert statuses(service, 3) == [200] * 3
    refused = service.post("mse", json=GOOD)
    assert refused.status_code == 429
    assert refused.json()["type"] == "/problems/rate-limited"
    assert 90 <= int(refused.headers["retry-after"]) <= 100
    assert refused.headers["ratelimit-policy"] == '"calls";q=3;w=300'
    assert refused.headers["ratelimit"].startswith('"calls";r=0;t=')
    assert service.request("POST", "/v2/models/mse/infer", json={}).json().keys() == {"error"}
    assert service.request("GET", "/v1/losses").status_code == 429
    for path in ("/livez", "/v2/health/ready", "/v2/models/mse/ready"):
        assert service.request("GET", path).status_code == 200


def test_pages_and_their_files_do_not_count_as_calls() -> None:
    service = InProcess(calls_per_second=0.01, calls_burst=1)
    page = service.request("GET", "/try")
    files = {f"/{file}" for file in re.findall(r"static/[^\"]+", page.text)}
    assert len(files) > 4
    for path in (*files, "/", "/compare", "/losses/huber", "/openapi.json", "/metrics"):
        assert service.request("GET", path).status_code == 200
    assert statuses(service, 2) == [200, 429]
    for path in (*files, "/metrics"):
        assert service.request("GET", path).status_code == 200


def test_to_guess_keys_of_the_metrics_has_a_limit(keys_file: Path) -> None:
    service = InProcess(auth="keys", keys_file=str(keys_file), calls_per_second=0.01, calls_burst=2)
    guesses = [service.request("GET", "/metrics", headers=bearer("stranger")).status_code for _ in range(3)]
    assert guesses == [401, 401, 429]


@pytest.mark.parametrize("rows", [2, 500])  # read and computed on the event loop, and in the pool
def test_work_is_counted_by_its_estimate(rows: int) -> None:
    call = {"input": [[0.0] * 10] * rows, "target": [[0.0] * 10] * rows}
    service = InProcess(work_per_second=1.0, work_burst=1, inline_body_bytes=1000)
    assert service.post("mse", json=call).status_code == 200  # paid for afterwards
    invalid = service.post("mse", json={"input": [1.0], "target": ["x"]})
    assert invalid.status_code == 429  # before it is read
    refused = service.post("mse", json=call)
    assert refused.status_code == 429
    assert refused.headers["ratelimit-policy"] == '"work";q=1;w=1'
    assert int(refused.headers["retry-after"]) >= 10 * rows
    assert service.request("GET", "/v1/losses").status_code == 200


def test_calls_that_are_refused_count_as_work(tmp_path: Path) -> None:
    wrong = json.dumps({**GOOD, **{f"unknown_{number}": 1 for number in range(30)}}).encode()
    limits = {"LOSSD_WORK_PER_SECOND": "1000", "LOSSD_WORK_BURST": "1000000"}
    with serve(tmp_path, **limits) as server, httpx.Client(base_url=server.url) as client:
        headers = {"content-type": "application/json"}
        statuses = [client.post(PATH, content=wrong, headers=headers).status_code for _ in range(12)]
        told = client.post(PATH, content=wrong, headers=headers)
    assert statuses[:3] == [422] * 3
    assert statuses[-1] == 429
    assert told.headers["ratelimit-policy"].startswith('"work";')


def test_a_key_has_a_rate_of_its_own_whoever_else_calls(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(
        write_entry("trainer", KEYS["trainer"], ["evaluate"])
        + "calls_per_second = 0.01\ncalls_burst = 2\n"
        + write_entry("reader", KEYS["reader"], ["evaluate"])
    )
    service = InProcess(auth="keys", keys_file=str(path), calls_per_second=0.01, calls_burst=4)
    assert statuses(service, 3, headers=bearer("trainer")) == [200, 200, 429]
    assert statuses(service, 5, headers=bearer("reader")) == [200] * 4 + [429]


def test_to_guess_keys_has_a_limit_too(keys_file: Path) -> None:
    service = InProcess(auth="keys", keys_file=str(keys_file), calls_per_second=0.01, calls_burst=3)
    assert statuses(service, 4, headers=bearer("stranger")) == [401] * 3 + [429]
    assert statuses(service, 1, headers=bearer("trainer")) == [200]


# Over a socket


def test_keys_are_rotated_while_the_server_runs(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    first = lossd("keys", "new", "trainer", "--file", str(path)).stdout.decode().strip()
    with serve(tmp_path, LOSSD_AUTH="keys", LOSSD_KEYS_FILE=str(path)) as server:
        url = server.url + PATH

        def status(key: str) -> int:
            return httpx.post(url, json=GOOD, headers={"authorization": f"Bearer {key}"}).status_code

        assert status(first) == 200
        second = lossd("keys", "new", "trainer", LOSSD_KEYS_FILE=str(path)).stdout.decode().strip()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while status(second) != 200 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert status(first) == status(second) == 200  # both, until the first one's entry goes
        path.write_text("[[keys]]\n" + path.read_text().split("[[keys]]")[2])
        while status(first) != 401 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert (status(first), status(second)) == (401, 200)
        path.write_text("[[keys")
        while "what it said before stays in force" not in server.log_text():
            assert status(second) == 200
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert first not in server.log_text()
        assert lossd("healthcheck", LOSSD_PORT=str(server.port)).returncode == 0


def test_a_refused_body_is_read_for_the_sake_of_the_connection_unless_it_is_long(
    tmp_path: Path, keys_file: Path
) -> None:
    body = json.dumps(GOOD).encode()
    with serve(tmp_path, LOSSD_AUTH="keys", LOSSD_KEYS_FILE=str(keys_file)) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
            connection.sendall(raw_request(PATH, b"", Content_Length=str(len(body))))
            status, headers, _ = read_response(connection)
            assert (status, headers.get("connection")) == (401, None)
            connection.sendall(body)
            connection.sendall(
                raw_request(
                    PATH,
                    body,
                    Content_Length=str(len(body)),
                    Authorization=bearer("trainer")["authorization"],
                )
            )
            assert read_response(connection)[0] == 200
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
            connection.sendall(raw_request(PATH, body, Content_Length=str(10**6)))
            status, headers, _ = read_response(connection)
            assert (status, headers.get("connection")) == (401, "close")


# At the start


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1", "lossd.example"])
def test_a_server_for_others_must_say_whom_it_lets_in(host: str) -> None:
    with pytest.raises(
        ValidationError, match="expected LOSSD_AUTH=keys or jwt, or none to let everyone call"
    ):
        Settings(host=host)
    assert Settings(host=host, auth="none").auth == "none"


@pytest.mark.parametrize(
    "place", [{"host": "127.0.0.1"}, {"host": "127.8.9.1"}, {"host": "::1"}, {"host": "localhost"}]
)
def test_a_server_for_this_machine_need_not(place: dict[str, str]) -> None:
    assert Settings(**place).auth is None
    assert Settings(host="0.0.0.0", uds="/run/lossd.sock").auth is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"auth": "keys"}, "expected LOSSD_KEYS_FILE beside LOSSD_AUTH=keys"),
        ({"auth": "jwt", "jwks_file": "keys.json"}, "expected LOSSD_JWT_ISSUER beside LOSSD_AUTH=jwt"),
        ({"jwks_file": "keys.json"}, "expected LOSSD_AUTH=jwt beside LOSSD_JWKS_FILE"),
        ({"keys_file": "keys.toml"}, "expected LOSSD_AUTH=keys beside LOSSD_KEYS_FILE"),
        ({"calls_burst": 3}, "expected LOSSD_CALLS_PER_SECOND beside LOSSD_CALLS_BURST"),
        ({"work_burst": 3}, "expected LOSSD_WORK_PER_SECOND beside LOSSD_WORK_BURST"),
    ],
)
def test_half_a_choice_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Settings(**wrong)


def test_a_refusal_to_start_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    broken = tmp_path / "keys.toml"
    broken.write_text("[[keys]]\nname = 1\n")
    for words, variables, said in (
        (
            ["--host", "0.0.0.0"],
            {},
            "LOSSD_AUTH=keys or jwt, or none to let everyone call, to listen on 0.0.0.0",
        ),
        ([], {"LOSSD_AUTH": "keys", "LOSSD_KEYS_FILE": "/nowhere"}, "No such file or directory"),
        ([], {"LOSSD_AUTH": "keys", "LOSSD_KEYS_FILE": str(broken)}, "keys[0].name"),
    ):
        result = lossd("serve", *words, **variables)
        assert (result.returncode, result.stdout) == (2, b"")
        (line,) = result.stderr.decode().splitlines()
        assert line.startswith("lossd serve: ")
        assert said in line


# lossd keys new


def test_a_new_key_without_a_file_is_printed_with_its_entry(tmp_path: Path) -> None:
    result = lossd("keys", "new", "prometheus", "--scopes", "metrics", "--expires", "2999-01-31")
    key, _, entry = result.stdout.decode().partition("\n\n")
    assert result.returncode == 0
    assert key not in entry
    path = tmp_path / "keys.toml"
    path.write_text(entry)
    service = InProcess(auth="keys", keys_file=str(path))
    response = service.request("GET", "/v1/losses", headers={"authorization": f"Bearer {key}"})
    assert response.status_code == 403


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a b"], "expected a name"),
        (["x", "--scopes", "all"], "choose from"),
        (["x", "--expires", "soon"], "argument --expires: expected a date"),
        (["x", "--file", "/nowhere/keys.toml"], "No such file or directory"),
    ],
)
def test_a_key_that_cannot_be_made_is_exit_code_2(words: list[str], said: str) -> None:
    result = lossd("keys", "new", *words)
    assert (result.returncode, result.stdout) == (2, b"")
    assert said in result.stderr.decode()


# Behind a proxy


def test_a_trusted_proxy_says_who_calls_and_nobody_else_does(tmp_path: Path) -> None:
    variables = {"LOSSD_CALLS_PER_SECOND": "0.01", "LOSSD_CALLS_BURST": "1"}

    def statuses(*addresses: str, **more: str) -> list[int]:
        with serve(tmp_path, **variables, **more) as server:
            url = server.url + "/v1/losses"
            return [httpx.get(url, headers={"x-forwarded-for": each}).status_code for each in addresses]

    assert statuses("192.0.2.1", "192.0.2.2") == [200, 429]  # both are the proxy
    # What a caller writes himself stands before what the proxy adds.
    addresses = (
        "192.0.2.1",
        "192.0.2.2",
        "192.0.2.9, 192.0.2.1",
        "2001:db8::1",
        "2001:db8::2",
        "2001:db8:0:1::",
    )
    assert statuses(*addresses, LOSSD_TRUSTED_PROXIES="10.0.0.0/8, 127.0.0.1") == [
        200,
        200,
        429,
        200,
        429,
        200,
    ]


@pytest.mark.parametrize("wrong", ["*", "proxy", "10.0.0.0/33", "127.0.0.1,"])
def test_what_is_no_address_of_a_proxy_is_refused(wrong: str) -> None:
    with pytest.raises(ValidationError, match="expected addresses and networks such as"):
        Settings(trusted_proxies=wrong)


# What browsers are told


@pytest.mark.parametrize("path", ["/docs", "/livez", "/nowhere", "/openapi.json", "/v2/health/live", "/"])
def test_no_answer_is_taken_for_what_it_is_not(path: str) -> None:
    response = InProcess().request("GET", path)
    assert response.headers["x-content-type-options"] == "nosniff"


def test_a_page_may_load_and_run_only_what_comes_with_it() -> None:
    response = InProcess().request("GET", "/docs")
    policy = dict(part.split(" ", 1) for part in response.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in response.headers["content-security-policy"]
    assert response.headers["referrer-policy"] == "no-referrer"
    for tag in ("script", "style"):
        texts = re.findall(rf"<{tag}>(.*?)</{tag}>", response.text, flags=re.DOTALL)
        digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
        assert digests
        assert {*policy[f"{tag}-src"].split()} == {"'self'", *(f"'sha256-{each}'" for each in digests)}


def test_what_is_kept_of_a_forwarded_address_is_short() -> None:
    """A proxy that passes the caller's own header on passes on whatever the caller writes."""
    before = access_control._network.cache_info().currsize
    for last in range(50):
        long = "f" * 14_000 + str(last)
        assert access_control._address({"client": (long, 0)}) == b"f" * 64
    assert access_control._network.cache_info().currsize <= before + 1
