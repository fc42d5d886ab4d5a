"""Sums of fused kernels where their parts, or some of their addends, are far larger than what they come to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.losses import find
from lossd.message import Array, Call

BLOCK = 2**17  # float64 numbers of a block
FAR = np.full(3 * BLOCK, 1e303)
ONES, NOTHING = np.ones(FAR.size), np.zeros(FAR.size)
CANCELLING = np.concatenate([[2e303], np.full(2 * BLOCK - 1, 1e303), np.full(2 * BLOCK, -1e303)])
LOGITS = np.full((512, 1000), 1e306) * np.where(np.arange(512) < 256, 1, -1)[:, None]
LOGITS[0, 0] = 3e306
CALLS: list[tuple[str, dict[str, Array], dict[str, Any], float]] = [
    ("nll", {"input": np.full((2049, 1), 1e306), "target": np.zeros(2049, int)}, {}, -1e306),
    ("nll", {"input": np.full((300, 1000), 1e306), "target": np.zeros(300, int)}, {}, -1e306),
    ("nll", {"input": LOGITS, "target": np.zeros(512, int)}, {}, -2e306 / 512),
    ("kl_div", {"input": FAR, "target": ONES}, {}, -1e303),
    ("kl_div", {"input": FAR, "target": NOTHING}, {"log_target": True}, -1e303),
    ("kl_div", {"input": CANCELLING, "target": np.ones(CANCELLING.size)}, {}, -1e303 / CANCELLING.size),
    ("hinge_embedding", {"input": -FAR, "target": ONES}, {}, -1e303),
    (
        "hinge_embedding",
        {"input": CANCELLING, "target": np.ones(CANCELLING.size)},
        {},
        1e303 / CANCELLING.size,
    ),
    ("poisson_nll", {"input": 9 * ONES, "target": FAR / 10}, {}, -9e302),
]


@pytest.mark.parametrize(("name", "arrays", "settings", "expected"), CALLS)
def test_a_mean_is_finite_where_sums_of_blocks_are_not(
    name: str, arrays: dict[str, Array], settings: dict[str, Any], expected: float
) -> None:
    found = evaluate(find(name), Call(arrays, {"gradient": True, **settings}))
    assert found.loss["mean"] == pytest.approx(
        expected, rel=1e-9
    )  # of two that cancel, 1e-16 of their sum of sizes


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("classes", [3, 1_000, 100_000])
def test_the_true_class_s_slope_is_exact_however_many_classes_there_are(
    classes: int, p: int, dtype: Any
) -> None:
    arrays = {"input": np.zeros((2, classes), dtype), "target": np.array([0, classes - 1])}
    slopes = evaluate(
        find("multi_margin"), Call(arrays, {"gradient": True, "reduction": "sum", "p": p})
    ).gradient
    true = slopes["sum"]["input"][[0, 1], [0, -1]]
    np.testing.assert_allclose(true, -p * (classes - 1) / classes, rtol=4 * np.finfo(dtype).eps)


def test_margins_of_inputs_just_inside_do_not_cancel() -> None:
    rng = np.random.default_rng(0)
    inside = 1 - rng.integers(1, 9, 4096).astype(np.float32) * np.float32(2**-19)
    arrays = {"input": inside, "target": -np.ones(4096, np.float32)}
    found = evaluate(find("hinge_embedding"), Call(arrays, {"gradient": True})).loss["mean"]
    assert found == pytest.approx(float((1 - inside.astype(np.float64)).mean()), rel=3e-7)
