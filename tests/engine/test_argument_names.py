"""A caller from another framework is told which argument it meant, and nobody is told a wrong one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from lossd.declaration.argument_names import meant
from lossd.declaration.role import Quantity
from lossd.losses import LOSSES
from tests.api.serving import InProcess

WORDS: Mapping[Quantity, str] = {"score": "logits", "probability": "probs", "log_probability": "log_probs"}
WITH_INPUT = [name for name, loss in LOSSES.items() if "input" in loss.by_name]


@pytest.mark.parametrize("name", LOSSES)
def test_names_that_say_what_an_input_holds_are_offered_where_it_holds_that(name: str) -> None:
    loss = LOSSES[name]
    holds = loss.by_name["input"].role.quantity if name in WITH_INPUT else None
    for quantity, word in WORDS.items():
        if word not in loss.by_name:
            assert (meant(loss, word, ()) == "input") == (quantity == holds), word


@pytest.mark.parametrize("name", WITH_INPUT)
def test_a_loss_is_drawn_over_what_its_input_holds(name: str) -> None:
    loss = LOSSES[name]
    if loss.picture.argument != "input":
        return
    low, high = loss.picture.low, loss.picture.high
    found = {"probability": (low, high) == (0, 1), "log_probability": high <= 0}
    assert found == {quantity: quantity == loss.by_name["input"].role.quantity for quantity in found}


@pytest.mark.parametrize(
    ("name", "word"),
    [
        *[
            ("cross_entropy", "logits"),
            ("bce_with_logits", "logits"),
            ("hinge", "logits"),
            ("rank_ndcg", "logits"),
        ],
        *[
            ("bce", "probs"),
            ("dice", "probs"),
            ("sinkhorn", "probs"),
            ("nll", "log_probs"),
            ("kl_div", "log_probs"),
        ],
        *[("mse", None), ("hinge_embedding", None), ("poisson_nll", None), ("gaussian_nll", None)],
    ],
)
def test_the_name_offered_is_the_one_that_the_source_of_the_loss_uses(name: str, word: str | None) -> None:
    assert [each for each in WORDS.values() if meant(LOSSES[name], each, ())] == ([word] if word else [])


@pytest.mark.parametrize("name", LOSSES)
def test_what_is_meant_is_an_argument_that_the_call_lacks(name: str) -> None:
    loss = LOSSES[name]
    for word in ("y_true", "labels", "y_pred", "predictions", "logits", "Y_True", "zzz", "x" * 1000):
        found = meant(loss, word, ())
        assert found is None or found in loss.by_name
        assert found is None or meant(loss, word, (found,)) is None


@pytest.mark.parametrize(
    ("name", "call", "hints"),
    [
        ("mse", {"y_true": [1], "y_pred": [2]}, {"y_true": "target", "y_pred": "input"}),
        ("cross_entropy", {"logits": [[1, 2]], "labels": [0]}, {"logits": "input", "labels": "target"}),
        ("bce", {"logits": [1], "target": [1]}, {"logits": None}),
        ("kl_div", {"y_pred": [0.5], "target": [1]}, {"y_pred": None}),
        ("crf", {"labels": [0]}, {"labels": "tags"}),
        ("cosine_embedding", {"y_true": [1]}, {"y_true": None}),
        ("mse", {"input": [1], "target": [1], "labels": [1]}, {"labels": None}),
    ],
)
def test_a_refusal_names_the_argument(
    name: str, call: Mapping[str, Any], hints: Mapping[str, str | None]
) -> None:
    errors = {each["at"]: each["got"] for each in InProcess().post(name, json=call).json()["errors"]}
    for given, wanted in hints.items():
        assert errors[given] == f'"{given}"' + (f"; did you mean {wanted}?" if wanted else "")


@pytest.mark.parametrize("option", ["gradient", "hessian"])
def test_an_argument_that_the_call_lacks_is_said_to_lack(option: str) -> None:
    call = {"input": [1.0], "target": [2.0], option: ["weight"]}
    (error,) = InProcess().post("mse", json=call).json()["errors"]
    assert error["got"] == '"weight", which the call does not have'


@pytest.mark.parametrize(
    ("call", "why"),
    [
        ({"input": [], "target": []}, "the arrays are empty"),
        ({"input": [[]], "target": [[]], "axis": 1}, "the arrays are empty"),
        ({"input": [1], "target": [1], "mask": [False]}, "each is masked, ignored or has zero weight"),
    ],
)
def test_a_mean_over_nothing_says_why_there_is_nothing(call: Mapping[str, Any], why: str) -> None:
    (error,) = InProcess().post("mse", json=call).json()["errors"]
    assert why in error["got"]


def test_the_name_of_a_loss_within_its_framework_leads_to_the_loss() -> None:
    service = InProcess()
    for name, near in {"keras.losses.Huber": "Huber", "torch.nn.MSELoss": "MSELoss"}.items():
        answer = service.post(name, json={"input": [1], "target": [1]})
        assert (answer.status_code, near in answer.json()["detail"].partition("did you mean")[2]) == (
            404,
            True,
        )
