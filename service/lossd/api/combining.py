"""``POST /v1/losses/{name}/combine``: the parts of a call, which may come from many servers, put together.

It takes what calls with the option ``partial`` answered as ``part``, and answers as one call does, without what belongs
to single rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.types import Receive, Scope, Send

from lossd.api.dispatch import Dispatcher
from lossd.api.evaluation import PREFIX
from lossd.api.exchange import SCOPE_KEY, Exchange
from lossd.api.incoming import IncomingJob, as_written, decode_limits, receive_body
from lossd.api.negotiation import COMBINATIONS
from lossd.api.sending import send_answer
from lossd.declaration.loss import Loss
from lossd.engine import Checkpoint, CostLimits, answer_of, combine, cost_of
from lossd.engine.combine import refuse_excess
from lossd.engine.cost import Estimate
from lossd.errors import invalid
from lossd.losses import find
from lossd.message import Answer, Call, Combination
from lossd.settings import Settings
from lossd.wire import CombinationCodec, Parts

SUFFIX = "/combine"


@dataclass(slots=True)
class CombineJob(IncomingJob[CombinationCodec]):
    """One request to put parts together, in the formats that its headers name."""

    loss: Loss
    query: bytes
    combination: Combination = field(init=False)

    def decode(self, checkpoint: Checkpoint) -> int:
        """Read the parts; return how many numbers they add to what rows share.

        Raises:
            InvalidCall: There are options in the query string.
        """
        if self.query:
            raise invalid("the query string", "options in the body", "some")
        incoming = self.incoming
        self.combination = incoming.reads.decode_combination(
            incoming.unpacked(), incoming.reserving_limits, checkpoint
        )
        shared = [branches for part in self.combination.parts for branches in part.shared.values()]
        return sum([branches.sums.size for branches in shared])

    def prepare(self, limits: CostLimits, checkpoint: Checkpoint) -> Estimate:
        """Find out what it costs to put them together."""
        estimate = cost_of(self.combination.parts)
        refuse_excess(estimate, limits)
        return as_written(estimate, self.incoming.writes, Call({}, self.combination.options))

    def compute(self, threads: int, checkpoint: Checkpoint) -> Answer:
        """Put them together."""
        empty = self.combination.options.get("empty", "error")
        return answer_of(combine(self.combination.parts, empty, loss=self.loss.name, checkpoint=checkpoint))

    def encode(self, answer: Answer, checkpoint: Checkpoint) -> tuple[Parts, str | None]:
        """Return the body of the answer, and its content encoding."""
        call = Call({}, self.combination.options)
        parts = self.incoming.writes.encode_answer(answer, call, checkpoint)
        return self.incoming.packed(parts, checkpoint)


class CombineEndpoint:
    """Puts together the parts of a call of the loss that the path names."""

    def __init__(self, settings: Settings, dispatcher: Dispatcher) -> None:
        self.settings = settings
        self.dispatcher = dispatcher
        self.decode_limits = decode_limits(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: choose its formats, receive its body, and send what the parts come to."""
        exchange: Exchange = scope[SCOPE_KEY]
        loss = find(scope["path"][len(PREFIX) : -len(SUFFIX)])
        exchange.loss = loss.name
        incoming = await receive_body(exchange, receive, COMBINATIONS, self.decode_limits, self.settings)
        job = CombineJob(incoming, loss, scope["query_string"])
        parts, encoding = await self.dispatcher.dispatch(job, receive)
        packing = () if encoding is None else ((b"content-encoding", encoding.encode()),)
        await send_answer(send, exchange, incoming.writes.media_type, parts, *packing)
