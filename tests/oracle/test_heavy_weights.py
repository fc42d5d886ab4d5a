"""Losses and slopes that are too small for their type, until a weight brings them back into its range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.losses import LOSSES
from lossd.message import Call
from tests.oracle.case import Case
from tests.oracle.condition import exact_inputs
from tests.oracle.exact import MP
from tests.oracle.truth import SHARED, oracle_rows

TYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
# Logits and numbers that underflow in a type, but not beside a weight of 1e100 or, in float32, of 1e30.
FAR = {np.float32: 95.0, np.float64: 715.0}
TINY = {np.float32: 1.3e-42, np.float64: 1.7e-320}


def given(name: str, dtype: Any) -> Mapping[str, Any]:
    """Return a call of two rows: one whose loss or slope is too small for its type, and an ordinary one."""
    far, tiny = FAR[dtype], TINY[dtype]
    return {
        "bce": {"input": [tiny, 0.25], "target": [0.0, 1.0]},
        "bce_with_logits": {"input": [-far, 0.5], "target": [0.0, 1.0]},
        "cross_entropy": {"input": [[far, -1.0, 0.0], [0.5, 0.25, 0.0]], "target": [0, 1]},
        "nll": {"input": [[-tiny, -1.0], [-1.0, -0.5]], "target": [0, 1]},
        "multi_quantile": {
            "input": [[0.0, 0.0], [1.0, 2.0]], "target": [tiny, 1.5], "quantiles": [0.3, 0.7]
        },
    }[name]  # fmt: skip


NAMED = ("weight", "pos_weight")
# Loss, and the name of the weight.
WEIGHED = [
    (name, weight)
    for name in ("bce", "bce_with_logits", "cross_entropy", "nll", "multi_quantile")
    for weight in ("sample_weight", "upstream", *(w for w in NAMED if w in LOSSES[name].tensors))
]


@TYPES
@pytest.mark.parametrize("size", [1e15, 1e30, 1e100])
@pytest.mark.parametrize(("name", "heavy"), WEIGHED)
def test_what_a_heavy_weight_brings_back_has_all_its_digits(name, heavy, size, dtype):
    arrays = {
        key: np.array(value, np.intp if isinstance(np.ravel(value)[0].item(), int) else dtype)
        for key, value in given(name, dtype).items()
    }
    kernel_weight = heavy in NAMED
    if kernel_weight and size > float(np.finfo(dtype).max):
        pytest.skip("no weight of this type")
    if heavy == "pos_weight":  # an easy positive
        arrays |= {"input": -arrays["input"], "target": 1 - arrays["target"]}
    count = arrays["input"].shape[1] if heavy == "weight" and "weight" in SHARED.get(name, ()) else 2
    weights = np.full(count, 1.37 * size).astype(dtype if kernel_weight else np.float64)
    options: dict[str, Any] = {
        "reduction": "none",
        "gradient": [k for k, a in arrays.items() if a.dtype == dtype],
    }
    answer = evaluate(LOSSES[name], Call({**arrays, heavy: weights}, options))

    case = Case("", {**arrays, **({heavy: weights} if kernel_weight else {})}, {})
    exact, settings = exact_inputs(case)
    rows = oracle_rows(name, {key: array.tolist() for key, array in exact.items()}, settings)
    factor = MP.mpf(1) if kernel_weight else MP.mpf(float(weights[0]))
    of_value = MP.mpf(1) if heavy == "upstream" else factor
    assert_exact(answer.loss["none"], [of_value * MP.fsum(row.value) for row in rows])
    for key, found in answer.gradient["none"].items():
        parts = [_numbers(row.gradient[key]) for row in rows]
        if key in SHARED.get(name, ()):
            parts = [[MP.fsum(column)] for column in zip(*parts, strict=True)]
        assert_exact(found, [factor * number for part in parts for number in part])


def assert_exact(found: Any, truths: list[Any]) -> None:
    """Assert that numbers are 12 ulps or 16 of the smallest numbers from the exact ones, and no more for any weight."""
    limits = np.finfo(found.dtype)
    for got, true in zip(found.reshape(-1), truths, strict=True):
        if abs(true) > float(limits.max):
            assert np.isinf(got)
            continue
        allowed = 12 * MP.mpf(float(limits.eps)) * abs(true) + 16 * MP.mpf(float(limits.smallest_subnormal))
        assert abs(MP.mpf(float(got)) - true) <= allowed, f"{got}, not {MP.nstr(true, 17)}"


def _numbers(nested: Any) -> list[Any]:
    """Return a row's gradient, flat."""
    if isinstance(nested, tuple):
        return [MP.fsum(nested)]
    return [number for part in nested for number in _numbers(part)]


