"""The routes beside the calls: catalogue, health, problems, documentation, and what the router refuses."""

from __future__ import annotations

import math
import re
from typing import Any
from urllib.parse import urljoin

import pytest

from lossd import __version__
from lossd.losses import LOSSES
from tests.api.serving import GOOD, InProcess


def test_a_call_has_its_value_per_reduction_and_its_gradient(service: InProcess) -> None:
    call = {"input": [1, 2, 3], "target": [1, 2, 5], "reduction": ["none", "mean", "sum"], "gradient": True}
    response = service.post("huber", json=call)
    assert response.headers["content-type"] == "application/json"
    answer = response.json()
    assert answer["loss"] == {"none": [0, 0, 1.5], "mean": 0.5, "sum": 1.5}
    assert answer["gradient"]["mean"]["input"] == pytest.approx([0, 0, -1 / 3])
    assert answer["gradient"]["sum"]["input"] == [0, 0, -1]
    assert (answer["count"], answer["denominator"]) == (3, 3)


@pytest.mark.parametrize("name", LOSSES)
def test_every_alias_is_a_path(service: InProcess, name: str) -> None:
    example = LOSSES[name].example.call
    expected = service.post(name, json=example).json()
    for alias in LOSSES[name].aliases:
        answer = service.post(alias.name, json=example).json()
        assert "loss" in answer
        assert answer == expected or not alias.is_plain


def test_an_alias_with_percent_escapes_is_found(service: InProcess) -> None:
    assert (
        service.post("reg%3Asquarederror", json=GOOD).json()
        == service.post("reg:squarederror", json=GOOD).json()
    )


def test_the_list_has_every_loss(service: InProcess) -> None:
    entries = service.request("GET", "/v1/losses").json()["losses"]
    assert [entry["name"] for entry in entries] == list(LOSSES)
    assert all(set(entry) == {"name", "family", "aliases", "summary"} for entry in entries)


@pytest.mark.parametrize("name", LOSSES)
def test_an_entry_says_what_the_declaration_says(service: InProcess, name: str) -> None:
    entry = service.request("GET", f"/v1/losses/{name}").json()
    loss = LOSSES[name]
    assert (entry["name"], entry["family"], entry["formula"]) == (loss.name, loss.family, loss.formula)
    assert [each["name"] for each in entry["arguments"]] == [each.name for each in loss.arguments]
    assert set(loss.settings) <= set(entry["settings"])
    assert not set(entry["settings"]) & set(entry["options"])
    assert "gradient" in entry["options"]


@pytest.mark.parametrize("name", LOSSES)
def test_the_example_of_an_entry_can_be_posted(service: InProcess, name: str) -> None:
    example = service.request("GET", f"/v1/losses/{name}").json()["example"]
    answer = service.post(name, json={**example["request"], "reduction": "none"}).json()
    assert flat(answer["loss"]["none"]) == pytest.approx(flat(example["value"]), rel=1e-6)


def test_an_entry_answers_to_aliases_and_an_unknown_one_is_a_404(service: InProcess) -> None:
    assert service.request("GET", "/v1/losses/HuberLoss").json()["name"] == "huber"
    response = service.request("GET", "/v1/losses/hubert")
    assert response.status_code == 404
    assert response.json()["detail"].endswith("; did you mean huber?")
    strange = service.request("GET", "/v1/losses/nothing").json()
    assert strange["detail"] == 'no loss is named "nothing"; GET /v1/losses lists them'


@pytest.mark.parametrize(("path", "status"), [("/livez", "alive"), ("/readyz", "ready")])
def test_health(service: InProcess, path: str, status: str) -> None:
    response = service.request("GET", path)
    assert (response.status_code, response.json()) == (200, {"status": status})


def test_the_type_of_a_problem_is_an_address_that_explains_it(service: InProcess) -> None:
    problem = service.post("mse", json={}).json()
    kind = service.request("GET", problem["type"]).json()
    assert {key: kind[key] for key in ("type", "title", "status")} == {
        key: problem[key] for key in ("type", "title", "status")
    }
    assert kind["description"].endswith(".")
    assert service.request("GET", "/problems/none").status_code == 404


ALLOWED = {
    "/v1/losses/mse": "GET, HEAD, OPTIONS, POST",
    "/v1/losses": "GET, HEAD, OPTIONS",
    "/readyz": "GET, HEAD, OPTIONS",
    "/openapi.json": "GET, HEAD, OPTIONS",
}


@pytest.mark.parametrize("path", ALLOWED)
def test_a_path_knows_its_methods(service: InProcess, path: str) -> None:
    options = service.request("OPTIONS", path)
    assert (options.status_code, options.headers["allow"], options.content) == (204, ALLOWED[path], b"")
    head = service.request("HEAD", path)
    assert head.status_code == 200
    refused = service.request("DELETE", path)
    assert (refused.status_code, refused.headers["allow"]) == (405, ALLOWED[path])
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["title"] == "Method Not Allowed"
    service.assert_unharmed()


@pytest.mark.parametrize("path", ["/nowhere", "/v1", "/v1/losses/", "/docs/nothing.js", "/v1/losses/a/b"])
def test_an_unknown_path_is_a_problem(service: InProcess, path: str) -> None:
    response = service.request("GET", path)
    problem = response.json()
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert set(problem) == {"type", "title", "status", "detail", "errors"}


def test_the_documentation_needs_no_other_host(service: InProcess) -> None:
    page = service.request("GET", "/docs")
    assert __version__ in page.text
    links = re.findall(r"""(?:src|href|url)\s*[=:]\s*["']([^"']+)["']""", page.text)
    assert len(links) == 8  # four files, and four pages
    for link in links:
        assert "//" not in link
        response = service.request("GET", urljoin("/docs", link))
        assert response.status_code == 200
        assert len(response.content) > 500
    assert "http:" not in page.text
    assert "https:" not in page.text


def flat(value: Any) -> list[float]:
    """Return the numbers of nested lists."""
    if isinstance(value, list):
        return [number for each in value for number in flat(each)]
    return [math.nan if value is None else float(value)]
