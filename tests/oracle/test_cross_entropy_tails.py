"""Cross entropy where its parts are small, large, certain or ruled out: relative digits, by mpmath."""

import math

import mpmath
import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.losses import find
from lossd.message import Call

ULP = {"float32": 2.0**-23, "float64": 2.0**-52}
ROWS, CLASSES = 6, 7
RNG = np.random.default_rng(7)
PLAIN = RNG.standard_normal((ROWS, CLASSES))
TARGET = RNG.integers(0, CLASSES, ROWS)
IS_TRUE = np.arange(CLASSES) == TARGET[:, None]
# Each is a block that leads the fused kernel another way, in one of the types at least.
LOGITS = {
    "plain": PLAIN,
    "far from zero": PLAIN + 1e4,
    "far below zero": PLAIN - 1e4,
    "wide": PLAIN * 30,
    "wider than any exponential": PLAIN * 1e4,
    "learnt": PLAIN + 20 * IS_TRUE,
    "learnt by heart": PLAIN + 60 * IS_TRUE,
    "all wrong": PLAIN - 60 * IS_TRUE,
    "wrong beyond measure": PLAIN - 2000 * IS_TRUE,
    "classes ruled out": np.where((np.arange(CLASSES) == 3) & ~IS_TRUE, -np.inf, PLAIN),
    "all others ruled out": np.where(IS_TRUE, PLAIN, -np.inf),
    "one learnt row among plain ones": PLAIN + 60 * (IS_TRUE & (np.arange(ROWS) == 2)[:, None]),
}


def exact(logits: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the sum of the losses and its gradient."""
    total, slopes = mpmath.mpf(0), np.empty(logits.shape)
    with mpmath.workdps(60):
        for row, (x, true) in enumerate(zip(logits.tolist(), TARGET, strict=True)):
            top = max(x)
            power = [mpmath.exp(mpmath.mpf(value) - mpmath.mpf(top)) for value in x]
            others = mpmath.fsum(power[:true] + power[true + 1 :])
            total += mpmath.log1p(others / power[true])
            for place, e in enumerate(power):
                slopes[row, place] = -others / mpmath.fsum(power) if place == true else e / mpmath.fsum(power)
        return float(total), slopes


@pytest.mark.parametrize("owned", [False, True])
@pytest.mark.parametrize("dtype", ULP)
@pytest.mark.parametrize("name", LOGITS)
def test_every_digit_that_the_type_has(name: str, dtype: str, owned: bool) -> None:
    logits = LOGITS[name].astype(dtype)
    value, slopes = exact(logits)
    answer = evaluate(
        find("cross_entropy"),
        Call({"input": logits.copy(), "target": TARGET}, {"reduction": "sum", "gradient": True}, owned=owned),
    )
    # A logit less the top is rounded to an ulp of itself, which the exponential makes a relative error.
    finite = np.where(np.isneginf(logits), np.nan, logits)
    reach = float(np.nanmax(np.nanmax(finite, axis=1, keepdims=True) - finite))
    smallest = float(np.finfo(dtype).tiny)
    bound = ULP[dtype] * (8 + min(reach, -math.log(smallest)))
    assert answer.loss["sum"] == pytest.approx(value, rel=bound, abs=smallest)
    np.testing.assert_allclose(answer.gradient["sum"]["input"], slopes, rtol=bound, atol=smallest)


@pytest.mark.parametrize("dtype", ULP)
def test_a_tiny_factor_on_the_gradient_takes_no_digit_of_it(dtype: str) -> None:
    tiny = 1e-30 if dtype == "float32" else 1e-290
    logits = (PLAIN + 15).astype(dtype)
    answer = evaluate(
        find("cross_entropy"),
        Call({"input": logits, "target": TARGET}, {"denominator": 1 / tiny, "gradient": True}),
    )
    slopes = exact(logits)[1]
    np.testing.assert_allclose(
        answer.gradient["mean"]["input"].astype(np.float64) / tiny, slopes, rtol=20 * ULP[dtype]
    )
