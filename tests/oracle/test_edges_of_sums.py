"""Results that are exactly 0 or a number, though what they are made of rounds, cancels or is infinite."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.losses import find
from lossd.message import Answer, Call

INF = np.inf
TYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def ask(name: str, arrays: dict[str, Any], **options: Any) -> Answer:
    given = {key: np.asarray(value) for key, value in arrays.items()}
    return evaluate(find(name), Call(given, {"reduction": "none", **options}))


@TYPES
@pytest.mark.parametrize("reduction", ["none", "sum"], ids=["kernel", "fused"])
def test_a_pair_exactly_at_the_margin_passes_the_full_gradient(dtype, reduction):
    """Of these cosines -1/2, 1/2, 0.6 and -0.28 each is a quotient of whole numbers by the root of a square."""
    one = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [3, 0, 0, 0], [7, 24, 0, 0]], dtype)
    other = np.array([[-1, 0, 1, 0], [1, 0, 1, 0], [3, 4, 0, 0], [-1, 0, 0, 0]], dtype)
    for row, margin in enumerate((-0.5, 0.5, 0.6, -0.28)):
        arrays = {"input1": one[[row]], "input2": other[[row]], "target": np.array([-1.0], dtype)}
        answer = ask("cosine_embedding", arrays, margin=margin, reduction=reduction, gradient=True)
        assert answer.loss[reduction] <= np.finfo(dtype).eps / 4
        assert answer.gradient[reduction]["input1"].any()


@TYPES
def test_the_correlations_of_two_items_do_not_change(dtype):
    rng = np.random.default_rng(5)
    one, other = rng.standard_normal((2, 2, 6)).astype(dtype)
    same = other + np.sign(one[0] - one[1]) * np.array([[9], [0]], dtype)
    answer = ask("barlow_twins", {"z1": one, "z2": same}, lambd=0.0, gradient=True)
    assert answer.loss["none"] == 0
    answer = ask("barlow_twins", {"z1": one, "z2": other, "hvp": one}, gradient=True, hessian=True)
    slopes = answer.gradient["none"]
    for found in (slopes["z1"], slopes["z2"], answer.hvp["none"]["z1"], answer.hessian["none"]["z1"]):
        np.testing.assert_array_equal(found, np.zeros_like(one))


@TYPES
def test_dimensions_of_two_values_that_the_same_items_share_are_exactly_alike(dtype):
    """A dimension of two values is the same direction whatever they are, but for its sign."""
    pattern = np.array([[0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0], [1, 0, 0]], dtype)
    one = pattern * dtype([1.7, 0.3, 5]) + dtype([0.1, 1e3, -2])
    same = pattern * dtype([0.9, 31, 5]) + dtype([-0.7, 1e-3, 3])
    one[2, 2] = same[2, 2] = 11  # of one item
    answer = ask("barlow_twins", {"z1": one, "z2": same}, lambd=0.0, gradient=True)
    assert answer.loss["none"] == 0
    for found in answer.gradient["none"].values():
        np.testing.assert_array_equal(found, np.zeros_like(one))
    opposite = ask("barlow_twins", {"z1": one[:, :1], "z2": -same[:, :1]}, gradient=True)
    assert opposite.loss["none"] == pytest.approx(4, rel=4 * float(np.finfo(dtype).eps))


@TYPES
@pytest.mark.parametrize("x", [1e-12, -1e-12, 0.0, 30.0])
def test_how_a_weights_slope_changes_with_the_target_is_minus_the_logit(dtype, x):
    """The logarithms of both classes, log 2 and a little, are not subtracted."""
    arrays = {"input": np.array([x], dtype), "target": np.array([0.3], dtype)}
    arrays |= {"weight": np.array([2.0], dtype), "hvp.target": np.array([1.0], dtype)}
    mixed = ask("bce_with_logits", {**arrays, "hvp.weight": np.zeros(1, dtype)}).hvp["none"]["weight"]
    np.testing.assert_array_equal(mixed, -np.array([x], dtype))


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("name", ["r_t", "v_t"])
def test_one_mixing_of_all_steps_has_a_limit_beside_an_infinite_number(name, place):
    """Steps before an infinite value gain by it, its own loses: the sum has the sign of all together."""
    arrays = {
        "v_tm1": np.array([[1.0, 2.0, 3.0]]),
        "r_t": np.array([[1.0, 0.0, 2.0]]),
        "discount_t": np.array([[0.5, 0.9, 0.5]]),
        "v_t": np.array([[2.0, 4.0, 1.0]]),
        "lambda_": np.array(0.5),
    }

    def slope(number: float) -> Any:
        arrays[name][0, place] = number
        options = {"reduction": "sum", "gradient": ["lambda_"], "stop_target_gradients": False}
        return ask("td_lambda", arrays, **options).gradient["sum"]["lambda_"]

    for sign in (1, -1):
        far = [slope(sign * size) for size in (1e9, 1e12)]
        expected = far[1] if abs(far[1]) < 100 else np.copysign(INF, far[1])
        np.testing.assert_allclose(slope(sign * INF), expected)


@pytest.mark.parametrize(
    ("name", "arrays", "settings", "expected"),
    [
        ("poisson_nll", {"input": [1.0], "target": [INF]}, {}, {"target": 0.0}),
        ("poisson_nll", {"input": [1.0], "target": [INF]}, {"log_input": False}, {"target": 0.0}),
        ("poisson_nll", {"input": [INF], "target": [1.0]}, {}, {"input": INF}),
        ("gaussian_nll", {"input": [INF], "target": [1.0], "var": [2.0]}, {}, {"input": 0.5, "target": 0.5}),
    ],
)
def test_a_curvature_at_infinity_is_its_limit(name, arrays, settings, expected):
    found = ask(name, arrays, hessian=list(expected), **settings).hessian["none"]
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], [value])


def test_what_does_not_move_contributes_nothing_to_a_product_however_steep_it_is():
    answer = ask("poisson_nll", {"input": [INF, 0.0], "target": [1.0, 1.0], "hvp": [0.0, 1.0]})
    np.testing.assert_array_equal(answer.hvp["none"]["input"], [0, 1])
