"""A call is sent again where it can help: the service restarts or is busy. It is pure, so that is safe."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path

import httpx
import numpy as np
import pytest

from lossd.client import AsyncLossClient, LossClient, Progress, ServiceError, Unreachable
from lossd.client.retries import Retries, seconds_asked
from tests.api.serving import Served, environment, raw_request, serve

JSON = "application/json"
ANSWER = {"loss": {"mean": 4.0}, "count": 1, "denominator": 1.0}


def transport_of(
    *answers: int | Exception, headers: dict[str, str] | None = None
) -> tuple[httpx.MockTransport, list]:
    """Answer call after call with a status, 200 having a body, or an error; and list the requests."""
    remaining, seen = iter(answers), []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        what = next(remaining)
        if isinstance(what, Exception):
            raise what
        echoed = {"X-Request-ID": request.headers["x-request-id"]}
        return httpx.Response(what, json=ANSWER if what == 200 else None, headers=echoed | (headers or {}))

    return httpx.MockTransport(answer), seen


def ask(transport: httpx.MockTransport, retry_for: float = 30.0) -> float:
    with LossClient("http://lossd", transport=transport, retry_for=retry_for, media_type=JSON) as client:
        return float(client.mse([1.0], [3.0]).value)


def ask_asynchronously(transport: httpx.MockTransport, retry_for: float = 30.0) -> float:
    async def evaluate() -> float:
        async with AsyncLossClient(
            "http://lossd", transport=transport, retry_for=retry_for, media_type=JSON
        ) as client:
            return float((await client.mse([1.0], [3.0])).value)

    return asyncio.run(evaluate())


both = pytest.mark.parametrize("ask", [ask, ask_asynchronously])


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let time pass without waiting; return the pauses that were made."""
    made: list[float] = []

    async def sleep(seconds: float) -> None:
        made.append(seconds)

    monkeypatch.setattr("lossd.client.blocking.time.sleep", made.append)
    monkeypatch.setattr("lossd.client.asynchronous.asyncio.sleep", sleep)
    monkeypatch.setattr("lossd.client.retries.time.monotonic", lambda: 1000.0 + sum(made))
    monkeypatch.setattr(random, "random", lambda: 1.0)
    return made


@both
@pytest.mark.parametrize(
    "failure",
    [
        *(503, 502, 429),
        *(httpx.ConnectError("no"), httpx.ConnectTimeout("no")),
        *(httpx.ReadError("reset"), httpx.WriteError("reset"), httpx.RemoteProtocolError("no")),
    ],
    ids=repr,
)
def test_what_may_pass_is_tried_again_with_the_same_bytes(
    ask: Callable[..., float], failure: int | Exception, pauses: list[float]
) -> None:
    transport, seen = transport_of(*[failure] * 9, 200)
    assert ask(transport) == 4
    assert len(seen) == 10
    assert len({request.content for request in seen}) == 1
    assert len({request.headers["x-request-id"] for request in seen}) == 1


@both
def test_pauses_double_up_to_two_seconds_for_thirty_seconds(
    ask: Callable[..., float], pauses: list[float]
) -> None:
    transport, seen = transport_of(*[httpx.ConnectError("refused")] * 40)
    with pytest.raises(Unreachable, match=r"refused \(attempts: 20\)") as gone:
        ask(transport)
    assert isinstance(gone.value.__cause__, httpx.ConnectError)
    # 0.1 + 0.2 + ... + 1.6 are 3.1 s, then 13 of 2 s, and what is left of 30 s before the last attempt.
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, *[2.0] * 13, 0.9])
    assert len(seen) == 20


@both
def test_a_setting_says_for_how_long_a_call_is_tried(ask: Callable[..., float], pauses: list[float]) -> None:
    transport, seen = transport_of(*[503] * 40)
    with pytest.raises(ServiceError) as failed:
        ask(transport, 1.0)
    assert failed.value.status == 503
    assert sum(pauses) == pytest.approx(1.0)
    transport, seen = transport_of(503)
    with pytest.raises(ServiceError):
        ask(transport, 0)
    assert len(seen) == 1


def test_the_time_is_counted_from_the_first_failure(pauses: list[float]) -> None:
    retries = Retries(1.0)
    pauses.append(3600.0)  # a large upload, say
    assert retries.pause_after_status(503, {}) == 0.1


@both
@pytest.mark.parametrize("status", [400, 404, 413, 422, 500, 504])
def test_what_will_not_pass_is_not_tried_again(ask: Callable[..., float], status: int) -> None:
    transport, seen = transport_of(status, 200)
    with pytest.raises(ServiceError) as failed:
        ask(transport)
    assert (failed.value.status, len(seen)) == (status, 1)


def certificate_error() -> Exception:
    try:
        raise httpx.ConnectError("certificate") from ssl.SSLCertVerificationError("not trusted")
    except httpx.ConnectError as error:
        return error


def unknown_host() -> Exception:
    try:
        raise httpx.ConnectError("unknown") from socket.gaierror(socket.EAI_NONAME, "unknown")
    except httpx.ConnectError as error:
        return error


@both
@pytest.mark.parametrize("error", [httpx.ReadTimeout("slow"), certificate_error(), unknown_host()], ids=repr)
def test_an_error_that_stays_is_not_tried_again(ask: Callable[..., float], error: Exception) -> None:
    transport, seen = transport_of(error, 200)
    with pytest.raises(Unreachable, match=rf"{type(error).__name__}: {error} \(attempts: 1\)"):
        ask(transport)
    assert len(seen) == 1


