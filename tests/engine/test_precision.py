"""What a call computes in: no rounding before the last one, which is to the answer's type."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossd.engine import evaluate
from lossd.engine.precision import is_heavy, rounded
from lossd.losses import find
from lossd.message import Call

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
HALVES = {"bfloat16": (BFLOAT16, 8, -133, 128), "float16": (np.dtype(np.float16), 11, -24, 16)}


def nearest(value: float, digits: int, lowest: int, highest: int) -> float:
    """Return a number to so many binary digits, ties to even, by whole numbers alone."""
    if not np.isfinite(value) or value == 0:
        return value
    exponent = max(int(np.frexp(value)[1]) - digits, lowest)
    numerator, denominator = float(value).as_integer_ratio()
    scaled = numerator << max(-exponent, 0)
    divisor = denominator << max(exponent, 0)
    whole, rest = divmod(abs(scaled), divisor)
    whole += 2 * rest > divisor or (2 * rest == divisor and whole % 2 == 1)
    size = float(whole) * 2.0**exponent
    return float(np.copysign(np.inf if size >= 2.0**highest else size, value))


@pytest.mark.parametrize("name", HALVES)
@given(
    value=st.floats() | st.floats(-1e5, 1e5) | st.floats(-1e-37, 1e-37),
    tie=st.booleans(),
    step=st.integers(-2, 2),
)
def test_a_number_is_rounded_once(name, value, tie, step):
    dtype, *form = HALVES[name]
    if tie and np.isfinite(value):  # near a tie of the 16-bit type a float32 between lies in wait
        with np.errstate(over="ignore"):
            low = float(np.asarray(value).astype(dtype))
            value = low * (1 + 2.0 ** -form[0]) * (1 + step * 2.0**-45) if np.isfinite(low) else value
    found = rounded(np.array([value]), dtype)
    np.testing.assert_array_equal(found.astype(np.float64), [nearest(value, *form)])


def test_a_result_is_rounded_once_from_the_widest_type_given():
    """1 + 2^-8 is a tie of bfloat16; in float32 nothing is left of the 2^-40 that decides it."""
    call = Call({"input": np.array([1 + 2.0**-8 + 2.0**-40]), "target": np.zeros(1)}, {"dtype": "bfloat16"})
    for reduction in ("none", "sum", "mean"):
        answer = evaluate(find("l1"), Call(call.arrays, {**call.options, "reduction": reduction}))
        assert float(np.asarray(answer.loss[reduction]).reshape(())) == 1.0078125


@pytest.mark.parametrize("gradient", [False, True])
def test_arrays_are_not_rounded_to_the_answers_type(gradient):
    """A difference of 2^-30 is lost where its operands are rounded to float32 first."""
    call = {"input": np.array([1 + 2.0**-30]), "target": np.ones(1)}
    for dtype in ("float32", "float16", "bfloat16"):
        answer = evaluate(find("l1"), Call(call, {"dtype": dtype, "gradient": gradient}))
        assert (
            float(answer.loss["mean"]) == 2.0**-30 if dtype != "float16" else float(answer.loss["mean"]) == 0
        )
        assert answer.loss["mean"].dtype == (BFLOAT16 if dtype == "bfloat16" else dtype)


def test_whole_numbers_count_as_float64_where_nothing_else_is_given():
    call = Call({"input": np.array([2**24 + 1]), "target": np.array([2**24])}, {"dtype": "float32"})
    assert evaluate(find("l1"), call).loss["mean"] == 1


@pytest.mark.parametrize("name", ["mse", "l1", "huber", "smooth_l1"])
@pytest.mark.parametrize("broadcast", [False, True])
def test_gradients_of_what_rows_share_add_up_in_float64(name, broadcast):
    """The row of 1 after those of 2^24 is below the last place of a float32 sum."""
    x = np.zeros(4097, np.float32)
    x[0], x[1:] = 2.0**24, 1.0
    setting = {"huber": "delta", "smooth_l1": "beta"}.get(name)
    if not broadcast and setting is None:
        pytest.skip("no setting that rows share")
    options = {"reduction": "sum", "broadcast": broadcast, "gradient": ["target"] if broadcast else [setting]}
    if setting:
        options[setting] = 0.5 if name == "huber" else 2.0**25
    target = np.float32(0) if broadcast else np.zeros_like(x)
    found = evaluate(find(name), Call({"input": x, "target": np.asarray(target)}, options)).gradient["sum"]
    if not broadcast:
        exact = {"huber": 2.0**24 - 0.5 + 4096 * 0.5, "smooth_l1": -(2.0**48 + 4096) / 2.0**51}[name]
        assert found[setting] == np.float32(exact)
        return
    exact = {
        "mse": -2 * (2.0**24 + 4096), "l1": -4097.0, "huber": -4097 * 0.5, "smooth_l1": -(2.0**24 + 4096) / 2.0**25,
    }[name]  # fmt: skip
    assert found["target"] == np.float32(exact)


def test_a_sum_of_mixed_signs_adds_up_in_float64():
    x = np.array([2.0**24, 1.0, -(2.0**24)], np.float32)
    weight = np.sign(x)
    call = Call({"input": x, "target": np.zeros_like(x), "sample_weight": weight}, {"reduction": "sum"})
    assert evaluate(find("l1"), call).loss["sum"] == 1


@pytest.mark.parametrize("reduction", ["mean", "weighted_mean"])
def test_the_answer_tells_a_denominator_as_far_as_float64_holds_it(reduction):
    arrays = {"input": np.array([1.0, 3.0]), "target": np.zeros(2), "weight": np.full(2, 1e308)}
    answer = evaluate(find("mse"), Call(arrays, {"reduction": reduction}))
    assert answer.loss[reduction] == 5
    assert answer.denominator == np.inf
    tiny = evaluate(find("mse"), Call({**arrays, "weight": np.full(2, 5e-324)}, {"reduction": reduction}))
    assert (tiny.loss[reduction], tiny.denominator) == (5, 1e-323)
    given = evaluate(find("mse"), Call(arrays, {"reduction": reduction, "denominator": 1e-320}))
    assert given.denominator == 1e-320


def test_means_along_an_axis_are_finite_where_their_sums_are_not():
    x = np.array([[1e308, 1e308, 1.0], [5e-324, 5e-324, 5e-324]])
    call = Call({"input": x, "target": np.zeros_like(x)}, {"axis": 1, "gradient": True})
    answer = evaluate(find("l1"), call)
    np.testing.assert_allclose(answer.loss["mean"], [1e308 / 1.5, 5e-324], rtol=1e-15)
    np.testing.assert_allclose(answer.gradient["mean"]["input"], np.full((2, 3), 1 / 3), rtol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_are_heavy_by_their_product_and_whatever_stands_beside_nan(dtype):
    kind, ones, some = np.dtype(dtype), np.ones(3, dtype), np.full(3, 1e3, dtype)
    assert not is_heavy([ones, 1.0], kind)
    assert not is_heavy([some], kind)
    assert is_heavy([some, -some, 1e3], kind)
    assert is_heavy([np.array([np.nan, 1e9], dtype)], kind)


@pytest.mark.parametrize(
    ("name", "arrays", "options", "expected"),
    [
        ("l1", ([1e308, 1e308], [0, 0]), {"reduction": ["sum", "mean"]}, 1e308),
        ("l1", ([1e308, 1e308], [0, 0]), {"reduction": "mean", "hessian": True}, 1e308),
        ("bce_with_logits", ([-1e308, -1e308], [1, 1]), {"reduction": "mean"}, 1e308),
        ("mse", ([1e154, -1e154], [0, 0]), {"reduction": ["none", "mean"]}, 1e308),
    ],
)
def test_a_mean_is_divided_before_it_is_rounded(
    name: str, arrays: tuple[list[float], list[float]], options: dict[str, Any], expected: float
) -> None:
    call = Call(dict(zip(("input", "target"), map(np.array, arrays), strict=True)), options)
    call = Call({key: array.astype(float) for key, array in call.arrays.items()}, options)
    assert float(evaluate(find(name), call).loss["mean"]) == pytest.approx(expected, rel=1e-14)
