"""Hessian-vector products of gradient code, against Hessians that mpmath differentiates out of the loss alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import mpmath as mp
import numpy as np
import pytest

from lossd.message import Array
from lossd.numerics.dual import Dual, NoDerivative
from tests.numerics.products import hessian_diagonal, hessian_vector

mp.mp.dps = 50


class Kernel(NamedTuple):
    """A loss twice: its gradient in NumPy, for all rows, and its value in mpmath, for one row.

    Attributes:
        gradient: The gradient, ``(rows, n)``, of numbers ``(rows, n)``.
        value: The loss of a row, as a list of numbers.
        at: Where the Hessian is taken, ``(rows, n)``.
    """

    gradient: Callable[[Any], Any]
    value: Callable[[Sequence[Any]], Any]
    at: Array


RANDOM = np.random.default_rng(11)
NORMAL = RANDOM.normal(size=(3, 4))
TARGET = np.array([0.5, -0.25, 1.5, 0.0])
TRANSITIONS = RANDOM.normal(size=(2, 2))
BOXES = np.array([[0.0, 0.0, 4.0, 3.0], [1.0, 0.5, 3.5, 2.0], [5.1, 4.0, 6.5, 7.0]])
BOX = (2.0, 1.0, 5.0, 5.0)


def softmax(x: Any) -> Any:
    exponential = np.exp(x - x.max(axis=1, keepdims=True))
    return exponential / exponential.sum(axis=1, keepdims=True)


def cross_entropy(x: Any) -> Any:
    """Softmax cross entropy of class 1."""
    gradient = softmax(x)
    gradient[:, 1] -= 1
    return gradient


def huber(x: Any) -> Any:
    return np.clip(x - TARGET, -1, 1)


def gaussian_nll(x: Any) -> Any:
    """Mean and variance in turn: the target is 0.3."""
    mean, variance = x[:, ::2], np.exp(x[:, 1::2])
    residual = mean - 0.3
    gradient = np.empty_like(x)
    gradient[:, ::2] = residual / variance
    gradient[:, 1::2] = 0.5 * (1 - residual * residual / variance)
    return gradient


def log_sum_exp_squared(x: Any) -> Any:
    """Half the squared log-normaliser, as a z-loss has it."""
    return np.logaddexp.reduce(x, axis=1, keepdims=True) * softmax(x)


def forward_recursion(x: Any) -> Any:
    """Backpropagate by hand through a forward recursion over two steps of two states, as a CRF's."""
    score = x.reshape(len(x), 2, 2)
    first = score[:, 0]
    paths = first[:, :, None] + TRANSITIONS
    second = score[:, 1] + np.logaddexp.reduce(paths, axis=1)
    last = softmax(second)
    into = np.exp(paths - np.logaddexp.reduce(paths, axis=1)[:, None, :])
    gradient = np.zeros_like(score)
    gradient[:, 1] = last
    gradient[:, 0] = np.einsum("nij,nj->ni", into, last)
    return gradient.reshape(len(x), 4)


def log_cosh(x: Any) -> Any:
    return np.tanh(x - TARGET)


def cosine(x: Any) -> Any:
    """1 - cosine with the target."""
    norm = np.sqrt(np.vecdot(x, x))[:, None]
    unit, fixed = x / norm, TARGET / np.linalg.norm(TARGET)
    return (unit * (unit @ fixed)[:, None] - fixed) / norm


def giou(x: Any) -> Any:
    """1 - the generalised overlap of boxes x1, y1, x2, y2 with a fixed one."""
    low = np.array(BOX[:2])
    high = np.array(BOX[2:])
    size = x[:, 2:] - x[:, :2]
    inner = np.maximum(np.minimum(x[:, 2:], high) - np.maximum(x[:, :2], low), 0)
    outer = np.maximum(x[:, 2:], high) - np.minimum(x[:, :2], low)
    overlap, hull = inner.prod(axis=1, keepdims=True), outer.prod(axis=1, keepdims=True)
    union = size.prod(axis=1, keepdims=True) + (high - low).prod() - overlap
    meets = (inner > 0).all(axis=1, keepdims=True)
    d_overlap = np.concatenate(
        [-inner[:, ::-1] * (x[:, :2] > low) * meets, inner[:, ::-1] * (x[:, 2:] < high) * meets], axis=1
    )
    d_hull = np.concatenate([-outer[:, ::-1] * (x[:, :2] < low), outer[:, ::-1] * (x[:, 2:] > high)], axis=1)
    d_union = np.concatenate([-size[:, ::-1], size[:, ::-1]], axis=1) - d_overlap
    return -d_overlap / union + overlap * d_union / union**2 - d_union / hull + union * d_hull / hull**2


