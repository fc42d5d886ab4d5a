"""``/metrics`` counts every request once, of all processes, in the formats and the naming of Prometheus."""

from __future__ import annotations

import math
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from lossd.api.problems import kinds
from lossd.api.telemetry.layout import declare
from lossd.api.telemetry.rows import VARIABLE, open_table, share_table
from lossd.losses import LOSSES
from tests.api.serving import GOOD, PATIENCE_SECONDS, InProcess, Served, environment, serve

CALLS = "/v1/losses/{name}"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples_of(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse_text(text)
        for sample in family.samples
    }


def scrape(service: InProcess | Served) -> Samples:
    if isinstance(service, InProcess):
        return samples_of(service.request("GET", "/metrics").text)
    return samples_of(httpx.get(f"{service.url}/metrics").text)


def total(samples: Samples, name: str, **labels: str) -> float:
    """Add up the series of a metric that have these labels."""
    wanted = frozenset(labels.items())
    return sum(value for (found, has), value in samples.items() if found == name and wanted <= has)


@pytest.mark.parametrize(
    ("method", "path", "content", "labels"),
    [
        (
            "POST",
            "/v1/losses/mse",
            {"json": GOOD},
            {"route": CALLS, "loss": "mse", "format": "json", "status": "200"},
        ),
        ("POST", "/v1/losses/MSELoss", {"json": {}}, {"route": CALLS, "loss": "mse", "status": "422"}),
        ("POST", "/v1/losses/nothing", {"json": {}}, {"route": CALLS, "loss": "none", "status": "404"}),
        ("POST", "/v1/losses/mse", {"data": {"a": "b"}}, {"loss": "mse", "format": "other", "status": "415"}),
        ("POST", "/v2/models/mse/infer", {"json": {}}, {"route": "/v2/models/{name}/infer", "status": "400"}),
        ("POST", "/v2/models/mse/versions/1/infer", {"json": {}}, {"route": "/v2/models/{name}/infer"}),
        ("GET", "/v1/losses/mse", {}, {"method": "GET", "route": CALLS, "loss": "none", "status": "200"}),
        ("HEAD", "/livez", {}, {"method": "HEAD", "route": "/livez", "status": "200"}),
        ("GET", "/nowhere", {}, {"route": "other", "status": "404"}),
        ("BREW", "/livez", {}, {"method": "other", "status": "405"}),
    ],
)
def test_a_request_is_counted_once_under_its_labels(
    service: InProcess, method: str, path: str, content: dict[str, object], labels: dict[str, str]
) -> None:
    service.request(method, path, **content)
    samples = scrape(service)
    assert total(samples, "lossd_requests_total") == total(samples, "lossd_requests_total", **labels) == 1
    assert total(samples, "lossd_request_duration_seconds_count") == 1


def test_a_body_that_is_refused_unread_counts_for_its_route() -> None:
    service = InProcess(max_body_bytes=10)
    service.post("mse", content=b"x" * 11)
    samples = scrape(service)
    assert total(samples, "lossd_requests_total", route=CALLS, loss="none", status="413") == 1
    assert total(samples, "lossd_problems_total", kind="body-too-large") == 1


def test_a_call_is_measured(service: InProcess) -> None:
    response = service.post("mse", json=GOOD)
    samples = scrape(service)
    sent = len(response.request.content)
    assert total(samples, "lossd_request_body_bytes_sum") == sent
    assert total(samples, "lossd_response_body_bytes_sum") == len(response.content)
    assert total(samples, "lossd_estimated_work_operations_count", route=CALLS) == 1
    assert 0 < total(samples, "lossd_request_duration_seconds_sum", route=CALLS) < PATIENCE_SECONDS
    assert total(samples, "lossd_request_body_bytes_bucket", le="16.0") == (sent <= 16)
    assert total(samples, "lossd_request_body_bytes_bucket", le="1024.0", route=CALLS) == (16 < sent <= 1024)


def test_a_value_on_a_bound_lies_in_its_bucket(service: InProcess) -> None:
    service.post("mse", content=b" " * 256)
    samples = scrape(service)
    assert total(samples, "lossd_request_body_bytes_bucket", le="256.0") == 1


