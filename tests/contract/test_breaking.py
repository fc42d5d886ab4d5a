"""No change breaks a client of the last release, and the check that says so finds every kind of break."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from lossd import __version__
from tests.api.serving import ROOT
from tests.contract.breaking import breaks

BASELINE = json.loads((ROOT / "openapi" / "baseline.json").read_bytes())
CURRENT = json.loads((ROOT / "openapi" / "openapi.json").read_bytes())
JSON = "application/json"
# Enough to change in every way; the whole contract is compared once.
PART = {**CURRENT, "paths": {path: CURRENT["paths"][path] for path in ("/v1/losses", "/v1/losses/huber")}}

Change = Callable[[dict[str, Any]], object]


def huber(document: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = document["paths"]["/v1/losses/huber"]["post"]
    return operation


def schema(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = document["components"]["schemas"][name]
    return found


def request(document: dict[str, Any]) -> dict[str, Any]:
    """Return the members of a request for huber."""
    members: dict[str, Any] = schema(document, "HuberRequest")["properties"]
    return members


def answer(document: dict[str, Any]) -> dict[str, Any]:
    """Return the members of an answer."""
    members: dict[str, Any] = schema(document, "Answer")["properties"]
    return members


def a_parameter(**more: Any) -> dict[str, Any]:
    return {"name": "Tenant", "in": "header", "schema": {"type": "string"}, **more}


BREAKING: dict[str, tuple[Change, str]] = {
    "an operation is removed": (
        lambda new: new["paths"].pop("/v1/losses/huber"),
        "POST /v1/losses/huber: the operation is gone",
    ),
    "a method is removed": (lambda new: new["paths"]["/v1/losses/huber"].pop("post"), "operation is gone"),
    "an operation is renamed": (
        lambda new: huber(new).update(operationId="hubers"),
        "operationId: huber became",
    ),
    "an operation moves to another tag": (
        lambda new: huber(new).update(tags=["robust"]),
        "tags: ['regression']",
    ),
    "a parameter is removed": (
        lambda new: huber(new).update(parameters=huber(new)["parameters"][1:]),
        "header parameter Request-Timeout: gone",
    ),
    "a parameter is required": (
        lambda new: huber(new)["parameters"][0].update(required=True),
        "header parameter Request-Timeout: required",
    ),
    "a new parameter is required": (
        lambda new: huber(new)["parameters"].append(a_parameter(required=True)),
        "header parameter Tenant: required",
    ),
    "a parameter has another type": (
        lambda new: huber(new)["parameters"][0]["schema"].update(type="integer"),
        "header parameter Request-Timeout: allowed type number, allows only type integer",
    ),
    "a format is no longer read": (
        lambda new: huber(new)["requestBody"]["content"].pop(JSON),
        "request: application/json is no longer read",
    ),
    "an option is removed": (
        lambda new: request(new).pop("delta"),
        "request application/json at delta: allowed a member, allows only no such member",
    ),
    "an option is renamed": (
        lambda new: request(new).update(d=request(new).pop("delta")),
        "at delta: allowed a",
    ),
    "an option is required": (
        lambda new: schema(new, "HuberRequest")["required"].append("delta"),
        "at delta: allowed optional, allows only required",
    ),
    "a new member is required": (
        lambda new: (
            request(new).update(unit={"type": "string"}),
            schema(new, "HuberRequest")["required"].append("unit"),
        ),
        "at unit: allowed optional, allows only required",
    ),
    "an option takes another type": (
        lambda new: request(new)["check_finite"].update(type="integer"),
        "at check_finite: allowed type boolean, allows only type integer",
    ),
    "an option takes a smaller range": (
        lambda new: request(new)["delta"].update(maximum=10),
        "at delta: allowed maximum None, allows only maximum 10",
    ),
    "an option takes fewer values": (
        lambda new: request(new)["empty"]["enum"].remove("nan"),
        "at empty: allowed enum ['error', 'nan', 'zero'], allows only enum ['error', 'zero']",
    ),
    "an option takes fewer kinds of value": (
        lambda new: request(new)["axis"]["anyOf"].pop(),
        "at axis: allowed",
    ),
    "an option means something else if left out": (
        lambda new: request(new)["delta"].update(default=2.0),
        "at delta: default 1.0 became 2.0",
    ),
    "arrays can be written in fewer ways": (
        lambda new: schema(new, "Tensor")["anyOf"].pop(),
        "at input: allowed type object",
    ),
    "an array has fewer dtypes": (
        lambda new: schema(new, "EncodedTensor")["properties"]["dtype"]["enum"].remove("bfloat16"),
        "at input: allowed type object",
    ),
    "an answer loses a member": (
        lambda new: answer(new).pop("hessian"),
        "answer 200 application/json at hessian",
    ),
    "an answer no longer promises a member": (
        lambda new: schema(new, "Answer")["required"].remove("count"),
        "at count: was required, may be optional",
    ),
    "a member of an answer has another type": (
        lambda new: answer(new)["count"].update(type="number"),
        "at count: was type integer, may be type number",
    ),
    "a member of an answer can be null": (
        lambda new: answer(new)["count"].update(type=["integer", "null"]),
        "at count: was type integer, may be type null",
    ),
    "an answer has a new kind of array": (
        lambda new: schema(new, "Tensor")["anyOf"].append({"type": "string"}),
        "at denominator: was",
    ),
    "an answer has another status": (
        lambda new: huber(new)["responses"].update({"202": huber(new)["responses"].pop("200")}),
        "answer 202: new",
    ),
    "an answer is in another format": (
        lambda new: huber(new)["responses"]["200"]["content"].pop(JSON),
        "answer 200: application/json is no longer written",
    ),
    "a refusal loses a header": (
        lambda new: new["components"]["responses"]["Problem503"].pop("headers"),
        "answer 503: header Retry-After is gone",
    ),
    "a refusal loses a member": (
        lambda new: schema(new, "Problem")["properties"].pop("detail"),
        "at detail: was",
    ),
}

HARMLESS: dict[str, Change] = {
    "nothing": lambda new: None,
    "a new operation": lambda new: new["paths"].update(
        {"/v1/losses/new": copy.deepcopy({"post": huber(new)})}
    ),
    "a new parameter": lambda new: huber(new)["parameters"].append(a_parameter()),
    "a new option": lambda new: request(new).update(unit={"type": "string", "default": "m"}),
    "a member that need no longer be given": lambda new: schema(new, "HuberRequest")["required"].remove(
        "target"
    ),
    "a wider range": lambda new: request(new)["delta"].pop("exclusiveMinimum"),
    "one more value": lambda new: request(new)["empty"]["enum"].append("one"),
    "one more kind of value": lambda new: request(new)["axis"]["anyOf"].append({"type": "string"}),
    "a new member of an answer": lambda new: answer(new).update(unit={"type": "string"}),
    "an answer that promises more": lambda new: schema(new, "Answer")["required"].append("warnings"),
    "a narrower member of an answer": lambda new: answer(new)["count"].update(minimum=1),
    "another refusal": lambda new: huber(new)["responses"].update({"418": {"description": "A teapot."}}),
    "other words": lambda new: huber(new).update(summary="Shorter.", description="Longer."),
    "a deprecation": lambda new: huber(new).update(deprecated=True),
}


def test_this_contract_breaks_no_client_of_the_last_release() -> None:
    assert breaks(BASELINE, CURRENT) == [], "see openapi/README.md for how a contract may change"


def test_the_baseline_is_a_contract_of_this_version_or_an_older_one() -> None:
    assert len(BASELINE["paths"]) > 10
    assert version(BASELINE["info"]["version"]) <= version(__version__)


@pytest.mark.parametrize("what", BREAKING)
def test_a_breaking_change_is_found_at_its_place(what: str) -> None:
    change, expected = BREAKING[what]
    new = copy.deepcopy(PART)
    change(new)
    found = breaks(PART, new)
    assert any(expected in each for each in found), found[:5]


@pytest.mark.parametrize("what", HARMLESS)
def test_a_harmless_change_is_let_through(what: str) -> None:
    new = copy.deepcopy(PART)
    HARMLESS[what](new)
    assert breaks(PART, new) == []


def test_what_was_deprecated_may_go() -> None:
    old, new = copy.deepcopy(PART), copy.deepcopy(PART)
    huber(old)["deprecated"] = True
    del new["paths"]["/v1/losses/huber"]
    assert breaks(old, new) == []


def version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
