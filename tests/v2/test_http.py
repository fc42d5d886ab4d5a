"""What HTTP adds to the protocol: paths, statuses, headers, the form of every error, limits, compression."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import socket
import zlib

import httpx
import numpy as np
import pytest

from lossd.api.error_boundary import ErrorBoundary
from lossd.api.health import Health
from lossd.api.log import open_log
from lossd.api.request_log import RequestLog
from lossd.settings import Settings
from tests.api.serving import InProcess, Served, raw_request, read_response, serve
from tests.v2.bytes_of import LENGTH, outputs_in, tensor, written

GOOD = written(
    {"inputs": [tensor("input", "FP32", [3], [1, 2, 3]), tensor("target", "FP32", [3], [1, 2, 5])]}
)["content"]
INFER = "/v2/models/mse/infer"


def post(service: InProcess, body: bytes = GOOD, path: str = INFER, **headers: str):
    return service.request(
        "POST", path, content=body, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
def test_the_server_describes_itself_without_a_redirect(service, path):
    response = service.request("GET", path)
    assert response.status_code == 200
    assert response.json()["name"] == "lossd"
    assert response.json()["extensions"][0] == "binary_tensor_data"


@pytest.mark.parametrize("content_type", [None, "application/octet-stream", "text/plain", "application/json"])
def test_no_content_type_matters(service, content_type):
    response = post(service, **({"content_type": content_type} if content_type else {}))
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json()["outputs"][0] == {
        "name": "loss",
        "datatype": "FP32",
        "shape": [],
        "data": [1.3333334],
    }


def test_raw_outputs_come_as_octets_with_the_length_of_their_json(service):
    document = {"inputs": [tensor("input", "FP64", [1], [3]), tensor("target", "FP64", [1], [1])]}
    response = service.request(
        "POST", INFER, **written({**document, "parameters": {"binary_data_output": True}})
    )
    assert response.headers["content-type"] == "application/octet-stream"
    outputs = outputs_in(response.content, response.headers[LENGTH])
    assert (outputs["loss"], outputs["gradient.input"]) == (4, 4)


def test_an_outputs_own_choice_wins(service):
    document = {
        "inputs": [tensor("input", "FP64", [1], [3]), tensor("target", "FP64", [1], [1])],
        "parameters": {"binary_data_output": True},
        "outputs": [{"name": "loss", "parameters": {"binary_data": False}}, {"name": "gradient.target"}],
    }
    response = service.request("POST", INFER, **written(document))
    outputs = outputs_in(response.content, response.headers[LENGTH])
    assert b'"data":[4.0]' in response.content
    assert outputs["gradient.target"] == -4
    assert len(response.content) == int(response.headers[LENGTH]) + 8


def test_warnings_are_told(service):
    target = tensor("target", "FP64", [1, 2], [[0.5, 0.2]])
    body = written({"inputs": [tensor("input", "FP64", [1, 2], [[0, 0]]), target]})["content"]
    answer = post(service, body, "/v2/models/cross_entropy/infer").json()
    assert "sum to 1" in answer["parameters"]["warnings"]


@pytest.mark.parametrize("accepted", ["gzip", "deflate", "br", "zstd", "gzip, deflate, br, zstd"])
def test_an_answer_is_never_compressed(service, accepted):
    many = written({"inputs": [tensor(name, "FP32", [9000], [1.5] * 9000) for name in ("input", "target")]})[
        "content"
    ]
    response = post(service, many, accept_encoding=accepted)
    assert response.status_code == 200
    assert "content-encoding" not in response.headers


@pytest.mark.parametrize(
    ("name", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("GZIP", gzip.compress)]
)
def test_a_request_may_be_compressed(service, name, pack):
    assert post(service, pack(GOOD), content_encoding=name).json() == post(service).json()


# how to ask -> status, a part of the message
ERRORS = {
    "unknown path": (lambda s: s.request("GET", "/v2/nothing"), 404, "a path"),
    "unknown model": (lambda s: post(s, path="/v2/models/msee/infer"), 404, "did you mean mse?"),
    "unknown version": (lambda s: post(s, path="/v2/models/mse/versions/7/infer"), 404, "version 1"),
    "empty version": (lambda s: post(s, path="/v2/models/mse/versions//infer"), 404, "version 1"),
    "no model": (lambda s: post(s, path="/v2/models//infer"), 404, "no loss"),
    "no model and no slash": (lambda s: post(s, path="/v2/models/infer"), 404, "no loss"),
    "a path in a path": (lambda s: post(s, path="/v2/models/mse/x/infer"), 404, "no loss"),
    "unknown model's metadata": (lambda s: s.request("GET", "/v2/models/a%2Fb"), 404, "expected"),
    "wrong method": (lambda s: s.request("GET", INFER), 405, "POST"),
    "wrong method for metadata": (lambda s: s.request("POST", "/v2/models/mse"), 405, "GET"),
    "wrong method for the server": (lambda s: s.request("DELETE", "/v2"), 405, "GET"),
    "empty body": (lambda s: post(s, b""), 400, "empty body"),
    "no JSON": (lambda s: post(s, b"{"), 400, "line 1"),
    "length of nothing": (lambda s: post(s, **{LENGTH: "0"}), 400, "a JSON object before"),
    "negative length": (lambda s: post(s, **{LENGTH: "-3"}), 400, "a number of bytes"),
    "length past the body": (lambda s: post(s, **{LENGTH: "99999"}), 400, "at most the"),
    "invalid call": (lambda s: post(s, GOOD.replace(b"target", b"taret_")), 400, "did you mean target?"),
    "unreadable encoding": (lambda s: post(s, content_encoding="br"), 415, "deflate"),
    "stacked encodings": (lambda s: post(s, content_encoding="gzip, gzip"), 415, "gzip"),
    "not gzip": (lambda s: post(s, content_encoding="gzip"), 400, "expected"),
    "gzip cut short": (
        lambda s: post(s, gzip.compress(GOOD)[:-9], content_encoding="gzip"),
        400,
        "cut short",
    ),
    "gzip with more": (
        lambda s: post(s, gzip.compress(GOOD) + b"x", content_encoding="gzip"),
        400,
        "more bytes",
    ),
    "bare deflate": (
        lambda s: post(s, zlib.compress(GOOD)[2:-4], content_encoding="deflate"),
        400,
        "expected",
    ),
    "bad deadline": (lambda s: post(s, request_timeout="soon"), 400, "Request-Timeout"),
    "passed deadline": (lambda s: post(s, request_timeout="1e-9"), 504, "deadline"),
    "unsupported": (lambda s: s.request("GET", "/v2/models/mse/trace/setting"), 501, "a call that lossd has"),
}


@pytest.mark.parametrize(("ask", "status", "part"), ERRORS.values(), ids=ERRORS)
def test_every_error_is_one_string(service, ask, status, part):
    response = ask(service)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    assert response.json().keys() == {"error"}
    assert part in response.json()["error"]


def test_a_large_body_is_refused_in_the_protocols_form():
    service = InProcess(max_body_bytes=1000)
    for body, encoding in ((GOOD + b" " * 1000, "identity"), (gzip.compress(GOOD + b" " * 1000), "gzip")):
        response = post(service, body, content_encoding=encoding)
        assert response.status_code == 413
        assert "1000" in response.json()["error"]


def test_too_many_elements_are_refused_in_the_protocols_form():
    response = post(InProcess(max_elements=5))
    assert response.status_code == 413
    assert "max_elements" in response.json()["error"]


def test_an_overloaded_server_says_so_in_the_protocols_form():
    service = InProcess(max_body_bytes=len(GOOD), max_in_flight_bytes=len(GOOD))

    async def slow_body():
        yield GOOD[:10]
        await asyncio.sleep(0.3)
        yield GOOD[10:]

    slow = {"content": slow_body(), "headers": {"content-length": str(len(GOOD))}}
    first, second = service.together([("POST", INFER, slow), ("POST", INFER, {"content": GOOD})])
    assert (first.status_code, second.status_code) == (200, 503)
    assert second.json().keys() == {"error"}
    assert int(second.headers["retry-after"]) >= 1


def test_a_silent_body_is_a_408_in_the_protocols_form():
    async def silent_body():
        yield GOOD[:10]
        await asyncio.sleep(0.5)
        yield GOOD[10:]

    response = InProcess(body_timeout_seconds=0.1).request("POST", INFER, content=silent_body())
    assert response.status_code == 408
    assert response.json().keys() == {"error"}


def test_a_fault_of_ours_is_a_500_without_internals():
    async def broken(scope, receive, send):
        raise KeyError("secret")

    async def ask() -> httpx.Response:
        log = open_log(Settings(), io.BytesIO())
        transport = httpx.ASGITransport(
            RequestLog(ErrorBoundary(broken), log=log, health=Health(), observe=lambda *_: None)
        )
        async with httpx.AsyncClient(transport=transport, base_url="http://lossd") as client:
            return await client.post(INFER)

    response = asyncio.run(ask())
    assert response.status_code == 500
    assert response.json().keys() == {"error"}
    assert "secret" not in response.text
    assert "KeyError" not in response.text


def test_other_paths_keep_their_own_form_of_error(service):
    for path in ("/v1/losses/nope", "/v2x", "/v1/v2/"):
        assert service.request("GET", path).headers["content-type"] == "application/problem+json"


def test_the_callers_timeout_is_in_microseconds(service):
    document = {"inputs": [tensor("input", "FP32", [1], [1]), tensor("target", "FP32", [1], [1])]}
    late = service.request("POST", INFER, **written({**document, "parameters": {"timeout": 1}}))
    in_time = service.request("POST", INFER, **written({**document, "parameters": {"timeout": 30_000_000}}))
    assert (late.status_code, in_time.status_code) == (504, 200)


def test_the_log_names_the_loss_and_its_elements(service):
    post(service, path="/v2/models/MSELoss/infer")
    assert {"loss": "mse", "elements": 6, "status": 200}.items() <= service.log()[-1].items()


def test_a_draining_server_is_not_ready_but_infers(tmp_path):
    with serve(tmp_path, LOSSD_DRAIN_SECONDS="30") as server:
        ready = ("/v2/health/ready", "/v2/models/mse/ready")
        assert [_get(server, path)[0] for path in ready] == [200, 200]
        server.process.terminate()
        assert _until_not_ready(server)
        assert [_get(server, path)[0] for path in (*ready, "/v2/health/live", "/v2")] == [503, 503, 200, 200]
        assert b'{"error":"' in _get(server, ready[0])[1]
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(raw_request(INFER, GOOD, Content_Length=str(len(GOOD))))
            assert read_response(connection)[0] == 200
        server.process.terminate()


def _get(server: Served, path: str) -> tuple[int, bytes]:
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: lossd\r\n\r\n".encode())
        status, _, body = read_response(connection)
        return status, body


def _until_not_ready(server: Served) -> bool:
    return any(_get(server, "/v2/health/ready")[0] == 503 for _ in range(1000))


def test_a_body_in_many_pieces_is_one_body(server):
    """Its JSON is of a length that no dtype is aligned to."""
    x = np.arange(50_000, dtype=np.float64)
    document = {
        "id": "odd",
        "inputs": [tensor(name, "FP64", [50_000], size=x.nbytes) for name in ("input", "target")],
        "parameters": {"reduction": "sum", "binary_data_output": True},
    }
    request = written(document, x.tobytes(), (x + 2).tobytes())
    head = raw_request(
        INFER, b"", Content_Length=str(len(request["content"])), **{LENGTH: request["headers"][LENGTH]}
    )
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head)
        for start in range(0, len(request["content"]), 99_991):
            connection.sendall(request["content"][start : start + 99_991])
        status, headers, body = read_response(connection)
    assert status == 200
    outputs = outputs_in(body, headers[LENGTH])
    assert outputs["loss"] == 4 * 50_000
    np.testing.assert_array_equal(outputs["gradient.input"], np.full(50_000, -4.0))


# parameters -> the outputs that come when none is asked for
DEFAULTS = {
    "nothing": ({}, ["loss", "gradient.input"]),
    "no gradient": ({"gradient": False}, ["loss"]),
    "another gradient": ({"gradient": ["target"]}, ["loss", "gradient.target"]),
    "a Hessian": ({"hessian": True}, ["loss", "gradient.input", "hessian.input"]),
    "boosting": ({"convention": "gbm"}, ["loss", "gradient.input", "hessian.input"]),
    "an old spelling": ({"size_average": False}, ["loss", "gradient.input"]),
    "another type": ({"dtype": "bfloat16"}, ["loss", "gradient.input"]),
    "one reduction": ({"reduction": "none"}, ["loss", "gradient.input"]),
    "a list of one": ({"reduction": ["sum"]}, ["loss", "gradient.input"]),
    "a gradient by name": ({"gradient": "target"}, ["loss", "gradient.target"]),
    "gradients by names": ({"gradient": "input,target"}, ["loss", "gradient.input", "gradient.target"]),
    "words": ({"gradient": "false", "hessian": "true"}, ["loss", "hessian.input"]),
    **{
        f"two reductions, {name}": (
            {"reduction": two},
            ["loss.none", "loss.sum", "gradient.none.input", "gradient.sum.input"],
        )
        for name, two in {"a list": ["none", "sum"], "text": "none,sum", "JSON": '["none","sum"]'}.items()
    },
}


@pytest.mark.parametrize("binary", [True, False], ids=["raw", "JSON"])
@pytest.mark.parametrize(("parameters", "names"), DEFAULTS.values(), ids=DEFAULTS)
def test_what_comes_when_no_output_is_asked_for(service, parameters, names, binary):
    document = {
        "inputs": [tensor("input", "FP32", [2], [3, 1]), tensor("target", "FP32", [2], [1, 1])],
        "parameters": {**parameters, "binary_data_output": binary},
    }
    response = service.request("POST", INFER, **written(document))
    length = int(response.headers.get(LENGTH, len(response.content)))
    answer = json.loads(response.content[:length])
    assert [output["name"] for output in answer["outputs"]] == names, answer


def test_a_direction_brings_its_product(service):
    document = {"inputs": [tensor(name, "FP64", [1], [2]) for name in ("input", "target", "hvp")]}
    answer = service.request("POST", INFER, **written(document)).json()
    assert [output["name"] for output in answer["outputs"]] == ["loss", "gradient.input", "hvp.input"]
    assert answer["outputs"][2]["data"] == [4.0]
