"""What a call costs is known before anything is computed, and a call that costs too much is refused."""

from __future__ import annotations

import tracemalloc
from dataclasses import astuple, replace
from typing import Any

import numpy as np
import pytest

from lossd.declaration.samples import SIZES, sample_call
from lossd.engine import CostLimits, evaluate, prepare
from lossd.engine.cost import Estimate, elements
from lossd.errors import InvalidCall
from lossd.losses import LOSSES, find
from lossd.message import Call

every_loss = pytest.mark.parametrize("name", LOSSES)


def estimate_of(name: str, rows: int, **options: Any) -> Estimate:
    call = sample_call(LOSSES[name], np.random.default_rng(0), batch=(rows,))
    return prepare(LOSSES[name], Call(call.arrays, {**call.options, **options})).estimate


def vast(name: str, shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Return arrays of these shapes that hold one number, and take no memory."""
    kinds = {a.name: a.role.forms[0].domain.kind for a in LOSSES[name].arguments}
    return {
        key: np.broadcast_to(np.ones((), np.int64 if kinds[key] == "whole" else np.float64), shape)
        for key, shape in shapes.items()
    }


def test_elements_are_those_of_patterns_that_are_added():
    assert elements("(N, N)", {"N": 5}) == 25
    assert elements("(6, N, D) + (T)", {"N": 5, "D": 2, "T": 3}) == 63
    assert elements("(1)", {}) == 1


@every_loss
def test_more_rows_and_more_results_cost_more(name):
    few, many = (estimate_of(name, rows) for rows in (64, 4096))
    assert (few.rows, many.rows) == (64, 4096)
    assert few.work < many.work
    assert 0 < few.seconds < many.seconds
    none, gradient = estimate_of(name, 64, reduction="none"), estimate_of(name, 64, gradient=True)
    assert none.answer > few.answer or LOSSES[name].value.text == "()"
    assert gradient.work > few.work
    assert gradient.answer > few.answer


@every_loss
@pytest.mark.parametrize(
    "options", [{"gradient": True}, {"reduction": ["none", "mean"], "gradient": True}], ids=str
)
def test_the_bytes_of_an_answer_are_counted(name, options):
    call = sample_call(LOSSES[name], np.random.default_rng(0), batch=(50,))
    asked = Call(call.arrays, {**call.options, **options})
    answer = evaluate(LOSSES[name], asked)
    arrays = [*answer.loss.values(), *(g for each in answer.gradient.values() for g in each.values())]
    assert prepare(LOSSES[name], asked).estimate.answer == sum(np.asarray(array).nbytes for array in arrays)


@every_loss
def test_the_work_space_is_no_less_than_what_a_call_works_in(name):
    """Measured at a size at which rows outweigh what every call holds; SIZES are small, so a margin of a MiB."""
    rows = 600 if LOSSES[name].whole_batch else 4000
    call = sample_call(
        LOSSES[name], np.random.default_rng(0), batch=(rows,), sizes={**SIZES, "C": 16, "D": 16}
    )
    asked = Call(call.arrays, {**call.options, "gradient": True, "reduction": ["mean", "sum"]})
    evaluate(LOSSES[name], asked)  # keeps what calls of one shape share
    estimate = prepare(LOSSES[name], asked).estimate
    tracemalloc.start()
    evaluate(LOSSES[name], asked)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= 2 * (estimate.workspace + estimate.answer) + 2**20


@every_loss
def test_a_call_may_cost_what_the_limits_say_and_not_one_more(name):
    call = sample_call(LOSSES[name], np.random.default_rng(0), batch=(16,))
    asked = Call(call.arrays, {**call.options, "gradient": True})
    estimate = prepare(LOSSES[name], asked).estimate
    enough = CostLimits(estimate.work, estimate.workspace, estimate.answer)
    assert evaluate(LOSSES[name], asked, limits=enough).loss == evaluate(LOSSES[name], asked).loss
    for limit, named in (("work", "work"), ("workspace_bytes", "workspace"), ("answer_bytes", "answer")):
        less = replace(enough, **{limit: getattr(enough, limit) - 1})
        with pytest.raises(InvalidCall, match=f"^the call is too expensive: its {named} would be "):
            evaluate(LOSSES[name], asked, limits=less)
    # what was refused is not kept for a caller with other limits
    assert evaluate(LOSSES[name], asked, limits=enough).count == evaluate(LOSSES[name], asked).count


LIMITS = CostLimits(10**11, 2**30, 2**30)
TOO_MUCH = {
    "nt_xent": ({"embeddings": (10**6, 10), "labels": (10**6,)}, "N, the items of the batch"),
    "mse": ({"input": (10**12,), "target": (10**12,)}, "axis 0 of the batch"),
    "cross_entropy": ({"input": (10, 10**11), "target": (10,)}, "C, the classes"),
    "ctc": (
        {"logits": (10**7, 4, 1000), "targets": (4, 10**5), "input_lengths": (4,), "target_lengths": (4,)},
        "T, the time steps",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TOO_MUCH)
def test_too_much_is_refused_before_anything_is_allocated_and_its_longest_axis_named(name):
    shapes, axis = TOO_MUCH[name]
    arrays = vast(name, shapes)
    tracemalloc.start()
    with pytest.raises(
        InvalidCall, match=r"^the call is too expensive: .* smaller, or send it in parts$"
    ) as refused:
        evaluate(find(name), Call(arrays, {"gradient": True}), limits=LIMITS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert f"make {axis}" in str(refused.value)
    assert peak < 10_000_000


def test_an_estimate_needs_no_values():
    shapes = {"input": (10**9, 100), "target": (10**9,)}
    found = prepare(find("cross_entropy"), Call(vast("cross_entropy", shapes), {"gradient": True})).estimate
    assert found.rows == 10**9
    assert found.answer == 8 * (10**11 + 1)
    assert all(value for value in astuple(found))
