"""Derivatives of values that share what they depend on, times weights and denominators that leave float64 together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest

from lossd.declaration.loss import Loss
from lossd.declaration.result import Pullback, Result
from lossd.declaration.samples import forms, sample_call
from lossd.engine import evaluate
from lossd.losses import LOSSES
from lossd.message import Answer
from tests.oracle.case import Case
from tests.oracle.condition import exact_inputs, rows_and_gradients
from tests.oracle.curvature import hessian_diagonal, hessian_vector
from tests.oracle.exact import MP
from tests.oracle.truth import call_of, shared_in, truth


class Far(NamedTuple):
    """A call whose derivatives are numbers of float64, and its factors are not.

    Attributes:
        arrays: Its arguments and settings, and the names of those whose values share them as `of`.
        weight: The weight of every value.
        denominator: What they are divided by.
        length: The largest coordinate of the directions that Hessians are multiplied with.
    """

    arrays: Mapping[str, Any]
    weight: float
    denominator: float
    length: float


VECTORS = np.array([[2.0, 1.0, -1.0], [1.5, -0.5, 1.0], [-0.5, 2.0, 0.25], [-1.0, -1.5, 0.5]])
OTHERS = np.array([[1.0, 0.5, -1.5], [1.0, -1.0, 0.5], [0.5, 1.0, -0.5], [-2.0, -1.0, 0.25]])
LABELS = np.array([0, 0, 1, 1])
STEPS = {
    "v_tm1": np.array([[1.0, 0.5, 2.0]]),
    "r_t": np.array([[1.0, -0.5, 0.25]]),
    "lambda_": np.array(0.75),
    "stop_target_gradients": False,
}


def _of_vectors(scale: float) -> dict[str, Mapping[str, Any]]:
    """Return calls whose gradients are about 1 / ``scale``, and second derivatives the square of that."""
    pairs = {"embeddings": VECTORS * scale, "labels": LABELS, "temperature": 0.5}
    prototypes = {"embeddings": VECTORS, "labels": LABELS, "prototypes": OTHERS[:3] * scale, "scale": 4.0}
    views = {"z1": VECTORS * scale, "z2": OTHERS * scale, "lambd": 0.5}
    return {"nt_xent": pairs, "supcon": pairs, "arcface": prototypes, "barlow_twins": views}


def _by_vectors(scale: float, weight: float, denominator: float) -> dict[tuple[str, str], Far]:
    size = f"vectors of {scale:g}, weights of {weight:g}"
    return {
        (name, size): Far(arrays, weight, denominator, scale) for name, arrays in _of_vectors(scale).items()
    }


FAR: Mapping[tuple[str, str], Far] = {
    **_by_vectors(1e250, 1e200, 1e-200),
    **_by_vectors(1e160, 1e200, 1e-120),
    **_by_vectors(1e-250, 1e-200, 1e200),
    **_by_vectors(1e-160, 1e-200, 1e120),
    ("cox", "hazards that outweigh others"): Far(
        {
            "log_h": np.array([0.0, -690.0, 0.5, -600.0]),
            "durations": np.array([1.0, 4.0, 2.0, 3.0]),
            "events": np.array([True, False, True, False]),
        },
        1e200,
        1e-200,
        1.0,
    ),
    ("cox", "long directions"): Far(
        {
            "log_h": np.array([0.0, -1.0, 0.5]),
            "durations": np.array([1.0, 3.0, 2.0]),
            "events": np.array([True, False, True]),
        },
        1e-200,
        1e200,
        1e250,
    ),
    ("td_lambda", "small discounts"): Far(
        {**STEPS, "discount_t": np.array([[1e-150, 1e-60, 1e-20]]), "v_t": np.array([[1.0, 2.0, 0.5]])},
        1e200,
        1e-200,
        1e-150,
    ),
    ("td_lambda", "large values"): Far(
        {**STEPS, "discount_t": np.array([[0.5, 0.75, 0.25]]), "v_t": np.array([[1e250, 2e250, -1e250]])},
        1e-200,
        1e200,
        1e250,
    ),
}


def pulled(loss: Loss) -> set[str]:
    """Return the arguments and settings of a loss that have a derivative which is a pullback."""
    found: set[str] = set()

    def kernel(**arguments: Any) -> Result:
        result = loss.kernel(**arguments)
        found.update(
            name
            for derivatives in (result.gradient, result.hessian)
            for name, derivative in derivatives.items()
            if isinstance(derivative, Pullback)
        )
        return result

    for form in forms(loss):
        evaluate(replace(loss, kernel=kernel), sample_call(loss, np.random.default_rng(0), form=form))
    return found


def case_of(far: Far, name: str) -> Case:
    arrays = {key: each for key, each in far.arrays.items() if isinstance(each, np.ndarray)}
    return Case(name, arrays, {key: each for key, each in far.arrays.items() if key not in arrays})


def asked(name: str, far: Far, **options: Any) -> Answer:
    """Evaluate a call with its weights and its denominator."""
    case = case_of(far, name)
    shape = np.shape(evaluate(LOSSES[name], call_of(case, reduction="none")).loss["none"])
    weight = np.full(shape, far.weight)
    return evaluate(LOSSES[name], call_of(case, sample_weight=weight, denominator=far.denominator, **options))


def assert_exact(found: Any, truths: list[Any], factor: Any = 1) -> None:
    """Assert that numbers have 12 digits: what is tested is their range, and sums of few parts lose no more."""
    expected = [float(factor * number) for number in truths]
    np.testing.assert_allclose(found.reshape(-1), expected, rtol=1e-12, atol=1e-320)


def factor_of(far: Far) -> Any:
    return MP.mpf(far.weight) / MP.mpf(far.denominator)


def test_every_loss_with_a_pullback_is_tested() -> None:
    assert {name for name, loss in LOSSES.items() if pulled(loss)} == {name for name, _ in FAR}


@pytest.mark.parametrize("call", FAR, ids=", ".join)
def test_gradients_outlive_factors_beyond_the_range(call: tuple[str, str]) -> None:
    name, far = call[0], FAR[call]
    names = sorted(pulled(LOSSES[name]))
    answer = asked(name, far, gradient=names)
    inputs, exact = exact_inputs(case_of(far, name)), rows_and_gradients(name, False)
    slopes = exact(*inputs)
    for key in names:
        if key in slopes:
            assert_exact(answer.gradient["mean"][key], slopes[key], factor_of(far))


@pytest.mark.parametrize("call", FAR, ids=", ".join)
def test_second_derivatives_outlive_factors_beyond_the_range(call: tuple[str, str]) -> None:
    name, far = call[0], FAR[call]
    inputs, exact = exact_inputs(case_of(far, name)), rows_and_gradients(name, False)
    names = sorted(pulled(LOSSES[name]) & set(far.arrays) & set(exact(*inputs)))
    for key in (key for key in names if np.ndim(far.arrays[key])):
        shape = far.arrays[key].shape
        direction = np.linspace(0.5, 1, far.arrays[key].size).reshape(shape) * far.length
        answer = asked(name, far, hessian=[key], **{f"hvp.{key}": direction})
        numbers = range(direction.size)
        of_diagonal = hessian_diagonal(exact, *inputs, key, numbers)
        assert_exact(answer.hessian["mean"][key], of_diagonal, factor_of(far))
        along = np.array([MP.mpf(float(x)) / MP.mpf(far.length) for x in direction.ravel()], object)
        of_product = hessian_vector(exact, *inputs, key, along.reshape(shape), numbers)
        assert_exact(answer.hvp["mean"][key], of_product, factor_of(far) * MP.mpf(far.length))


@pytest.mark.parametrize("block_bytes", [1, 1 << 20])
def test_a_step_of_little_weight_keeps_a_gradient_that_its_value_brings_back(block_bytes: int) -> None:
    arrays = {
        **{name: np.ones((2, 1)) for name in ("v_tm1", "r_t")},
        "discount_t": np.full((2, 1), 0.5),
        "v_t": np.array([[1e269], [1.0]]),
        "lambda_": np.array(0.9),
    }
    weight = np.array([[1e-303], [1e152]])
    settings = {"stop_target_gradients": False, "reduction": "weighted_mean", "gradient": ["discount_t"]}
    call = call_of(Case("", arrays, settings), sample_weight=weight)
    found = evaluate(LOSSES["td_lambda"], call, block_bytes=block_bytes).gradient["weighted_mean"]
    assert_exact(found["discount_t"], [MP.mpf("1e-303") * MP.mpf("1e269") / MP.mpf("1e152"), 1])


def test_a_factor_beyond_the_range_takes_nothing_from_those_within_it() -> None:
    """At a scale of 1e4 the last row alone pulls at the last two prototypes: the first shares in them are 0."""
    arrays = {
        "embeddings": np.array([[1.0, 0.5, 0.0, 0.0], [0.0, 0.0, 1.0, 0.5]]),
        "labels": np.array([0, 2]),
        "prototypes": np.eye(4)[:, [1, 0, 3, 2]],
    }
    case = Case("", arrays, {"scale": 1e4, "margin": 0.0})
    weight = np.array([1e200, 1e-150])
    answer = evaluate(
        LOSSES["arcface"],
        call_of(case, reduction="sum", gradient=["prototypes"], sample_weight=weight),
    )
    _, by_row = truth("arcface", case)
    assert "prototypes" in shared_in("arcface", arrays)
    exact = [MP.fsum(number) for row in by_row["prototypes"] for number in row]
    factors = np.repeat([MP.mpf(1e200), MP.mpf(1e-150)], 8)
    assert_exact(answer.gradient["sum"]["prototypes"], list(factors * np.array(exact, object)))