def test_waiting_for_the_pool_is_measured_only_where_a_call_ran_there() -> None:
    assert total(_after_a_call(InProcess()), "lossd_pool_wait_seconds_count") == 0
    assert total(_after_a_call(InProcess(inline_body_bytes=0)), "lossd_pool_wait_seconds_count") == 1
    assert total(_after_a_call(InProcess(inline_milliseconds=0)), "lossd_pool_wait_seconds_count") == 1


@pytest.mark.parametrize(("accept", "waits"), [("application/json", 1), ("application/vnd.msgpack", 0)])
def test_only_an_answer_in_text_takes_time_to_be_written(accept: str, waits: int) -> None:
    """20,000 losses of 300 numbers take 0.3 ms, and 0.8 ms more to be written as text."""
    service = InProcess()
    arrays = {"input": [[0.5]] * 100, "target": [[0.25] * 200], "broadcast": True, "reduction": "none"}
    assert service.post("mse", json=arrays, headers={"accept": accept}).status_code == 200
    assert total(scrape(service), "lossd_pool_wait_seconds_count") == waits


def _after_a_call(service: InProcess) -> Samples:
    service.assert_unharmed()
    return scrape(service)


def test_every_kind_of_problem_is_there_from_the_start(service: InProcess) -> None:
    samples = scrape(service)
    shown = {dict(labels)["kind"] for name, labels in samples if name == "lossd_problems_total"}
    assert shown == {*kinds(), "internal-error", "caller-gone", "other"}
    assert total(samples, "lossd_problems_total") == 0


def test_every_status_of_a_problem_has_a_series() -> None:
    (status,) = {tuple(m.labels["status"]) for m in declare((), ()).values() if "status" in m.labels}
    assert {str(error.status) for error in kinds().values()} <= set(status)


def test_gauges_say_what_is_held_and_what_may_be(service: InProcess) -> None:
    samples = scrape(service)
    assert total(samples, "lossd_requests_in_flight") == 1  # the scrape itself
    assert total(samples, "lossd_held_bytes") == total(samples, "lossd_requests_waiting") == 0
    assert total(samples, "lossd_held_bytes_limit") == 224 * 1024**2  # less the share of small calls
    assert total(samples, "lossd_workers") == total(samples, "lossd_worker_starts_total") == 1
    assert total(samples, "lossd_build_info") == 1
    assert total(samples, "process_resident_memory_bytes", worker="0") > 1e6


def test_callers_add_no_series(service: InProcess) -> None:
    """What they make up comes to the same few series."""
    for made_up in ("one", "another"):
        service.request(made_up.upper(), f"/{made_up}", headers={"content-type": made_up})
        service.post(made_up, json={})
        service.post("mse", json={}, headers={"content-type": made_up})
        service.request("POST", f"/v2/models/{made_up}/infer", json={})
        if made_up == "one":
            before = scrape(service).keys()
    assert scrape(service).keys() - before <= {
        (f"lossd_{name}", labels) for name, labels in _of_scrapes(scrape(service))
    }


def _of_scrapes(samples: Samples) -> set[tuple[str, frozenset[tuple[str, str]]]]:
    return {
        (name.removeprefix("lossd_"), labels) for name, labels in samples if ("route", "/metrics") in labels
    }


def test_all_series_that_there_can_be_are_few_enough_to_share() -> None:
    metrics = declare([f"/{number}" for number in range(40)], ["/1", "/2"])
    assert sum(metric.length for metric in metrics.values()) * 8 < 1 << 20


def test_both_formats_are_valid_and_have_the_same_metrics(service: InProcess) -> None:
    service.assert_unharmed()
    text = service.request("GET", "/metrics", headers={"accept": "text/plain"})
    asked = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
    open_text = service.request("GET", "/metrics", headers={"accept": asked})
    assert text.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert open_text.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert open_text.text.endswith("# EOF\n")
    names = {family.name for family in parse_text(text.text)}
    assert names == {family.name for family in parse_openmetrics(open_text.text)}


def test_names_follow_the_conventions() -> None:
    """https://prometheus.io/docs/practices/naming: base units, `_total` for what only grows."""
    for metric in declare(("/",), ("/",)).values():
        assert re.fullmatch(r"lossd_[a-z][a-z_]*", metric.full_name)
        assert metric.full_name.endswith("_total") == (metric.kind == "counter")
        assert not re.search(r"milli|micro|_ms|_kb|_mb|percent", metric.full_name)
        assert (metric.kind == "histogram") <= metric.name.endswith(("_seconds", "_bytes", "_operations"))
        assert metric.help.endswith(".")
        assert list(metric.bounds) == sorted(metric.bounds)
        assert math.prod(map(len, metric.labels.values())) == len(list(metric.series()))
        assert set(metric.labels.get("loss", ())) <= {*LOSSES, "none"}


