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
    for weight in ("sample_weight", "upstream", *(w for w in NAMED if w in LOSSES[name].array_names))
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


@pytest.mark.parametrize(
    ("dtype", "logit", "size", "name"),
    [
        (np.float64, -800.0, 1e100, "bce_with_logits"),
        (np.float32, -120.0, 1e30, "bce_with_logits"),
        (np.float32, -120.0, 1e30, "soft_margin"),
    ],
)
def test_a_long_direction_brings_back_the_tail_of_a_hessian(dtype, logit, size, name):
    """Far from 0 the second derivative of both is ``exp(-|x|)``."""
    far, target = (logit, 0.0) if name == "bce_with_logits" else (-logit, 1.0)
    arrays = {"input": [far, 0.5], "target": [target, 1.0], "hvp": [size, 1.0]}
    call = Call({key: np.array(each, dtype) for key, each in arrays.items()}, {"reduction": "none"})
    found = evaluate(LOSSES[name], call).hvp["none"]["input"]
    np.testing.assert_allclose(
        found[0], float(MP.exp(-abs(far)) * MP.mpf(size)), rtol=4 * np.finfo(dtype).eps
    )


@pytest.mark.parametrize(
    ("dtype", "score", "label"),
    [
        *((np.float32, score, 1.0) for score in (95.0, 100.0, 103.0, 106.0)),
        *((np.float64, score, -1.0) for score in (-716.0, -745.0, -750.0)),
        (np.float32, 1.1e-8, 1e10),
        (np.float32, 110.0, 1.0),
    ],
)
def test_a_score_or_label_brings_back_the_tail_of_a_margin_that_it_multiplies(dtype, score, label):
    """The slope ``-exp(-m)`` underflows before its products with both do."""
    arrays = {"input": np.array([score], dtype), "target": np.array([label], dtype)}
    names = ["input", "target"]
    options = {"reduction": "none", "gradient": names, "hessian": names, "check_target": "none"}
    answer = evaluate(LOSSES["soft_margin"], Call(arrays, options))
    x, t = (MP.mpf(float(arrays[name][0])) for name in names)
    tail = 1 / (1 + MP.exp(x * t))
    slopes = {"input": -t * tail, "target": -x * tail}
    bends = {"input": t * t * tail * (1 - tail), "target": x * x * tail * (1 - tail)}
    limits = np.finfo(dtype)
    for found, truths in ((answer.gradient, slopes), (answer.hessian, bends)):
        for name in names:
            # Half an ulp of either argument is half an ulp of the exponent, which is their product.
            allowed = (4 + abs(x * t)) * MP.mpf(float(limits.eps)) * abs(truths[name])
            allowed += 2 * MP.mpf(float(limits.smallest_subnormal))
            got = MP.mpf(float(found["none"][name][0]))
            assert abs(got - truths[name]) <= allowed, (name, got, truths[name])


@pytest.mark.parametrize("reduction", ["none", "sum"])
@pytest.mark.parametrize(
    ("dtype", "relevance", "truth"),
    [(np.float32, 1e30, 1.6889118802245324e-18), (np.float64, 1e80, 3.6678745841776873e-268)],
)
def test_relevance_is_a_weight(dtype, relevance, truth, reduction):
    """Of the scores 0 and -d the second has a probability of ``exp(-d)``, which the type rounds to 0."""
    far = {np.float32: 110.0, np.float64: 800.0}[dtype]
    arrays = {"input": np.array([[0.0, -far]], dtype), "target": np.array([[relevance, 0.0]], dtype)}
    options = {"reduction": reduction, "gradient": ["input"], "hessian": ["input"]}
    answer = evaluate(LOSSES["ranking_softmax"], Call(arrays, options))
    exact = pytest.approx(truth, rel=4 * float(np.finfo(dtype).eps))
    assert np.ravel(answer.loss[reduction])[0] == exact
    assert list(np.abs(answer.gradient[reduction]["input"][0])) == [exact, exact]
    assert list(answer.hessian[reduction]["input"][0]) == [exact, exact]


def test_relevance_brings_back_a_hessian_that_is_subnormal():
    arrays = {
        "input": np.array([[98.1707534790039, -119.9647445678711, -30.513233184814453]], np.float32),
        "target": np.array([[170531920.0, 2.815558509448397e16, 1.4185297901592175e-12]], np.float32),
    }
    answer = evaluate(LOSSES["ranking_softmax"], Call(arrays, {"hessian": ["input"], "reduction": "sum"}))
    assert_exact(answer.hessian["sum"]["input"][0, :1], [MP.mpf("3.6544265878845641e-40")])


def test_a_discount_is_a_weight():
    """The second return has ``lambda_`` times the third, which float64 rounds to 0, times a discount of 2e6."""
    arrays = {
        "v_tm1": [[0.0, 0.0, 0.0]],
        "r_t": [[5e-324, 1.5e-323, -1.5e-323]],
        "discount_t": [[10947369.893239172, 2169586.137062477, 915889109725331.8]],
        "v_t": [[-5e-324, 0.0, 1e-323]],
        "lambda_": 1.4309620427992613e-18,
    }
    call = Call({key: np.array(each) for key, each in arrays.items()}, {"reduction": "sum"})
    found = evaluate(LOSSES["td_lambda"], call).loss["sum"]
    assert_exact(np.asarray(found), [MP.mpf("9.0501868362491154e-309")])


def test_a_large_epsilon_brings_back_exponents_that_underflow():
    """Far above the costs, transport costs as much as moving each mass to all bins does, whatever epsilon is."""
    arrays = {
        "input": [[0.2270760647714194, 0.285743710001968, 0.4871802252266126]],
        "target": [[0.30142329158648784, 0.3114382432301913, 0.3871384651833209]],
        "cost": [
            [-5.345692840172572e-264, -8.461768323993644e-264, -6.413133441170381e-264],
            [3.4268570968035435e-264, 9.397428857098652e-264, -5.394255516233955e-264],
            [8.306660493030468e-264, 2.038085507228362e-264, -1.3257040905976078e-263],
        ],
    }
    arrays = {key: np.array(each) for key, each in arrays.items()}
    options = {"epsilon": 7.203817380227953e258, "iterations": 2, "reduction": "sum", "gradient": ["cost"]}
    answer = evaluate(LOSSES["sinkhorn"], Call({**arrays, "hvp.input": np.ones((1, 3))}, options))
    assert answer.loss["sum"] == pytest.approx(-1.9646826574204443e-264, rel=1e-14, abs=0)
    plan = arrays["input"][0][:, None] * arrays["target"][0]
    np.testing.assert_allclose(answer.gradient["sum"]["cost"], plan, rtol=1e-14)
    assert np.isfinite(answer.hvp["sum"]["input"]).all()
