"""``POST /v2/models/{name}/infer``: the same flow as a call of a loss, in the protocol's bytes."""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from lossd.api.body import read_arrays, read_text
from lossd.api.calls import Calls, Decoded
from lossd.api.compute import deadline_of
from lossd.api.encoding import unpacking
from lossd.api.evaluation import send_answer
from lossd.api.exchange import SCOPE_KEY, Exchange
from lossd.api.v2.model import VERSION, find_model
from lossd.api.v2.outputs import call_for, outputs_of
from lossd.message import Answer, Call
from lossd.settings import Settings
from lossd.wire import Limits
from lossd.wire.open_inference.request import LENGTH_HEADER, Inference, decode_inference, read_header_length
from lossd.wire.open_inference.response import Encoded, encode_inference

PREFIX, SUFFIX = "/v2/models/", "/infer"
_VERSIONS = "/versions/"
INFER_PATHS = (f"{PREFIX}{{name}}{SUFFIX}", f"{PREFIX}{{name}}{_VERSIONS}{{version}}{SUFFIX}")
_LENGTH = LENGTH_HEADER.lower().encode()


class Infer:
    """Evaluates the loss that the path names on the inputs of the body."""

    def __init__(self, settings: Settings, calls: Calls) -> None:
        self.settings = settings
        self.calls = calls
        self.limits = Limits(max_elements=settings.max_elements, max_depth=settings.max_depth)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        exchange: Exchange = scope[SCOPE_KEY]
        headers = exchange.headers
        name, version = _names(scope["path"])
        loss = find_model(name, version)
        exchange.loss = loss.name
        # Clients of the protocol send any Content-Type, or none: this header alone says what the body is.
        length = read_header_length(headers.get(_LENGTH))
        packed = headers.get(b"content-encoding")
        unpack = unpacking(packed) if packed else None
        deadline = deadline_of(exchange, self.settings.request_timeout_seconds)
        claimed = headers.get(b"content-length")
        size = int(claimed) if claimed is not None else None
        body = await (
            read_text(receive, size) if length is None else read_arrays(receive, size, aligned=length)
        )
        inference: Inference

        def decode() -> Decoded:
            nonlocal inference
            plain = unpack(body, self.settings.max_body_bytes) if unpack else body
            inference = decode_inference(plain, length, self.limits)
            return Decoded(call_for(loss, inference), inference.timeout)

        def encode(answer: Answer, call: Call) -> Encoded:
            return encode_inference(
                inference,
                outputs_of(answer, inference),
                model=name,
                version=version or VERSION,
                warnings=answer.warnings,
            )

        encoded = await self.calls.answer(
            loss,
            decode,
            encode,
            exchange=exchange,
            receive=receive,
            deadline=deadline,
            size=None if unpack else len(body),
        )
        if encoded.header_length is None:
            await send_answer(send, "application/json", encoded.parts)
        else:
            extent = (_LENGTH, b"%d" % encoded.header_length)
            await send_answer(send, "application/octet-stream", encoded.parts, extent)


def _names(path: str) -> tuple[str, str | None]:
    """Return the model and the version that a path names."""
    name, versioned, version = path[len(PREFIX) : -len(SUFFIX)].partition(_VERSIONS)
    return name, version if versioned else None
