"""The residual losses over the whole range of floats: fused or not, real and complex, however weighed and divided."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.losses import LOSSES
from lossd.message import Call
from tests.oracle.exact import MP
from tests.oracle.formulas import Truth
from tests.oracle.records import ORACLES
from tests.oracle.residuals import COMPLEX, NAMES, SETTING, Row, describe, draw_call, is_exact, truths

TYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
LOSS = pytest.mark.parametrize("name", NAMES)


def assert_true(name: str, call: Call) -> int:
    """Assert that every number of a call's answer is true; return how many there are."""
    answer = evaluate(LOSSES[name], call)
    checked = 0
    for where, got, true, size in truths(name, call, answer):
        assert is_exact(got, true, size), (
            f"{where}: got {got!r}, expected {float(true.real)!r} to 8 units in the last place of {float(size):.3g}, "
            f"which its condition makes of it, in {describe(call)}"
        )
        checked += 1
    return checked


@TYPES
@LOSS
def test_every_number_of_any_call_is_true(name, dtype):
    rng = np.random.default_rng(5)
    assert sum(assert_true(name, draw_call(name, rng, dtype)) for _ in range(60)) > 300


@pytest.mark.slow
@TYPES
@LOSS
def test_every_number_of_many_calls_is_true(name, dtype):
    rng = np.random.default_rng(6)
    assert sum(assert_true(name, draw_call(name, rng, dtype)) for _ in range(3000)) > 20_000


HUGE = float(np.finfo(np.float64).max)
FAR = MP.mpf(10) ** 5000  # as good as infinity beside any setting


def known(name, dtype, residuals, **given):
    """Return a loss and a call with these residuals, and what else is given."""
    x = np.asarray(residuals, dtype)
    arrays = {
        key: np.asarray(given[key]) for key in ("target", "weight", "sample_weight", "hvp") if key in given
    }
    options = {key: value for key, value in given.items() if key not in arrays}
    return name, Call({"input": x, "target": np.zeros_like(x), **arrays}, options)


SINGLE, DOUBLE = np.float32, np.float64
# What callers or random calls have found.
KNOWN = {
    "squares that overflow": known("huber", DOUBLE, [1.5e154], delta=1e160),
    "squares that overflow float32": known("huber", SINGLE, [2.2e19], delta=1e20),
    "near and far rows": known("huber", DOUBLE, [1e-200, 3, 1.5e154], delta=1e160),
    "a mean of a sum of squares that overflows": known("huber", DOUBLE, [1.7e154] * 9, delta=1e155),
    "a mean of squares that overflow float32": known("mse", SINGLE, [2e19, 0, 0, 0]),
    "slopes that overflow": known("mse", DOUBLE, [1e308] * 10),
    "slopes that overflow float32": known("mse", SINGLE, [3e38] * 10),
    "residuals that overflow": known("mse", DOUBLE, [HUGE] * 10, target=[-HUGE] * 10),
    "squares that underflow": known("mse", DOUBLE, [1e-170] * 2, denominator=1e-40),
    "a mean of a sum that overflows": known("l1", DOUBLE, [1e308] * 10),
    "a mean of residuals that overflow": known("l1", DOUBLE, [HUGE] * 10, target=[-HUGE] * 10, denominator=100.0),
    "the least weight": known("l1", DOUBLE, [1e308], weight=[5e-324], reduction="weighted_mean"),
    "a square of float32, 2e207 times smaller": known(
        "smooth_l1", np.complex64, [1e38j], beta=2.4e207, gradient=["beta"], denominator=6.13e-322
    ),
    "what is owed to a small denominator": known(
        "mse",
        DOUBLE,
        [6.5e153, 1e153],
        weight=[0.7, 0.66],
        sample_weight=[2.9e-41, 8e-11],
        reduction="weighted_mean",
        gradient=["weight"],
    ),
    "a quotient that overflows": known("smooth_l1", DOUBLE, [1e308] * 9, beta=1e-23),
    **{
        f"beta {beta}, {far} in {dtype.__name__}": known("smooth_l1", dtype, [0, 1e-7, 3, far], beta=beta)
        for dtype, beta, far in [
            (SINGLE, 1e-40, 1e-41), (SINGLE, 1e25, 1e24), (SINGLE, 1e5, 3e4), (SINGLE, 1e15, 1e-20),
            (DOUBLE, 1e-310, 1e-311), (DOUBLE, 1e200, 1e199), (DOUBLE, 1e5, 1e-320), (DOUBLE, 1e15, 1e14),
        ]
    },
    **{
        f"{name}, denominator {divisor}": known(name, SINGLE, [1e-30, 1e30], denominator=divisor)
        for name in NAMES
        for divisor in (1e-40, 1e50, 1e-300, 1e300)
    },
    **{
        f"{name}, weights of {size}": known(
            name, DOUBLE, [1, 2, 3], sample_weight=[size] * 3, reduction="weighted_mean"
        )
        for name in NAMES
        for size in (5e-324, 1e-310, 1e308)
    },
}  # fmt: skip