def giou_value(x: Sequence[Any]) -> Any:
    inner = [max(min(x[i + 2], BOX[i + 2]) - max(x[i], BOX[i]), 0) for i in (0, 1)]
    outer = [max(x[i + 2], BOX[i + 2]) - min(x[i], BOX[i]) for i in (0, 1)]
    overlap, hull = inner[0] * inner[1], outer[0] * outer[1]
    union = (x[2] - x[0]) * (x[3] - x[1]) + (BOX[2] - BOX[0]) * (BOX[3] - BOX[1]) - overlap
    return 1 - overlap / union + (hull - union) / hull


def focal(x: Any) -> Any:
    """(1 - p)**2 (-log p) of p = sigmoid(x), by the derivatives of each factor."""
    log_p = -np.logaddexp(0.0, -x)
    p = np.exp(log_p)
    return (1 - p) ** 2 * (2 * p * log_p - (1 - p))


def plackett_luce(x: Any) -> Any:
    """ListMLE for the order 0, 1, 2, 3: the sum over places of log-sum-exp of what is left, less the score."""
    left = np.logaddexp.accumulate(x[:, ::-1], axis=1)[:, ::-1]
    return np.exp(x) * np.cumsum(np.exp(-left), axis=1) - 1


def lse(numbers: Sequence[Any]) -> Any:
    return mp.log(sum(map(mp.exp, numbers)))


KERNELS = {
    "cross_entropy": Kernel(cross_entropy, lambda x: lse(x) - x[1], NORMAL * 3),
    "huber": Kernel(
        huber,
        lambda x: sum(
            (a - t) ** 2 / 2 if abs(a - t) < 1 else abs(a - t) for a, t in zip(x, TARGET, strict=True)
        ),
        NORMAL * 2,
    ),
    "gaussian_nll": Kernel(
        gaussian_nll,
        lambda x: sum((x[i] - mp.mpf(0.3)) ** 2 / mp.exp(x[i + 1]) / 2 + x[i + 1] / 2 for i in (0, 2)),
        NORMAL,
    ),
    "log_sum_exp_squared": Kernel(log_sum_exp_squared, lambda x: lse(x) ** 2 / 2, NORMAL * 5),
    "forward_recursion": Kernel(
        forward_recursion,
        lambda x: lse([x[i] + mp.mpf(TRANSITIONS[i, j]) + x[2 + j] for i in (0, 1) for j in (0, 1)]),
        NORMAL * 2,
    ),
    "log_cosh": Kernel(
        log_cosh, lambda x: sum(mp.log(mp.cosh(a - t)) for a, t in zip(x, TARGET, strict=True)), NORMAL * 4
    ),
    "cosine": Kernel(
        cosine,
        lambda x: 1 - mp.fdot(x, TARGET.tolist()) / mp.norm(x) / mp.norm(TARGET.tolist()),
        NORMAL,
    ),
    "giou": Kernel(giou, giou_value, BOXES),
    "focal": Kernel(
        focal, lambda x: sum((1 - 1 / (1 + mp.exp(-a))) ** 2 * mp.log1p(mp.exp(-a)) for a in x), NORMAL * 3
    ),
    "plackett_luce": Kernel(plackett_luce, lambda x: sum(lse(x[i:]) - x[i] for i in range(4)), NORMAL * 2),
}


def hessian(kernel: Kernel, row: int) -> Array:
    """Differentiate a row's value twice."""
    at = [mp.mpf(number) for number in kernel.at[row].tolist()]
    n = len(at)
    orders = [[(i == k) + (j == k) for k in range(n)] for i in range(n) for j in range(n)]
    entries = [float(mp.diff(lambda *x: kernel.value(x), tuple(at), tuple(order))) for order in orders]
    return np.array(entries).reshape(n, n)


