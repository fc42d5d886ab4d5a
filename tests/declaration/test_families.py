"""Families: what they add to a function of one variable, by hand and against the same loss written out."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pytest

from lossd.declaration.boosting import AS_DERIVED, Boosting
from lossd.declaration.domain import SIGN
from lossd.declaration.example import Example
from lossd.declaration.families import Curve, margin_loss, residual_loss
from lossd.declaration.roles import Positive
from lossd.declaration.signature import Differentiable
from lossd.engine import evaluate
from lossd.errors import InvalidCall
from lossd.losses import LOSSES
from lossd.message import Array, Call

EXAMPLE = Example(input=[2.0], target=[0.0], value=[16.0])


@residual_loss(
    formula=r"\ell = r^4 / s", source="this test", example=EXAMPLE, weight="sum", boosting=Boosting("a library", 0.5)
)  # fmt: skip
def quartic(r: Array, *, scale: Annotated[Positive, Differentiable] = 1.0, shift: int = 0) -> Curve:
    """A fourth power.

    Settings:
        scale: What it is divided by.
        shift: What is added to it.
    """
    power = r**4 / scale
    return Curve(
        power + shift, 4 * r**3 / scale, lambda: 12 * r**2 / scale, {"scale": lambda: -power / scale}
    )


@margin_loss(formula=r"\ell = (1 - m)^2", source="this test", example=EXAMPLE)
def squared(m: Array) -> Curve:
    """A square of the margin's distance from one."""
    return Curve((1 - m) ** 2, -2 * (1 - m), lambda: np.full_like(m, 2))


X, T = np.array([3.0, -1.0, 0.5]), np.array([1.0, 1.0, 0.0])  # residuals 2, -2, 0.5
ALL = {"hessian": ["input", "target"], "reduction": "none"}


def test_a_family_declares_its_loss_as_if_it_were_written_out():
    assert (quartic.name, quartic.family, quartic.summary) == ("quartic", "tests", "A fourth power.")
    assert [a.name for a in quartic.arguments] == ["input", "target", "weight"]
    assert [a.optional for a in quartic.arguments] == [False, False, True]
    assert list(quartic.settings) == ["scale", "shift"]
    assert quartic.differentiable == ("input", "target", "weight", "scale")
    assert quartic.of_residual
    assert not quartic.whole_batch
    assert (quartic.boosting.library, squared.boosting) == ("a library", AS_DERIVED)
    assert [a.name for a in squared.arguments] == ["input", "target"]
    assert not squared.of_residual
    assert squared.by_name["target"].role.domain == SIGN


def test_a_residual_loss_has_all_derivatives_of_both_arguments_and_its_settings():
    names = ["input", "target", "scale"]
    answer = evaluate(
        quartic, Call({"input": X, "target": T}, {"gradient": names, "scale": 2.0, "shift": 1, **ALL})
    )
    np.testing.assert_array_equal(answer.loss["none"], [9, 9, 0.5**4 / 2 + 1])
    slope = np.array([16.0, -16, 0.25])
    np.testing.assert_array_equal(answer.gradient["none"]["input"], slope)
    np.testing.assert_array_equal(answer.gradient["none"]["target"], -slope)
    assert answer.gradient["none"]["scale"] == -(16 / 4 + 16 / 4 + 0.5**4 / 4)
    second = [24.0, 24, 1.5]  # of input and target alike
    np.testing.assert_array_equal(answer.hessian["none"]["input"], second)
    np.testing.assert_array_equal(answer.hessian["none"]["target"], second)


def test_directions_of_both_arguments_of_a_residual_loss_are_their_difference():
    u, v = np.array([1.0, 2.0, 3.0]), np.array([0.5, 2.0, -1.0])
    arrays = {"input": X, "target": T, "hvp.input": u, "hvp.target": v}
    answer = evaluate(quartic, Call(arrays, {"reduction": "sum"}))
    joint = 12 * (X - T) ** 2 * (u - v)
    np.testing.assert_allclose(answer.hvp["sum"]["input"], joint, rtol=1e-15)
    np.testing.assert_allclose(answer.hvp["sum"]["target"], -joint, rtol=1e-15)


