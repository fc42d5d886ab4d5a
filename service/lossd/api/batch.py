"""``POST /v1/batch``: many calls of any losses in one request, each with an answer or a problem of its own.

The calls are bounded together as one call is. They are computed one after the other, and always in the thread pool:
to find out what is wrong with each of many calls takes longer than the event loop may be kept from others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import orjson
from starlette.types import Receive, Scope, Send

from lossd.api.dispatch import Dispatcher
from lossd.api.exchange import SCOPE_KEY, CallerGone, Exchange
from lossd.api.incoming import IncomingJob, as_written, decode_limits, receive_body
from lossd.api.negotiation import BATCHES
from lossd.api.problems import problem_of
from lossd.api.sending import retained, send_answer
from lossd.engine import (
    OPERATIONS_PER_SECOND,
    Checkpoint,
    CostLimits,
    Prepared,
    arithmetic,
    compute_within,
    prepare,
)
from lossd.engine.batch import REFUSED_WORK, Total, total_of
from lossd.errors import LossdError, invalid
from lossd.losses import LOSSES, find
from lossd.message import Answer, Call
from lossd.settings import Settings
from lossd.wire import BatchCodec, Parts
from lossd.wire.batch import (
    MOST_CALLS,
    OF_ONE_CALL,
    Answered,
    ArrayNames,
    Entry,
    Outcome,
    Refused,
    place_of,
)

PATH = "/v1/batch"

_SHORTEST_CALL = 10  # bytes of one that names a loss, in MessagePack

OF_ALL_CALLS = (LossdError, MemoryError, CallerGone)
"""Errors of a whole batch, but for those that say what is wrong with one call."""

ROOM_FOR_PROBLEMS = 1 << 20
"""Bytes of problem documents in one answer; those that come after say only what kind they are."""

NAMES = ArrayNames(
    lambda name: find(name).array_names,
    frozenset().union(*(loss.array_names for loss in LOSSES.values())),
)
"""Which names of a call hold arrays, by the catalogue."""


class Planned(NamedTuple):
    """One call of a batch, and what it takes to compute it; or why it cannot be computed."""

    entry: Entry
    prepared: Prepared | Exception


@dataclass(slots=True)
class BatchJob(IncomingJob[BatchCodec]):
    """The calls of one batch."""

    entries: list[Entry] = field(default_factory=list)
    planned: list[Planned] = field(init=False)

    @property
    def body_bytes(self) -> None:
        """None: a short body may hold a thousand calls."""
        return

    @property
    def hidden_seconds(self) -> float:
        """About how long it takes to read as many calls as the body may hold, and to say what is wrong with each."""
        calls = min(self.incoming.unpacked_bytes // _SHORTEST_CALL, MOST_CALLS)
        return self.incoming.hidden_seconds + calls * REFUSED_WORK / OPERATIONS_PER_SECOND

    def decode(self, checkpoint: Checkpoint) -> int:
        """Read the calls; return how many numbers their arrays have."""
        incoming = self.incoming
        # Small gradients are allocated in less time than it takes to find out whether they may replace an argument.
        self.entries = incoming.reads.decode_batch(
            incoming.unpacked(), NAMES, incoming.reserving_limits, checkpoint
        )
        return sum([array.size for call in self._calls() for array in call.arrays.values()])

    def prepare(self, limits: CostLimits, checkpoint: Checkpoint) -> Total:
        """Count the calls, and find out what they cost together; one that is wrong costs what it takes to say so."""
        self.exchange.charge_calls(len(self.entries) - 1)
        self.planned = [
            _plan(index, entry, limits, checkpoint, self.exchange) for index, entry in enumerate(self.entries)
        ]
        estimates = [
            as_written(each.prepared.estimate, self.incoming.writes, each.entry.call)
            for each in self.planned
            if isinstance(each.prepared, Prepared)
        ]
        refused = [each.prepared for each in self.planned if isinstance(each.prepared, LossdError)]
        return total_of(estimates, limits, refused=refused)

    def compute(self, threads: int, checkpoint: Checkpoint) -> list[Answer | Exception]:
        """Compute one call after the other."""
        with arithmetic():
            return [
                _compute(index, each.prepared, threads, checkpoint, self.exchange)
                for index, each in enumerate(self.planned)
            ]

    def encode(
        self, answers: Sequence[Answer | Exception], checkpoint: Checkpoint
    ) -> tuple[Parts, str | None]:
        """Return the body of the answer, and its content encoding: it is compressed where that pays."""
        outcomes = list(_outcomes(answers, self.entries))
        names = [entry.loss for entry in self.entries]
        self.exchange.outcomes = _counted(
            Counter(zip(names, [each.status for each in outcomes], strict=True))
        )
        return self.incoming.packed(self.incoming.writes.encode_outcomes(outcomes, checkpoint), checkpoint)

    def retained(self) -> int:
        """Return the bytes that the answers keep in memory if their arrays may lie in those of the calls."""
        return sum(map(retained, self._calls()))

    def _calls(self) -> Iterator[Call]:
        return (entry.call for entry in self.entries if isinstance(entry.call, Call))


class BatchEndpoint:
    """Evaluates the calls of a batch."""

    def __init__(self, settings: Settings, dispatcher: Dispatcher) -> None:
        self.settings = settings
        self.dispatcher = dispatcher
        self.decode_limits = decode_limits(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one batch: choose its formats, receive its body, and send what its calls come to."""
        exchange: Exchange = scope[SCOPE_KEY]
        exchange.route = PATH
        if scope["query_string"]:
            raise invalid("the query string", "the options of a call beside its arrays", "options of a batch")
        if exchange.queued is None:
            self.dispatcher.queue.check(0.0)
        job = BatchJob(
            await receive_body(exchange, receive, BATCHES, self.decode_limits, self.settings),
        )
        parts, encoding = await self.dispatcher.dispatch(job, receive)
        packing = () if encoding is None else ((b"content-encoding", encoding.encode()),)
        writes = job.incoming.writes
        media_type, kept = writes.media_type, 0 if writes.is_text else job.retained()
        del job  # and the body, which might stay for as long as the caller reads
        await send_answer(send, exchange, media_type, parts, *packing, kept=kept)


