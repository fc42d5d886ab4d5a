"""``POST /v1/losses/{name}``: bytes in, bytes out, past everything that a call does not need.

`EvaluationEndpoint` is a plain ASGI application. It also stands in the router, so that routing knows its path and
method.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from starlette.types import Receive, Scope, Send

from lossd.api.body import read_arrays, read_text
from lossd.api.dispatch import Dispatcher
from lossd.api.encoding import Unpack, answer_encoding, unpacking
from lossd.api.exchange import SCOPE_KEY, Exchange
from lossd.api.negotiation import answer_codec, request_codec
from lossd.declaration.loss import Loss
from lossd.losses import find
from lossd.message import Answer, Call
from lossd.settings import Settings
from lossd.wire import Body, Codec, DecodeLimits, Parts
from lossd.wire.content_encoding import compress
from lossd.wire.query import with_query

PREFIX = "/v1/losses/"
_SLICE = 1 << 18


@dataclass(slots=True)
class _EvaluationJob:
    """One call in the formats that its headers name."""

    loss: Loss
    exchange: Exchange
    body: Body
    query: bytes
    reads: Codec
    writes: Codec
    unpack: Unpack | None
    decode_limits: DecodeLimits
    compress_from_bytes: int
    call: Call = field(init=False)

    @property
    def body_bytes(self) -> int | None:
        return None if self.unpack or self.reads.is_compressed else len(self.body)

    def decode(self) -> Call:
        names, limits = self.loss.tensors, self.decode_limits
        body = self.unpack(self.body, limits.max_bytes) if self.unpack else self.body
        call = self.reads.decode_call(body, names, limits)
        if self.query:
            call = with_query(call, self.query, names, limits)
        # Nobody else has the body: what may be written in it, the engine may write over.
        self.call = Call(call.arrays, call.options, owned=True)
        return self.call

    def encode(self, answer: Answer) -> tuple[Parts, str | None]:
        """Return the body of the answer, and its content encoding: it is compressed where that pays."""
        parts = self.writes.encode_answer(answer, self.call)
        if not self.writes.is_text or sum(map(len, parts)) < self.compress_from_bytes:
            return parts, None
        encoding = answer_encoding(self.exchange.headers.get(b"accept-encoding", b""))
        return (parts, None) if encoding is None else (compress(parts, encoding), encoding)


class EvaluationEndpoint:
    """Evaluates the loss that the path names on the arrays of the body."""

    def __init__(self, settings: Settings, dispatcher: Dispatcher) -> None:
        self.settings = settings
        self.dispatcher = dispatcher
        self.decode_limits = DecodeLimits(
            max_elements=settings.max_elements,
            max_depth=settings.max_depth,
            max_bytes=settings.max_body_bytes,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call: choose its formats, receive its body, and send what it comes to."""
        exchange: Exchange = scope[SCOPE_KEY]
        headers = exchange.headers
        loss = find(scope["path"][len(PREFIX) :])
        exchange.loss = loss.name
        reads = request_codec(headers.get(b"content-type", b""))
        packed = headers.get(b"content-encoding")
        unpack = unpacking(packed) if packed else None
        writes = answer_codec(headers.get(b"accept", b""), reads.media_type)
        exchange.set_deadline(self.settings.request_timeout_seconds)
        claimed = headers.get(b"content-length")
        read = read_text if reads.is_text else read_arrays
        job = _EvaluationJob(
            loss,
            exchange,
            await read(receive, int(claimed) if claimed is not None else None),
            scope["query_string"],
            reads,
            writes,
            unpack,
            self.decode_limits,
            self.settings.compress_from_bytes,
        )
        parts, encoding = await self.dispatcher.dispatch(job, receive)
        if encoding is None:
            await send_answer(send, writes.media_type, parts)
        else:
            await send_answer(send, writes.media_type, parts, (b"content-encoding", encoding.encode()))


async def send_answer(send: Send, media_type: str, parts: Parts, *more: tuple[bytes, bytes]) -> None:
    """Send the parts of a body one after the other; ``more`` are its headers besides type and length."""
    size = sum(map(len, parts))
    headers = [(b"content-type", media_type.encode()), (b"content-length", b"%d" % size), *more]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    *pieces, last = parts if size <= _SLICE else _sliced(parts)
    for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": last})


def _sliced(parts: Parts) -> Iterator[bytes | bytearray | memoryview]:
    """Yield views of at most `_SLICE` bytes: asyncio's own loop copies what it cannot send at once."""
    for part in parts:
        if len(part) <= _SLICE:
            yield part
        else:
            yield from (memoryview(part)[start : start + _SLICE] for start in range(0, len(part), _SLICE))
