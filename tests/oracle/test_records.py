"""What a loss needs of the checks stands in its own record: they know no loss and no setting by name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest

from lossd.declaration.domain import POSITIVE, Interval
from lossd.declaration.loss import Example, loss
from lossd.declaration.result import Result
from lossd.declaration.role import Role
from lossd.losses import LOSSES
from lossd.message import Array
from tests.conftest import whole_words
from tests.oracle import random_calls
from tests.oracle.case import Case
from tests.oracle.condition import turned
from tests.oracle.random_calls import check_call
from tests.oracle.records import ORACLES, collected
from tests.oracle.wild import draw_call

GENERIC = (
    *(
        "case",
        "cases",
        "condition",
        "curvature",
        "exact",
        "nonfinite",
        "profiles",
        "random_calls",
        "random_curvature",
    ),
    *("random_draw", "random_values", "record", "residuals", "truth", "wild"),
)
SETTINGS = {name for loss in LOSSES.values() for name in loss.settings}


def literals(source: str) -> Iterator[str]:
    """Yield the words that a module holds as strings, but for its docstrings."""
    tree = ast.parse(source)
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node.value


@pytest.mark.parametrize("module", GENERIC)
def test_a_check_knows_no_loss_and_no_setting(module):
    source = (Path(__file__).parent / f"{module}.py").read_text()
    assert not {*literals(source)} & (LOSSES.keys() | SETTINGS)


def test_a_name_in_a_check_is_found():
    assert {*literals('"""huber"""\nif name == "huber":\n    limit = settings["margin"]')} == {
        "huber",
        "margin",
    }


def test_two_oracles_of_one_loss_are_refused():
    with pytest.raises(AssertionError, match="got two for huber"):
        collected({"huber": ORACLES["huber"]}, {"huber": ORACLES["mse"]})


@pytest.mark.parametrize("name", ["arcface", "triplet_margin"])
def test_a_margin_is_a_comparison_only_where_the_loss_says_so(name):
    """The margin of arcface is an angle of a smooth function: no rounding there explains another result."""
    found = turned({"x": np.array([], object)}, {}, np.finfo(float), ORACLES[name].comparisons)
    if name == "arcface":
        assert not [*found]
    else:
        assert "margin" in {comparison.setting for comparison in ORACLES[name].comparisons}


def test_an_error_in_a_random_call_names_the_command_that_repeats_it(monkeypatch):
    def broken(**arguments: Any) -> Result:
        raise TypeError("of the kernel")

    monkeypatch.setitem(random_calls.LOSSES, "huber", replace(LOSSES["mse"], kernel=broken, name="huber"))
    with pytest.raises(TypeError, match="of the kernel") as raised:
        check_call("huber", 8)
    assert "python -m tests.oracle.random_calls huber --seed 8 --calls 1" in raised.value.__notes__[0]


Fraction = Annotated[Array, Role(domain=Interval(0.0, 1.0, closed="neither"))]
Positive = Annotated[Array, Role(domain=POSITIVE)]


@loss(formula=r"\ell = x / t", source="none", example=Example(input=[0.5], target=[1.0], value=[0.5]))
def quotient(input: Fraction, target: Positive) -> Result:
    """Quotient of a fraction and a positive number."""
    return Result(input / target, {"input": 1 / target, "target": -input / target**2})


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_random_numbers_are_never_the_end_of_an_open_interval(dtype, monkeypatch):
    monkeypatch.setitem(ORACLES, "quotient", ORACLES["mse"])
    for seed in range(200):
        case = draw_call(quotient, np.random.default_rng(seed), dtype)
        for argument in quotient.arguments:
            assert argument.role.domain.forbidden(case.arrays[argument.name], {}) is None


def test_the_tests_of_one_loss_are_not_those_of_another():
    is_named = whole_words(["iou", "reg:linear", "L1Loss"])
    for own in ("iou", "iou-float64", "float32-iou-plain", "reg:linear", "L1Loss: torch.nn.L1Loss()(x, t)"):
        assert is_named.search(own), own
    for other in ("giou", "iou_3d", "reg:linear2", "count:reg:linear", "SmoothL1Loss", "torch.nn.L1Loss()"):
        assert not is_named.search(other), other


def test_second_derivatives_of_boxes_are_left_out_only_where_sides_differ_by_2_to_the_53() -> None:
    near, far, flat = (np.array([[0.0, 0.0, x, 1.0]]) for x in (2.0**52, 2.0**53, 0.0))
    unit, swamped = np.array([[0.0, 0.0, 1.0, 1.0]]), ORACLES["giou"].second_swamped
    found = [swamped(Case("boxes", {"boxes1": boxes, "boxes2": unit})) for boxes in (near, far, flat)]
    assert found == [False, True, False]
