"""The slope of a weight that outweighs the others: its loss is nearly the mean, and the two must not be subtracted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.losses import LOSSES
from lossd.message import Call
from tests.oracle.exact import MP

TYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
# How much less the others weigh.
LIGHT = pytest.mark.parametrize("light", [1e-3, 1e-10, 1e-17, 1e-30])
RNG = np.random.default_rng(3)
X, T = RNG.standard_normal((2, 4, 3))


def exact(array: Any) -> Any:
    """Return an array of exact numbers."""
    return np.vectorize(MP.mpf, otypes=[object])(np.asarray(array, object))


def slopes_of(
    by_weight: Any, per_weight: Any, weight: Any, taken: Any = slice(None)
) -> list[tuple[Any, Any]]:
    """Return the gradient of ``sum a w / sum b w`` with respect to w, and the sizes of its addends."""
    a, b, w = (exact(array)[taken] for array in (by_weight, per_weight, weight))
    total = (w * b).sum()
    return [
        (
            MP.fsum(w * (a_i * b - a * b_i)) / total**2,
            MP.fsum(abs(w) * (abs(a_i * b) + abs(a * b_i)) * (abs(a_i * b - a * b_i) != 0)) / total**2,
        )
        for a_i, b_i in zip(a, b, strict=True)
    ]


def assert_close(found: Any, expected: list[tuple[Any, Any]], ulps: float = 12) -> None:
    eps = MP.mpf(float(np.finfo(found.dtype).eps))
    for got, (true, size) in zip(found.reshape(-1), expected, strict=True):
        assert abs(MP.mpf(float(got)) - true) <= ulps * eps * size, f"{got}, not {MP.nstr(true, 17)}"


def gradient(name: str, arrays: dict[str, Any], **options: Any) -> Any:
    (mode,) = (options.setdefault("reduction", "mean"),)
    answer = evaluate(LOSSES[name], Call(arrays, {**options, "gradient": ["weight"]}))
    return answer.gradient[mode]["weight"]


def weights(dtype: Any, light: float, shape: Any, heavy: Any) -> Any:
    found = np.full(shape, light) * np.linspace(1, 2, np.prod(shape)).reshape(shape)
    found[heavy] = 1.25
    return found.astype(dtype)


@TYPES
@LIGHT
@pytest.mark.parametrize("reduction", ["mean", "weighted_mean"])
@pytest.mark.parametrize("name", ["mse", "l1"])
def test_a_row_that_outweighs_the_others(name, reduction, light, dtype):
    x, t, w = X.astype(dtype), T.astype(dtype), weights(dtype, light, X.shape, (2, 1))
    sample = np.linspace(0.5, 2, x.size).reshape(x.shape)
    losses = exact(x) - exact(t)
    losses = losses**2 if name == "mse" else abs(losses)
    found = gradient(
        name, {"input": x, "target": t, "weight": w, "sample_weight": sample}, reduction=reduction
    )
    ones = np.ones(x.size) if reduction == "mean" else sample.ravel()
    assert_close(found, slopes_of((losses * exact(sample)).ravel(), ones, w.ravel()))


@TYPES
@LIGHT
def test_along_an_axis_each_result_has_a_heaviest_weight_or_none(light, dtype):
    x, t, w = X.astype(dtype), T.astype(dtype), weights(dtype, light, X.shape, ([0, 3], [1, 2]))
    found = gradient("mse", {"input": x, "target": t, "weight": w}, axis=0)
    losses = (exact(x) - exact(t)) ** 2
    for column in range(3):
        expected = slopes_of(losses[:, column], np.ones(4), w[:, column])
        assert_close(found[:, column], expected)


@TYPES
@LIGHT
def test_a_broadcast_weight_that_outweighs_the_others_is_one_weight_of_many_rows(light, dtype):
    x, t, w = X.astype(dtype), T.astype(dtype), weights(dtype, light, (3,), 1)
    found = gradient("mse", {"input": x, "target": t, "weight": w}, broadcast=True)
    losses = (exact(x) - exact(t)) ** 2
    assert_close(found, slopes_of(losses.sum(axis=0), np.full(3, 4), w))


@TYPES
@LIGHT
@pytest.mark.parametrize("junk", [np.nan, np.inf, 1e30])
def test_a_row_that_takes_no_part_outweighs_nothing(light, dtype, junk):
    x, t, w = X.astype(dtype), T.astype(dtype), weights(dtype, light, X.shape, (2, 1))
    w[0, 0] = junk
    mask = np.ones(x.shape, bool)
    mask[0, 0] = False
    found = gradient("mse", {"input": x, "target": t, "weight": w, "mask": mask})
    assert found[0, 0] == 0
    losses = ((exact(x) - exact(t)) ** 2).ravel()[1:]
    assert_close(found.ravel()[1:], slopes_of(losses, np.ones(losses.size), w.ravel()[1:]))


@TYPES
@LIGHT
@pytest.mark.parametrize("name", ["nll", "cross_entropy"])
def test_a_class_that_outweighs_the_others(name, light, dtype):
    x, w, target = X.astype(dtype), weights(dtype, light, (3,), 2), np.array([2, 0, 2, 1])
    found = gradient(name, {"input": x, "target": target, "weight": w})
    logits = exact(x)
    if name == "cross_entropy":
        logits = logits - np.array([[MP.log(MP.fsum(MP.exp(v) for v in row))] for row in logits])
    surprise = [-MP.fsum(row[c] for row, t in zip(logits, target, strict=True) if t == c) for c in range(3)]
    assert_close(found, slopes_of(surprise, np.bincount(target), w))


@TYPES
@LIGHT
@pytest.mark.parametrize("heavy", [-1.25, [-1.25, 0.5], [-1.25, 1e-4, 0.75]], ids=["one", "two", "several"])
@pytest.mark.parametrize("reduction", ["mean", "weighted_mean"])
@pytest.mark.parametrize("name", ["mse", "l1"])
def test_a_negative_row_that_outweighs_the_others(name, reduction, heavy, light, dtype):
    x, t = X.astype(dtype), T.astype(dtype)
    w = weights(dtype, light, X.shape, (slice(np.size(heavy)), 1))
    w[: np.size(heavy), 1] = heavy
    sample = np.linspace(0.5, 2, x.size).reshape(x.shape)
    losses = exact(x) - exact(t)
    losses = losses**2 if name == "mse" else abs(losses)
    found = gradient(
        name, {"input": x, "target": t, "weight": w, "sample_weight": sample}, reduction=reduction
    )
    ones = np.ones(x.size) if reduction == "mean" else sample.ravel()
    assert_close(found, slopes_of((losses * exact(sample)).ravel(), ones, w.ravel()))


@TYPES
@LIGHT
def test_along_an_axis_a_negative_weight_may_be_the_heaviest_of_one_result(light, dtype):
    x, t, w = X.astype(dtype), T.astype(dtype), weights(dtype, light, X.shape, ([0, 3], [1, 2]))
    w[0, 1] = -w[0, 1]
    w[1, 0] = -w[1, 0]
    found = gradient("mse", {"input": x, "target": t, "weight": w}, axis=0)
    losses = (exact(x) - exact(t)) ** 2
    for column in range(3):
        expected = slopes_of(losses[:, column], np.ones(4), w[:, column])
        assert_close(found[:, column], expected)


@TYPES
@LIGHT
@pytest.mark.parametrize("name", ["nll", "cross_entropy"])
def test_a_negative_class_that_outweighs_the_others(name, light, dtype):
    x, w, target = X.astype(dtype), weights(dtype, light, (3,), 2), np.array([2, 0, 2, 1])
    w[2] = -w[2]
    found = gradient(name, {"input": x, "target": target, "weight": w})
    logits = exact(x)
    if name == "cross_entropy":
        logits = logits - np.array([[MP.log(MP.fsum(MP.exp(v) for v in row))] for row in logits])
    surprise = [-MP.fsum(row[c] for row, t in zip(logits, target, strict=True) if t == c) for c in range(3)]
    assert_close(found, slopes_of(surprise, np.bincount(target), w))


@TYPES
@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_a_mean_of_one_value_is_that_value_whatever_it_weighs(shape, dtype):
    x, w = np.full(shape, 0.1, dtype), np.full(shape, 1.7, dtype)
    found = gradient("mse", {"input": x, "target": np.zeros_like(x), "weight": w})
    assert found == 0


def test_the_only_label_of_a_batch_may_weigh_less_than_nothing() -> None:
    """Smoothing gives the other classes losses, and no part in the denominator."""
    x, w, smoothing = np.array([[0.5, 1.0, 2.0]]), np.array([1.0, -1e12, 3.0]), 0.1
    arrays = {"input": x, "target": np.array([1]), "weight": w}
    found = gradient("cross_entropy", arrays, label_smoothing=smoothing)
    surprise = [MP.log(MP.fsum(MP.exp(MP.mpf(v)) for v in x[0])) - MP.mpf(v) for v in x[0]]
    part = MP.mpf(smoothing) / 3
    a = [part * surprise[0], (1 - MP.mpf(smoothing) + part) * surprise[1], part * surprise[2]]
    assert_close(found, slopes_of(a, [0.0, 1.0, 0.0], w))


def test_an_infinite_mean_leaves_rows_that_take_no_part_alone():
    arrays = {"input": np.array([np.inf, 1.0, 2.0]), "target": np.zeros(3), "weight": np.ones(3)}
    found = gradient("mse", {**arrays, "mask": np.array([True, True, False])})
    assert found[2] == 0
