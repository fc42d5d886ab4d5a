"""Malformed requests for a real server: bodies of every format for every loss, and bytes that are no HTTP."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lossd.declaration.loss import Loss
from lossd.engine import Options
from lossd.errors import LossdError
from lossd.losses import LOSSES
from lossd.wire import BATCH_CODECS, CODECS, ENCODINGS
from lossd.wire.content_encoding import compress
from lossd.wire.json import codec as json_codec
from lossd.wire.open_inference.request import LENGTH_HEADER
from lossd.wire.query import to_query
from tests.api.test_malformed_http import CHUNKED, HOST, MALFORMED
from tests.attack.decoders import IN_TEXT, INFERENCE, INFERENCE_RAW, batches
from tests.attack.mutation import mutate, mutate_document

LONGEST_MALFORMED = 4096  # longer ones only test the limits on heads, and take as long as hundreds of others
NAMES, OPTIONS = sorted(LOSSES), sorted(Options.model_fields)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "X")
PATHS = (
    "/livez",
    "/v1/losses",
    "/v1/losses/mse",
    "/v2/models/mse",
    "/metrics",
    "/problems/x",
    "/",
    "*",
    "//",
)
HEADERS = (
    *(b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Connection: close", b"Expect: 100-continue"),
    *(b"Content-Encoding: gzip", b"Accept: text/html;q=0.x", b"Request-Timeout: 1e-3", b"Upgrade: h2c"),
    *(b"Inference-Header-Content-Length: 7", b"Authorization: Bearer \xff", b"Traceparent: 00-0-0-00"),
)


class Request(NamedTuple):
    """A request whose head is right and whose body is not."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    def written(self) -> bytes:
        """Return it as it goes over a socket."""
        headers = {"Host": "lossd", **self.headers, "Content-Length": len(self.body)}
        lines = [f"POST {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


def body_request(rng: random.Random) -> Request:
    """Write a call of any loss in any format and encoding, with odd values or broken bytes; or of /v2, or a batch."""
    if rng.random() < 0.1:
        return inference_request(rng)
    if rng.random() < 0.1:
        return batch_request(rng)
    loss = LOSSES[rng.choice(NAMES)]
    document: dict[str, Any] = {**loss.example.call, "gradient": True}
    is_odd = rng.random() < 0.6
    if is_odd:
        document = mutate_document(rng, document, OPTIONS)
    path = f"/v1/losses/{loss.name}" + ("/gradcheck" if rng.random() < 0.1 else "")
    request = in_format(rng.choice(list(CODECS)), loss, path, json.dumps(document).encode())
    if rng.random() < 0.2:
        encoding = rng.choice(list(ENCODINGS))
        packed = b"".join(compress([request.body], encoding))
        request = Request(request.path, {**request.headers, "Content-Encoding": encoding}, packed)
    return request if is_odd else request._replace(body=mutate(rng, [request.body, b"{}"]))


def in_format(media_type: str, loss: Loss, path: str, text: bytes) -> Request:
    """Write a call, given as JSON, in another format, if that can hold it."""
    codec = CODECS[media_type]
    try:
        call = json_codec.decode_call(text, loss.array_names)
        body = b"".join(codec.encode_call(call))
    except LossdError:
        return Request(path, {"Content-Type": json_codec.media_type}, text)
    query = "" if codec.holds_options else "?" + to_query(call.options)
    if len(query) > LONGEST_MALFORMED:
        return Request(path, {"Content-Type": json_codec.media_type}, text)
    return Request(path + query, {"Content-Type": media_type}, body)


def batch_request(rng: random.Random) -> Request:
    """Write a batch of calls of any losses with odd values, or broken bytes."""
    names = rng.choices(NAMES, k=rng.randrange(20))
    calls = [
        {"loss": name, **mutate_document(rng, dict(LOSSES[name].example.call), OPTIONS)} for name in names
    ]
    body = json.dumps({"calls": calls}).encode()
    media_type = rng.choice(list(BATCH_CODECS))
    if media_type != json_codec.media_type or rng.random() < 0.5:
        body = mutate(rng, batches(media_type))
    return Request("/v1/batch", {"Content-Type": media_type}, body)


def inference_request(rng: random.Random) -> Request:
    """Write a request of the Open Inference Protocol with broken bytes, or none that are raw where some are told of."""
    seeds = [INFERENCE + INFERENCE_RAW, IN_TEXT]
    path = rng.choice(["/v2/models/mse/infer", "/v2/models/huber/versions/1/infer", "/v2/repository/index"])
    headers = rng.choice([{}, {LENGTH_HEADER: str(len(INFERENCE))}])
    return Request(path, headers, mutate(rng, seeds))


def raw_seeds() -> list[bytes]:
    """Return streams of requests, right and wrong, to mutate."""
    text = b'{"input":[1,2,3],"target":[1,2,5]}'
    post = b"POST /v1/losses/mse HTTP/1.1\r\n" + HOST
    length = post + b"Content-Length: %d\r\n\r\n" % len(text) + text
    chunks = b"5;x=y\r\n%s\r\n%x\r\n%s\r\n0\r\nX: y\r\n\r\n" % (text[:5], len(text) - 5, text[5:])
    get = b"GET /v1/losses/mse?a=b HTTP/1.1\r\n" + HOST + b"Accept: */*\r\n\r\n"
    wrong = [sent for sent, _, _ in MALFORMED.values() if len(sent) <= LONGEST_MALFORMED]
    return [length, CHUNKED + chunks, get, get * 3 + length, length * 2 + CHUNKED + chunks, *wrong]


def raw_request(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Write bytes that are nearly HTTP: a mutated stream, or a head put together at random."""
    if rng.random() < 0.7:
        return mutate(rng, seeds)
    line = f"{rng.choice(METHODS)} {rng.choice(PATHS)} HTTP/1.{rng.choice('0112')}\r\n".encode()
    headers = [HOST.strip(), *rng.choices(HEADERS, k=rng.randrange(5))]
    return line + b"\r\n".join([*headers, b"", b""]) + rng.randbytes(rng.randrange(8))
