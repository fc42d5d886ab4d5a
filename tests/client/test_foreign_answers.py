"""What a server sends that is foreign, broken or hostile becomes one clear error of lossd, and no full memory."""

from __future__ import annotations

import asyncio
import gzip
import io
import itertools
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import orjson
import pytest

from lossd.client import AnswerTooLarge, AsyncLossClient, LossClient, ServiceError, Unreachable
from lossd.client.catalogue import read_entry
from lossd.errors import LossdError, MalformedBody
from lossd.message import Answer, Call
from lossd.wire import CODECS

SAFETENSORS = "application/vnd.safetensors"
ANSWER = Answer({"mean": np.float64(2.0)}, 1, 1.0, gradient={"mean": {"input": np.array([2.0])}})
PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head>" + b"<p>" * 100_000


def calling(respond: Callable[[httpx.Request], httpx.Response], **settings: Any) -> LossClient:
    transport = httpx.MockTransport(respond)
    return LossClient(
        "http://lossd", transport=transport, check_request_id=False, retry_for=0, progress=None, **settings
    )


def sending(status: int, body: bytes, **headers: str) -> LossClient:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return calling(lambda request: httpx.Response(status, headers=fields, stream=httpx.ByteStream(body)))


def encoded(media_type: str) -> bytes:
    return b"".join(CODECS[media_type].encode_answer(ANSWER, Call({})))


@pytest.mark.parametrize("status", [200, 201, 204, 301, 404, 500, 599, 799])
@pytest.mark.parametrize("media_type", ["text/html", "application/json", SAFETENSORS, ""])
@pytest.mark.parametrize("method", ["call", "losses", "describe"])
def test_a_page_is_told_by_its_status_and_its_beginning(status: int, media_type: str, method: str) -> None:
    client = sending(status, PAGE, content_type=media_type)
    act = {
        "call": lambda: client.mse([1.0], [3.0]),
        "losses": client.losses,
        "describe": lambda: client.describe("mse"),
    }
    with pytest.raises(MalformedBody if status == 200 else ServiceError) as failed:
        act[method]()
    assert str(status) in str(failed.value)
    assert "<!DOCTYPE html>" in str(failed.value)
    assert len(str(failed.value)) < 2000


@pytest.mark.parametrize(
    "document",
    [
        {"title": {}, "detail": [1], "errors": {"at": 1}, "type": 5},
        {"title": "x" * 10**6, "detail": "y" * 10**6, "errors": [{"at": "z" * 10**6}] * 10 + [{}] * 10**4},
        {"errors": [None, 3, {"at": None, "expected": {}, "got": []}]},
        {},
        [],
        None,
        "text",
    ],
)
def test_a_problem_of_wrong_types_is_a_short_error_with_its_status(document: object) -> None:
    with pytest.raises(ServiceError) as failed:
        sending(422, orjson.dumps(document), content_type="application/problem+json").mse([1.0], [3.0])
    assert failed.value.status == 422
    assert len(str(failed.value)) < 5000
    assert sum(map(len, map(str, failed.value.errors))) < 50_000


