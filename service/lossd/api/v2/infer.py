"""``POST /v2/models/{name}/infer``: the same steps as those of a call of a loss, in the protocol's bytes."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.types import Receive, Scope, Send

from lossd.api.body import read_arrays, read_text
from lossd.api.dispatch import Dispatcher
from lossd.api.encoding import Unpack, unpacking
from lossd.api.evaluation import send_answer
from lossd.api.exchange import SCOPE_KEY, Exchange
from lossd.api.v2.model import VERSION, find_model
from lossd.api.v2.outputs import call_for, outputs_of
from lossd.declaration.loss import Loss
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
    inference: Inference = field(init=False)

    @property
    def body_bytes(self) -> int | None:
        return None if self.unpack else len(self.body)

    def decode(self) -> Call:
        body = self.unpack(self.body, self.decode_limits.max_bytes) if self.unpack else self.body
        self.inference = decode_inference(body, self.header_length, self.decode_limits)
        if self.inference.timeout is not None:
            self.exchange.end_within(self.inference.timeout)
        return call_for(self.loss, self.inference)

    def encode(self, answer: Answer) -> Encoded:
        return encode_inference(
            self.inference,
            outputs_of(answer, self.inference),
            model=self.model,
            version=self.version,
            warnings=answer.warnings,
        )


class InferEndpoint:
    """Evaluates the loss that the path names on the inputs of the body."""

    def __init__(self, settings: Settings, dispatcher: Dispatcher) -> None:
        self.settings = settings
        self.dispatcher = dispatcher
        self.decode_limits = DecodeLimits(
            max_elements=settings.max_elements,
            max_depth=settings.max_depth,
            max_bytes=settings.max_body_bytes,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: receive its body, and send what it comes to."""
        exchange: Exchange = scope[SCOPE_KEY]
        headers = exchange.headers
        name, version = _names(scope["path"])
        loss = find_model(name, version)
        exchange.loss = loss.name
        # Clients of the protocol send any Content-Type, or none: this header alone says what the body is.
        length = read_header_length(headers.get(_LENGTH))
        packed = headers.get(b"content-encoding")
        unpack = unpacking(packed) if packed else None
        exchange.set_deadline(self.settings.request_timeout_seconds)
        claimed = headers.get(b"content-length")
        size = int(claimed) if claimed is not None else None
        body = await (
            read_text(receive, size) if length is None else read_arrays(receive, size, aligned=length)
        )
        job = _InferJob(loss, exchange, body, length, name, version or VERSION, unpack, self.decode_limits)
        encoded = await self.dispatcher.dispatch(job, receive)
        if encoded.header_length is None:
            await send_answer(send, "application/json", encoded.parts)
        else:
            extent = (_LENGTH, b"%d" % encoded.header_length)
            await send_answer(send, "application/octet-stream", encoded.parts, extent)


def _names(path: str) -> tuple[str, str | None]:
    """Return the model and the version that a path names."""
    name, versioned, version = path[len(PREFIX) : -len(SUFFIX)].partition(_VERSIONS)
    return name, version if versioned else None
