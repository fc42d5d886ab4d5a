"""Counts the inferences of each model, as Triton's statistics extension tells them.

The numbers are those of one server process since it started. Where several share a port, `/metrics` has the sums.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from lossd.api.exchange import Exchange
from lossd.api.v2.model import VERSION

_STEPS = ("queue", "compute_input", "compute_infer", "compute_output")
_DURATIONS = ("success", "fail", *_STEPS)


class StepTimes:
    """How long the steps of one inference took, in seconds.

    Attributes:
        queue: Waiting for a thread.
        compute_input: Decoding the request.
        compute_infer: Validating, planning, computing.
        compute_output: Encoding the answer.
    """

    def __init__(self) -> None:
        self.queue = self.compute_input = self.compute_infer = self.compute_output = 0.0
        self._began = 0.0
        self._decoded = 0.0
        self._waited_before = 0.0

    def begin_input(self, exchange: Exchange) -> None:
        """Begin to decode."""
        self._waited_before = exchange.wait_seconds or 0.0
        self._began = time.perf_counter()

    def end_input(self) -> None:
        """Have the call."""
        self._decoded = time.perf_counter()
        self.compute_input = self._decoded - self._began

    def begin_output(self, exchange: Exchange) -> None:
        """Begin to encode: a call that was decoded on the event loop may have waited since."""
        self._began = time.perf_counter()
        self.queue = exchange.wait_seconds or 0.0
        self.compute_infer = self._began - self._decoded - (self.queue - self._waited_before)

    def end_output(self) -> None:
        """Have the answer."""
        self.compute_output = time.perf_counter() - self._began


class Duration(BaseModel):
    """How many there were, and their nanoseconds in all."""

    count: int
    ns: int


class InferenceStatistics(BaseModel):
    """Times of a model's inferences, by outcome and by step."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    success: Duration
    fail: Duration
    """Requests that were refused or failed, from their first byte on."""
    queue: Duration
    """Waiting for a thread."""
    compute_input: Duration
    """Decoding the request."""
    compute_infer: Duration
    """Validating, planning and computing."""
    compute_output: Duration
    """Encoding the answer."""
    cache_hit: Duration
    """Never: answers are not kept."""
    cache_miss: Duration


class ModelStatistics(BaseModel):
    """Statistics of one model."""

    model_config = ConfigDict(use_attribute_docstrings=True, protected_namespaces=())

    name: str
    version: str
    last_inference: int
    """Milliseconds since 1970, 0 before the first."""
    inference_count: int
    execution_count: int
    inference_stats: InferenceStatistics
    batch_stats: list[dict[str, int]]


class Statistics(BaseModel):
    """Statistics of the models that were asked for."""

    model_config = ConfigDict(protected_namespaces=())

    model_stats: list[ModelStatistics]


@dataclass
class _Counts:
    last_inference: int = 0
    succeeded: int = 0
    failed: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(_DURATIONS, 0.0))


class Inferences:
    """The counts of every model that was ever asked. Only the event loop writes."""

    def __init__(self) -> None:
        self._counts: dict[str, _Counts] = {}

    def succeed(self, model: str, exchange: Exchange, times: StepTimes) -> None:
        """Count an inference."""
        counts = self._counts.setdefault(model, _Counts())
        counts.last_inference = time.time_ns() // 1_000_000
        counts.succeeded += 1
        counts.seconds["success"] += time.perf_counter() - exchange.started
        for step in _STEPS:
            counts.seconds[step] += getattr(times, step)

    def fail(self, model: str, exchange: Exchange) -> None:
        """Count a request that came to nothing."""
        counts = self._counts.setdefault(model, _Counts())
        counts.failed += 1
        counts.seconds["fail"] += time.perf_counter() - exchange.started

    def describe(self, models: Mapping[str, str]) -> Statistics:
        """Return the statistics of models, each under the name that it is asked by."""
        return Statistics(model_stats=[self._describe(name, model) for name, model in models.items()])

    def _describe(self, name: str, model: str) -> ModelStatistics:
        counts = self._counts.get(model, _Counts())

        def duration(key: str) -> Duration:
            count = counts.failed if key == "fail" else counts.succeeded
            return Duration(count=count, ns=round(counts.seconds[key] * 1e9))

        never = Duration(count=0, ns=0)
        return ModelStatistics(
            name=name,
            version=VERSION,
            last_inference=counts.last_inference,
            inference_count=counts.succeeded,
            execution_count=counts.succeeded,
            inference_stats=InferenceStatistics(
                **{key: duration(key) for key in _DURATIONS}, cache_hit=never, cache_miss=never
            ),
            batch_stats=[],
        )
