"""Small and large calls through the configurations of deploy/balancing, in front of replicas on this machine."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest

from benchmarks import proxies
from benchmarks.proxies import CONFIGURATIONS, PROXIES, installed, running
from lossd.errors import LossdError
from tests.operations.proxy import free_ports
from tests.operations.test_proxy import replicas

LARGE = "x" * 200_000


def _answers(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.post(url, content=b"x", timeout=30).status_code == 200
    return False


def _listens(url: str) -> bool:
    with contextlib.suppress(httpx.ConnectError):
        httpx.get(url, timeout=30)
        return True
    return False


@contextlib.contextmanager
def balanced(name: str, ports: list[int], ready: Callable[[str], bool] = _answers) -> Iterator[str]:
    """Run a proxy before two replicas for small calls and one for large ones; yield its address once it is ready."""
    if installed(name) is None:
        pytest.skip(f"{name} is not installed")
    with running(name, ports) as (port, process):
        url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 30
        while not ready(url):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield url


@pytest.fixture(params=PROXIES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def answered_by(url: str, content: str, count: int = 20) -> Counter[int]:
    """Send calls, and count the ports of the replicas that answered."""
    return Counter(int(httpx.post(url, content=content, timeout=30).text, 16) for _ in range(count))


def test_large_calls_have_a_replica_of_their_own(name: str) -> None:
    ports = free_ports(3)
    with replicas(ports), balanced(name, ports) as url:
        assert set(answered_by(url, "x")) == set(ports[:2])
        assert answered_by(url, LARGE) == {ports[2]: 20}


def test_a_replica_that_takes_no_connection_loses_no_call(name: str) -> None:
    ports = free_ports(3)
    with replicas(ports[1:]), balanced(name, ports) as url:
        assert answered_by(url, "x") == {ports[1]: 20}


def test_a_call_that_kills_its_replica_reaches_no_other(name: str) -> None:
    ports = free_ports(3)
    with replicas(ports) as stand_ins, balanced(name, ports) as url:
        assert httpx.post(url, content="poison", timeout=30).status_code >= 500
        assert answered_by(url, "x", 5)
        assert sorted(process.poll() is None for process in stand_ins) == [False, True, True]


def test_what_no_replica_should_see_is_refused(name: str) -> None:
    ports = free_ports(3)
    with replicas(ports), balanced(name, ports) as url:
        assert httpx.get(f"{url}/metrics").status_code == 404
        with contextlib.closing(
            http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
        ) as caller:
            caller.putrequest("POST", "/v1/losses/mse")
            caller.putheader("Content-Length", str(65 << 20))
            caller.endheaders()
            assert caller.getresponse().status == 413


@pytest.mark.parametrize("path", ["/metrics", "/%6detrics", "/metric%73?x=1"])
def test_metrics_are_not_to_be_had_however_their_path_is_written(name: str, path: str) -> None:
    with balanced(name, free_ports(3), _listens) as url:
        assert httpx.get(f"{url}{path}", timeout=30).status_code == 404
        assert httpx.get(f"{url}/v1/losses", timeout=30).status_code == 503


@pytest.mark.parametrize("size", [10, len(LARGE)])
def test_a_call_that_no_replica_takes_is_told_when_to_come_again(name: str, size: int) -> None:
    with balanced(name, free_ports(3), _listens) as url:
        answer = httpx.post(f"{url}/v1/losses/mse", content=b"x" * size, timeout=30)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "no replica answered"


def test_nginx_logs_a_call_that_no_replica_takes(capfd: pytest.CaptureFixture[str]) -> None:
    with balanced("nginx", free_ports(3), _listens) as url:
        httpx.post(f"{url}/v1/losses/mse", content=b"x", timeout=30)
    logged = [line for line in capfd.readouterr().out.splitlines() if "POST /v1/losses/mse" in line]
    assert ['"status":503' in line for line in logged] == [True]


@pytest.mark.parametrize(
    ("status", "sent"),
    [
        (404, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"),
        (413, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n"),
        (502, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\npoison"),
    ],
)
def test_haproxy_itself_answers_by_problems(status: int, sent: bytes) -> None:
    ports = free_ports(3)
    with replicas(ports), balanced("haproxy", ports) as url:
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        with socket.create_connection(address, timeout=30) as caller:
            caller.sendall(sent)
            answer = http.client.HTTPResponse(caller)
            answer.begin()
            problem = json.loads(answer.read())
    assert (answer.status, problem["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "detail", "errors"} < problem.keys()


def _killing_its_replica(url: str) -> int:
    """Call twice over one connection, the second time with a body that kills; return the status of that answer."""
    with contextlib.closing(http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)) as caller:
        for body in ("x", "poison"):
            caller.request("POST", "/v1/losses/mse", body)
            answer = caller.getresponse()
            answer.read()
    return answer.status


def test_haproxy_answers_a_later_call_of_a_connection_only_if_told_to_close_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As docs/how-to/behind-a-proxy.md says: without httpclose it ends the connection, so that the caller repeats."""
    ports = free_ports(3)
    with replicas(ports), balanced("haproxy", ports) as url, pytest.raises(http.client.RemoteDisconnected):
        _killing_its_replica(url)
    text = (CONFIGURATIONS / "haproxy.cfg").read_text()
    (tmp_path / "haproxy.cfg").write_text(
        text.replace("    mode http\n", "    mode http\n    option httpclose\n")
    )
    monkeypatch.setattr(proxies, "CONFIGURATIONS", tmp_path)
    ports = free_ports(3)
    with replicas(ports), balanced("haproxy", ports) as url:
        assert _killing_its_replica(url) == 502


def test_haproxy_has_a_problem_for_each_of_its_answers() -> None:
    """Not all are sent above: some releases have texts of their own for heads that are wrong or slow."""
    text = (CONFIGURATIONS / "haproxy.cfg").read_text()
    found = re.findall(
        r"(?m)^    http-error status (\d+) content-type application/problem\+json string '(.*?)'", text
    )
    problems = {int(status): json.loads(problem) for status, problem in found}
    assert {400, 404, 408, 413, 500, 501, 502, 503, 504} == problems.keys()
    titles = {error.title for error in LossdError.__subclasses__()} | {each.phrase for each in HTTPStatus}
    for status, problem in problems.items():
        assert problem["status"] == status
        assert problem["title"] in titles
        assert problem["type"] in ("about:blank", f"/problems/{problem['title'].replace(' ', '-')}")


@pytest.mark.parametrize("proxy", PROXIES.values(), ids=PROXIES)
def test_a_configuration_names_all_replicas(proxy) -> None:
    text = (CONFIGURATIONS / proxy.file).read_text()
    assert [f"lossd-{number}:8000" in text for number in range(1, 5)] == [True, True, True, False]
