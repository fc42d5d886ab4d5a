"""This file is ``POST /v2/models/{name}/infer``: the same flow as a call of a loss, in the protocol's bytes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from starlette.types import Receive, Scope, Send

from lossd.api.body import read_arrays, read_text
from lossd.api.compute import Checkpoint, compute, deadline_of, until
from lossd.api.encoding import unpacking
from lossd.api.evaluation import send_answer
from lossd.api.exchange import SCOPE_KEY, Exchange
from lossd.api.v2.model import VERSION, find_model
from lossd.api.v2.outputs import call_for, outputs_of
from lossd.engine import evaluate
from lossd.settings import Settings
from lossd.wire import Limits
from lossd.wire.open_inference.request import LENGTH_HEADER, decode_inference, read_header_length
from lossd.wire.open_inference.response import Encoded, encode_inference

PREFIX, SUFFIX = "/v2/models/", "/infer"
_VERSIONS = "/versions/"
INFER_PATHS = (f"{PREFIX}{{name}}{SUFFIX}", f"{PREFIX}{{name}}{_VERSIONS}{{version}}{SUFFIX}")
_LENGTH = LENGTH_HEADER.lower().encode()


class Infer:
    """Evaluates the loss that the path names on the inputs of the body."""

    def __init__(self, settings: Settings, pool: ThreadPoolExecutor) -> None:
        self.settings = settings
        self.limits = Limits(max_elements=settings.max_elements, max_depth=settings.max_depth)
        self.pool = pool

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

        def follow(checkpoint: Checkpoint, threads: int) -> Encoded:
            """Follow the request from bytes to bytes; the checkpoints between the steps may end it."""
            plain = unpack(body, self.settings.max_body_bytes) if unpack else body
            inference = decode_inference(plain, length, self.limits)
            exchange.elements = sum(array.size for array in inference.call.arrays.values())
            check = _sooner(checkpoint, exchange.started, inference.timeout)
            check()
            call = call_for(loss, inference)
            answer = evaluate(loss, call, threads=threads, checkpoint=check)
            check()
            outputs = outputs_of(answer, inference)
            return encode_inference(
                inference, outputs, model=name, version=version or VERSION, warnings=answer.warnings
            )

        encoded = await compute(
            follow,
            # A packed body says little about the work in it.
            size=self.settings.inline_body_bytes + 1 if unpack else len(body),
            settings=self.settings,
            pool=self.pool,
            deadline=deadline,
            receive=receive,
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


def _sooner(checkpoint: Checkpoint, started: float, timeout: float | None) -> Checkpoint:
    """Return a checkpoint that also ends the work once the caller's own timeout has passed."""
    if timeout is None:
        return checkpoint
    in_time = until(started + timeout)

    def check() -> None:
        checkpoint()
        in_time()

    return check
