"""scikit-learn's own expected values: literal cases, accepted ranges, and 64 random rows for each loss."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.errors import InvalidCall
from lossd.losses import LOSSES
from lossd.message import Call

LINES = [
    json.loads(line) for line in (Path(__file__).parent / "data" / "sklearn.jsonl").read_text().splitlines()
]
RANGES = {"Y_COMMON_PARAMS", "Y_TRUE_PARAMS", "Y_PRED_PARAMS"}

# Class to our loss and the factor on ours; "half" is scikit-learn's word for half the deviance.
SAME = {
    "HalfSquaredError": ("mse", 0.5),
    "AbsoluteError": ("l1", 1.0),
    "PinballLoss": ("multi_quantile", 1.0),
    "HuberLoss": ("huber", 1.0),
    "HalfBinomialLoss": ("bce_with_logits", 1.0),
    "HalfMultinomialLoss": ("cross_entropy", 1.0),
}

# Our convention is that of XGBoost and LightGBM, which differs for Huber (the weight as curvature, here zero)
# and for the multinomial (twice the diagonal).
BOOSTED = SAME.keys() - {"HuberLoss", "HalfMultinomialLoss"}


def left_out(line) -> str:
    """Return the rule by which a line does not apply, or nothing."""
    if line["source"] == "Y_PRED_PARAMS":
        return "the range of a prediction behind the link: inputs here stand before it, and have none"
    if line["source"] in RANGES and line["class"] not in ("HalfBinomialLoss", "HalfMultinomialLoss"):
        return "the targets of a regression have no range here: infinity propagates"
    return ""


def used(*sources, classes=frozenset(SAME)):
    lines = [
        line
        for line in LINES
        if line["source"] in sources and line["class"] in classes and not left_out(line)
    ]
    return pytest.mark.parametrize("line", lines, ids=lambda line: line["class"])


def call(line, prediction, target, **options):
    """Return our loss and the answer to a line's predictions and targets."""
    name, _ = SAME[line["class"]]
    x, y = np.asarray(prediction, float), np.asarray(target, float)
    arrays = {"input": x, "target": y}
    if name == "cross_entropy":
        arrays["target"] = y.astype(np.int64) if np.isin(y, range(-9, 9)).all() else y
    if name == "multi_quantile":
        arrays |= {"input": x[..., None], "quantiles": np.array([line["quantile"]])}
    if name == "huber":
        options["delta"] = line["delta"]
    if line.get("sample_weight"):
        arrays["sample_weight"] = np.asarray(line["sample_weight"])
    return evaluate(LOSSES[name], Call(arrays, {"gradient": True, "hessian": True, **options}))


def assert_derivatives(line, answer, key, atol=0.0):
    factor = SAME[line["class"]][1]
    for kind, expected in (("gradient", line["gradient" + key]), ("hessian", line["hessian" + key])):
        if expected is not None and not (kind == "hessian" and line.get("approx_hessian")):
            ours = getattr(answer, kind)["none"]["input"].reshape(np.shape(expected))
            np.testing.assert_allclose(factor * ours, expected, rtol=1e-12, atol=atol, err_msg=kind)


def test_every_line_is_used_or_left_out_by_name():
    reasons = Counter((line["source"], left_out(line) == "") for line in LINES)
    assert reasons == {
        ("specific_values", True): 31,
        ("grid", True): 12,
        ("Y_COMMON_PARAMS", True): 2,
        ("Y_COMMON_PARAMS", False): 4,
        ("Y_TRUE_PARAMS", True): 2,
        ("Y_TRUE_PARAMS", False): 1,
        ("Y_PRED_PARAMS", False): 2,
    }


@used("specific_values")
def test_literal_values(line):
    """Its tolerance is absolute: it takes tails below 1e-15 for zero."""
    answer = call(line, [line["raw_prediction"]], [line["y_true"]], reduction="none")
    factor = SAME[line["class"]][1]
    np.testing.assert_allclose(
        factor * answer.loss["none"], [line["loss_true"]], rtol=1e-13, atol=line["tol"]
    )
    assert_derivatives(line, answer, "_true", atol=line["tol"])


@used("grid")
def test_random_rows(line):
    """Its multinomial subtracts near-equal numbers where ours does not, hence the absolute tolerances."""
    answer = call(line, line["raw"], line["y_true"], reduction=["none", "weighted_mean"])
    factor = SAME[line["class"]][1]
    np.testing.assert_allclose(factor * answer.loss["none"], line["loss"], rtol=1e-12, atol=4e-15)
    np.testing.assert_allclose(factor * answer.loss["weighted_mean"], line["mean"], rtol=1e-13)
    assert_derivatives(line, answer, "", atol=4e-16)


@used("grid", classes=BOOSTED)
def test_boosting_takes_their_curvature(line):
    """Where the second derivative is zero boosting takes the weight; a square it takes half of."""
    answer = call(line, line["raw"], line["y_true"], convention="gbm")
    for kind in ("gradient", "hessian"):
        ours = getattr(answer, kind)["sum"]["input"].reshape(-1)
        np.testing.assert_allclose(ours, line[kind], rtol=1e-12, atol=4e-16, err_msg=kind)


@used(*RANGES)
def test_ranges_of_targets(line):
    classes = line.get("n_classes")
    prediction = [[0.0] * classes] if classes else [0.0]
    for target in line["accept"]:
        assert np.isfinite(call(line, prediction, [float(target)]).loss["mean"])
    for target in line["reject"]:
        with pytest.raises(InvalidCall, match="target"):
            call(line, prediction, [float(target)])
