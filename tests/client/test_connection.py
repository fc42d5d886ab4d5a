"""How calls travel: headers, sockets, uploads in slices with progress, copies of a client, and its imports."""

from __future__ import annotations

import asyncio
import copy
import gc
import io
import json
import pickle
import re
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest

from lossd.client import AsyncLossClient, LossClient, Progress, ServiceError, TerminalLine, Unreachable
from lossd.client.outgoing import prepare
from lossd.client.progress import MIB, line_of
from tests.api.serving import ROOT, Served, serve

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
X = np.linspace(-2, 2, 600_000, dtype=np.float32)


def record_of(server: Served, request_id: str) -> dict[str, object]:
    """Wait for the line of a request in the log."""
    return json.loads(server.wait_for(rf"(?m)^.*{request_id}.*\n"))


def test_the_trace_of_the_moment_and_the_request_id_reach_the_log(server: Served) -> None:
    spans = iter([TRACE, TRACE.replace("b7ad", "c7ad")])
    with LossClient(server.url, headers=lambda: {"traceparent": next(spans)}) as client:
        results = [client.mse([1.0], [2.0]) for _ in range(2)]
    logged = [record_of(server, result.request_id) for result in results]
    _, trace, span, _ = TRACE.split("-")
    assert [(each["trace_id"], each["span_id"]) for each in logged] == [
        (trace, span),
        (trace, span.replace("b7ad", "c7ad")),
    ]


def test_a_caller_may_name_the_request(server: Served) -> None:
    with LossClient(server.url, headers={"X-Request-ID": "step-17"}) as client:
        assert client.mse([1.0], [2.0]).request_id == "step-17"


def test_a_token_is_sent_as_bearer() -> None:
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(401, json={"title": "unauthorised", "detail": "expected another token"})

    client = LossClient("http://lossd", token="secret", transport=httpx.MockTransport(answer))
    with client, pytest.raises(ServiceError, match="401 unauthorised: expected another token"):
        client.mse([1.0], [2.0])
    assert seen == ["Bearer secret"]


def test_the_address_may_have_a_path_and_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url).partition("?")[0])
        return httpx.Response(404)

    monkeypatch.setenv("LOSSD_URL", "https://example.org/losses")
    client = LossClient(transport=httpx.MockTransport(answer))
    with client, pytest.raises(ServiceError, match="404 Not Found"):
        client.evaluate("binary:logistic", input=[1.0], target=[1.0])
    assert seen == ["https://example.org/losses/v1/losses/binary%3Alogistic"]


def test_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "lossd.sock")

    async def ask() -> float:
        async with AsyncLossClient(uds=path) as client:
            return float((await client.mse([1.0], [3.0])).value)

    with serve(tmp_path, "--uds", path) as running:
        running.wait_for(r"lossd\.sock")
        with LossClient(uds=path) as client:
            assert client.mse([1.0], [3.0]).value == 4
        assert asyncio.run(ask()) == 4


def test_a_large_call_tells_how_far_it_has_come(server: Served) -> None:
    seen: list[Progress] = []
    with LossClient(server.url, progress=seen.append) as client:
        result = client.mse(X, -X, gradient=True)
    np.testing.assert_allclose(result.value, np.mean((2.0 * X.astype(float)) ** 2), rtol=1e-6)
    assert_told(seen)


def test_a_large_asynchronous_call_tells_it_too(server: Served) -> None:
    seen: list[Progress] = []

    async def ask() -> None:
        async with AsyncLossClient(server.url, progress=seen.append) as client:
            await client.mse(X, -X, gradient=True)

    asyncio.run(ask())
    assert_told(seen)


def assert_told(seen: list[Progress]) -> None:
    phases = list(dict.fromkeys(each.phase for each in seen))
    assert phases == ["sending", "computing", "receiving", "done"]
    sent = [each for each in seen if each.phase == "sending"]
    assert len(sent) >= 5, "expected slices of 1 MiB"
    assert np.diff([each.bytes_done for each in sent]).max() <= MIB
    assert sent[0].bytes_done == 0
    (computing,) = [each for each in seen if each.phase == "computing"]
    assert computing.bytes_done == computing.bytes_total == sent[0].bytes_total
    assert {each.bytes_total for each in sent} == {sent[0].bytes_total}
    assert 2 * X.nbytes <= sent[0].bytes_total < 2 * X.nbytes * 1.4
    received = [each for each in seen if each.phase == "receiving"]
    assert received[-1].bytes_done == received[-1].bytes_total >= X.nbytes
    assert {each.loss for each in seen} == {"mse"}
    assert {each.attempt for each in seen} == {1}


def test_arrays_are_sent_from_where_they_are() -> None:
    outgoing = prepare("mse", {"input": X, "target": X[::2], "delta": None}, media_type=None, headers={})
    shared = [np.shares_memory(np.frombuffer(part, np.uint8), X) for part in outgoing.parts]
    assert sum(shared) == 1, "expected a view of what lies in one piece, and a copy of what does not"
    assert sum(map(len, outgoing.slices())) == outgoing.size > 1.5 * X.nbytes


