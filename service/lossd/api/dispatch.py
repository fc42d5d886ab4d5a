"""The steps of every job, whatever its protocol: decode, prepare, compute, encode; on the event loop or in the pool.

A job is one call, or several that came together. What it costs is known once it is prepared. Only what takes well under
a millisecond runs on the event loop, however small its body; all else runs in the pool, where checkpoints end it when
its deadline passes or its caller leaves.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Protocol, TypeVar

from starlette.types import Receive

from lossd.api.compute import in_pool
from lossd.api.exchange import Exchange
from lossd.api.queue import Queue
from lossd.api.queued_call import QueuedCall
from lossd.api.text_turns import TextTurns
from lossd.engine import OPERATIONS_PER_SECOND, Checkpoint, CostLimits
from lossd.engine.batch import refused_work
from lossd.engine.limits import LIST_BYTES, CallCost, refuse_long_text
from lossd.errors import LossdError
from lossd.settings import Settings

A = TypeVar("A")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

# Bytes of workspace and of answer that every call may have, however low the limit on bytes in flight: a small call runs
# on the event loop and reserves none, as it is over before another begins.
_ALWAYS_ALLOWED = 1 << 20
# Bytes of text for a byte of an array: up to 15 characters for a float32, 25 for a float64.
_TEXT_BYTES = 4
# Seconds that a byte of an array takes to be written: 2 to 6 ns as text, 0 to 0.4 as bytes; and a list inside another,
# which takes 1 to 3 ns among many of one item and up to 20 among few of several.
_TEXT_SECONDS, _BINARY_SECONDS, _LIST_SECONDS = 5e-9, 0.3e-9, 5e-9


class Job(Protocol[A, T_co]):
    """A request to compute in its protocol: how its body is read, what it computes, and how its answer is written."""

    @property
    def exchange(self) -> Exchange:
        """The request."""

    @property
    def reads_text(self) -> bool:
        """Whether the body is text."""

    @property
    def answers_in_text(self) -> bool:
        """Whether the answer is text, which is longer than its arrays."""

    @property
    def body_bytes(self) -> int | None:
        """Size of the body; None where that says little of what it takes to read and prepare it."""

    @property
    def hidden_seconds(self) -> float:
        """About how long it takes to read what the size of the body does not show: packed or in many calls."""

    def decode(self, checkpoint: Checkpoint) -> int:
        """Read the body, and return how many numbers its arrays have; it may bring the exchange's deadline forward."""

    def prepare(self, limits: CostLimits, checkpoint: Checkpoint) -> CallCost:
        """Find out what the job costs, and refuse more than the limits allow; called after `decode`.

        Its cost has lists inside others only if its answer is written as nested lists.
        """

    def compute(self, threads: int, checkpoint: Checkpoint) -> A:
        """Compute the answer; called after `prepare`."""

    def encode(self, answer: A, checkpoint: Checkpoint) -> T_co:
        """Write the answer; what the checkpoint raises, which is called between its pieces, ends that."""


