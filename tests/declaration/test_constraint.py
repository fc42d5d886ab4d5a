"""Constraints between arguments: what they mark, what they are called, and that repaired samples fulfil them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import pytest

from lossd.declaration.constraint import Corners
from lossd.declaration.example import Example
from lossd.declaration.loss import loss
from lossd.declaration.pattern import Sizes
from lossd.declaration.result import Result
from lossd.declaration.role import Role
from lossd.declaration.roles import Real
from lossd.declaration.samples import sample_call
from lossd.engine import evaluate
from lossd.errors import InvalidCall
from lossd.message import Array, Call

Box = Annotated[Array, Role("(..., 4)")]


@dataclass(frozen=True)
class AtMost:
    """A constraint between two arguments, which no loss has so far."""

    low: str
    high: str

    @property
    def arguments(self) -> tuple[str, ...]:
        return self.low, self.high

    def forbidden(self, arrays: Mapping[str, Array], sizes: Sizes) -> Array | None:
        wrong: Array = arrays[self.low] > arrays[self.high]
        return wrong if wrong.any() else None

    def repair(self, arrays: dict[str, Array]) -> None:
        ends = arrays[self.low], arrays[self.high]
        arrays[self.low], arrays[self.high] = np.minimum(*ends), np.maximum(*ends)

    def __str__(self) -> str:
        return f"{self.low} <= {self.high}"


@loss(
    formula=r"\ell = x (u - l)", source="this test", example=Example(input=[1.0], low=[0.0], high=[2.0], value=[2.0]),
    constraints=(AtMost("low", "high"),),
)  # fmt: skip
def width(input: Real, low: Real, high: Real | None = None) -> Result:
    """A loss of an interval, which may have no end."""
    wide = (1 if high is None else high) - low
    return Result(input * wide, {"input": wide, "low": -input, "high": input})


@loss(
    formula=r"\ell = \sum_i x_i", source="this test", example=Example(input=[[0.0, 0.0, 1.0, 1.0]], value=[2.0]),
    constraints=(Corners("input"),),
)  # fmt: skip
def corners(input: Box) -> Result:
    """A loss of a box."""
    return Result(input.sum(axis=1), {"input": lambda: np.ones_like(input)})


def test_corners_mark_the_first_of_two_that_are_not_in_order():
    constraint = Corners("boxes")
    assert constraint.arguments == ("boxes",)
    assert "x1 <= x2" in str(constraint)
    boxes = np.array([[0.0, 0.0, 1.0, 1.0], [2.0, 0.0, 1.0, 1.0], [0.0, 3.0, 0.0, 1.0]])
    marked = constraint.forbidden({"boxes": boxes}, {})
    np.testing.assert_array_equal(np.argwhere(marked), [[1, 0], [2, 1]])
    arrays = {"boxes": boxes.copy()}
    constraint.repair(arrays)
    assert constraint.forbidden(arrays, {}) is None
    np.testing.assert_array_equal(arrays["boxes"][1:], [[1, 0, 2, 1], [0, 1, 0, 3]])


@pytest.mark.parametrize("declared", [width, corners], ids=lambda loss: loss.name)
@pytest.mark.parametrize("batch", [(40,), (5, 8)], ids=str)
def test_samples_fulfil_the_constraints_and_their_own_numbers_do_not(declared, batch):
    rng = np.random.default_rng(0)
    call = sample_call(declared, rng, batch=batch)
    evaluate(declared, call)
    loose = sample_call(replace(declared, constraints=()), np.random.default_rng(0), batch=batch)
    if declared is corners:
        with pytest.raises(InvalidCall, match=r"expected a box .* - at `input\[\d+\]"):
            evaluate(declared, loose)


@pytest.mark.parametrize("block_bytes", [8, 1 << 20])
def test_the_first_value_that_is_to_blame_is_named_in_the_caller_s_axes(block_bytes):
    low = np.zeros((3, 4))
    low[1, 2] = low[2, 3] = 5.0
    arrays = {"input": np.ones((3, 4)), "low": low, "high": np.ones((3, 4))}
    with pytest.raises(InvalidCall) as refused:
        evaluate(width, Call(arrays), block_bytes=block_bytes)
    assert [tuple(detail) for detail in refused.value.errors] == [("low[1][2]", "low <= high", "5.0")]
    boxes = np.tile([0.0, 0.0, 1.0, 1.0], (3, 2, 1))
    boxes[2, 1, 1] = 7.0
    with pytest.raises(InvalidCall) as refused:
        evaluate(corners, Call({"input": boxes}), block_bytes=block_bytes)
    assert refused.value.errors[0].at == "input[2][1][1]"


def test_a_constraint_on_an_argument_that_is_absent_holds():
    assert evaluate(width, Call({"input": np.ones(2), "low": np.array([5.0, 0.0])})).loss["mean"] == -1.5


def test_what_a_mask_leaves_out_need_not_fulfil_a_constraint():
    arrays = {
        "input": np.ones(2),
        "low": np.array([5.0, 0.0]),
        "high": np.ones(2),
        "mask": np.array([False, True]),
    }
    assert evaluate(width, Call(arrays)).loss["mean"] == 1.0