def _plan(
    index: int, entry: Entry, limits: CostLimits, checkpoint: Checkpoint, exchange: Exchange
) -> Planned:
    checkpoint()
    if not isinstance(entry.call, Call):
        return Planned(entry, entry.call)
    try:
        return Planned(entry, prepare(find(entry.loss), entry.call, limits=limits))
    except Exception as error:
        return Planned(entry, _of_one_call(error, index, exchange))


def _compute(
    index: int, prepared: Prepared | Exception, threads: int, checkpoint: Checkpoint, exchange: Exchange
) -> Answer | Exception:
    if not isinstance(prepared, Prepared):
        return prepared
    try:
        return compute_within(prepared, threads, checkpoint)
    except Exception as error:
        return _of_one_call(error, index, exchange)


def _of_one_call(error: Exception, index: int, exchange: Exchange) -> Exception:
    """Return the error of one call; a fault of lossd's is noted for the log, and leaves the other calls alone.

    Raises:
        Exception: The error itself, where it is one of the whole batch.
    """
    if isinstance(error, OF_ONE_CALL):
        return error.within(place_of(index))
    if isinstance(error, OF_ALL_CALLS):
        raise error
    exchange.bug = error
    return error


def _counted(by_name: Mapping[tuple[str, int], int]) -> Counter[tuple[str, int]]:
    """Count outcomes under the losses' own names, of those under the names that their callers gave them."""
    found: Counter[tuple[str, int]] = Counter()
    for (name, status), count in by_name.items():
        found[find(name).name if name else "", status] += count
    return found


def _outcomes(answers: Sequence[Answer | Exception], entries: Sequence[Entry]) -> Iterator[Outcome]:
    """Yield what each call came to, as it is written; of many problems the last ones in brief."""
    room = ROOM_FOR_PROBLEMS
    for answer, entry in zip(answers, entries, strict=True):
        if isinstance(answer, Answer):
            assert isinstance(entry.call, Call), "only a call has an answer"
            yield Answered(answer, entry.call)
            continue
        problem = _problem(answer, brief=room <= 0)
        room -= len(orjson.dumps(problem))
        yield Refused(problem)


def _problem(error: Exception, *, brief: bool) -> Mapping[str, Any]:
    problem = problem_of(error)
    if brief:
        left_out = problem.left_out + len(problem.errors)
        problem = replace(problem, detail="", errors=(), left_out=left_out)
    return problem.document()
