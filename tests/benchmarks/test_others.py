import asyncio
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import batch, copies, http, memory, wire
from benchmarks.servers import Server, request


@pytest.mark.slow
@pytest.mark.parametrize("loss", memory.LOSSES)
def test_memory_is_measured_in_a_process_of_its_own(loss: str) -> None:
    result = memory.measured(loss, 1_000_000, 1)  # more than the heap has room for
    targets = 1_000 * 8 if loss == "cross_entropy" else 4_000_000
    assert (result["inputs"], result["gradient"]) == (4_000_000 + targets, 4_000_000)
    assert result["passed"]
    assert result["peak"] > 0


def test_memory_beyond_the_allowance_is_a_failure() -> None:
    result = {"loss": "mse", "threads": 1, "inputs": 0, "gradient": 0, "peak": 0, "beyond": 17 * memory.MIB}
    assert "| 17.0 | FAIL |" in memory.render([{**result, "passed": False}])


@pytest.mark.parametrize("rows", [1, 20])
def test_every_way_through_json_runs(rows: int) -> None:
    array = wire.matrix(rows)
    figures = wire.timed([*wire.our_ways(array), *wire.other_ways(array)], 0)
    assert {figure.direction for figure in figures} == {"read", "write"}
    assert all(figure.nanoseconds > 0 for figure in figures)
    assert "| lossd, base64 tensors |" in wire.render(figures)


def test_ways_that_change_a_number_are_not_measured() -> None:
    with pytest.raises(AssertionError, match="expected the numbers that were written"):
        wire._same(np.zeros(2), np.ones(2))


@pytest.mark.slow
def test_reading_without_the_accelerator_is_measured() -> None:
    (figure,) = wire.without_accelerator(2, 0)
    assert (figure.direction, figure.name) == ("read", "lossd without pysimdjson")


@pytest.mark.slow
def test_a_server_is_asked_timed_and_ended() -> None:
    load = replace(http.SMALL, requests=16)
    with Server("lossd") as server:
        seconds, body = http._turn(server, request("/v1/losses/mse", load.body()), load)
        assert seconds > 0
        assert body.startswith(b'{"loss"')
        assert server.cpu_seconds() > 0
        with pytest.raises(RuntimeError, match="404 Not Found"):
            http._turn(server, request("/v1/losses/nothing", load.body()), load)
    assert server._process.returncode == 0


@pytest.mark.slow
def test_a_binary_call_is_held_against_echo_and_engine() -> None:
    figure = copies.measure("mse", 0.5, 2)
    assert figure.echo_seconds > 0
    assert figure.engine_seconds > 0
    assert figure.lossd_seconds > 0
    assert figure.body_mib == pytest.approx(0.5, rel=1e-3)


def test_calls_alone_and_in_a_batch_are_measured_and_agree() -> None:
    figures = asyncio.run(batch.measure(1))
    assert [figure.media_type for figure in figures] == [batch.JSON, batch.MESSAGEPACK]
    assert all(figure.alone > 0 and figure.batched > 0 for figure in figures)
    assert "| application/json |" in batch.render(figures)
    assert batch.verdict([batch.Figure("x", 100, 35.0), batch.Figure("x", 100, 35.1)]).count("pass") == 1


def test_too_much_time_or_memory_is_a_failure() -> None:
    assert copies._cells(copies.Figure("mse", 64, 1.0, 1.0, 2.9, 1.2)).count("pass") == 2
    assert copies._cells(copies.Figure("mse", 64, 1.0, 1.0, 3.1, 1.4)).count("FAIL") == 2


@pytest.mark.slow
@pytest.mark.torch
def test_both_services_are_measured_and_agree() -> None:
    pytest.importorskip("torch")
    small = replace(http.SMALL, requests=16, rounds=1)
    large = replace(http.LARGE, shape=(20, 10), rounds=1)
    figures = http.measure([small, large])
    assert [figure.server for figure in figures] == [
        *("lossd", "hand-written", "echo", "lossd, keys and limits"),
        *("lossd", "hand-written"),
    ]
    assert all(figure.seconds > 0 for figure in figures)
    assert "cross_entropy 20x10, lossd" in http.render(figures)


def test_the_verdict_holds_figures_against_the_bars() -> None:
    def figures(cpu: float, seconds: float, guarded: float) -> list[http.Figure]:
        small = [http.Figure("mse 8x3", name, 1, cpu) for name in (http.OURS, http.THEIRS)]
        small.append(http.Figure("mse 8x3", http.GUARDED, 1, cpu * guarded))
        small.append(http.Figure("mse 8x3", http.LEAST, 1, 1))
        large = [http.Figure("ce", http.OURS, 1, 1), http.Figure("ce", http.THEIRS, seconds, 1)]
        return small + large

    assert http.verdict(figures(4.4, 6.5, 1.05)).count("pass") == 3
    assert http.verdict(figures(4.6, 5.5, 1.2)).count("FAIL") == 3
