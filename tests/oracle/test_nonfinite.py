"""What a loss's oracle excuses where a number is not finite: NaN in that number's row, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.losses import LOSSES
from lossd.message import Call
from tests.oracle import random_values
from tests.oracle.case import Case
from tests.oracle.condition import rows_and_gradients
from tests.oracle.random_draw import Draw, Finding
from tests.oracle.random_values import check_nonfinite

TRIPLETS = np.array([[[0.5, -1.0], [2.0, 1.0]], [[1.5, 0.25], [2.5, -1.0]], [[-3.0, 2.0], [0.5, 4.0]]])


def check(
    monkeypatch: pytest.MonkeyPatch, bad: float, spoil_answer: Any = lambda value: value
) -> Finding | None:
    """Check a loss of triplets whose first anchor has a number that is not finite."""
    loss = LOSSES["triplet_margin"]
    arrays = dict(zip(("anchor", "positive", "negative"), TRIPLETS.copy(), strict=True))
    case = Case("by hand", arrays, {"margin": 9.0, "p": 2.0, "eps": 0.0, "swap": False})
    corrupted = case._replace(arrays={**arrays, "anchor": np.array([[bad, -1.0], [2.0, 1.0]])})
    monkeypatch.setattr(random_values, "corrupt", lambda *_: (corrupted, "anchor", (0, 0)))

    def kernel(*given: Any, **settings: Any) -> Any:
        result = loss.kernel(*given, **settings)
        finite = all(np.isfinite(array).all() for array in (*given, *settings.values()) if np.ndim(array))
        return result if finite else replace(result, value=spoil_answer(np.array(result.value)))

    monkeypatch.setitem(LOSSES, "triplet_margin", replace(loss, kernel=kernel))  # type: ignore[arg-type]
    draw = Draw(
        "triplet_margin", 0, case, np.random.default_rng(0), rows_and_gradients("triplet_margin", True), True
    )
    return check_nonfinite(draw)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_row_may_be_nan(monkeypatch, bad):
    assert check(monkeypatch, bad) is None


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_row_may_be_no_third_number(monkeypatch, bad):
    assert "value[0] is np.float64(7.0), not" in str(
        check(monkeypatch, bad, lambda value: np.where([True, False], 7.0, value))
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_no_other_row_may_be_nan(monkeypatch, bad):
    found = check(monkeypatch, bad, lambda value: np.where([False, True], np.nan, value))
    assert "value[1] is np.float64(nan), not" in str(found)


def test_an_item_without_a_score_is_nan_though_no_pair_reaches_it():
    """It ranks last, and only pairs with the first rank count: its derivative would be 0 by chance."""
    arrays = {"input": np.array([[0.7, 0.5, -0.5, np.nan]]), "target": np.array([[3, 1, 1, 3]])}
    answer = evaluate(LOSSES["rank_ndcg"], Call(arrays, {"truncation_level": 1, "gradient": True}))
    assert np.isnan(answer.loss["mean"])
    assert np.isnan(answer.gradient["mean"]["input"][0, 3])


def test_a_list_of_one_grade_has_no_loss_whatever_its_scores():
    arrays = {"input": np.array([[0.7, np.nan]]), "target": np.array([[1, 1]])}
    answer = evaluate(LOSSES["rank_ndcg"], Call(arrays, {"gradient": True}))
    assert answer.loss["mean"] == 0


@pytest.mark.parametrize("hessian", [False, True], ids=["fused", "kernel"])
def test_a_score_without_a_pair_is_not_used_whatever_it_holds(hessian):
    """No class is true in the first row, and all are in the second: NaN reaches what it is paired with, and no more."""
    arrays = {
        "input": np.array([[np.nan, 1.0, 2.0], [1.0, np.nan, np.inf], [np.nan, 4.0, 2.0]]),
        "target": np.array([[-1, -1, -1], [2, 0, 1], [0, 1, -1]]),
    }
    answer = evaluate(
        LOSSES["multilabel_margin"],
        Call(arrays, {"gradient": True, "hessian": hessian, "reduction": ["none", "sum"]}),
    )
    np.testing.assert_array_equal(answer.loss["none"], [0, 0, np.nan])
    reached = np.array([[False, False, False], [False, False, False], [True, False, True]])
    np.testing.assert_array_equal(np.isnan(answer.gradient["sum"]["input"]), reached)
    if hessian:
        np.testing.assert_array_equal(answer.hessian["none"]["input"], np.where(reached, np.nan, 0))


@pytest.mark.parametrize("target", [[-1, 0], [1, 0]])
def test_a_batch_without_pairs_has_no_loss_when_fused(target):
    call = Call({"input": np.array([[3.0, np.nan]]), "target": np.array([target])}, {"gradient": True})
    answer = evaluate(LOSSES["multilabel_margin"], call)
    assert answer.loss["mean"] == 0
    assert not answer.gradient["mean"]["input"].any()


def test_second_derivatives_are_nan_where_the_gradient_is():
    arrays = {
        "input": np.array([[np.nan, 1.0, 2.0]]),
        "target": np.array([[0, 2, -1]]),
        "hvp": np.ones((1, 3)),
    }
    answer = evaluate(LOSSES["multilabel_margin"], Call(arrays, {"gradient": True}))
    np.testing.assert_array_equal(answer.hvp["mean"]["input"], answer.gradient["mean"]["input"])