@pytest.mark.parametrize("numbers", [20_000, 2_000_000])
def test_a_body_that_is_refused_while_it_is_sent_gives_the_refusal(tmp_path: Path, numbers: int) -> None:
    large = np.zeros(numbers)

    async def ask(url: str) -> None:
        async with AsyncLossClient(url) as client:
            await client.mse(large, large)

    refused = pytest.raises(ServiceError, match="413 body too large: expected a body of at most 100000 bytes")
    with serve(tmp_path, LOSSD_MAX_BODY_BYTES="100000") as running:
        with LossClient(running.url) as client, refused:
            client.mse(large, large)
        with refused:
            asyncio.run(ask(running.url))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_line_on_a_terminal_is_rewritten_and_then_erased() -> None:
    terminal = Terminal()
    line = TerminalLine(stream=terminal, patience=0.5)
    line(Progress("huber", 1, "sending", 0, 64 * MIB, seconds=0.1))
    assert terminal.getvalue() == "", "expected patience with a short call"
    line(Progress("huber", 1, "sending", 16 * MIB, 64 * MIB, seconds=1.23))
    line(Progress("huber", 1, "sending", 16 * MIB + 1, 64 * MIB, seconds=1.2301))  # too soon to redraw
    line(Progress("huber", 1, "computing", 64 * MIB, 64 * MIB, seconds=2.0))
    line(Progress("huber", 1, "done", 64 * MIB, 64 * MIB, seconds=3.0))
    erase = "\033[K"  # ECMA-48: erase the rest of the line
    lines = ["lossd huber: sending 16.0 of 64.0 MiB, 25%, 1.2 s", "lossd huber: computing, 2.0 s", ""]
    assert terminal.getvalue() == "".join(f"\r{each}{erase}" for each in lines)


def test_nothing_is_written_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    TerminalLine(stream=stream, patience=0)(Progress("mse", 1, "sending", 1, 2, seconds=9.0))
    assert stream.getvalue() == ""


def test_the_line_tells_of_another_attempt_and_of_an_unknown_size() -> None:
    progress = Progress("mse", 2, "receiving", 3 * MIB, 0, seconds=1.0)
    assert line_of(progress) == "lossd mse (attempt 2): receiving 3.0 MiB, 1.0 s"


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda client: pickle.loads(pickle.dumps(client))])
def test_a_copy_of_a_client_has_connections_of_its_own(server: Served, copied) -> None:
    with LossClient(server.url) as client:
        twin = copied(client)
    with twin:
        assert twin.mse([1.0], [3.0]).value == 4


def test_a_client_that_nobody_closes_closes_itself(server: Served) -> None:
    client = LossClient(server.url)
    client.mse([1.0], [3.0])
    connections = client._http
    del client
    gc.collect()
    assert connections.is_closed


def test_an_error_survives_the_way_out_of_a_worker_process(client: LossClient) -> None:
    with pytest.raises(ServiceError) as refused:
        client.mse([1.0], [1.0, 2.0])
    twin = pickle.loads(pickle.dumps(refused.value))
    assert (str(twin), twin.problem) == (str(refused.value), refused.value.problem)


def test_without_a_server_the_error_says_where_none_was() -> None:
    address = "http://127.0.0.1:9"  # discard: a port that nobody serves
    unreachable = pytest.raises(Unreachable, match=rf"{address}, got ConnectError: .* \(attempts: 1\)")
    with LossClient(address, retry_for=0) as client, unreachable:
        client.mse([1.0], [2.0])


def test_a_body_that_is_no_problem_is_the_detail_of_one() -> None:
    page = "<html>bad gateway</html>"
    transport = httpx.MockTransport(lambda request: httpx.Response(502, text=page))
    client = LossClient("http://lossd", transport=transport, retry_for=0)
    with client, pytest.raises(ServiceError) as failed:
        client.mse([1.0], [2.0])
    assert (failed.value.status, failed.value.title, failed.value.detail) == (502, "Bad Gateway", page)


def test_importing_the_client_imports_nothing_of_the_server() -> None:
    code = "import sys, lossd.client; print(*sorted(sys.modules))"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT / "service")},
    )
    modules = set(ran.stdout.split())
    assert "lossd.client.blocking" in modules
    server = {"fastapi", "starlette", "uvicorn", "uvloop", "pydantic", "structlog", "torch"}
    assert not modules & server
    assert not {name for name in modules if re.match(r"lossd\.(engine|losses|api|app|settings)\b", name)}


