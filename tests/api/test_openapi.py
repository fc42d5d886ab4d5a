"""The contract is valid, complete, and as committed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from lossd.api import openapi
from lossd.api.catalogue import LossEntry
from lossd.app import openapi_document
from lossd.engine import Options
from lossd.losses import LOSSES
from tests.api.serving import ROOT, InProcess

DOCUMENT = json.loads(openapi_document())
OPERATIONS = {
    operation["operationId"]: (path, method, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
REFUSALS = {"400", "401", "403", "429", "404", "406", "408", "413", "415", "422", "503", "504"}


@pytest.mark.declarations
def test_the_document_is_valid() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_an_invalid_document_would_be_noticed() -> None:
    broken = json.loads(openapi_document())
    broken["paths"]["/v1/losses/mse"]["post"]["responses"] = {}
    assert list(OpenAPIV31SpecValidator(broken).iter_errors())


@pytest.mark.declarations
def test_the_committed_document_is_this_one() -> None:
    committed = (ROOT / "openapi" / "openapi.json").read_bytes()
    assert committed == openapi_document(), "stale: run `make openapi` and commit what changed"


def test_the_served_document_is_this_one(service: InProcess) -> None:
    assert service.request("GET", "/openapi.json").json() == DOCUMENT


def test_the_environment_does_not_change_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSD_PORT", "9000")
    monkeypatch.setenv("LOSSD_MAX_BODY_BYTES", "1")
    assert json.loads(openapi_document()) == DOCUMENT


def test_the_introduction_shows_what_the_service_answers(service: InProcess) -> None:
    text = DOCUMENT["info"]["description"]
    request, answer, problem = map(json.loads, re.findall(r"```json\n(.*?)```", text, flags=re.DOTALL))
    assert service.post("huber", json=request).json() == answer
    assert service.post("huber", json={**request, "delta": -1}).json() == problem
    for path in re.findall(r"\]\((v1/[\w/]+)\)", text):
        assert service.request("GET", f"/{path}").status_code == 200


@pytest.mark.parametrize("name", LOSSES)
def test_arguments_stand_before_settings_and_these_before_options(name: str) -> None:
    loss, schema = LOSSES[name], OPERATIONS[name][2]["requestBody"]["content"]["application/json"]["schema"]
    properties = list(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["properties"])
    own = [*loss.by_name, *loss.settings]
    assert properties[: len(own)] == own
    assert ("group" in properties) == bool(loss.ragged)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_has_its_operation(name: str) -> None:
    path, method, operation = OPERATIONS[name]
    loss = LOSSES[name]
    assert (path, method) == (f"/v1/losses/{name}", "post")
    assert operation["tags"] == [loss.family]
    assert operation["summary"] == loss.summary.replace("`", "")
    assert set(operation["responses"]) == {"200"} | REFUSALS
    body = operation["requestBody"]["content"]["application/json"]
    assert body["example"] == {**loss.example.call, "gradient": True}
    schema = resolve(body["schema"])
    arguments = {argument.name for argument in loss.arguments}
    options = {*Options.model_fields, *loss.settings, *loss.directions, *(["group"] if loss.ragged else [])}
    assert set(schema["properties"]) == arguments | options
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("name", LOSSES)
def test_the_answer_that_is_shown_is_the_answer_to_the_request_that_is_shown(
    service: InProcess, name: str
) -> None:
    path, _, operation = OPERATIONS[name]
    request = operation["requestBody"]["content"]["application/json"]["example"]
    shown = operation["responses"]["200"]["content"]["application/json"]["example"]
    answer = service.request("POST", path, json=request).json()
    assert shown.keys() == answer.keys()
    assert shown["count"] == answer["count"]
    np.testing.assert_allclose(shown["loss"]["mean"], answer["loss"]["mean"], rtol=1e-5)
    assert shown["gradient"]["mean"].keys() == answer["gradient"]["mean"].keys()
    for argument, gradient in answer["gradient"]["mean"].items():
        np.testing.assert_allclose(shown["gradient"]["mean"][argument], gradient, rtol=1e-5)


def test_the_example_of_one_loss_is_its_value_by_hand() -> None:
    _, _, operation = OPERATIONS["mse"]
    shown = operation["responses"]["200"]["content"]["application/json"]["example"]
    assert shown["loss"] == {"mean": (0.25 + 0 + 1 + 4) / 4}
    assert shown["gradient"] == {"mean": {"input": [-0.25, 0.0, 0.5, -1.0]}}


@pytest.mark.declarations
def test_every_summary_is_a_sentence() -> None:
    summaries = [operation["summary"] for _, _, operation in OPERATIONS.values()]
    assert [text for text in summaries if not text.endswith(".") or "V2" in text or "\n" in text] == []


def test_a_family_without_a_sentence_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(openapi.FAMILIES, "overlap")
    with pytest.raises(ValueError, match="expected a sentence for the family overlap in FAMILIES"):
        openapi_document()


def test_an_operation_says_whether_it_needs_a_key(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text("keys = []")
    guarded = InProcess(auth="keys", keys_file=str(file))
    for path, method, operation in OPERATIONS.values():
        concrete = path.replace("{name}", "mse").replace("{kind}", "forbidden").replace("{version}", "1")
        asked = guarded.request(method.upper(), concrete).status_code == 401
        assert asked == (operation.get("security") != [])
        assert {"401", "403"} & operation["responses"].keys() == ({"401", "403"} if asked else set())


def test_every_reference_leads_somewhere() -> None:
    references = list(find_references(DOCUMENT))
    assert len(references) > 100
    assert all(resolve({"$ref": reference}) for reference in references)


def test_every_schema_is_used() -> None:
    used = set(find_references(DOCUMENT))
    schemas = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    assert schemas <= used


@pytest.mark.declarations
def test_every_tag_is_described_and_every_operation_has_one_tag() -> None:
    described = {tag["name"] for tag in DOCUMENT["tags"]}
    assert {tag for _, _, operation in OPERATIONS.values() for tag in operation["tags"]} == described


def test_the_routes_of_the_service_are_those_of_the_document(service: InProcess) -> None:
    for path, method, _ in OPERATIONS.values():
        concrete = path.replace("{name}", "mse").replace("{kind}", "invalid-call")
        allowed = service.request("OPTIONS", concrete).headers["allow"].split(", ")
        assert method.upper() in allowed


def test_an_entry_has_the_members_that_the_document_promises(service: InProcess) -> None:
    entry = service.request("GET", "/v1/losses/huber").json()
    assert set(entry) == set(resolve({"$ref": "#/components/schemas/LossEntry"})["properties"])
    assert set(entry) == set(LossEntry.model_fields)


def resolve(schema: dict[str, Any]) -> Any:
    """Follow one reference inside the document."""
    value: Any = DOCUMENT
    for part in schema["$ref"].removeprefix("#/").split("/"):
        value = value[part]
    return value


def find_references(value: Any) -> list[str]:
    """Return every reference in a part of the document."""
    if isinstance(value, list):
        return [reference for each in value for reference in find_references(each)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
    return own + [reference for each in value.values() for reference in find_references(each)]
