"""A check of a gradient calls no right gradient wrong, whatever the data, and finds an error of a thousandth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lossd.declaration.loss import Loss
from lossd.engine import check_gradient, gradcheck
from lossd.losses import LOSSES
from lossd.message import Call, GradientCheck
from lossd.numerics.ridders import ACCURACY, EVALUATIONS
from tests.engine.hard_calls import near_borders, near_kinks, near_ties, scaled

SPOILED = 1.001
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=lambda loss: loss.name)


def passed(loss: Loss, call: Call) -> GradientCheck:
    """Check a call, all of whose gradients are right."""
    check = check_gradient(loss, call)
    assert all(each.deviation <= ACCURACY for each in check.by_argument.values()), check
    assert check.evaluations <= 1 + EVALUATIONS * check.elements
    return check


def assert_found_when_spoiled(monkeypatch, loss: Loss, call: Call, check: GradientCheck) -> None:
    """Spoil the largest number of each gradient in turn; it is found unless nothing could be compared in its place."""
    for name in check.by_argument:
        with monkeypatch.context() as patch:
            place = spoil(patch, name)
            found = check_gradient(loss, call)
        largest = found.by_argument[name]
        if place and not (not_compared(check, found) and largest.at != place[0]):
            assert largest.at == place[0]
            assert largest.deviation == pytest.approx(1 - 1 / SPOILED, rel=0.01)


def not_compared(*checks: GradientCheck) -> int:
    """Return how many numbers were not compared, in the right check or in the one that is spoiled.

    A spoiled number may be left undecided where the right one agrees with differences that are not exact themselves.
    """
    return sum(check.kink_count + check.unmoved + check.undecided for check in checks)


def spoil(patch: pytest.MonkeyPatch, name: str) -> list[str]:
    """Make the engine return a gradient whose largest number is wrong, and return where, once it has."""
    right, place = gradcheck.compute, []

    def wrong(*arguments, **named):
        answer = right(*arguments, **named)
        ((reduction, gradient),) = answer.gradient.items()
        slopes = np.array(gradient[name])
        largest = np.unravel_index(np.argmax(np.abs(slopes)), slopes.shape)
        if slopes[largest]:
            place.append(name + "".join(f"[{i}]" for i in largest))
        slopes[largest] *= SPOILED
        return answer._replace(gradient={reduction: {**gradient, name: slopes}})

    patch.setattr(gradcheck, "compute", wrong)
    return place


def test_a_number_that_only_the_spoiled_check_leaves_undecided_is_not_compared():
    right = GradientCheck("sum", elements=1, evaluations=1, largest=None)
    assert not_compared(right, right) == 0
    assert not_compared(right, replace(right, undecided=1)) == 1


@every_loss
@pytest.mark.parametrize("factor", [1e-6, 1e-3, 1.0, 1e3])
def test_data_of_any_scale_passes_unless_its_gradient_is_spoiled(loss, factor, monkeypatch):
    call = scaled(loss, factor)
    assert_found_when_spoiled(monkeypatch, loss, call, passed(loss, call))


@every_loss
@pytest.mark.parametrize("distance", [1e-3, 1e-6, 1e-8, 0.0])
def test_data_near_kinks_passes_unless_its_gradient_is_spoiled(loss, distance, monkeypatch):
    for call in near_kinks(loss, distance):
        check = passed(loss, call)
        assert distance < 1e-6 or check.kink_count == check.undecided == 0
        assert_found_when_spoiled(monkeypatch, loss, call, check)


@pytest.mark.parametrize("name", ["l1", "hinge", "multi_margin", "giou", "triplet_margin", "margin_ranking"])
def test_kinks_are_found_to_check_beside_them(name):
    at_kinks = [*near_kinks(LOSSES[name], 0.0)]
    assert at_kinks
    assert all(check_gradient(LOSSES[name], call).kink_count for call in at_kinks)


@every_loss
@pytest.mark.parametrize("distance", [1e-6, 0.0])
def test_data_near_ties_passes_unless_its_gradient_is_spoiled(loss, distance, monkeypatch):
    for call in near_ties(loss, distance):
        assert_found_when_spoiled(monkeypatch, loss, call, passed(loss, call))


@every_loss
@pytest.mark.parametrize("distance", [1e-3, 1e-6, 0.0])
def test_data_near_the_borders_of_domains_passes_unless_its_gradient_is_spoiled(loss, distance, monkeypatch):
    for call in near_borders(loss, distance):
        assert_found_when_spoiled(monkeypatch, loss, call, passed(loss, call))


def test_the_mean_of_many_rows_passes_unless_its_gradient_is_spoiled(monkeypatch):
    rng = np.random.default_rng(0)
    call = Call({"input": rng.standard_normal(10_000), "target": rng.uniform(size=10_000)})
    assert_found_when_spoiled(monkeypatch, LOSSES["l1"], call, passed(LOSSES["l1"], call))
