"""Quantile losses where they are not smooth or not finite, and as gradient boosting libraries have them."""

from __future__ import annotations

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.losses import find
from lossd.message import Call

QUANTILES = np.array([0.1, 0.75])


def ask(predictions, target, **options):
    arrays = {"input": np.asarray(predictions), "target": np.asarray(target), "quantiles": QUANTILES}
    hvp = options.pop("hvp", None)
    return evaluate(find("multi_quantile"), Call(arrays if hvp is None else {**arrays, "hvp": hvp}, options))


@pytest.mark.parametrize("place", ["input", "target", "infinities"])
def test_nan_is_nan_in_every_derivative(place):
    predictions, target = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.5, 2.5])
    if place == "target":
        target[0] = np.nan
    else:
        predictions[0, 0] = np.inf if place == "infinities" else np.nan
        target[0] = np.inf if place == "infinities" else target[0]
    names = ["input", "target", "quantiles"]
    answer = ask(predictions, target, reduction="none", gradient=names, hessian=True, hvp=np.ones((2, 2)))
    undefined = np.array([[True, place == "target"], [False, False]])
    assert np.isnan(answer.loss["none"]).tolist() == [True, False]
    for array in (
        answer.gradient["none"]["input"],
        answer.hessian["none"]["input"],
        answer.hvp["none"]["input"],
    ):
        np.testing.assert_array_equal(np.isnan(array), undefined)
    assert not answer.hessian["none"]["input"][~undefined].any()
    boosted = ask(predictions, target, convention="gbm")
    np.testing.assert_array_equal(np.isnan(boosted.gradient["sum"]["input"]), undefined)
    np.testing.assert_array_equal(np.isnan(boosted.hessian["sum"]["input"]), undefined)


def test_boosting_takes_a_tie_for_a_prediction_too_high():
    """As XGBoost's and LightGBM's test, prediction - target >= 0; the plain gradient takes it for too low."""
    predictions, target = [[2.0, 2.0], [1.0, 3.0]], [2.0, 2.0]
    plain = ask(predictions, target, reduction="sum", gradient=True)
    np.testing.assert_array_equal(plain.gradient["sum"]["input"], [[-0.1, -0.75], [-0.1, 0.25]])
    boosted = ask(predictions, target, convention="gbm")
    np.testing.assert_array_equal(boosted.gradient["sum"]["input"], [[0.9, 0.25], [-0.1, 0.25]])
    np.testing.assert_array_equal(boosted.hessian["sum"]["input"], np.ones((2, 2)))


def test_no_rows_have_a_sum():
    answer = ask(np.zeros((0, 2)), np.zeros(0), reduction="sum", gradient=["input", "target", "quantiles"])
    assert answer.loss["sum"] == 0
    assert answer.gradient["sum"]["input"].shape == (0, 2)
    assert answer.gradient["sum"]["quantiles"].tolist() == [0, 0]
