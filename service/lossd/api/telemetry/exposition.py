"""``GET /metrics``: the rows of all processes, added up, as Prometheus reads them."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import (
    Metric as Family,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from lossd import __version__
from lossd.api.telemetry.expiry import Expiries
from lossd.api.telemetry.layout import PREFIX, Metric
from lossd.api.telemetry.metrics import Metrics
from lossd.api.telemetry.rows import Row

PATH = "/metrics"
FAMILIES = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily, "histogram": HistogramMetricFamily}
WORKERS = Metric("workers", "gauge", "Server processes that are alive.")
BUILD = Metric(
    "build_info",
    "gauge",
    "1, with what runs as labels.",
    {"version": [__version__], "python": [platform.python_version()]},
)

Numbers = npt.NDArray[np.float64]


def add_metrics(router: APIRouter, metrics: Metrics, expiries: Expiries) -> None:
    """Add the route that shows the metrics, and when something ends."""

    async def show_metrics(request: Request) -> Response:
        """Count requests, times, sizes and problems of all server processes, for Prometheus or OpenMetrics."""
        body, media_type = render(metrics, expiries, request.headers.get("accept", ""))
        return Response(body, headers={"content-type": media_type})

    router.add_api_route(
        PATH,
        show_metrics,
        methods=["GET"],
        tags=["health"],
        operation_id="metrics",
        response_class=PlainTextResponse,
        responses={200: {"content": {"application/openmetrics-text": {"schema": {"type": "string"}}}}},
    )
    router.add_api_route(PATH, show_metrics, methods=["HEAD"], include_in_schema=False)


def render(metrics: Metrics, expiries: Expiries, accept: str) -> tuple[bytes, str]:
    """Return the metrics in the format that the scraper likes best, and its media type."""
    metrics.sample()
    registry = CollectorRegistry(auto_describe=False)
    encode, media_type = choose_encoder(accept)
    registry.register(_Collected(metrics, expiries))
    return encode(registry), media_type


class _Collected(Collector):
    """The table as prometheus-client asks for it, once."""

    def __init__(self, metrics: Metrics, expiries: Expiries) -> None:
        self._metrics = metrics
        self._expiries = expiries

    def describe(self) -> Iterable[Family]:
        """Leave the check for names that are taken out: there is one collector."""
        return ()

    def collect(self) -> Iterator[Family]:
        """Yield every metric with all its series."""
        used = list(self._metrics.table.in_use())
        yield from _counted(self._metrics, [np.asarray(row) for _, row, _ in used], _living(used))
        alive = [(number, int(row[0])) for number, row, is_alive in used if is_alive]
        workers = GaugeMetricFamily(PREFIX + WORKERS.name, WORKERS.help, value=len(alive))
        build = GaugeMetricFamily(PREFIX + BUILD.name, BUILD.help, labels=(*BUILD.labels,))
        build.add_metric(next(BUILD.series()), 1)
        yield from (workers, build)
        for metric, read in self._expiries:
            if (moment := read()) is not None:
                yield GaugeMetricFamily(PREFIX + metric.name, metric.help, value=moment)
        yield from _processes(alive)


def _living(used: Iterable[tuple[int, Row, bool]]) -> list[Numbers]:
    return [np.asarray(row) for _, row, is_alive in used if is_alive]


def _counted(metrics: Metrics, rows: Sequence[Numbers], living: Sequence[Numbers]) -> Iterator[Family]:
    """Yield the metrics of the layout: counts of all processes that ever were, gauges of the living."""
    layout = metrics.layout
    families: dict[str, Family] = {}
    for key, metric in layout.metrics.items():
        cells = slice(layout.starts[key], layout.starts[key] + metric.length)
        numbers = np.sum([row[cells] for row in (living if metric.kind == "gauge" else rows)], axis=0)
        name = PREFIX + metric.name
        if name not in families:
            families[name] = FAMILIES[metric.kind](name, metric.help, labels=tuple(metric.labels))
        _fill(families[name], metric, numbers.reshape(-1, metric.width))
    yield from families.values()


def _fill(family: Family, metric: Metric, numbers: Numbers) -> None:
    """Add every series of a metric that has counted something, or is shown from zero."""
    series = list(metric.series())
    shown = range(len(series)) if metric.from_zero else np.flatnonzero(numbers.any(axis=1))
    for place in shown:
        cells = numbers[place]
        if metric.kind != "histogram":
            family.add_metric(series[place], float(cells[0]))  # type: ignore[attr-defined]  # each kind has its own
            continue
        bounds = [*map(floatToGoString, metric.bounds), "+Inf"]
        buckets = list(zip(bounds, np.cumsum(cells[:-1]).tolist(), strict=True))
        family.add_metric(series[place], buckets, float(cells[-1]))  # type: ignore[attr-defined]


def _processes(alive: Iterable[tuple[int, int]]) -> Iterator[Family]:
    """Yield what the system knows of each process: memory, processor time, open files."""
    families: dict[str, Family] = {}
    for number, process in alive:
        for found in ProcessCollector(pid=partial(int, process), registry=None).collect():
            family = families.setdefault(found.name, Family(found.name, found.documentation, found.type))
            for sample in found.samples:
                family.add_sample(sample.name, {"worker": str(number)}, sample.value)
    yield from families.values()
