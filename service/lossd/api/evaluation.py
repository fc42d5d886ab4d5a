"""``POST /v1/losses/{name}``: bytes in, bytes out, past everything that a call does not need.

`EvaluationEndpoint` is a plain ASGI application. It also stands in the router, so that routing knows its path and
method.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.types import Receive, Scope, Send

from lossd.api.dispatch import Dispatcher
from lossd.api.exchange import SCOPE_KEY, Exchange
from lossd.api.incoming import IncomingJob, as_written, decode_limits, receive_body
from lossd.api.negotiation import CALLS
from lossd.api.sending import retained, send_answer
from lossd.declaration.loss import Loss
from lossd.engine import (
    Checkpoint,
    CostLimits,
    Prepared,
    PreparedPart,
    compute,
    compute_part,
    prepare,
    prepare_part,
)
from lossd.engine.cost import Estimate
from lossd.errors import NotAcceptable
from lossd.losses import find
from lossd.message import Answer, Call
from lossd.settings import Settings
from lossd.wire import COMBINATION_CODECS, Codec, Parts
from lossd.wire.query import with_query

PREFIX = "/v1/losses/"


@dataclass(slots=True)
class EvaluationJob(IncomingJob[Codec]):
    """One call in the formats that its headers name."""

    loss: Loss
    query: bytes
    call: Call = field(init=False)
    prepared: Prepared | PreparedPart = field(init=False)

    def decode(self, checkpoint: Checkpoint) -> int:
        """Read the call from its body and its query; return how many numbers its arrays have."""
        incoming, names, limits = self.incoming, self.loss.array_names, self.incoming.reserving_limits
        call = incoming.reads.decode_call(incoming.unpacked(), names, limits)
        if self.query:
            call = with_query(call, self.query, names, limits)
        # Nobody else has the body: what may be written in it, the engine may write over.
        self.call = Call(call.arrays, call.options, owned=True)
        return sum([array.size for array in call.arrays.values()])

    def prepare(self, limits: CostLimits, checkpoint: Checkpoint) -> Estimate:
        """Find out what the call costs."""
        is_part = self.call.options.get("partial") is not None
        if is_part and not self.incoming.writes.holds_options:
            possible, got = " or ".join(COMBINATION_CODECS), self.incoming.writes.media_type
            raise NotAcceptable(
                f"expected an Accept header that prefers {possible}, as parts need, got one that leaves {got}"
            )
        self.prepared = (prepare_part if is_part else prepare)(self.loss, self.call, limits=limits)
        return as_written(self.prepared.estimate, self.incoming.writes, self.call)

    def compute(self, threads: int, checkpoint: Checkpoint) -> Answer:
        """Compute the answer."""
        if isinstance(self.prepared, PreparedPart):
            return compute_part(self.prepared, threads, checkpoint)
        return compute(self.prepared, threads, checkpoint)

    def encode(self, answer: Answer, checkpoint: Checkpoint) -> tuple[Parts, str | None]:
        """Return the body of the answer, and its content encoding: it is compressed where that pays."""
        parts = self.incoming.writes.encode_answer(answer, self.call, checkpoint)
        return self.incoming.packed(parts, checkpoint)


class EvaluationEndpoint:
    """Evaluates the loss that the path names on the arrays of the body."""

    def __init__(self, settings: Settings, dispatcher: Dispatcher) -> None:
        self.settings = settings
        self.dispatcher = dispatcher
        self.decode_limits = decode_limits(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call: choose its formats, receive its body, and send what it comes to."""
        exchange: Exchange = scope[SCOPE_KEY]
        job = await self.read_job(scope, receive, find(scope["path"][len(PREFIX) :]))
        parts, encoding = await self.dispatcher.dispatch(job, receive)
        packing = () if encoding is None else ((b"content-encoding", encoding.encode()),)
        writes = job.incoming.writes
        media_type, kept = writes.media_type, 0 if writes.is_text else retained(job.call)
        del job  # and the body, which might stay for as long as the caller reads
        await send_answer(send, exchange, media_type, parts, *packing, kept=kept)

    async def read_job(self, scope: Scope, receive: Receive, loss: Loss) -> EvaluationJob:
        """Choose the formats of a call, and receive its body."""
        exchange: Exchange = scope[SCOPE_KEY]
        exchange.loss = loss.name
        incoming = await receive_body(exchange, receive, CALLS, self.decode_limits, self.settings)
        return EvaluationJob(incoming, loss, scope["query_string"])
