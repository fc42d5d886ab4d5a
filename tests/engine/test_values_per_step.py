"""Losses with a value for each time step of a row: masks, weights, axes and upstream are of the values' shape."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.errors import InvalidCall
from lossd.losses import LOSSES
from lossd.message import Answer, Call

RNG = np.random.default_rng(0)
ARRAYS = {
    "v_tm1": RNG.standard_normal((3, 4)),
    "r_t": RNG.standard_normal((3, 4)),
    "discount_t": RNG.uniform(0.5, 1, (3, 4)),
    "v_t": RNG.standard_normal((3, 4)),
    "lambda_": RNG.uniform(0, 1, (3, 4)),
}
NAMES = list(ARRAYS)
MASK = np.array([[1, 1, 0, 1], [0, 0, 0, 0], [1, 0, 1, 1]], bool)


def _ask(reduction: Any, arrays: dict[str, np.ndarray] = ARRAYS, **more: Any) -> Answer:
    general = {key: value for key, value in more.items() if isinstance(value, np.ndarray)}
    options = {key: value for key, value in more.items() if key not in general}
    settings = {"stop_target_gradients": False, "reduction": reduction, "gradient": NAMES}
    return evaluate(LOSSES["td_lambda"], Call({**arrays, **general}, {**settings, **options}))


def _assert_gradients(found: dict[str, np.ndarray], factor: np.ndarray) -> None:
    """Hold gradients against those of `none` with the values' factors upstream."""
    expected = _ask("none", upstream=factor).gradient["none"]
    for name in NAMES:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-13, atol=1e-15)


def test_errors_are_those_of_the_recursion():
    values = _ask("none").loss["none"]
    for row in range(3):
        returned = ARRAYS["v_t"][row, -1]
        for t in reversed(range(4)):
            mixing = ARRAYS["lambda_"][row, t]
            mixed = (1 - mixing) * ARRAYS["v_t"][row, t] + mixing * returned
            returned = ARRAYS["r_t"][row, t] + ARRAYS["discount_t"][row, t] * mixed
            np.testing.assert_allclose(values[row, t], returned - ARRAYS["v_tm1"][row, t], rtol=1e-13)


@pytest.mark.parametrize("axis", [0, 1, -1, [0, 1]])
def test_an_axis_may_be_that_of_the_steps(axis):
    values = _ask("none").loss["none"]
    over = tuple(axis) if isinstance(axis, list) else axis
    answer = _ask(["sum", "mean"], axis=axis)
    np.testing.assert_allclose(answer.loss["sum"], values.sum(axis=over), rtol=1e-13)
    np.testing.assert_allclose(answer.loss["mean"], values.mean(axis=over), rtol=1e-13)
    size = np.prod([values.shape[place] for place in np.atleast_1d(axis)])
    _assert_gradients(answer.gradient["mean"], np.full((3, 4), 1 / size))


def test_a_mask_selects_steps():
    values = _ask("none").loss["none"]
    answer = _ask(["none", "sum", "mean"], mask=MASK)
    np.testing.assert_array_equal(answer.loss["none"], np.where(MASK, values, 0))
    np.testing.assert_allclose(answer.loss["mean"], values[MASK].mean(), rtol=1e-13)
    assert answer.count == answer.denominator == MASK.sum()
    for mode, divisor in {"none": 1, "sum": 1, "mean": MASK.sum()}.items():
        _assert_gradients(answer.gradient[mode], MASK / divisor)


def test_what_a_mask_leaves_out_may_be_nan_where_no_other_step_needs_it():
    corrupted = {name: array.copy() for name, array in ARRAYS.items()}
    for array in corrupted.values():
        array[1] = np.nan  # a row of which no step counts
    corrupted["v_tm1"][~MASK] = np.nan
    answer, plain = _ask("mean", corrupted, mask=MASK), _ask("mean", mask=MASK)
    assert answer.loss["mean"] == plain.loss["mean"]
    for name in NAMES:
        np.testing.assert_array_equal(answer.gradient["mean"][name], plain.gradient["mean"][name])


def test_weights_and_upstream_are_of_steps():
    weight, upstream = np.random.default_rng(1).uniform(0, 2, (2, 3, 4))
    values = _ask("none").loss["none"]
    answer = _ask(["none", "weighted_mean"], sample_weight=weight, upstream=upstream, mask=MASK)
    np.testing.assert_allclose(answer.loss["none"], values * weight * MASK, rtol=1e-13)
    total = (weight * MASK).sum()
    np.testing.assert_allclose(answer.loss["weighted_mean"], (values * weight * MASK).sum() / total)
    _assert_gradients(answer.gradient["none"], weight * upstream * MASK)
    _assert_gradients(answer.gradient["weighted_mean"], weight * MASK / total)


def test_a_discount_of_nothing_ends_an_episode():
    ended = {**ARRAYS, "discount_t": ARRAYS["discount_t"].copy()}
    ended["discount_t"][:, 1] = 0
    corrupted = {name: array.copy() for name, array in ended.items()}
    corrupted["r_t"][:, 2:] = np.nan
    mask = np.arange(4) < 2
    expected, found = _ask("sum", ended, mask=mask), _ask("sum", corrupted, mask=mask)
    assert found.loss["sum"] == expected.loss["sum"]
    for name in ("v_tm1", "r_t", "v_t"):
        np.testing.assert_array_equal(found.gradient["sum"][name], expected.gradient["sum"][name])


def test_arguments_behind_a_stop_gradient_have_derivatives_of_zero():
    answer = _ask("sum", stop_target_gradients=True, hessian=["v_tm1", "v_t"])
    np.testing.assert_array_equal(answer.gradient["sum"]["v_tm1"], -np.ones((3, 4)))
    for name in NAMES[1:]:
        np.testing.assert_array_equal(answer.gradient["sum"][name], np.zeros((3, 4)))
    product = _ask("sum", stop_target_gradients=True, **{"hvp.v_t": np.ones((3, 4))}).hvp["sum"]
    np.testing.assert_array_equal(product["v_t"], np.zeros((3, 4)))


@pytest.mark.parametrize(("name", "shape"), [("mask", (3,)), ("upstream", (3,)), ("sample_weight", (3,))])
def test_arrays_of_rows_alone_are_refused(name, shape):
    with pytest.raises(InvalidCall) as refused:
        _ask("none", **{name: np.ones(shape, bool if name == "mask" else float)})
    assert refused.value.errors[0].at == name