@pytest.mark.parametrize("media_type", CODECS)
def test_a_body_that_ends_early_or_is_damaged_is_never_a_bare_error(media_type: str) -> None:
    whole = encoded(media_type)
    rng = np.random.default_rng(0)
    damaged = [whole[:end] for end in range(0, len(whole), 1 + len(whole) // 60)]
    for _ in range(200):
        body = bytearray(whole)
        body[rng.integers(len(body))] = rng.integers(256)
        damaged.append(bytes(body))
    bodies = iter(damaged)
    headers = {"content-type": media_type}
    client = calling(
        lambda request: httpx.Response(200, headers=headers, stream=httpx.ByteStream(next(bodies))),
        media_type=media_type,
    )
    told = []
    for _ in damaged:
        try:
            told.append(repr(client.mse([1.0], [3.0])))
        except LossdError as error:
            told.append(str(error))
    assert max(map(len, told)) < 2000


@pytest.mark.parametrize(
    "document",
    [
        {"loss": {}, "count": 1, "denominator": 1},
        {"loss": {"mean": None}, "count": 1, "denominator": 1},
        {"loss": [], "count": 1, "denominator": 1},
        {"loss": {"mean": 1}, "count": "1", "denominator": 1},
        {"loss": {"mean": 1}, "count": 1},
        {"loss": {"mean": 1}, "count": 1, "denominator": 1, "gradient": {"mean": 3}},
        {"loss": {"mean": 1}, "count": 1, "denominator": 1, "warnings": "none"},
        [1],
    ],
)
def test_an_answer_of_another_shape_is_malformed(document: object) -> None:
    client = sending(200, orjson.dumps(document), content_type="application/json")
    client._media_type = "application/json"
    with pytest.raises(MalformedBody, match=r"; the answer has status 200 and begins with "):
        client.mse([1.0], [3.0])


def test_a_format_that_nobody_asked_for_is_refused() -> None:
    with pytest.raises(MalformedBody, match=f"as {SAFETENSORS}, got application/x-npz"):
        sending(200, encoded("application/x-npz"), content_type="application/x-npz").mse([1.0], [3.0])


@pytest.mark.parametrize("stated", [True, False])
@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_large_answer_is_refused_before_it_fills_the_memory(stated: bool, asynchronous: bool) -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        for _ in range(10_000):
            taken += 1
            yield bytes(1 << 16)

    class Endless(httpx.SyncByteStream, httpx.AsyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            return endless()

        async def __aiter__(self) -> Any:
            for piece in endless():
                yield piece

    def respond(request: httpx.Request) -> httpx.Response:
        length = {"content-length": str(10_000 << 16)} if stated else {}
        return httpx.Response(200, headers={"content-type": SAFETENSORS, **length}, stream=Endless())

    kind = AsyncLossClient if asynchronous else LossClient
    client = kind(
        "http://lossd",
        transport=httpx.MockTransport(respond),
        check_request_id=False,
        max_answer_bytes=10 << 16,
    )
    with pytest.raises(AnswerTooLarge, match="at most 655360 bytes, got more; the client's max_answer_bytes"):
        asyncio.run(client.mse([1.0], [3.0])) if asynchronous else client.mse([1.0], [3.0])
    assert taken <= (0 if stated else 11)


def test_of_an_endless_error_only_the_beginning_is_read() -> None:
    pieces = itertools.repeat(b"<p>" * 10_000)

    class Endless(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            return iter(pieces)

    with pytest.raises(ServiceError, match="500 Internal Server Error: <p>"):
        calling(lambda request: httpx.Response(500, stream=Endless())).mse([1.0], [3.0])


def test_what_unpacks_to_more_is_refused() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("loss.mean.npy", bytes(10_000_000))
    client = calling(
        lambda request: httpx.Response(
            200, headers={"content-type": "application/x-npz"}, stream=httpx.ByteStream(packed.getvalue())
        ),
        media_type="application/x-npz",
        max_answer_bytes=1_000_000,
    )
    with pytest.raises(AnswerTooLarge, match="1000000 bytes"):
        client.mse([1.0], [3.0])
    squeezed = gzip.compress(bytes(10_000_000))
    client = calling(
        lambda request: httpx.Response(
            200,
            headers={"content-type": SAFETENSORS, "content-encoding": "gzip"},
            stream=httpx.ByteStream(squeezed),
        ),
        max_answer_bytes=1_000_000,
    )
    with pytest.raises(AnswerTooLarge):
        client.mse([1.0], [3.0])


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "x" * 10_000])
def test_a_packing_that_nobody_asked_for_is_refused(encoding: str) -> None:
    with pytest.raises(
        MalformedBody, match=r"expected an answer as it is or by gzip, got one by .*; status 200"
    ):
        sending(200, b"abc", content_type=SAFETENSORS, content_encoding=encoding).mse([1.0], [3.0])


def test_what_does_not_unpack_is_malformed() -> None:
    with pytest.raises(MalformedBody, match="unpacks as its Content-Encoding says"):
        sending(200, b"no gzip", content_type=SAFETENSORS, content_encoding="gzip").mse([1.0], [3.0])


def test_a_connection_that_breaks_off_is_unreachable() -> None:
    def break_off(request: httpx.Request) -> httpx.Response:
        raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")

    with pytest.raises(Unreachable, match="peer closed"):
        calling(break_off).mse([1.0], [3.0])


@pytest.mark.parametrize("wrong", [None, 3, "text", [], {}, [None], [3], {"a": 3}, True])
@pytest.mark.parametrize(
    "name",
    [
        "aliases",
        "arguments",
        "settings",
        "options",
        "alias_details",
        "summary",
        "example",
        "where",
        "formula",
    ],
)
def test_an_entry_of_wrong_types_is_malformed_or_prints(name: str, wrong: object) -> None:
    try:
        told = repr(read_entry({"name": "new", name: wrong}))
    except MalformedBody as error:
        told = str(error)
    assert 0 < len(told) < 300


@pytest.mark.parametrize(
    "schema",
    [{"anyOf": 3}, {"enum": {}}, {"type": []}, {"minimum": "a", "type": "number"}, {"description": 3}],
)
def test_a_schema_of_wrong_types_prints(schema: dict[str, Any]) -> None:
    assert "delta" in repr(read_entry({"name": "new", "settings": {"delta": schema}}))


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "many", None])
def test_the_limit_is_a_number_of_bytes(wrong: Any) -> None:
    with pytest.raises(
        ValueError, match=r"expected a whole number of bytes > 0, got .* - at `max_answer_bytes`"
    ):
        LossClient(max_answer_bytes=wrong)