@pytest.mark.parametrize("name", KERNELS)
def test_the_tangent_of_a_gradient_is_the_hessian_times_the_direction(name: str) -> None:
    kernel = KERNELS[name]
    directions = np.random.default_rng(5).normal(size=kernel.at.shape)
    got = hessian_vector(lambda arrays: kernel.gradient(arrays["x"]), {"x": kernel.at}, "x", directions)
    diagonal = hessian_diagonal(kernel.gradient, kernel.at)
    for row, direction in enumerate(directions):
        true = hessian(kernel, row)
        scale = np.abs(true) @ np.abs(direction)
        np.testing.assert_array_less(np.abs(got[row] - true @ direction), 1e-14 * (1 + scale))
        np.testing.assert_allclose(diagonal[row], np.diag(true), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("name", KERNELS)
def test_a_product_of_float32_is_that_of_float64_rounded(name: str) -> None:
    kernel = KERNELS[name]
    at = kernel.at.astype(np.float32)
    single = hessian_diagonal(kernel.gradient, at)
    assert single.dtype == np.float32
    double = hessian_diagonal(kernel.gradient, at.astype(np.float64))
    np.testing.assert_allclose(single, double, rtol=2e-5, atol=2e-6)


def test_mixed_derivatives_come_by_the_array_that_moves() -> None:
    """Of 0.5 (log v + r**2 / v): the derivative of r / v with respect to v is -r / v**2."""
    arrays = {"r": np.array([2.0, -3.0]), "v": np.array([4.0, 0.5])}
    product = hessian_vector(lambda a: a["r"] / a["v"], arrays, "v", np.array([1.0, 2.0]))
    np.testing.assert_array_equal(product, [-2.0 / 16, 2 * 3.0 / 0.25])


def test_a_product_over_a_coupled_batch_crosses_items() -> None:
    """Of the squared sum of all numbers the Hessian is 2 everywhere."""
    x, direction = np.arange(6.0).reshape(3, 2), np.array([[1.0, 0.0], [0.0, 5.0], [0.0, 0.0]])
    product = hessian_vector(lambda a: np.ones((3, 2)) * (2 * a["x"].sum()), {"x": x}, "x", direction)
    np.testing.assert_array_equal(product, np.full((3, 2), 12.0))


@pytest.mark.parametrize("shape", [(5,), (2, 3), (2, 2, 2), (0, 3), (3, 0)])
def test_a_diagonal_has_one_number_for_each_of_the_array(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(size=shape)
    np.testing.assert_allclose(hessian_diagonal(lambda x: x**3, x), 3 * x**2, rtol=1e-15)


def test_a_gradient_that_does_not_depend_on_the_array_has_no_curvature() -> None:
    product = hessian_vector(lambda a: a["y"] * 2, {"x": np.ones(2), "y": np.ones(3)}, "x", np.ones(2))
    np.testing.assert_array_equal(product, np.zeros(3))


def test_the_arrays_of_the_caller_stay_as_they_are() -> None:
    x, direction = np.ones(3), np.full(3, 2.0)

    def gradient(arrays: Any) -> Any:
        arrays["x"] *= 3
        return arrays["x"]

    np.testing.assert_array_equal(hessian_vector(gradient, {"x": x}, "x", direction), np.full(3, 6.0))
    np.testing.assert_array_equal(x, np.ones(3))
    np.testing.assert_array_equal(direction, np.full(3, 2.0))


def test_a_gradient_of_nan_has_a_product_of_nan() -> None:
    x = np.array([np.nan, 1.0])
    np.testing.assert_array_equal(hessian_diagonal(lambda x: 2 * x, x), [np.nan, 2.0])


def test_a_direction_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(3,\), got \(1,\)"):
        hessian_vector(lambda a: a["x"], {"x": np.ones(3)}, "x", np.ones(1))


def test_a_kernel_with_an_operation_without_a_rule_is_refused() -> None:
    with pytest.raises(NoDerivative, match="norm"):
        hessian_diagonal(lambda x: x / np.linalg.norm(x, axis=1, keepdims=True), np.ones((2, 2)))
    with pytest.raises(NoDerivative, match="plain"):
        hessian_diagonal(lambda x: _into_plain(x), np.ones((2, 2)))


def _into_plain(x: Any) -> Array:
    result = np.empty(x.shape, x.dtype)
    result[:, 0] = x[:, 0]
    return result


def test_numbers_at_infinity_do_not_spoil_those_beside_them() -> None:
    """A class that is ruled out by a logit of -inf has no share in the curvature of the others."""
    x = np.array([[0.5, -np.inf, -1.0]])
    direction = np.array([[1.0, 1.0, -2.0]])
    product = hessian_vector(lambda a: softmax(a["x"]), {"x": x}, "x", direction)
    alone = hessian_vector(lambda a: softmax(a["x"]), {"x": x[:, ::2]}, "x", direction[:, ::2])
    np.testing.assert_array_equal(product[:, ::2], alone)
    assert product[0, 1] == 0


def test_a_gaussian_has_the_curvature_of_its_precision() -> None:
    """By hand: the second derivative of 0.5 (log(2 pi v) + r**2 / v) with respect to v, at r = 3, v = 2."""

    def slope(v: Any) -> Any:
        return 0.5 * (1 / v - 9.0 / v**2)

    np.testing.assert_allclose(hessian_diagonal(slope, np.array([2.0])), [-0.5 / 4 + 9.0 / 8], rtol=1e-15)


def test_a_dual_array_is_what_the_gradient_sees() -> None:
    seen: list[Any] = []
    hessian_vector(lambda a: seen.append(a["x"]) or a["x"], {"x": np.ones(2)}, "x", np.ones(2))  # type: ignore[func-returns-value]
    assert isinstance(seen[0], Dual)