@pytest.mark.parametrize(
    ("missing", "module", "message"),
    [
        ("httpx", "lossd.client", "the client needs httpx: pip install '.[client]'"),
        ("torch", "lossd.client.torch", "lossd.client.torch needs PyTorch: pip install torch"),
    ],
)
def test_importing_the_client_without_what_it_needs_says_what_to_install(
    missing: str, module: str, message: str
) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; import {module}"
    environment = {"PYTHONPATH": str(ROOT / "service")}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert ran.stderr.splitlines()[-1] == f"ModuleNotFoundError: {message}"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("127.0.0.1:8000", "got '127.0.0.1:8000'; write 'http://127.0.0.1:8000' - at `url`"),
        ("localhost:8000", "got 'localhost:8000'; write 'http://localhost:8000' - at `url`"),
        ("losses.example.org/path", "write 'http://losses.example.org/path' - at `url`"),
        (
            "ftp://localhost",
            "expected an address that begins with http:// or https://, got 'ftp://localhost'",
        ),
        ("http://", "expected an address that begins with http:// or https://, got 'http://'"),
        ("http://localhost:port", "got 'http://localhost:port': Invalid port: 'port' - at `url`"),
    ],
)
@pytest.mark.parametrize("kind", [LossClient, AsyncLossClient])
def test_an_address_that_is_none_is_refused_at_once(kind: type, url: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        kind(url)


def test_an_address_in_the_environment_that_is_none_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOSSD_URL", "localhost:8000")
    with pytest.raises(ValueError, match="write 'http://localhost:8000' - at `LOSSD_URL`"):
        LossClient()


@pytest.mark.parametrize("kind", [LossClient, AsyncLossClient])
def test_a_wrong_setting_is_refused_at_once(kind: type) -> None:
    with pytest.raises(ValueError, match=r"expected one of .*, got 'safetensors' - at `media_type`"):
        kind(media_type="safetensors")
    with pytest.raises(ValueError, match="expected a token of printable ASCII") as refused:
        kind(token="geheim\nwörter")
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize("kind", [LossClient, AsyncLossClient])
@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (
            {"timeout": "abc"},
            TypeError,
            "expected a number of seconds, got a value of type str - at `timeout`",
        ),
        ({"timeout": 0}, ValueError, "expected a number of seconds > 0, got 0 - at `timeout`"),
        ({"timeout": float("nan")}, ValueError, "expected a number of seconds > 0, got nan - at `timeout`"),
        ({"timeout": float("inf")}, ValueError, "expected a number of seconds > 0, got inf - at `timeout`"),
        ({"retry_for": -1}, ValueError, "expected a number of seconds >= 0, got -1 - at `retry_for`"),
        (
            {"retry_for": "x"},
            TypeError,
            "expected a number of seconds, got a value of type str - at `retry_for`",
        ),
        ({"tiemout": 3}, TypeError, "tiemout"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_by_its_name(
    kind: type, settings: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)):
        kind(**settings)


@pytest.mark.parametrize("timeout", [3, 0.5, np.float32(1), httpx.Timeout(5), None])
def test_a_timeout_is_seconds_or_that_of_httpx(timeout: object) -> None:
    LossClient(timeout=timeout, retry_for=float("inf")).close()


def test_a_connection_that_is_refused_asks_whether_a_server_runs() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    hint = "(attempts: 1); is `lossd serve` running there?"
    by_address = {"url": "http://lossd"}, f"{hint} (LOSSD_URL sets the address)"
    by_socket = {"uds": "/run/lossd.sock"}, hint
    for where, message in (by_address, by_socket):
        client = LossClient(**where, retry_for=0, transport=httpx.MockTransport(refuse))
        with client, pytest.raises(Unreachable, match=f"{re.escape(message)}$"):
            client.losses()


def test_https_to_a_server_without_tls_is_asked_about(server: Served) -> None:
    address = server.url.replace("http://", "https://")
    with LossClient(address, retry_for=0) as client, pytest.raises(Unreachable, match=r"; is it http://\?$"):
        client.losses()


def test_a_token_may_end_with_the_end_of_line_of_its_file() -> None:
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(401)

    client = LossClient("http://lossd", token="secret\n", transport=httpx.MockTransport(answer))
    with client, pytest.raises(ServiceError):
        client.mse([1.0], [2.0])
    assert seen == ["Bearer secret"]


def test_a_redirect_is_said() -> None:
    moved = httpx.Response(308, headers={"Location": "https://lossd/v1/losses/mse"})
    client = LossClient("http://lossd", transport=httpx.MockTransport(lambda request: moved))
    with (
        client,
        pytest.raises(ServiceError, match=r"308 .*the address redirects to https://lossd/v1/losses/mse"),
    ):
        client.mse([1.0], [2.0])


def test_a_client_says_where_it_connects_to() -> None:
    assert repr(LossClient("http://127.0.0.1:9")) == "LossClient('http://127.0.0.1:9')"
    assert repr(AsyncLossClient(uds="/run/lossd.sock")) == "AsyncLossClient('/run/lossd.sock')"