def test_the_weight_of_a_family_divides_its_mean_and_multiplies_every_derivative():
    weight = np.array([1.0, 3.0, 0.0])
    arrays = {"input": X, "target": T, "weight": weight}
    answer = evaluate(
        quartic, Call(arrays, {"gradient": ["input", "target", "weight"], "reduction": ["sum", "mean"]})
    )
    assert answer.loss["mean"] == 64 / 4 == answer.loss["sum"] / answer.denominator
    np.testing.assert_array_equal(answer.gradient["sum"]["target"], -4 * (X - T) ** 3 * weight)
    np.testing.assert_array_equal(answer.gradient["sum"]["weight"], (X - T) ** 4)
    np.testing.assert_array_equal(answer.gradient["mean"]["weight"], ((X - T) ** 4 - 16) / 4)


@pytest.mark.parametrize("weight", [None, "count"])
def test_a_family_without_a_weight_that_divides_counts_rows(weight):
    def flat(r: Array) -> Curve:
        """Be nothing but a number."""
        return Curve(np.abs(r), np.sign(r), lambda: np.zeros_like(r))

    declared = residual_loss(formula=r"\ell = 0", source="this test", example=EXAMPLE, weight=weight)(flat)
    assert [a.name for a in declared.arguments] == ["input", "target", *(["weight"] if weight else [])]
    assert declared.normalizer is None
    arrays = {"input": X, "target": T} | ({"weight": np.full(3, 2.0)} if weight else {})
    assert evaluate(declared, Call(arrays)).loss["mean"] == 4.5 * (2 if weight else 1) / 3


def test_a_complex_residual_enters_by_its_absolute_value_and_turns_the_gradient():
    z = np.array([3.0 + 4.0j, -1.0j])
    answer = evaluate(
        quartic,
        Call({"input": z, "target": z * 0}, {"gradient": ["input", "target", "scale"], "reduction": "sum"}),
    )
    assert answer.loss["sum"] == 625 + 1
    assert answer.loss["sum"].dtype == np.float64
    np.testing.assert_allclose(answer.gradient["sum"]["input"], [500 * (0.6 + 0.8j), -4j], rtol=1e-14)
    np.testing.assert_allclose(answer.gradient["sum"]["target"], [-500 * (0.6 + 0.8j), 4j], rtol=1e-14)
    assert answer.gradient["sum"]["scale"] == -626


def test_a_margin_loss_has_all_derivatives_of_both_arguments():
    x, t = np.array([3.0, -1.0, 0.5]), np.array([1.0, -1.0, -1.0])
    answer = evaluate(squared, Call({"input": x, "target": t}, {"gradient": ["input", "target"], **ALL}))
    slope = -2 * (1 - t * x)
    np.testing.assert_array_equal(answer.loss["none"], (1 - t * x) ** 2)
    np.testing.assert_array_equal(answer.gradient["none"]["input"], t * slope)
    np.testing.assert_array_equal(answer.gradient["none"]["target"], x * slope)
    np.testing.assert_array_equal(answer.hessian["none"]["input"], 2 * t * t)
    np.testing.assert_array_equal(answer.hessian["none"]["target"], 2 * x * x)


@pytest.mark.parametrize("labels", [[1, 0], [1.0, 0.5], [True, False]], ids=str)
def test_labels_of_a_margin_are_minus_one_and_one(labels):
    with pytest.raises(InvalidCall, match=r"expected numbers that are -1 or 1, got .* - at `target"):
        evaluate(squared, Call({"input": np.zeros(2), "target": np.array(labels)}))
    whole = evaluate(squared, Call({"input": np.zeros(2), "target": np.array([-1, 1])}))
    assert whole.loss["mean"] == 1


@pytest.mark.parametrize("name", [name for name, loss in LOSSES.items() if loss.of_residual])
def test_the_second_derivative_by_hand_is_that_of_the_gradient_for_the_target_too(name):
    rng = np.random.default_rng(2)
    x, t, v = rng.standard_normal((3, 50))
    found = evaluate(LOSSES[name], Call({"input": x, "target": t}, ALL)).hessian["none"]
    np.testing.assert_array_equal(found["input"], found["target"])
    arrays = {"input": x, "target": t, "hvp.input": v, "hvp.target": v}
    joint = evaluate(LOSSES[name], Call(arrays, {"reduction": "sum"}))
    # both move alike: the residual stays, and so does every derivative
    np.testing.assert_allclose(joint.hvp["sum"]["input"], 0, atol=1e-15)
    np.testing.assert_allclose(joint.hvp["sum"]["target"], 0, atol=1e-15)
