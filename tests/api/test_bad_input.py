"""Every kind of bad input is refused with its status and its place, and harms nothing."""

from __future__ import annotations

import pytest

from lossd.losses import LOSSES
from tests.api.serving import GOOD, InProcess

JSON = {"content-type": "application/json"}

# name: loss, body, status, place, a part of what the error says
BODIES = {
    "ragged lists": ("mse", '{"input": [[1, 2], [3]], "target": [[1, 2], [3, 4]]}', 422, "input[1]", "shape"),
    "wrong name": ("mse", '{"inputs": [1], "target": [1]}', 422, "inputs", "did you mean input?"),
    "missing argument": ("mse", '{"input": [1]}', 422, "target", "numbers"),
    "wrong shape": ("mse", '{"input": [1, 2, 3], "target": [[1], [2]]}', 422, "target", "(2, 3)"),
    "class out of range": ("cross_entropy", '{"input": [[1, 2]], "target": [2]}', 422, "target[0]", "[0, 2)"),
    "negative class": ("nll", '{"input": [[-1, -2]], "target": [-1]}', 422, "target[0]", "[0, 2)"),
    "fractional class": ("cross_entropy", '{"input": [[1, 2]], "target": [0.5]}', 422, "target", "whole"),
    "probability over 1": ("bce", '{"input": [0.5, 1.5], "target": [0, 1]}', 422, "input[1]", "1.5"),
    "NaN token": ("mse", '{"input": [1, NaN], "target": [1, 2]}', 400, "line 1, column 15", "NaN"),
    "number too large": (
        "mse",
        '{"input": [1e999], "target": [1]}',
        400,
        "line 1, column 12",
        "range of float64",
    ),
    "deep nesting": (
        "mse",
        f'{{"input": {"[" * 10_000}1{"]" * 10_000}, "target": [1]}}',
        400,
        "line 1",
        "nesting",
    ),
    "deep option": (
        "mse",
        f'{{"axis": {"[" * 900}1{"]" * 900}, "input": [1], "target": [1]}}',
        400,
        "axis",
        "nesting",
    ),
    "empty body": ("mse", "", 400, "", "an empty body"),
    "no object": ("mse", "[1, 2]", 400, "", "a list"),
    "cut short": ("mse", '{"input": [1, 2', 400, "line 1", "end of data"),
    "not UTF-8": ("mse", b'{"input": "\xff"}', 400, "", "UTF-8"),
    "repeated key": ("mse", '{"input": [1], "input": [2], "target": [1]}', 400, "", "again"),
    "unknown option": (
        "mse",
        '{"input": [1], "target": [1], "reductoin": "sum"}',
        422,
        "reductoin",
        "reduction",
    ),
    "unknown reduction": (
        "mse",
        '{"input": [1], "target": [1], "reduction": "median"}',
        422,
        "reduction",
        "median",
    ),
    "unknown gradient": (
        "mse",
        '{"input": [1], "target": [1], "gradient": ["x"]}',
        422,
        "gradient[0]",
        '"x"',
    ),
    "boolean": ("mse", '{"input": [1, true], "target": [1, 2]}', 422, "input[1]", "boolean"),
    "string": ("mse", '{"input": [1, "2"], "target": [1, 2]}', 422, "input[1]", "string"),
    "null": (
        "mse",
        '{"input": [1, null], "target": [1, 2]}',
        422,
        "input[1]",
        'the strings "NaN", "Infinity"',
    ),
    "smoothing over 1": (
        *("cross_entropy", '{"input": [[1, 2]], "target": [0], "label_smoothing": 1.5}'),
        *(422, "label_smoothing", "1.5"),
    ),
    "setting out of range": ("huber", '{"input": [1], "target": [1], "delta": -1}', 422, "delta", "> 0"),
    "mean over nothing": ("mse", '{"input": [], "target": []}', 422, "reduction", "empty"),
    "no classes": ("cross_entropy", '{"input": [[], []], "target": [0, 0]}', 422, "", ""),
    "short base64": (
        *("mse", '{"input": {"dtype": "float32", "shape": [2], "data": "AAAA"}, "target": [1, 2]}'),
        *(422, "input.data", "8 bytes"),
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_bad_body_is_refused_at_its_place_and_harms_nothing(service: InProcess, name: str) -> None:
    loss, body, status, place, part = BODIES[name]
    response = service.post(loss, content=body, headers=JSON)
    problem = response.json()
    assert response.status_code == status == problem["status"]
    assert response.headers["content-type"] == "application/problem+json"
    assert any(detail["at"].startswith(place) for detail in problem["errors"])
    assert part in problem["detail"]
    assert len(problem["detail"]) < 1000
    service.assert_unharmed()


def test_an_unknown_loss_is_a_404_with_the_nearest_names(service: InProcess) -> None:
    response = service.post("hubert", json=GOOD)
    assert response.status_code == 404
    assert "huber" in response.json()["detail"]
    service.assert_unharmed()


@pytest.mark.parametrize("name", ["", "huber/", "a/b", "%2e%2e", "%00", "ÿ", "x" * 5000])
def test_a_strange_name_is_a_404(service: InProcess, name: str) -> None:
    assert service.post(name, json=GOOD).status_code == 404


@pytest.mark.parametrize("loss", LOSSES)
def test_no_loss_fails_on_arrays_without_elements(service: InProcess, loss: str) -> None:
    call = {name: [] for name in LOSSES[loss].example.call} | {"gradient": True, "empty": "zero"}
    response = service.post(loss, json=call)
    assert response.status_code in (200, 422)
    service.assert_unharmed()


@pytest.mark.parametrize(
    "content_type",
    [
        *(None, "", "application/json", "Application/JSON; charset=UTF-8", "application/vnd.x+json"),
        "text/plain;charset=UTF-8",  # what fetch states for a string: generated clients of orval leave it so
    ],
)
def test_json_goes_by_many_names_and_needs_none(service: InProcess, content_type: str | None) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    response = service.post("mse", content=b'{"input": [1], "target": [3]}', headers=headers)
    assert response.json()["loss"] == {"mean": 4.0}


def test_the_form_type_of_curl_gets_the_header_to_add(service: InProcess) -> None:
    response = service.post("mse", data={"input": "1"})
    assert response.status_code == 415
    assert "-H 'Content-Type: application/json'" in response.json()["detail"]
    service.assert_unharmed()


@pytest.mark.parametrize(
    "content_type", ["text/csv", "text/plainer", "image/png", "nonsense", "application/json+x", "é"]
)
def test_another_type_is_a_415_that_names_the_possible_ones(service: InProcess, content_type: str) -> None:
    headers = {"content-type": content_type.encode("latin-1")}
    response = service.post("mse", content=b"{}", headers=headers)
    assert response.status_code == 415
    assert "application/json" in response.json()["detail"]


def test_an_unknown_content_encoding_is_a_415_that_names_the_possible_ones(service: InProcess) -> None:
    response = service.post("mse", content=b"{}", headers={**JSON, "content-encoding": "br"})
    assert response.status_code == 415
    assert response.json()["detail"] == "expected Content-Encoding: zstd or gzip or deflate, got br"


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("*/*", 200),
        ("application/*", 200),
        ("text/html, application/json;q=0.5", 200),
        ("text/html, */*;q=0.1", 200),
        ("", 200),
        ("application/json;q=x", 200),
        ("text/html", 406),
        ("*/*, application/json;q=0", 200),
        ("application/json;q=\xb2", 200),
        ("application/*;q=0.0, text/*", 406),
        (";", 406),
    ],
)
def test_accept_decides_whether_json_will_do(service: InProcess, accept: str, status: int) -> None:
    response = service.post("mse", json=GOOD, headers={"accept": accept.encode("latin-1")})
    assert response.status_code == status
