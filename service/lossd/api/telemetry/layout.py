"""The metrics: name, labels, meaning, and where in a process's row of numbers each has its cells.

Every label has a fixed list of values, so that a metric's place is known before the first request, no caller can add
a time series, and processes of the same version agree on the places without speaking to each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Literal

from lossd.api.negotiation import FORMATS
from lossd.api.problems import kinds
from lossd.losses import LOSSES

OTHER, NONE = "other", "none"
"""The value of a label where it is none of the list, and where there is nothing to say."""

BINARY = "binary"
"""Format of a call of the Open Inference Protocol that has its tensors as bytes."""

PREFIX = "lossd_"
METHODS = ("GET", "HEAD", "POST", "OPTIONS", OTHER)
# Statuses besides those of our errors: answers, the router's, and 499 for a caller who left. 0: no answer began.
_STATUSES = (0, 200, 204, 206, 304, 307, 400, 401, 403, 404, 405, 429, 499, 500, 501, 503)
INTERNAL_ERROR, CALLER_GONE = "internal-error", "caller-gone"

SECONDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
BYTES = tuple([float(4**power) for power in range(4, 15)])  # 256 B to 256 MiB
OPERATIONS = tuple([float(10**power) for power in range(5, 13)])


@dataclass(frozen=True)
class Metric:
    """One metric, or the part of it that has certain labels.

    Attributes:
        name: Without the prefix, and without the ``_total`` of a counter.
        labels: Label to its values.
        bounds: Upper bounds of a histogram's buckets but the last, which has none.
        from_zero: Shown also before it was counted: a rate needs to see the step from 0 to 1.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    bounds: Sequence[float] = ()
    from_zero: bool = True

    @property
    def full_name(self) -> str:
        """The name that queries use."""
        return f"{PREFIX}{self.name}_total" if self.kind == "counter" else PREFIX + self.name

    @property
    def width(self) -> int:
        """Cells of one series: of a histogram its buckets and the sum."""
        return len(self.bounds) + 2 if self.kind == "histogram" else 1

    @property
    def length(self) -> int:
        """Cells of all series."""
        return self.width * math.prod(map(len, self.labels.values()))

    def series(self) -> Iterator[tuple[str, ...]]:
        """Yield the label values of every series, in the order of their cells."""
        return product(*self.labels.values())


@dataclass(frozen=True)
class Layout:
    """Metrics, and where the first cell of each is; cell 0 has the number of the process."""

    metrics: Mapping[str, Metric]
    starts: Mapping[str, int]
    length: int

    def find(self, key: str, *values: str) -> int:
        """Return the first cell of a series; a value that its label does not have counts as ``other``."""
        metric, place = self.metrics[key], 0
        for value, possible in zip(values, metric.labels.values(), strict=True):
            place = place * len(possible) + possible.index(value if value in possible else OTHER)
        return self.starts[key] + place * metric.width


def make_layout(routes: Sequence[str], calls: Sequence[str], batches: Sequence[str]) -> Layout:
    """Place the metrics of a service with these paths, of which ``calls`` evaluate a loss, and ``batches`` many."""
    metrics = declare((*dict.fromkeys(routes), OTHER), calls, batches)
    starts, end = {}, 1
    for key, metric in metrics.items():
        starts[key] = end
        end += metric.length
    return Layout(metrics, starts, end)


def declare(routes: Sequence[str], calls: Sequence[str], batches: Sequence[str] = ()) -> dict[str, Metric]:
    """Return every metric by the key that the code has for it."""
    statuses = sorted({*_STATUSES, *(error.status for error in kinds().values())})
    by_status = (*map(str, statuses), OTHER)
    formats = (*FORMATS.values(), BINARY, OTHER)
    requests = "Requests that have ended. `loss` and `format` are `none` where the request came to no loss."
    route = {"route": (*calls, *batches)}
    return {
        # The two parts together have far fewer series than all routes with all losses would.
        "calls": Metric(
            "requests",
            "counter",
            requests,
            {"method": ["POST"], "route": calls, "loss": (*LOSSES,), "format": formats, "status": by_status},
            from_zero=False,
        ),
        "requests": Metric(
            "requests",
            "counter",
            requests,
            {"method": METHODS, "route": routes, "loss": [NONE], "format": [NONE], "status": by_status},
            from_zero=False,
        ),
        "batched": Metric(
            "batched_calls",
            "counter",
            "Calls in batches that were answered, by the status that each has in the answer; "
            "`loss` is `none` where a call names none that exists.",
            {"loss": (*LOSSES, NONE), "status": by_status},
            from_zero=False,
        ),
        "problems": Metric(
            "problems",
            "counter",
            "Requests that were refused or failed, by the kind of problem; `other` is a plain HTTP status.",
            {"kind": (*kinds(), INTERNAL_ERROR, CALLER_GONE, OTHER)},
        ),
        "duration": Metric(
            "request_duration_seconds",
            "histogram",
            "Time from a request's head to the end of its answer.",
            {"route": routes},
            SECONDS,
            from_zero=False,
        ),
        "body": Metric(
            "request_body_bytes", "histogram", "Body of a call or a batch, as it came.", route, BYTES
        ),
        "answer": Metric(
            "response_body_bytes", "histogram", "Body of its answer, as it was sent.", route, BYTES
        ),
        "work": Metric(
            "estimated_work_operations",
            "histogram",
            "Elementary operations of a call or a batch, by the estimate that limits hold it to.",
            route,
            OPERATIONS,
        ),
        "wait": Metric(
            "pool_wait_seconds", "histogram", "Time that a call waited for a thread of the pool.", {}, SECONDS
        ),
        "worker_starts": Metric("worker_starts", "counter", "Server processes that were started."),
        "in_flight": Metric("requests_in_flight", "gauge", "Requests that have begun and not ended."),
        "waiting": Metric("requests_waiting", "gauge", "Calls that wait for a thread of the pool."),
        "held": Metric("held_bytes", "gauge", "Bytes of bodies, workspace and answers in flight."),
        "held_limit": Metric("held_bytes_limit", "gauge", "Most bytes in flight, by the settings."),
        "pool_threads": Metric("pool_threads", "gauge", "Threads of the pool, by the settings."),
    }