@pytest.mark.parametrize("case", KNOWN)
@pytest.mark.parametrize("fused", [True, False], ids=["fused", "general"])
def test_what_once_was_wrong_is_true(case, fused):
    name, call = KNOWN[case]
    options = {"gradient": True, **call.options}
    if not fused:
        options["hessian"] = not any(np.iscomplexobj(array) for array in call.arrays.values())
    assert assert_true(name, Call(call.arrays, options))


@TYPES
@LOSS
@pytest.mark.parametrize("owned", [False, True])
def test_a_block_that_overflows_beside_blocks_that_do_not(name, dtype, owned):
    """The gradient may be written over the input, so what overflowed is found before that."""
    x = np.ones(600_000, dtype)
    x[300_000] = np.finfo(dtype).max
    target = np.zeros_like(x)
    target[300_000] = -x[300_000]
    call = Call({"input": x.copy(), "target": target}, {"gradient": True}, owned=owned)
    answer = evaluate(LOSSES[name], call)
    expected = np.full(600_000, float(Row(name, 1.0, 0.0, 1.0).slope / 600_000))
    expected[300_000] = Row(name, x[300_000], target[300_000], 1.0).slope / 600_000
    least = float(np.finfo(dtype).smallest_subnormal)
    found = answer.gradient["mean"]["input"]
    np.testing.assert_allclose(found, expected, rtol=4 * np.finfo(dtype).eps, atol=least)


@TYPES
@LOSS
def test_second_derivatives_at_nan_are_nan(name, dtype):
    x = np.array([np.nan, np.inf, -np.inf, 0.25], dtype)
    call = Call(
        {"input": x, "target": np.zeros_like(x), "hvp": np.ones_like(x)},
        {"reduction": "none", "hessian": True},
    )
    answer = evaluate(LOSSES[name], call)
    flat, near = (float(Row(name, far, 0.0, 1.0).curvature) for far in (HUGE, 0.25))
    for found in (answer.hessian["none"]["input"], answer.hvp["none"]["input"]):
        np.testing.assert_allclose(found, [np.nan, flat, flat, near], rtol=2 * np.finfo(dtype).eps)


@TYPES
@LOSS
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("setting", [0.5, 1e-300, 1e300])
def test_what_is_not_finite_spreads_no_further(name, dtype, reduction, setting):
    """NaN in the input or the target is NaN there; an infinite residual has the slope of a large one."""
    x, t = np.array([np.nan, 1, np.inf, -np.inf, 1], dtype), np.array([1, np.nan, 0, 0, -np.inf], dtype)
    given = {SETTING[name]: setting} if name in SETTING else {}
    call = Call(
        {"input": x, "target": t}, {"reduction": reduction, "gradient": True, "denominator": 1.0, **given}
    )
    answer = evaluate(LOSSES[name], call)
    with np.errstate(over="ignore"):
        slope = dtype(Row(name, FAR, 0.0, setting).slope)
    np.testing.assert_array_equal(answer.gradient[reduction]["input"], [np.nan, np.nan, slope, -slope, slope])
    assert np.isnan(answer.loss[reduction]).sum() == (2 if reduction == "none" else 1)


@LOSS
def test_complex_zero_has_no_direction(name):
    zero = np.zeros(2, COMPLEX[np.dtype(np.float32)])
    answer = evaluate(LOSSES[name], Call({"input": zero, "target": zero}, {"gradient": True}))
    assert not answer.gradient["mean"]["input"].any()


def test_a_root_of_the_curvature_is_held_to_its_condition(monkeypatch):
    """Of r^2 / (1 + r^2) it is at 1 / sqrt(3), where no float is: all digits of the curvature are rounding's there."""

    def formula(*, input, target):
        u = (input - target) ** 2
        return Truth((u / (1 + u),), {"input": (2 * (input - target) / (1 + u) ** 2,)})

    def curvature(absolute, _):
        return 2 * (1 - 3 * absolute**2) / (1 + absolute**2) ** 3

    monkeypatch.setitem(ORACLES, "mse", replace(ORACLES["mse"], formula=formula, curvature=curvature))
    root = 3**-0.5
    row, off = Row("mse", root, 0.0, 0.0), Row("mse", root * (1 + 4e-16), 0.0, 0.0)
    assert abs(row.curvature) < 1e-15
    assert not row.kink
    assert is_exact(np.float64(off.curvature), row.curvature, row.curvature_size)
    assert not is_exact(np.float64(off.curvature), row.curvature, abs(row.curvature))
    assert not is_exact(np.float64(off.curvature + 1e-13), row.curvature, row.curvature_size)