def test_a_bug_and_a_caller_who_left_are_counted() -> None:
    service = InProcess()

    def broken(*_: object) -> None:
        raise KeyError("a bug")

    service.app  # noqa: B018  # built before the engine breaks
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lossd.api.evaluation.prepare", broken)
        service.post("mse", json=GOOD)
    assert total(scrape(service), "lossd_problems_total", kind="internal-error") == 1
    assert total(scrape(service), "lossd_requests_total", loss="mse", status="500") == 1


# Takes a row, counts 5 in a counter (cell 1) and in a gauge (cell 2), says which row, and waits to be killed.
WORKER = """
import sys
from lossd.api.telemetry.rows import open_table
table = open_table(3, 2)
row = table.rows[table.own]
row[1] += 5
row[2] = 5
print(table.own, row[1], flush=True)
sys.stdin.read()
"""


class Worker:
    """A process with a row of the shared table."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        row, count = self.process.stdout.readline().split()
        self.row, self.count = int(row), float(count)

    def kill(self) -> None:
        """End the process without a chance to tidy up."""
        self.process.kill()
        self.process.communicate()


def test_processes_count_beside_each_other_and_a_dead_one_leaves_its_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(VARIABLE, "")  # removed after the test, whatever it is set to
    share_table()
    table = open_table(3, 2)
    first, second = Worker(), Worker()
    try:
        assert {table.own, first.row, second.row} == {0, 1, 2}
        assert [(number, row[1], alive) for number, row, alive in table.in_use()] == [
            (0, 0, True),
            (first.row, 5, True),
            (second.row, 5, True),
        ]
        first.kill()
        assert [alive for _, _, alive in table.in_use()] == [True, False, True]
        assert sum(row[1] for _, row, _ in table.in_use()) == 10
        third = Worker()
        assert (third.row, third.count) == (first.row, 10)  # it counts on where the dead one stopped
        assert [alive for _, _, alive in table.in_use()] == [True, True, True]
        assert sum(row[1] for _, row, _ in table.in_use()) == 15
        third.kill()
    finally:
        first.kill()
        second.kill()


def test_a_process_without_a_shared_table_has_one_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    table = open_table(3, 2)
    assert [(number, alive) for number, _, alive in table.in_use()] == [(0, True)]


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("workers"), "--workers", "2", LOSSD_LOG_FORMAT="json") as running:
        running.wait_for(r"(?s)(Application startup complete.*){2}")
        yield running


def test_a_scrape_at_any_worker_shows_all_and_a_killed_worker_loses_nothing(workers: Served) -> None:
    calls = 40
    for _ in range(calls):  # each on a connection of its own, so that both workers get some
        assert httpx.post(f"{workers.url}/v1/losses/mse", json=GOOD).status_code == 200
    counts = {total(scrape(workers), "lossd_requests_total", loss="mse") for _ in range(10)}
    assert counts == {calls}
    assert total(scrape(workers), "lossd_workers") == 2
    killed = int(re.findall(r"Started server process \[(\d+)\]", workers.log_text())[0])
    os.kill(killed, signal.SIGKILL)
    workers.wait_for(r"(?s)(Application startup complete.*){3}")
    wait_until(lambda: total(scrape(workers), "lossd_worker_starts_total") == 3)
    samples = scrape(workers)
    assert total(samples, "lossd_requests_total", loss="mse") == calls
    assert total(samples, "lossd_workers") == 2
    assert {dict(labels)["worker"] for name, labels in samples if name == "process_open_fds"} == {"0", "1"}


def test_a_request_that_is_not_http_is_counted(workers: Served) -> None:
    before = total(scrape(workers), "lossd_problems_total", kind="malformed-request")
    with socket.create_connection(("127.0.0.1", workers.port)) as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        while connection.recv(4096):
            pass
    after = scrape(workers)
    assert total(after, "lossd_problems_total", kind="malformed-request") == before + 1
    assert total(after, "lossd_requests_total", method="other", route="other", status="400") >= 1


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
