"""This file is ``POST /v1/losses/{name}``: bytes in, bytes out, past everything that a call does not need.

`Evaluation` is a plain ASGI application that also stands in the router, so that routing knows its path and
method. `Shortcut` is the layer that sends the hot requests straight to it: it saves the router, dependency
solving and response classes, half of the time that a small call takes.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from starlette.types import ASGIApp, Receive, Scope, Send

from lossd.api.body import read_body
from lossd.api.compute import Checkpoint, compute, deadline_of
from lossd.api.exchange import SCOPE_KEY, Exchange
from lossd.api.negotiation import answer_codec, request_codec
from lossd.engine import evaluate
from lossd.losses import find
from lossd.settings import Settings
from lossd.wire import Limits, Parts

PREFIX = "/v1/losses/"


class Evaluation:
    """Evaluates the loss that the path names on the arrays of the body."""

    def __init__(self, settings: Settings, pool: ThreadPoolExecutor) -> None:
        self.settings = settings
        self.limits = Limits(max_elements=settings.max_elements, max_depth=settings.max_depth)
        self.pool = pool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call."""
        exchange: Exchange = scope[SCOPE_KEY]
        headers = exchange.headers
        loss = find(scope["path"][len(PREFIX) :])
        exchange.loss = loss.name
        reads = request_codec(headers.get(b"content-type", b""), headers.get(b"content-encoding", b""))
        writes = answer_codec(headers.get(b"accept", b""), reads.media_type)
        deadline = deadline_of(exchange, self.settings.request_timeout_seconds)
        claimed = headers.get(b"content-length")
        body = await read_body(receive, int(claimed) if claimed is not None else None)

        def follow(checkpoint: Checkpoint, threads: int) -> Parts:
            """Follow the call from bytes to bytes; the checkpoints between the steps may end it."""
            call = reads.decode_call(body, loss.tensors, self.limits)
            exchange.elements = sum(array.size for array in call.arrays.values())
            checkpoint()
            answer = evaluate(loss, call, threads=threads, checkpoint=checkpoint)
            checkpoint()
            return writes.encode_answer(answer, call)

        result = await compute(
            follow,
            size=len(body),
            settings=self.settings,
            pool=self.pool,
            deadline=deadline,
            receive=receive,
        )
        await send_answer(send, writes.media_type, result)


class Shortcut:
    """Send a POST to a loss straight to its evaluation, anything else on to the router."""

    def __init__(self, app: ASGIApp, *, evaluation: Evaluation) -> None:
        self.app = app
        self.evaluation = evaluation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"].startswith(PREFIX):
            await self.evaluation(scope, receive, send)
        else:
            await self.app(scope, receive, send)


async def send_answer(send: Send, media_type: str, parts: Parts, *more: tuple[bytes, bytes]) -> None:
    """Send the parts of a body one after the other; ``more`` are its headers besides type and length."""
    size = sum(map(len, parts))
    headers = [(b"content-type", media_type.encode()), (b"content-length", b"%d" % size), *more]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for part in parts[:-1]:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": parts[-1]})
