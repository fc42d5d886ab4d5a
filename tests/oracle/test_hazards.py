"""Digits of cox: its gradients and products where hazards are far apart, and where they are large."""

from __future__ import annotations

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.losses import LOSSES
from lossd.message import Call
from tests.oracle.case import Case
from tests.oracle.test_second_derivatives import errors
from tests.oracle.truth import truth

EPS = np.finfo(np.float64).eps
# Log hazards in the order of their durations, the longest first, and a direction.
PRODUCTS = {
    "of one far above all others": ([73.9, -19.4, -77.1], [1.0, 2.0, 1.0]),
    "of the last, far above": ([-18.4, 25.9], [2.0, -2.0]),
    "of the first, far above": ([58.6, 4.6, 12.3, -38.9, -44.2], [1.0, 2.0, -1.0, -2.0, -2.0]),
    "of ordinary hazards": ([10.6, -3.6, 9.5, 6.3, 14.1], [-2.0, 1.0, -1.0, -1.0, -2.0]),
    "of hazards that rise": ([-20.0, -10.0, 0.0, 10.0, 20.0], [1.0, -1.0, 2.0, 0.0, 1.0]),
}


@pytest.mark.parametrize("tied", [False, True], ids=["apart", "tied"])
@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_has_all_its_digits(name: str, tied: bool) -> None:
    log_h, direction = map(np.array, PRODUCTS[name])
    durations = -(np.arange(len(log_h)) // 2 if tied else np.arange(len(log_h))).astype(np.float64)
    given = {"durations": durations, "events": np.ones(len(log_h), bool)}
    error, exact = errors("cox", "log_h", direction, log_h=log_h, **given)
    assert (error <= 8 * EPS * (1 + np.abs(log_h).max()) * np.abs(exact)).all()


def test_shares_have_as_many_digits_where_all_hazards_are_large() -> None:
    log_h = np.array([66.1, 111.2, 141.1, -108.3, 141.2])
    case = Case("by hand", {"log_h": log_h, "durations": -np.arange(5.0), "events": np.ones(5, bool)})
    _, exact = truth("cox", case)
    answer = evaluate(LOSSES["cox"], Call(case.arrays, {"reduction": "sum", "gradient": True}))
    expected = np.array([float(sum(addends)) for addends in exact["log_h"]])
    assert answer.gradient["sum"]["log_h"] == pytest.approx(expected, rel=8 * EPS, abs=0)


def test_a_product_is_of_the_weighted_sum() -> None:
    given = {"log_h": np.array([0.3, -1.0, 2.0]), "durations": np.arange(3.0), "events": np.ones(3, bool)}
    upstream, direction = np.array([0.5, -2.0, 3.0]), np.array([1.0, 2.0, -1.0])
    options = {"reduction": "none", "gradient": True}

    def gradient(step: float) -> np.ndarray:
        moved = {**given, "log_h": given["log_h"] + step * direction}
        return evaluate(LOSSES["cox"], Call({**moved, "upstream": upstream}, options)).gradient["none"][
            "log_h"
        ]

    asked = {**given, "upstream": upstream, "hvp.log_h": direction}
    found = evaluate(LOSSES["cox"], Call(asked, options)).hvp["none"]["log_h"]
    assert found == pytest.approx((gradient(1e-6) - gradient(-1e-6)) / 2e-6, rel=1e-8)
