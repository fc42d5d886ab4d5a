"""``POST /v1/losses/{name}``: bytes in, bytes out, past everything that a call does not need.

`Evaluation` is a plain ASGI application. It also stands in the router, so that routing knows its path and method.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from starlette.types import Receive, Scope, Send

from lossd.api.body import read_arrays, read_text
from lossd.api.calls import Calls, Decoded
from lossd.api.compute import deadline_of
from lossd.api.encoding import answer_encoding, unpacking
from lossd.api.exchange import SCOPE_KEY, Exchange
from lossd.api.negotiation import answer_codec, request_codec
from lossd.losses import find
from lossd.message import Answer, Call
from lossd.settings import Settings
from lossd.wire import Codec, Limits, Parts
from lossd.wire.content_encoding import compress
from lossd.wire.query import with_query

PREFIX = "/v1/losses/"
_SLICE = 1 << 18


class Evaluation:
    """Evaluates the loss that the path names on the arrays of the body."""

    def __init__(self, settings: Settings, calls: Calls) -> None:
        self.settings = settings
        self.calls = calls
        self.limits = Limits(
            max_elements=settings.max_elements,
            max_depth=settings.max_depth,
            max_bytes=settings.max_body_bytes,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call."""
        exchange: Exchange = scope[SCOPE_KEY]
        headers = exchange.headers
        loss = find(scope["path"][len(PREFIX) :])
        exchange.loss = loss.name
        reads = request_codec(headers.get(b"content-type", b""))
        packed = headers.get(b"content-encoding")
        unpack = unpacking(packed) if packed else None
        writes = answer_codec(headers.get(b"accept", b""), reads.media_type)
        deadline = deadline_of(exchange, self.settings.request_timeout_seconds)
        claimed = headers.get(b"content-length")
        read = read_text if reads.is_text else read_arrays
        body = await read(receive, int(claimed) if claimed is not None else None)

        def decode() -> Decoded:
            plain = unpack(body, self.limits.max_bytes) if unpack else body
            call = reads.decode_call(plain, loss.tensors, self.limits)
            if query := scope["query_string"]:
                call = with_query(call, query, loss.tensors, self.limits)
            # Nobody else has the body: what may be written in it, the engine may write over.
            return Decoded(Call(call.arrays, call.options, owned=True))

        def encode(answer: Answer, call: Call) -> tuple[Parts, str | None]:
            return self._packed(writes.encode_answer(answer, call), writes, headers)

        parts, encoding = await self.calls.answer(
            loss,
            decode,
            encode,
            exchange=exchange,
            receive=receive,
            deadline=deadline,
            size=None if unpack or reads.is_compressed else len(body),
        )
        if encoding is None:
            await send_answer(send, writes.media_type, parts)
        else:
            await send_answer(send, writes.media_type, parts, (b"content-encoding", encoding.encode()))

    def _packed(self, parts: Parts, codec: Codec, headers: Mapping[bytes, bytes]) -> tuple[Parts, str | None]:
        """Compress an answer where it pays, and say in which encoding it is."""
        if not codec.is_text or sum(map(len, parts)) < self.settings.compress_from_bytes:
            return parts, None
        encoding = answer_encoding(headers.get(b"accept-encoding", b""))
        return (parts, None) if encoding is None else (compress(parts, encoding), encoding)


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
