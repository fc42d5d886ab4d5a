"""Counts requests in the process's row of the shared table; costs about a microsecond a call."""

from __future__ import annotations

import asyncio
import contextlib
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import NamedTuple

from starlette.types import Scope

from lossd.api.exchange import Exchange
from lossd.api.fast_routes import FastRoute, fast_route
from lossd.api.telemetry.layout import BYTES, METHODS, NONE, OPERATIONS, OTHER, SECONDS, Layout
from lossd.api.telemetry.rows import Row, Table

SAMPLE_SECONDS = 1.0

Gauges = Mapping[str, Callable[[], float]]
"""Key of a gauge to what reads it."""


class _Cells(NamedTuple):
    """Where the metrics of requests alike have their cells; those of a call are 0 for what came to no loss."""

    requests: int
    duration: int
    body: int
    answer: int
    work: int


class Metrics:
    """The numbers of this process, and the table that they are a row of. Only the event loop may write."""

    def __init__(self, layout: Layout, table: Table, calls: Sequence[FastRoute], gauges: Gauges) -> None:
        self.layout = layout
        self.table = table
        self._calls = calls
        self._row = table.rows[table.own]
        self._gauges = gauges
        self._cells: dict[tuple[str, str, str, str, int], _Cells] = {}
        self._wait = layout.starts["wait"]
        self._row[layout.starts["worker_starts"]] += 1
        self.sample()

    def observe(self, scope: Scope, exchange: Exchange) -> None:
        """Count a request that has ended; where its route is not known, find it."""
        row = self._row
        route = exchange.route = exchange.route or self._route(scope)
        key = (scope["method"], route, exchange.loss, exchange.format, exchange.status)
        cells = self._cells.get(key) or self._find(key)
        row[cells.requests] += 1
        _add(row, cells.duration, SECONDS, exchange.seconds)
        if cells.body:
            _add(row, cells.body, BYTES, exchange.bytes_in)
            _add(row, cells.answer, BYTES, exchange.bytes_out)
            if exchange.work:
                _add(row, cells.work, OPERATIONS, exchange.work)
            if exchange.wait_seconds is not None:
                _add(row, self._wait, SECONDS, exchange.wait_seconds)
        for (loss, status), count in exchange.outcomes.items():
            row[self.layout.find("batched", loss or NONE, str(status))] += count
        if exchange.problem_kind:
            row[self.layout.find("problems", exchange.problem_kind)] += 1

    def sample(self) -> None:
        """Write the gauges, which others can then see."""
        for key, read in self._gauges.items():
            self._row[self.layout.starts[key]] = read()

    def _find(self, key: tuple[str, str, str, str, int]) -> _Cells:
        method, route, loss, form, status = key
        find = self.layout.find
        if loss:
            requests = find("calls", "POST", route, loss, form or OTHER, str(status))
        else:
            requests = find("requests", method, route, NONE, NONE, str(status))
        of_body = [find(key, route) if loss or form else 0 for key in ("body", "answer", "work")]
        cells = _Cells(requests, find("duration", route), *of_body)
        if method in METHODS:  # others are any word that a caller makes up
            self._cells[key] = cells
        return cells

    def _route(self, scope: Scope) -> str:
        """Return the path of the route that the router found; before it, only calls are told from the rest."""
        found = scope.get("route")
        if found is None and scope["method"] == "POST":
            found = fast_route(self._calls, scope["path"])
        path: str = getattr(found, "path", OTHER)
        return path


@contextlib.asynccontextmanager
async def sampling(metrics: Metrics) -> AsyncIterator[None]:
    """Write the gauges every second: a scrape may come to another process."""

    async def sample() -> None:
        while True:
            metrics.sample()
            await asyncio.sleep(SAMPLE_SECONDS)

    task = asyncio.create_task(sample())
    try:
        yield
    finally:
        task.cancel()


def _add(row: Row, start: int, bounds: tuple[float, ...], value: float) -> None:
    """Count a value in its bucket of a histogram, whose last cell is the sum."""
    row[start + bisect_left(bounds, value)] += 1
    row[start + len(bounds) + 1] += value
