"""A check of a gradient finds what is wrong, and nothing that is right."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from lossd.declaration.example import Example
from lossd.declaration.families import Curve, residual_loss
from lossd.engine import CostLimits, check_gradient
from lossd.errors import DeadlineExceeded, InvalidCall, TooExpensive
from lossd.losses import LOSSES
from lossd.message import Call
from lossd.numerics.ridders import ACCURACY, EVALUATIONS
from tests.losses.test_declarations import example_call

# Differences are extrapolated until their estimated error is below 1e-10, which is more than the error.
CLOSE = 1e-9
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=lambda loss: loss.name)


@every_loss
def test_every_worked_example_passes(loss):
    check = check_gradient(loss, example_call(loss))
    assert check.largest is not None
    assert check.largest.deviation < CLOSE
    assert check.kink_count + check.unmoved < check.elements
    assert check.undecided == 0
    assert check.evaluations <= 1 + EVALUATIONS * check.elements


def test_a_wrong_gradient_is_found_where_it_is():
    @residual_loss(
        formula=r"\ell = r^2", source="none", example=Example(input=[1.0], target=[0.0], value=[1.0])
    )
    def wrong(r):
        """Square, with a slope that is wrong above 1."""
        return Curve(r * r, np.where(r > 1, 2.1, 2) * r, lambda: 2 + 0 * r)

    call = Call({"input": np.array([0.5, 3.0, 0.25]), "target": np.zeros(3)}, {"reduction": "sum"})
    largest = check_gradient(wrong, call).largest
    assert largest is not None
    assert largest.at == "input[1]"
    assert (largest.analytic, largest.numerical) == (pytest.approx(6.3), pytest.approx(6.0))
    assert largest.deviation == pytest.approx(0.3 / 6.3)


def test_a_kink_is_told_apart():
    check = check_gradient(LOSSES["l1"], Call({"input": np.array([0.0, 2.0]), "target": np.zeros(2)}))
    assert check.kinks == ("input[0]",)
    assert check.largest is not None
    assert check.largest.at == "input[1]"


@pytest.mark.parametrize(
    ("x", "target"),
    [(0.0005, 0.0), (-1e-9, 0.0), (1 + 1e-6, 1.0), (1e-3, 0.0), (1e-300, 0.0), (1e6 + 1, 1e6)],
)
def test_a_kink_near_by_makes_no_gradient_wrong(x, target):
    check = check_gradient(LOSSES["l1"], Call({"input": np.array([x]), "target": np.array([target])}))
    assert check.kink_count + check.undecided + check.unmoved == 0
    assert check.largest is not None
    assert check.largest.deviation <= ACCURACY


def test_a_kink_is_told_apart_in_the_middle_of_smooth_terms():
    target = np.array([[-1.0], [1.0], [2.0]])
    arrays = {"input": np.array([[1.0]]), "target": target}
    check = check_gradient(LOSSES["l1"], Call(arrays, {"broadcast": True, "reduction": "sum"}))
    assert check.kinks == ("input[0][0]",)


def test_a_number_too_near_a_kink_is_undecided():
    check = check_gradient(LOSSES["l1"], Call({"input": np.array([1 + 2e-8]), "target": np.ones(1)}))
    assert (check.undecided, check.kink_count, check.largest) == (1, 0, None)


def test_no_number_is_found_at_a_kink_either():
    @residual_loss(
        formula=r"\ell = |r|", source="none", example=Example(input=[1.0], target=[0.0], value=[1.0])
    )
    def undefined(r):
        """Absolute, with no number for the slope at 0."""
        return Curve(np.abs(r), np.where(r == 0, np.nan, np.sign(r)), lambda: 0 * r)

    check = check_gradient(undefined, Call({"input": np.array([0.0, 1.0]), "target": np.zeros(2)}))
    assert check.largest is not None
    assert (check.largest.at, check.kinks) == ("input[0]", ())
    assert np.isnan(check.largest.deviation)


def test_a_gradient_of_zeros_is_measured_against_the_loss():
    @residual_loss(
        formula=r"\ell = r^2", source="none", example=Example(input=[1.0], target=[0.0], value=[1.0])
    )
    def flat(r):
        """Square, with no slope."""
        return Curve(r * r, 0 * r, lambda: 2 + 0 * r)

    largest = check_gradient(flat, Call({"input": np.array([1e-6, 2e-6]), "target": np.zeros(2)})).largest
    assert largest is not None
    assert largest.deviation > 0.1


def test_a_zero_is_moved_by_steps_of_the_size_of_its_neighbours():
    call = Call({"input": np.array([0.0, 1e-6, -2e-6]), "target": np.array([3e-6, 0.0, 0.0])})
    check = check_gradient(LOSSES["l1"], call)
    assert check.evaluations <= 1 + 4 * check.elements


def test_what_cannot_be_moved_to_both_sides_is_counted():
    arrays = {"input": np.array([0.0, 0.5]), "target": np.array([0.0, 1.0])}
    check = check_gradient(LOSSES["bce"], Call(arrays))
    assert (check.elements, check.unmoved) == (2, 1)
    infinite = Call({"input": np.array([np.inf, 1.0]), "target": np.zeros(2)})
    assert check_gradient(LOSSES["mse"], infinite).unmoved == 2


@pytest.mark.parametrize("reduction", ["none", "sum", "mean", "batchmean"])
def test_settings_weights_masks_and_upstream_take_part(reduction):
    arrays = {
        "input": np.array([0.5, 3.0, -3.0], np.float32),
        "target": np.zeros(3, np.int64),
        "sample_weight": np.array([1.0, 2.0, 0.5]),
        "mask": np.array([True, True, False]),
    }
    if reduction == "none":
        arrays["upstream"] = np.array([1.0, -2.0, 3.0])
    options = {"reduction": reduction, "gradient": ["input", "target", "delta"], "delta": 1.5}
    check = check_gradient(LOSSES["huber"], Call(arrays, options))
    assert set(check.by_argument) == {"input", "target", "delta"}
    assert check.largest is not None
    assert check.largest.deviation < CLOSE


def test_a_setting_may_be_left_at_its_default():
    call = Call({"input": np.array([3.0]), "target": np.zeros(1)}, {"gradient": "delta"})
    assert check_gradient(LOSSES["huber"], call).by_argument["delta"].analytic == 2.0


def test_what_derivatives_take_for_constant_is_not_checked():
    loss = LOSSES["td_lambda"]
    free = example_call(loss, stop_target_gradients=False)
    assert set(check_gradient(loss, example_call(loss)).by_argument) == {"v_tm1"}
    assert set(check_gradient(loss, free).by_argument) == {"v_tm1", "r_t", "discount_t", "v_t", "lambda_"}


def test_objectives_of_boosting_libraries_are_checked_as_losses():
    from lossd.losses import find

    largest = check_gradient(
        find("reg:squarederror"), Call({"input": np.array([3.0]), "target": np.zeros(1)})
    ).largest
    assert largest is not None
    assert largest.analytic == pytest.approx(largest.numerical) == pytest.approx(6.0)


def test_the_cost_is_bounded_before_anything_is_moved():
    call = Call({"input": np.arange(1000.0), "target": np.zeros(1000)})
    charged = []
    check_gradient(
        LOSSES["mse"], replace(call, arrays={n: a[:2] for n, a in call.arrays.items()}), charge=charged.append
    )
    assert charged[0] > 0
    with pytest.raises(TooExpensive, match="moves 1000 numbers"):
        check_gradient(LOSSES["mse"], call, limits=CostLimits(10**7, 10**9, 10**9))


def test_its_memory_is_reserved_before_it_is_used():
    call = half_floats(1 << 20)
    reserved = []

    def reserve(size):
        assert tracemalloc.get_traced_memory()[1] < call.arrays["input"].size  # nothing is copied yet
        reserved.append(size)

    check_gradient(LOSSES["huber"], half_floats(4))  # imports and templates
    tracemalloc.start()
    try:
        check_gradient(LOSSES["huber"], call, reserve=reserve)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(reserved) == 1
    assert peak < reserved[0]
    assert peak < 64 * call.arrays["input"].size  # float64 for both arrays, the losses and their temporaries


@pytest.mark.parametrize("gradient", ["input", "delta"])
def test_what_is_refused_is_not_copied(gradient):
    call = half_floats(1 << 20, gradient=gradient)
    limits = CostLimits(10**11, 1, 10**9) if gradient == "delta" else CostLimits(10**9, 10**9, 10**9)
    tracemalloc.start()
    try:
        with pytest.raises(TooExpensive):
            check_gradient(LOSSES["huber"], call, limits=limits)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < call.arrays["input"].nbytes


def test_an_evaluation_of_few_numbers_costs_what_python_takes_for_it():
    charged = []
    call = Call({"input": np.zeros(100), "target": np.ones(100)})
    check = check_gradient(LOSSES["mse"], call, charge=charged.append)
    assert charged[0] > 300_000 * (check.evaluations - 1)  # 0.3 ms each


def test_sums_that_are_not_finite_are_no_error():
    call = Call({"input": np.array([1e200, -1e200]), "target": np.zeros(2)}, {"reduction": "none"})
    upstream = np.array([1.0, -1.0])
    assert (
        check_gradient(LOSSES["mse"], replace(call, arrays={**call.arrays, "upstream": upstream})).unmoved
        == 2
    )


def half_floats(size, gradient="delta"):
    values = np.tile(np.arange(64, dtype=np.float16), size // 64 + 1)[:size]
    return Call({"input": values, "target": values}, {"reduction": "none", "gradient": gradient})


def test_it_stops_when_it_is_told_to():
    def stop():
        raise DeadlineExceeded("expected to finish, got no further")

    with pytest.raises(DeadlineExceeded):
        check_gradient(LOSSES["mse"], example_call(LOSSES["mse"]), checkpoint=stop)


def test_it_may_be_told_to_stop_before_every_evaluation():
    calls = []
    check = check_gradient(LOSSES["l1"], example_call(LOSSES["l1"]), checkpoint=lambda: calls.append(1))
    assert len(calls) >= check.evaluations


@pytest.mark.parametrize(
    ("options", "dtype", "message"),
    [
        ({"reduction": ["none", "mean"]}, float, "one reduction"),
        ({}, complex, "real numbers"),
        ({"delta": -1.0}, float, "delta"),
    ],
)
def test_what_cannot_be_checked_is_refused(options, dtype, message):
    call = Call({"input": np.ones(2, dtype), "target": np.zeros(2, dtype)}, options)
    with pytest.raises(InvalidCall, match=message):
        check_gradient(LOSSES["huber"], call)
