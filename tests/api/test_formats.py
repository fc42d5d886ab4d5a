"""Every format of request and answer carries the same call to the same bits, plain or compressed."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import zlib
from typing import Any

import httpx
import ml_dtypes
import numpy as np
import pytest

from lossd.declaration.loss import Loss
from lossd.declaration.samples import sample_call
from lossd.engine import evaluate
from lossd.losses import LOSSES
from lossd.message import Answer, Call
from lossd.wire import CODECS, Codec
from lossd.wire.content_encoding import compress
from lossd.wire.decompression import zstd
from lossd.wire.query import to_query
from tests.api.serving import GOOD, GOOD_LOSS, InProcess

JSON, SAFETENSORS, MESSAGEPACK, NPZ = CODECS
PAIRS = list(itertools.product(CODECS, CODECS))


@pytest.fixture(scope="module")
def service() -> InProcess:
    """Return one application for all of the module, whose calls leave no trace."""
    return InProcess()


every_pair = pytest.mark.parametrize(("reads", "writes"), PAIRS)


def send(
    service: InProcess, loss: str, call: Call, reads: str, writes: str, **headers: str
) -> httpx.Response:
    """Post a call in one format and ask for the answer in another."""
    codec = CODECS[reads]
    return service.post(
        f"{loss}?{'' if codec.holds_options else to_query(call.options)}",
        content=b"".join(codec.encode_call(call)),
        headers={"content-type": reads, "accept": writes, **headers},
    )


def answer_of(response: httpx.Response, writes: str) -> Answer:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == writes
    return CODECS[writes].decode_answer(response.content)


def assert_same_answer(received: Answer, computed: Answer) -> None:
    """Hold that both have the same bits, once numbers without a dtype are cast to the one they had."""
    assert received.count == computed.count
    assert received.warnings == computed.warnings
    np.testing.assert_array_equal(received.denominator, computed.denominator)
    assert_same_arrays(received.loss, computed.loss)
    for kind in ("gradient", "hessian", "hvp"):
        assert getattr(received, kind).keys() == getattr(computed, kind).keys()
        for reduction, by_name in getattr(computed, kind).items():
            assert_same_arrays(getattr(received, kind)[reduction], by_name)


def assert_same_arrays(received: Any, computed: Any) -> None:
    assert received.keys() == computed.keys()
    for name, array in computed.items():
        array = np.asarray(array)
        assert received[name].shape == array.shape
        assert received[name].astype(array.dtype).tobytes() == array.tobytes(), name


@every_pair
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_every_pair_of_formats_gives_the_engines_bits(
    service: InProcess, loss: Loss, reads: str, writes: str
) -> None:
    sampled = sample_call(loss, np.random.default_rng(0), batch=(5,), dtype=np.float32)
    options = {**sampled.options, "reduction": ["mean", "none"], "gradient": True, "encoding": "base64"}
    arrays = {name: np.array(array, order="C") for name, array in sampled.arrays.items()}
    computed = evaluate(loss, Call({name: array.copy() for name, array in arrays.items()}, options))
    response = send(service, loss.name, Call(arrays, options), reads, writes)
    assert_same_answer(answer_of(response, writes), computed)


@every_pair
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_every_dtype_passes_through_every_pair(
    service: InProcess, reads: str, writes: str, dtype: str
) -> None:
    array = (
        np.linspace(-2, 2, 2_000).astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype).reshape(-1, 4)
    )
    call = Call({"input": array, "target": array[::-1].copy()}, {"gradient": True, "encoding": "base64"})
    computed = evaluate(LOSSES["mse"], call)
    received = answer_of(send(service, "mse", call, reads, writes), writes)
    assert_same_answer(received, computed)
    assert received.gradient["mean"]["input"].dtype.name == dtype


@every_pair
def test_every_format_carries_booleans(service: InProcess, reads: str, writes: str) -> None:
    given = {"input": np.array([0.25, 0.5]), "target": np.array([True, False])}
    computed = evaluate(LOSSES["bce"], Call({**given, "target": np.array([1.0, 0.0])}))
    assert_same_answer(answer_of(send(service, "bce", Call(given), reads, writes), writes), computed)


@pytest.mark.parametrize("reads", CODECS)
def test_the_answer_is_in_the_format_of_the_request_unless_asked(service: InProcess, reads: str) -> None:
    call = Call({"input": np.ones(3), "target": np.zeros(3)})
    assert send(service, "mse", call, reads, "*/*").headers["content-type"] == reads


@pytest.mark.parametrize(
    ("accept", "written"),
    [
        ("application/msgpack", MESSAGEPACK),
        ("application/json;q=0.5, application/x-msgpack", MESSAGEPACK),
        ("application/x-npz;q=0.5, application/vnd.msgpack;q=0.6", MESSAGEPACK),
        ("application/*;q=0.1, application/x-npz;q=0.2", NPZ),
        ("text/html, application/vnd.safetensors", SAFETENSORS),
        ("application/*, application/json;q=0", SAFETENSORS),
        ("*/*;q=0.3, application/json;q=0.2, application/x-npz;q=0.4", NPZ),
        ("APPLICATION/VND.MSGPACK", MESSAGEPACK),
        ("application/vnd.msgpack; v=1; q=0.9, application/json;q=0.8", MESSAGEPACK),
    ],
)
def test_the_best_liked_format_is_written(service: InProcess, accept: str, written: str) -> None:
    response = service.post("mse", json=GOOD, headers={"accept": accept})
    assert response.headers["content-type"] == written
    assert answer_of(response, written).loss["sum"] == GOOD_LOSS["sum"]


@pytest.mark.parametrize("name", ["application/msgpack", "application/x-msgpack"])
def test_messagepack_goes_by_its_other_names(service: InProcess, name: str) -> None:
    body = b"".join(CODECS[MESSAGEPACK].encode_call(Call({"input": np.ones(3), "target": np.zeros(3)})))
    response = service.post("mse", content=body, headers={"content-type": name})
    assert (response.status_code, response.headers["content-type"]) == (200, MESSAGEPACK)


def test_refusals_of_formats_name_what_is_possible(service: InProcess) -> None:
    unreadable = service.post("mse", content=b"x", headers={"content-type": "text/csv"})
    unwritable = service.post("mse", json=GOOD, headers={"accept": "text/csv"})
    assert (unreadable.status_code, unwritable.status_code) == (415, 406)
    for response in (unreadable, unwritable):
        assert all(media_type in response.json()["detail"] for media_type in CODECS)


def test_an_answer_that_its_format_cannot_hold_is_a_406(service: InProcess) -> None:
    call = Call({"input": np.array([1 + 2j]), "target": np.array([0j])}, {"gradient": True})
    response = send(service, "mse", call, MESSAGEPACK, SAFETENSORS)
    assert response.status_code == 406
    assert response.json()["errors"][0]["at"] == "gradient.mean.input"


@pytest.mark.parametrize("media_type", CODECS)
def test_a_malformed_body_is_a_400_in_json_whatever_was_asked(service: InProcess, media_type: str) -> None:
    response = service.post("mse", content=b"\xc1garbage", headers={"content-type": media_type})
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    service.assert_unharmed()


@pytest.mark.parametrize("media_type", [SAFETENSORS, NPZ, MESSAGEPACK])
def test_an_array_that_no_loss_knows_is_named(service: InProcess, media_type: str) -> None:
    call = Call({"input": np.ones(2), "target": np.ones(2), "taget": np.ones(2)})
    response = send(service, "mse", call, media_type, JSON)
    assert response.status_code == 422 if media_type != MESSAGEPACK else 400
    assert response.json()["errors"][0]["at"].startswith("taget")


def test_options_of_the_query_are_those_of_the_body(service: InProcess) -> None:
    body = {"input": [1, 2, 9], "target": [1, 2, 5]}
    options = {"delta": 2.0, "reduction": ["none", "mean"], "gradient": ["input"], "axis": 0}
    in_body = service.post("huber", json={**body, **options})
    in_query = service.post(f"huber?{to_query(options)}", json=body)
    by_repeating = service.post(
        "huber?delta=2.0&reduction=none&reduction=mean&gradient=[%22input%22]&axis=0", json=body
    )
    assert in_body.status_code == 200
    assert in_body.content == in_query.content == by_repeating.content


@pytest.mark.parametrize(
    ("query", "at"),
    [
        ("delta=-1", "delta"),
        ("delta=word", "delta"),
        ("reduction=median", "reduction"),
        ("dleta=1", "dleta"),
        ("reduction=mean&reduction=median", "reduction[1]"),
    ],
)
def test_options_of_the_query_are_validated_as_those_of_the_body(
    service: InProcess, query: str, at: str
) -> None:
    response = service.post(f"huber?{query}", json={"input": [1], "target": [1]})
    assert response.status_code == 422
    assert response.json()["errors"][0]["at"] == at


def test_a_name_in_body_and_query_is_a_422(service: InProcess) -> None:
    response = service.post("mse?reduction=sum", json=GOOD)
    assert response.status_code == 422
    assert response.json()["errors"] == [
        {"at": "reduction", "expected": "a value in the body or in the query string", "got": "both"}
    ]


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "GZIP"])
@pytest.mark.parametrize("media_type", CODECS)
def test_bodies_may_be_compressed(service: InProcess, encoding: str, media_type: str) -> None:
    call = Call({"input": np.arange(3.0), "target": np.zeros(3)}, {})
    content = b"".join(compress(CODECS[media_type].encode_call(call), encoding.lower()))
    headers = {"content-type": media_type, "accept": JSON, "content-encoding": encoding}
    response = service.post("mse?reduction=sum", content=content, headers=headers)
    assert response.status_code == 200, response.text
    assert response.json()["loss"] == {"sum": 5.0}


def test_a_compressed_body_is_held_to_the_limit_of_a_plain_one() -> None:
    service = InProcess(max_body_bytes=1000, max_in_flight_bytes=10_000)
    body = json.dumps(GOOD).encode()
    for content, status in ((body.ljust(1000), 200), (body.ljust(1001), 413), (bytes(300_000), 413)):
        response = service.post("mse", content=gzip.compress(content), headers={"content-encoding": "gzip"})
        assert response.status_code == status
    archive = b"".join(CODECS[NPZ].encode_call(Call({"input": np.zeros(90), "target": np.zeros(1)})))
    assert service.post("mse", content=archive, headers={"content-type": NPZ}).status_code == 413


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"input": [1], "target": [1]}', "intact"),
        (gzip.compress(b"{}")[:-1], "cut short"),
        (gzip.compress(b"{}") + b"x", "1 more bytes"),
    ],
    ids=["not compressed", "cut short", "with a tail"],
)
def test_a_body_that_does_not_unfold_is_a_400(service: InProcess, content: bytes, message: str) -> None:
    response = service.post("mse", content=content, headers={"content-encoding": "gzip"})
    assert response.status_code == 400
    assert message in response.json()["detail"]


# Read by the standard library.
UNFOLD = {None: bytes, "gzip": gzip.decompress, "deflate": zlib.decompress, "zstd": zstd.decompress}
LARGE = {"input": [0.5] * 2000, "target": [0.25] * 2000, "reduction": "none"}


@pytest.mark.parametrize(
    ("accept_encoding", "written"),
    [
        ("gzip", "gzip"),
        ("gzip, deflate", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("zstd;q=0.5, gzip;q=0.6", "gzip"),
        ("*", "zstd"),
        ("*;q=0.5, zstd;q=0", "gzip"),
        ("deflate", "deflate"),
        ("gzip;q=0", None),
        ("gzip;q=0.5, identity", None),
        ("identity", None),
        ("br", None),
        ("", None),
    ],
)
def test_a_large_answer_in_json_is_compressed_as_the_caller_likes(
    accept_encoding: str, written: str | None
) -> None:
    service = InProcess(compress_from_bytes=1000)
    headers, content = raw(service, LARGE, {"accept-encoding": accept_encoding})
    assert headers.get("content-encoding") == written
    assert int(headers["content-length"]) == len(content)
    assert json.loads(UNFOLD[written](content))["loss"] == {"none": [0.0625] * 2000}


@pytest.mark.parametrize("media_type", [SAFETENSORS, MESSAGEPACK, NPZ])
def test_arrays_as_bytes_are_never_compressed(media_type: str) -> None:
    service = InProcess(compress_from_bytes=0)
    headers, _ = raw(service, LARGE, {"accept-encoding": "gzip, zstd", "accept": media_type})
    assert headers["content-type"] == media_type
    assert "content-encoding" not in headers


def test_a_small_answer_is_not_compressed() -> None:
    headers, _ = raw(InProcess(compress_from_bytes=1000), GOOD, {"accept-encoding": "gzip"})
    assert "content-encoding" not in headers


def raw(service: InProcess, body: dict[str, Any], headers: dict[str, str]) -> tuple[httpx.Headers, bytes]:
    """Post a call, and return the headers and the bytes of the answer as they came."""

    async def send_and_read() -> tuple[httpx.Headers, bytes]:
        transport = httpx.ASGITransport(service.app)
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://lossd") as client,
            client.stream("POST", "/v1/losses/mse", json=body, headers=headers) as response,
        ):
            return response.headers, b"".join([part async for part in response.aiter_raw()])

    return asyncio.run(send_and_read())


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_an_answer_larger_than_a_slice_arrives_whole(service: InProcess, codec: Codec) -> None:
    array = np.random.default_rng(0).standard_normal((300, 500)).astype(np.float32)
    call = Call({"input": array, "target": array + 1}, {"gradient": True, "encoding": "base64"})
    computed = evaluate(LOSSES["mse"], call)
    assert_same_answer(
        answer_of(send(service, "mse", call, codec.media_type, codec.media_type), codec.media_type), computed
    )
