"""``POST /v2/models/{name}/infer``: the same steps as those of a call of a loss, in the protocol's bytes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from starlette.types import Receive, Scope, Send

from lossd.api.body import read_arrays, read_text
from lossd.api.dispatch import Dispatcher
from lossd.api.encoding import Unpack, unpacking
from lossd.api.exchange import SCOPE_KEY, Exchange
from lossd.api.incoming import decode_limits, hidden_seconds
from lossd.api.sending import retained, send_answer
from lossd.api.telemetry.layout import BINARY
from lossd.api.v2.model import VERSION, find_model
from lossd.api.v2.outputs import call_for, outputs_of
from lossd.api.v2.statistics import Inferences, StepTimes
from lossd.declaration.loss import Loss
from lossd.engine import Checkpoint, CostLimits, Prepared, compute, prepare
from lossd.engine.cost import Estimate
from lossd.message import Answer, Call
from lossd.settings import Settings
from lossd.wire import Body, DecodeLimits
from lossd.wire.open_inference.request import LENGTH_HEADER, Inference, decode_inference, read_header_length
from lossd.wire.open_inference.response import Encoded, encode_inference

PREFIX, SUFFIX = "/v2/models/", "/infer"
_VERSIONS = "/versions/"
INFER_PATHS = (f"{PREFIX}{{name}}{SUFFIX}", f"{PREFIX}{{name}}{_VERSIONS}{{version}}{SUFFIX}")
_LENGTH = LENGTH_HEADER.lower().encode()


@dataclass(slots=True)
class _InferJob:
    """One request to infer, in JSON or with binary tensors."""

    loss: Loss
    exchange: Exchange
    body: Body
    header_length: int | None
    model: str
    version: str
    unpack: Unpack | None
    decode_limits: DecodeLimits
    times: StepTimes = field(default_factory=StepTimes)
    inference: Inference = field(init=False)
    call: Call = field(init=False)
    prepared: Prepared = field(init=False)

    @property
    def reads_text(self) -> bool:
        return self.header_length is None

    @property
    def answers_in_text(self) -> bool:
        return self.header_length is None

    @property
    def body_bytes(self) -> int | None:
        return None if self.unpack else len(self.body)

    @property
    def hidden_seconds(self) -> float:
        return hidden_seconds(self.body, self.unpack, self.decode_limits)

    def decode(self, checkpoint: Checkpoint) -> int:
        limits = replace(self.decode_limits, reserve=self.exchange.reserve_estimate)
        self.times.begin_input(self.exchange)
        body = self.unpack(self.body, limits.max_bytes, self.exchange.reserve) if self.unpack else self.body
        self.inference = decode_inference(body, self.header_length, limits)
        if self.inference.timeout is not None:
            self.exchange.end_within(self.inference.timeout)
        self.call = call_for(self.loss, self.inference)
        self.times.end_input()
        return sum([array.size for array in self.call.arrays.values()])

    def prepare(self, limits: CostLimits, checkpoint: Checkpoint) -> Estimate:
        self.prepared = prepare(self.loss, self.call, limits=limits)
        return replace(self.prepared.estimate, inner_lists=0)  # the protocol's lists are flat

    def compute(self, threads: int, checkpoint: Checkpoint) -> Answer:
        return compute(self.prepared, threads, checkpoint)

    def encode(self, answer: Answer, checkpoint: Checkpoint) -> Encoded:
        self.times.begin_output(self.exchange)
        encoded = encode_inference(
            self.inference,
            outputs_of(answer, self.inference),
            model=self.model,
            version=self.version,
            warnings=answer.warnings,
            checkpoint=checkpoint,
        )
        self.times.end_output()
        return encoded


class InferEndpoint:
    """Evaluates the loss that the path names on the inputs of the body."""

    def __init__(self, settings: Settings, dispatcher: Dispatcher) -> None:
        self.settings = settings
        self.dispatcher = dispatcher
        self.inferences = Inferences()
        self.decode_limits = decode_limits(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: receive its body, and send what it comes to."""
        exchange: Exchange = scope[SCOPE_KEY]
        name, version = _names(scope["path"])
        loss = find_model(name, version)
        exchange.loss = loss.name
        try:
            await self._infer(loss, name, version or VERSION, exchange, receive, send)
        except BaseException:  # also where the server or the caller ends it
            self.inferences.fail(loss.name, exchange)
            raise

    async def _infer(
        self, loss: Loss, name: str, version: str, exchange: Exchange, receive: Receive, send: Send
    ) -> None:
        headers = exchange.headers
        # Clients of the protocol send any Content-Type, or none: this header alone says what the body is.
        length = read_header_length(headers.get(_LENGTH))
        exchange.format = "json" if length is None else BINARY
        packed = headers.get(b"content-encoding")
        unpack = unpacking(packed) if packed else None
        exchange.set_deadline(self.settings.request_timeout_seconds)
        claimed = headers.get(b"content-length")
        size = int(claimed) if claimed is not None else None
        body = await (
            read_text(receive, size) if length is None else read_arrays(receive, size, aligned=length)
        )
        job = _InferJob(loss, exchange, body, length, name, version, unpack, self.decode_limits)
        encoded = await self.dispatcher.dispatch(job, receive)
        kept, times = retained(job.call), job.times
        del job, body  # which might stay for as long as the caller reads
        if encoded.header_length is None:
            await send_answer(send, exchange, "application/json", encoded.parts)
        else:
            extent = (_LENGTH, b"%d" % encoded.header_length)
            await send_answer(send, exchange, "application/octet-stream", encoded.parts, extent, kept=kept)
        self.inferences.succeed(loss.name, exchange, times)


def _names(path: str) -> tuple[str, str | None]:
    """Return the model and the version that a path names."""
    name, versioned, version = path[len(PREFIX) : -len(SUFFIX)].partition(_VERSIONS)
    return name, version if versioned else None