@both
def test_the_pause_is_what_the_service_asks_for_and_some_more(
    ask: Callable[..., float], pauses: list[float]
) -> None:
    transport, _ = transport_of(503, 503, 200, headers={"Retry-After": "7"})
    ask(transport)
    assert pauses == [7.1, 7.2]


@both
def test_a_service_that_asks_for_too_long_a_pause_is_given_up(ask: Callable[..., float]) -> None:
    transport, seen = transport_of(503, 200, headers={"Retry-After": "3600"})
    with pytest.raises(ServiceError, match="503"):
        ask(transport)
    assert len(seen) == 1


def test_pauses_are_spread() -> None:
    drawn = {Retries(30.0).pause_after_status(503, {}) for _ in range(50)}
    assert len(drawn) > 40
    assert all(0 <= pause <= 0.1 for pause in drawn if pause is not None)


def test_who_waits_is_told(caplog: pytest.LogCaptureFixture, pauses: list[float]) -> None:
    told: list[tuple[str, int]] = []
    transport, _ = transport_of(httpx.ConnectError("refused"), httpx.ConnectError("refused"), 200)
    with LossClient(
        "http://lossd",
        transport=transport,
        media_type=JSON,
        progress=lambda each: told.append((each.phase, each.attempt)),
    ) as client:
        client.mse([1.0], [3.0])
    assert [attempt for phase, attempt in told if phase == "waiting"] == [2, 3]
    (message,) = caplog.messages
    assert message == (
        "expected an answer from http://lossd, got ConnectError: refused; trying again for 30 s"
    )


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        ("3", 3, 3),
        ("0", 0, 0),
        ("", 0, 0),
        ("soon", 0, 0),
        ("-5", 0, 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, low: float, high: float) -> None:
    assert low <= seconds_asked(header) <= high


def test_retry_after_may_be_a_date_to_come() -> None:
    assert 98 < seconds_asked(formatdate(time.time() + 100, usegmt=True)) <= 100


def test_a_real_server_that_is_full_is_waited_for(tmp_path: Path) -> None:
    full = {"LOSSD_MAX_BODY_BYTES": "100000", "LOSSD_MAX_IN_FLIGHT_BYTES": "100000"}
    with serve(tmp_path, **full) as running, socket.create_connection(("127.0.0.1", running.port)) as other:
        begun = b"{" + b" " * 80_000  # a claim alone would keep nobody out
        other.sendall(raw_request("/v1/losses/mse", begun, Content_Length="100000", Content_Type=JSON))
        attempts: set[int] = set()

        def make_room(progress: Progress) -> None:
            attempts.add(progress.attempt)
            if progress.phase == "waiting":  # after the first answer, which is 503
                other.close()

        with LossClient(running.url, progress=make_room) as client:
            assert client.mse(np.ones(5000), np.full(5000, 3.0)).value == 4
        assert attempts >= {1, 2}


class Restarting:
    """A server that a thread stops and starts again on the same port, as long as the block runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.served = self._start()

    def _start(self) -> Served:
        log = self.folder / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "lossd", "serve"],
                env=environment(LOSSD_PORT=str(self.port)),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        return Served(process, log, None)

    def restart(self, *, abruptly: bool) -> None:
        if abruptly:
            self.served.process.kill()
            self.served.process.wait()
        else:
            self.served.stop()
        time.sleep(1.0)  # longer than any one pause of the client's first attempts
        self.served = self._start()


@pytest.mark.slow
@pytest.mark.parametrize("abruptly", [False, True], ids=["stopped", "killed"])
@pytest.mark.parametrize("loop", ["calls", "asynchronous calls", "training"])
def test_a_loop_goes_on_over_a_restart(tmp_path: Path, loop: str, abruptly: bool) -> None:
    if loop == "training":
        pytest.importorskip("torch", reason="PyTorch is not installed")
    server = Restarting(tmp_path)
    restart = threading.Thread(target=server.restart, kwargs={"abruptly": abruptly})
    try:
        restart.start()
        steps = LOOPS[loop](server.url, restart)
        assert steps > 1
    finally:
        restart.join()
        server.served.stop()


def call_until(url: str, restart: threading.Thread) -> int:
    steps = 0
    with LossClient(url, progress=None) as client:
        while restart.is_alive() or steps < 2:
            steps += 1
            assert client.mse([float(steps)], [0.0]).value == steps**2
    return steps


def call_asynchronously_until(url: str, restart: threading.Thread) -> int:
    async def run() -> int:
        steps = 0
        async with AsyncLossClient(url, progress=None) as client:
            while restart.is_alive() or steps < 2:
                steps += 1
                results = await asyncio.gather(*(client.mse([float(n)], [0.0]) for n in range(5)))
                assert [result.value for result in results] == [0, 1, 4, 9, 16]
        return steps

    return asyncio.run(run())


def train_until(url: str, restart: threading.Thread) -> int:
    import torch

    from lossd.client.torch import RemoteLoss

    steps = 0
    slope = torch.zeros(1, requires_grad=True)
    x = torch.tensor([1.0, 2.0, 3.0])
    with LossClient(url, progress=None) as client:
        criterion = RemoteLoss("mse", client=client)
        optimizer = torch.optim.SGD([slope], lr=0.05)
        while restart.is_alive() or steps < 100:
            steps += 1
            optimizer.zero_grad()
            criterion(slope * x, 2 * x).backward()
            optimizer.step()
    assert slope.item() == pytest.approx(2.0)
    return steps


LOOPS = {"calls": call_until, "asynchronous calls": call_asynchronously_until, "training": train_until}
