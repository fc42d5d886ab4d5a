"""The client against a server that asks for keys and limits its callers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lossd.access.keys import write_entry
from lossd.client import AsyncLossClient, LossClient, ServiceError
from tests.api.serving import Served, serve

KEYS = {name: f"lossd_{name}_0123456789" for name in ("trainer", "reader", "hasty", "exhausted")}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("guarded")
    path = folder / "keys.toml"
    path.write_text(
        write_entry("trainer", KEYS["trainer"], ["evaluate", "catalogue"])
        + write_entry("reader", KEYS["reader"], ["catalogue"])
        + write_entry("hasty", KEYS["hasty"], ["evaluate"])
        + "calls_per_second = 1\ncalls_burst = 2\n"
        + write_entry("exhausted", KEYS["exhausted"], ["evaluate"])
        + "work_per_second = 0.01\n"
    )
    with serve(folder, LOSSD_AUTH="keys", LOSSD_KEYS_FILE=str(path)) as running:
        yield running


def failure(client: LossClient) -> ServiceError:
    with client, pytest.raises(ServiceError) as raised:
        client.mse([1.0], [3.0])
    return raised.value


def test_a_key_is_an_argument_or_a_variable(guarded: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    with LossClient(guarded.url, token=KEYS["trainer"], progress=None) as client:
        assert client.mse([1.0], [3.0]).value == 4
        assert "mse" in [loss.name for loss in client.losses()]
    monkeypatch.setenv("LOSSD_TOKEN", KEYS["trainer"] + "\n")

    async def by_variable() -> float:
        async with AsyncLossClient(guarded.url, progress=None) as client:
            return float(await client.mse([1.0], [3.0]))

    assert asyncio.run(by_variable()) == 4
    assert failure(LossClient(guarded.url, token=KEYS["reader"], progress=None)).status == 403


def test_a_variable_that_is_no_token_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSD_TOKEN", "geheim\nwörter")
    with pytest.raises(ValueError, match="at `LOSSD_TOKEN`") as raised:
        LossClient()
    assert "geheim" not in str(raised.value)


@pytest.mark.parametrize("token", [None, "lossd_unknown"])
def test_without_a_key_the_call_fails_at_once(guarded: Served, token: str | None) -> None:
    error = failure(LossClient(guarded.url, token=token, progress=None))
    assert (error.status, error.kind) == (401, "unauthorized")
    assert "expected a key" in error.detail


def test_a_missing_scope_is_named(guarded: Served) -> None:
    error = failure(LossClient(guarded.url, token=KEYS["reader"], progress=None))
    assert (error.status, error.kind) == (403, "forbidden")
    assert "with the scope evaluate" in error.detail


def test_a_caller_who_is_too_fast_waits_as_long_as_the_server_says(guarded: Served) -> None:
    with LossClient(guarded.url, token=KEYS["hasty"], progress=None) as client:
        start = time.monotonic()
        assert [float(client.mse([1.0], [3.0])) for _ in range(4)] == [4.0] * 4
        assert time.monotonic() - start >= 1.9  # the third and the fourth came a second later each
    error = failure(LossClient(guarded.url, token=KEYS["hasty"], progress=None, retry_for=0))
    assert (error.status, error.kind) == (429, "rate-limited")


def test_to_wait_longer_than_the_caller_would_is_an_error_at_once(guarded: Served) -> None:
    start = time.monotonic()
    with LossClient(guarded.url, token=KEYS["exhausted"], progress=None) as client:
        client.mse([1.0], [3.0])
    error = failure(LossClient(guarded.url, token=KEYS["exhausted"], progress=None))
    assert (error.status, error.kind) == (429, "rate-limited")
    assert time.monotonic() - start < 20  # of the 30 s for which it would try