class Dispatcher:
    """Takes jobs through their steps, each where its cost lets it run, within the limits of the settings."""

    def __init__(self, settings: Settings, pool: ThreadPoolExecutor) -> None:
        self.settings = settings
        self.queue = Queue(
            pool,
            workers=settings.compute_workers,
            longest_wait=settings.max_wait_seconds,
            inline_bytes=settings.inline_body_bytes,
        )
        self._text = TextTurns()
        in_flight = max(settings.max_in_flight_bytes, _ALWAYS_ALLOWED)  # more would never be admitted
        self.cost_limits = CostLimits(
            settings.max_work,
            min(settings.max_workspace_bytes, in_flight),
            min(settings.max_answer_bytes, in_flight),
        )

    @property
    def waiting(self) -> int:
        """How many calls wait for a thread of the pool."""
        return self.queue.waiting

    async def dispatch(self, job: Job[A, T], receive: Receive) -> T:
        """Answer a job: on the event loop if its body and its cost are small, else in the pool."""
        exchange = job.exchange
        exchange.steps.append(("receive", perf_counter()))
        if job.body_bytes is None or job.body_bytes > self.settings.inline_body_bytes:
            queued = self.admit(job)
            return await self._in_pool(job, receive, queued, lambda each: self._answer(job, queued, each))
        _decode(job, exchange.check_deadline)
        cost = self._prepare(job, exchange.check_deadline)
        seconds = _seconds(job, cost)
        if seconds * 1000 <= self.settings.inline_milliseconds:
            answer = _compute(job, 1, exchange.check_deadline)
            return _encode(job, answer, exchange.check_deadline)
        self.queue.check(seconds)
        _reserve(job, cost)
        queued = exchange.queued or QueuedCall(self.queue)
        queued.set_seconds(seconds)  # until the pool has ended it
        return await self._in_pool(job, receive, queued, lambda each: self._finish(job, queued, cost, each))

    def admit(self, job: Job[A, T]) -> QueuedCall:
        """Count a job whose body has come, by what it takes to read it; or refuse one that would wait too long.

        A small body was let in without a look at the queue, and a packed one by its size before it is unpacked.

        Raises:
            Overloaded: It would.
        """
        queued, hidden = job.exchange.queued, job.hidden_seconds
        if queued is None:
            self.queue.check(hidden)
            queued = QueuedCall(self.queue)
        elif self.queue.is_too_long(queued.seconds):
            raise self.queue.refusal(queued.seconds + hidden)
        queued.set_seconds(queued.seconds + hidden)
        return queued

    def _in_pool(
        self, job: Job[A, T], receive: Receive, queued: QueuedCall, step: Callable[[Checkpoint], T]
    ) -> Awaitable[T]:
        return in_pool(self.queue, step, exchange=job.exchange, receive=receive, queued=queued)

    def _answer(self, job: Job[A, T], queued: QueuedCall, checkpoint: Checkpoint) -> T:
        """Take a job through all of its steps."""
        with self._text.turn(_text_read(job), checkpoint):
            _decode(job, checkpoint)
        cost = self._prepare(job, checkpoint)
        queued.set_seconds(_seconds(job, cost))
        _reserve(job, cost)
        return self._finish(job, queued, cost, checkpoint)

    def _finish(self, job: Job[A, T], queued: QueuedCall, cost: CallCost, checkpoint: Checkpoint) -> T:
        """Compute and write the answer to a job that is prepared and has its room."""
        queued.reserve(_bytes_beside(job, cost))
        answer = _compute(job, self.settings.threads, checkpoint)
        with self._text.turn(_text_written(job, cost), checkpoint):
            return _encode(job, answer, checkpoint)

    def _prepare(self, job: Job[A, T], checkpoint: Checkpoint) -> CallCost:
        """Prepare a job that is decoded, and count its work against the caller's limit."""
        try:
            cost = job.prepare(self.cost_limits, checkpoint)
            refuse_long_text(cost, self.cost_limits)
        except LossdError as error:
            job.exchange.owe_work(refused_work(error))
            raise
        job.exchange.steps.append(("prepare", perf_counter()))
        job.exchange.work = cost.work + int(cost.inner_lists * _LIST_SECONDS * OPERATIONS_PER_SECOND)
        job.exchange.charge(job.exchange.work)
        return cost


def _decode(job: Job[A, T], checkpoint: Checkpoint) -> None:
    """Read the body of a job."""
    exchange = job.exchange
    exchange.charge(0)  # a caller that has used up its limit, by calls that were refused too, is not read
    try:
        exchange.elements = job.decode(checkpoint)
    except LossdError as error:
        hidden = int(job.hidden_seconds * OPERATIONS_PER_SECOND)
        exchange.owe_work(hidden + refused_work(error))
        raise
    exchange.steps.append(("decode", perf_counter()))
    checkpoint()


def _compute(job: Job[A, T], threads: int, checkpoint: Checkpoint) -> A:
    answer = job.compute(threads, checkpoint)
    job.exchange.steps.append(("compute", perf_counter()))
    checkpoint()
    return answer


def _encode(job: Job[A, T], answer: A, checkpoint: Checkpoint) -> T:
    encoded = job.encode(answer, checkpoint)
    job.exchange.steps.append(("encode", perf_counter()))
    return encoded


def _text_read(job: Job[A, T]) -> int:
    """Return about how many bytes of text the body holds."""
    hidden = int(job.hidden_seconds / _TEXT_SECONDS)
    return max(job.exchange.bytes_in, hidden) if job.reads_text else 0


def _seconds(job: Job[A, T], cost: CallCost) -> float:
    """Return about how long a job takes with one thread, the writing of its answer included."""
    arrays = cost.answer * (_TEXT_SECONDS if job.answers_in_text else _BINARY_SECONDS)
    return cost.seconds + arrays + cost.inner_lists * _LIST_SECONDS


def _text_written(job: Job[A, T], cost: CallCost) -> int:
    """Return about how many bytes of text the answer holds."""
    return cost.answer * _TEXT_BYTES + cost.inner_lists * LIST_BYTES if job.answers_in_text else 0


def _bytes_beside(job: Job[A, T], cost: CallCost) -> int:
    """Return what a job needs beside its body."""
    return cost.workspace + cost.answer + _text_written(job, cost)


def _reserve(job: Job[A, T], cost: CallCost) -> None:
    if job.exchange.holding is not None:
        job.exchange.holding.take_estimate(_bytes_beside(job, cost))
