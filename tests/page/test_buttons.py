"""Buttons under the arrays of Try: none leads to a call that is refused, from any loss's example and two steps on."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from lossd.losses import LOSSES
from lossd.page.pages import posted
from tests.api.serving import PATIENCE_SECONDS, ROOT, InProcess
from tests.languages.toolchain import need

SCRIPTS = ROOT / "service/lossd/page/static/js"
WALK = Path(__file__).parent / "buttons.mjs"
STEPS = 2
GRID = [[1, 2, 3], [4, 5, 6]]
ZEROS = [[0, 0, 0], [0, 0, 0]]

Call = Mapping[str, Any]


@pytest.fixture(scope="module")
def service() -> InProcess:
    return InProcess()


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the scripts that Node takes for modules, as a browser does."""
    need("node", ["node", "--version"])
    folder = tmp_path_factory.mktemp("scripts") / "js"
    shutil.copytree(SCRIPTS, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    return folder


def pressed(
    service: InProcess, scripts: Path, name: str, calls: Sequence[tuple[Call, Any]]
) -> list[list[dict[str, Any]]]:
    """Return what each button makes of each call, beside the losses of its answer: its text, and the call after it."""
    entry = service.request("GET", f"/v1/losses/{name}").json()
    given = json.dumps([{"loss": entry, "state": call, "losses": losses} for call, losses in calls])
    done = subprocess.run(
        ["node", WALK, scripts],
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def losses_of(service: InProcess, name: str, calls: Sequence[Call]) -> list[Any]:
    """Return the unreduced losses of calls, all of which must be taken."""
    asked = {"loss": name, "reduction": ["none", "mean", "sum"]}
    body = {"calls": [{"gradient": True, **call, **asked} for call in calls]}
    results = service.request("POST", "/v1/batch", json=body).json()["results"]
    refused = [
        (each["problem"]["detail"], call)
        for each, call in zip(results, calls, strict=True)
        if "problem" in each
    ]
    assert refused == []
    return [each["answer"]["loss"].get("none") for each in results]


def walk(service: InProcess, scripts: Path, name: str, start: Call) -> dict[str, Call]:
    """Press every button, and every button of what comes of it; return the call after each first button."""
    calls: dict[str, Call] = {json.dumps(start): start}
    first: dict[str, Call] = {}
    for _ in range(STEPS + 1):
        losses = losses_of(service, name, list(calls.values()))
        answered = list(zip(calls.values(), losses, strict=True))
        found = [button for each in pressed(service, scripts, name, answered) for button in each]
        first = first or {button["text"]: button["state"] for button in found}
        calls = {json.dumps(button["state"]): button["state"] for button in found}
    return first


@pytest.mark.slow
@pytest.mark.parametrize("name", LOSSES)
def test_no_button_leads_from_an_example_to_an_error(service: InProcess, scripts: Path, name: str) -> None:
    found = walk(service, scripts, name, posted(LOSSES[name]))
    assert {"with mask", "with sample_weight"} <= found.keys()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("mse", {"input": 3, "target": 4}),
        ("mse", {"input": GRID, "target": ZEROS, "hvp": GRID, "upstream": GRID}),
        ("mse", {"input": GRID, "target": ZEROS, "sample_weight": [1, 2, 3], "mask": [[True], [False]]}),
        ("mse", {"input": GRID, "target": ZEROS, "convention": "gbm"}),
        ("mse", {"input": GRID, "target": [0, 0, 0], "broadcast": True}),
        ("cox", {**LOSSES["cox"].example.call, "convention": "gbm"}),
        ("cross_entropy", {"input": [*GRID, [1, 2, 1]], "target": [0, 1, 2], "weight": [1, 2, 3]}),
        ("cross_entropy", {"input": [*GRID, [1, 2, 1]], "target": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}),
        ("cross_entropy", {"input": [1, 2, 3], "target": 2}),
        ("nll", {"input": GRID, "target": [0, 2], "class_axis": -1}),
        ("nll", {"input": GRID, "target": [0, 1, 1], "class_axis": 0}),
        ("gaussian_nll", {"input": GRID, "target": ZEROS, "var": [[1], [2]]}),
        ("bce", {"input": ZEROS, "target": ZEROS, "weight": [1, 2, 3]}),
        ("ctc", {**LOSSES["ctc"].example.call, "blank": 0, "targets": [2, 2]}),
        ("rank_ndcg", {"input": [1, 2, 3, 4], "target": [0, 1, 1, 0], "group": [2, 2]}),
    ],
)
def test_no_button_leads_from_other_shapes_to_an_error(
    service: InProcess, scripts: Path, name: str, call: Call
) -> None:
    assert walk(service, scripts, name, call)


def test_an_axis_grows_in_every_array_that_has_it(service: InProcess, scripts: Path) -> None:
    ((row, _, column, *_),) = pressed(
        service, scripts, "multi_quantile", [(posted(LOSSES["multi_quantile"]), [1, 1])]
    )
    assert (row["text"], row["state"]["target"]) == ("add a row", [2, 4, 4])
    assert (column["text"], column["state"]["quantiles"]) == ("add a column", [0.25, 0.75, 0.75])
    assert column["state"]["input"] == [[1, 3, 3], [0, 0, 0]]


def test_an_index_stays_below_the_classes_that_are_left(service: InProcess, scripts: Path) -> None:
    call = {"input": GRID, "target": [0, 2]}
    (found,) = pressed(service, scripts, "nll", [(call, [1, 1])])
    after = {button["text"]: button["state"] for button in found}["remove the last column"]
    assert after == {"input": [[1, 2], [4, 5]], "target": [0, 1]}


def test_an_axis_of_a_fixed_size_has_no_buttons(service: InProcess, scripts: Path) -> None:
    (found,) = pressed(service, scripts, "giou", [(posted(LOSSES["giou"]), [1, 1])])
    assert not any("column" in button["text"] for button in found)


def test_one_of_two_forms_takes_the_place_of_the_other(service: InProcess, scripts: Path) -> None:
    start = posted(LOSSES["ctc"])
    (found,) = pressed(service, scripts, "ctc", [(start, 1.0)])
    after = {button["text"]: button["state"] for button in found}
    assert not {"with logits", "without logits"} & after.keys()
    swapped = after["log_probs in place of logits"]
    assert swapped["log_probs"] == start["logits"]
    assert "logits" not in swapped


def test_lengths_that_are_added_are_whole(service: InProcess, scripts: Path) -> None:
    (found,) = pressed(service, scripts, "crf", [(posted(LOSSES["crf"]), [1.0])])
    after = {button["text"]: button["state"] for button in found}
    assert after["with lengths"]["lengths"] == [4]
    assert after["with start_transitions"]["start_transitions"] == [1, 1, 1]
