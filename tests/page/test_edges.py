"""Edges and denominators are data, and true: each edge is a call that anyone can repeat."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import floor, isfinite, log10
from typing import Any

import numpy as np
import pytest

from lossd.declaration.samples import forms, sample_call
from lossd.engine import evaluate
from lossd.loss_page import loss_page
from lossd.losses import LOSSES
from lossd.message import Call
from tests.api.serving import InProcess

KNOWN = {
    # loss and edge, to the loss there and its gradient: worked out by hand
    ("l1", "zero"): (0, 0),
    ("huber", "exactly `delta`"): (0.5, 1),
    ("hinge", "exactly 1"): (0, -1),  # the full gradient at the kink
    ("hinge_embedding", "exactly `margin`, for a target of −1"): (0, -1),
    ("margin_ranking", "exactly `margin`"): (0, -1),
    ("multi_margin", "exactly `margin` above the next"): (0, 0),  # none at this one
    ("triplet_margin", "the margin exactly kept"): (0, -1),
    ("cosine_embedding", "a negative pair exactly at a `margin` of 0"): (0, 0.12),
    ("cross_entropy", "the first sample is ignored"): (0.4145250997003818, 0),
    ("nll", "the first sample is ignored"): (0.25, 0),
    ("giou", "the same box twice"): (0, 0),
    ("giou", "boxes that touch"): (1, -1 / 3),
    ("kl_div", "minus infinity, for a target of 0"): (0, 0),
    ("ctc", "the same with `zero_infinity`"): (0, 0),
    ("rank_ndcg", "nothing is relevant"): (0, 0),
    ("cox", "no event"): (0, 0),
}


@pytest.fixture(scope="module")
def service() -> InProcess:
    return InProcess()


def entry(service: InProcess, name: str) -> Mapping[str, Any]:
    return service.request("GET", f"/v1/losses/{name}").json()


@pytest.mark.parametrize("name", LOSSES)
def test_an_edge_is_a_call_that_anyone_can_repeat(service: InProcess, name: str) -> None:
    told = entry(service, name)
    argument = told["picture"]["argument"]
    for edge in told["edges"]:
        answer = service.post(name, json=edge["request"])
        assert (answer.status_code == 422) == edge["refused"], edge
        if edge["refused"]:
            continue
        found = answer.json()
        derivatives = [found["gradient"]["sum"][argument]]
        derivatives += [found["hessian"]["sum"][argument]] if edge["curvature"] is not None else []
        for i in edge["place"]:
            derivatives = [each[i] for each in derivatives]
        said = [edge[name] for name in ("loss", "gradient", "curvature") if edge[name] is not None]
        assert [found["loss"]["sum"], *derivatives] == said, edge


@pytest.mark.parametrize("name", LOSSES)
def test_what_people_read_of_an_edge_is_no_other_number(service: InProcess, name: str) -> None:
    """Read the page and the text of the command line back: 999999.5 in four digits passed for one million."""
    edges = [edge for edge in entry(service, name)["edges"] if not edge["refused"]]
    html = service.request("GET", f"/losses/{name}").text.partition('class="facts edges"')[2]
    rows = re.findall(r"<tr data-at=.*?</tr>", html.partition("</table>")[0])
    on_page = [re.findall(r'<td class="n">(.*?)</td>', row)[1:] for row in rows if "refused" not in row]
    listed = loss_page(entry(service, name)).partition("\nEdges:\n")[2].partition("\n\n")[0].splitlines()
    in_text = [re.findall(r"(?:loss|gradient|curvature) (\S+?)(?:,|$)", line) for line in listed]
    for read in (on_page, [numbers for numbers in in_text if numbers]):
        assert len(read) == len(edges)
        for numbers, edge in zip(read, edges, strict=True):
            told = [edge[key] for key in ("loss", "gradient", "curvature") if edge[key] is not None]
            for text, number in zip(numbers, map(float, told), strict=True):
                assert _reads(text) == pytest.approx(number, rel=0, abs=_unseen(text, number), nan_ok=True), (
                    edge
                )


def _reads(text: str) -> float:
    return float(text.replace("−", "-").replace("∞", "inf"))


def _unseen(text: str, number: float) -> float:
    """Return how far a number may be from its text: half of digit four if three or more are there, else seven."""
    if not number or not isfinite(number):
        return 0
    digits = re.sub(r"e.*|\D", "", text).strip("0")
    place = floor(log10(abs(number))) - (3 if len(digits) >= 3 else 6)
    return 0.5001 * 10**place


@pytest.mark.parametrize("name", LOSSES)
def test_the_example_has_its_mean_and_gradient(service: InProcess, name: str) -> None:
    example = entry(service, name)["example"]
    answer = service.post(name, json={**example["request"], "gradient": True}).json()
    assert (example["mean"], example["gradient"]) == (answer["loss"]["mean"], answer["gradient"]["mean"])
    assert any(np.any(np.asarray(array)) for array in example["gradient"].values())


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_says_what_happens_at_ends_and_where_nothing_is_known(
    service: InProcess, name: str
) -> None:
    kinds = [edge["kind"] for edge in entry(service, name)["edges"]]
    assert "nan" in kinds
    assert {"infinity", "bound"} & set(kinds)
    assert ("ignored" in kinds) == (LOSSES[name].ignored is not None)


@pytest.mark.parametrize(("place", "expected"), KNOWN.items(), ids=lambda value: " ".join(map(str, value)))
def test_edges_are_what_they_are_by_hand(
    service: InProcess, place: tuple[str, str], expected: tuple[float, float]
) -> None:
    name, label = place
    (edge,) = [each for each in entry(service, name)["edges"] if each["label"] == label]
    assert (edge["loss"], edge["gradient"]) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_the_mean_divides_by_what_the_catalogue_counts(service: InProcess, name: str) -> None:
    told = entry(service, name)["mean"]
    loss = LOSSES[name]
    for form in forms(loss):
        call = sample_call(loss, np.random.default_rng(1), form=form)
        answer = evaluate(loss, Call(call.arrays, {**call.options, "reduction": ["none", "mean"]}))
        assert answer.denominator == pytest.approx(_counted(told, call, answer.loss["none"])), form.name


def _counted(told: Mapping[str, Any], call: Call, losses: np.ndarray) -> float:
    """Count what a mean divides by, from what the catalogue says alone."""
    weight = call.arrays.get(told["weight"]) if told["weight"] else None
    if weight is not None and told["indexed_by"]:
        index = call.arrays[told["indexed_by"]]
        return weight[index].sum() if index.dtype.kind in "iu" else losses.size
    if weight is not None:
        return weight.sum()
    labels = call.arrays.get("labels")
    others = (labels[:, None] == labels).sum(axis=1) - 1 if labels is not None else np.zeros(0)
    counted = {
        "value": losses.size,
        "sample": losses.size,
        "event": np.sum(call.arrays.get("events", 0)),
        "item with a positive": np.sum(others > 0),
        "positive pair": np.sum(others),
        "nothing": 1,
    }
    return float(counted[told["counts"]])


def test_a_loss_is_divided_before_by_what_the_catalogue_names() -> None:
    (scaled,) = [loss for loss in LOSSES.values() if loss.denominator.scaled_by]
    call = sample_call(scaled, np.random.default_rng(1))
    answer = evaluate(scaled, Call(call.arrays, {**call.options, "reduction": ["none", "mean"]}))
    before = answer.loss["none"] / np.maximum(call.arrays[scaled.denominator.scaled_by or ""], 1)
    assert answer.loss["mean"] == pytest.approx(before.mean())