@TYPES
@pytest.mark.parametrize("name", ["bce", "bce_with_logits", "cross_entropy", "nll"])
def test_a_small_denominator_is_a_heavy_weight(name, dtype):
    """The fused kernels scale in their own type."""
    arrays = {
        key: np.array(value, np.intp if isinstance(np.ravel(value)[0].item(), int) else dtype)[:1]
        for key, value in given(name, dtype).items()
    }
    divisor = 1e-12 if dtype is np.float32 else 1e-100
    answer = evaluate(LOSSES[name], Call(arrays, {"gradient": True, "denominator": divisor}))
    exact, settings = exact_inputs(Case("", arrays, {}))
    ((row),) = oracle_rows(name, {key: array.tolist() for key, array in exact.items()}, settings)
    assert_exact(np.asarray(answer.loss["mean"]), [MP.fsum(row.value) / MP.mpf(divisor)])
    slopes = [number / MP.mpf(divisor) for number in _numbers(row.gradient["input"])]
    assert_exact(answer.gradient["mean"]["input"], slopes)


def test_products_that_overflow_either_way_are_added_where_they_are_numbers():
    arrays = {"input": np.array([[-8e305, 0.0], [7e305, 0.0]]), "target": np.array([0, 0])}
    call = Call({**arrays, "weight": np.array([1e8, 1.0])}, {"reduction": ["sum", "mean"], "gradient": True})
    answer = evaluate(LOSSES["nll"], call)
    assert answer.loss["sum"] == np.inf
    np.testing.assert_allclose(answer.loss["mean"], 5e304, rtol=1e-14)


@TYPES
@pytest.mark.parametrize("threads", [1, 2])
def test_a_block_that_underflows_leaves_the_others_as_they_are(dtype, threads):
    x = np.random.default_rng(0).standard_normal(300_000).astype(dtype)
    x[5] = -FAR[dtype]
    arrays = {"input": x, "target": np.zeros_like(x), "sample_weight": np.full(x.size, 1e15)}
    options = {"reduction": "none", "gradient": True}
    answer, without = (
        evaluate(LOSSES["bce_with_logits"], Call(given, options), threads=threads)
        for given in (arrays, {key: array[200_000:] for key, array in arrays.items()})
    )
    np.testing.assert_array_equal(answer.loss["none"][200_000:], without.loss["none"])
    found = answer.gradient["none"]["input"]
    np.testing.assert_array_equal(found[200_000:], without.gradient["none"]["input"])
    assert_exact(found[5:6], [MP.exp(MP.mpf(float(x[5]))) * MP.mpf(1e15)])


@TYPES
@pytest.mark.parametrize("others", ["pos_weight", "weight"])
def test_the_slope_of_a_weight_is_as_heavy_as_the_weights_beside_it(dtype, others):
    """That of a weight of 0 is the loss itself."""
    x = np.array([-FAR[dtype], -1.0], dtype)
    arrays = {"input": x, "target": np.zeros_like(x), others: np.zeros_like(x)}
    options = {"reduction": "none", "gradient": ["weight"]}
    call = Call({"weight": np.ones_like(x), **arrays, "sample_weight": np.full(2, 1e30)}, options)
    found = evaluate(LOSSES["bce_with_logits"], call).gradient["none"]["weight"]
    assert_exact(found, [MP.log1p(MP.exp(MP.mpf(float(value)))) * MP.mpf(1e30) for value in x])
