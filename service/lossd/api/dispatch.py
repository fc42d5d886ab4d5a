"""The steps of every call, whatever its protocol: decode, prepare, compute, encode; on the event loop or in the pool.

What a call costs is known once it is prepared. Only what takes well under a millisecond runs on the event loop, however
small its body; all else runs in the pool, where checkpoints end it when its deadline passes or its caller leaves.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from starlette.types import Receive

from lossd.api.compute import in_pool
from lossd.api.exchange import Exchange
from lossd.declaration.loss import Loss
from lossd.engine import Checkpoint, CostLimits, Prepared, compute, prepare
from lossd.message import Answer, Call
from lossd.settings import Settings

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

# Bytes of workspace and of answer that every call may have, however low the limit on bytes in flight: a small call runs
# on the event loop and reserves none, as it is over before another begins.
_ALWAYS_ALLOWED = 1 << 20


class CallJob(Protocol[T_co]):
    """One call in its protocol: how its body is read, and how its answer is written."""

    @property
    def loss(self) -> Loss:
        """The loss to evaluate."""

    @property
    def exchange(self) -> Exchange:
        """The request."""

    @property
    def body_bytes(self) -> int | None:
        """Size of the body; None if it is compressed, which says little of what it holds."""

    def decode(self) -> Call:
        """Read the call from its body; it may bring the exchange's deadline forward."""

    def encode(self, answer: Answer) -> T_co:
        """Write the answer; called after `decode`."""


class Dispatcher:
    """Takes calls through their steps, each where its cost lets it run, within the limits of the settings."""

    def __init__(self, settings: Settings, pool: ThreadPoolExecutor) -> None:
        self.settings = settings
        self.pool = pool
        in_flight = max(settings.max_in_flight_bytes, _ALWAYS_ALLOWED)  # more would never be admitted
        self.cost_limits = CostLimits(
            settings.max_work,
            min(settings.max_workspace_bytes, in_flight),
            min(settings.max_answer_bytes, in_flight),
        )

    async def dispatch(self, job: CallJob[T], receive: Receive) -> T:
        """Answer a call: on the event loop if its body and its cost are small, else in the pool."""
        exchange = job.exchange
        if job.body_bytes is None or job.body_bytes > self.settings.inline_body_bytes:
            return await in_pool(
                self.pool,
                lambda checkpoint: self._answer(job, checkpoint),
                exchange=exchange,
                receive=receive,
            )
        prepared = self._prepare(job, exchange.check_deadline)
        if prepared.estimate.seconds * 1000 <= self.settings.inline_milliseconds:
            return _compute(job, prepared, 1, exchange.check_deadline)
        _reserve(exchange, prepared)
        threads = self.settings.threads
        return await in_pool(
            self.pool,
            lambda checkpoint: _compute(job, prepared, threads, checkpoint),
            exchange=exchange,
            receive=receive,
        )

    def _answer(self, job: CallJob[T], checkpoint: Checkpoint) -> T:
        """Take a call through all of its steps."""
        prepared = self._prepare(job, checkpoint)
        _reserve(job.exchange, prepared)
        return _compute(job, prepared, self.settings.threads, checkpoint)

    def _prepare(self, job: CallJob[T], checkpoint: Checkpoint) -> Prepared:
        """Decode and prepare a call."""
        call = job.decode()
        job.exchange.elements = sum([array.size for array in call.arrays.values()])
        checkpoint()
        return prepare(job.loss, call, limits=self.cost_limits)


def _compute(job: CallJob[T], prepared: Prepared, threads: int, checkpoint: Checkpoint) -> T:
    """Compute and encode the answer of a call."""
    answer = compute(prepared, threads, checkpoint)
    checkpoint()
    return job.encode(answer)


def _reserve(exchange: Exchange, prepared: Prepared) -> None:
    exchange.reserve(prepared.estimate.workspace + prepared.estimate.answer)
