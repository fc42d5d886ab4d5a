"""Classes on any axis: as if the caller had moved them behind the samples, in every array that has them."""

from __future__ import annotations

import numpy as np
import pytest

from lossd.declaration.alias import Alias
from lossd.declaration.signature import PLACING
from lossd.engine import evaluate
from lossd.errors import InvalidCall
from lossd.losses import LOSSES, find
from lossd.message import Call

RNG = np.random.default_rng(17)
BATCH, CLASSES = (2, 3, 5), 4
NAMES = ["cross_entropy", "nll"]  # an index or probabilities, and weights of the classes
LOGITS = RNG.standard_normal((*BATCH, CLASSES))
PROBABILITIES = RNG.dirichlet(np.ones(CLASSES), BATCH)
INDEX = RNG.integers(0, CLASSES, BATCH)
MODES = ["none", "sum", "mean", "weighted_mean"]


def takes_probabilities(name: str) -> bool:
    return len(LOSSES[name].by_name["target"].role.forms) > 1


CASES = [(name, axis, form) for name in NAMES for axis in range(-4, 4)
         for form in ("index", "probabilities") if form == "index" or takes_probabilities(name)]  # fmt: skip


def test_every_loss_over_classes_places_them_by_the_same_setting():
    over_classes = [
        name
        for name, loss in LOSSES.items()
        if any("C" in form.axes for argument in loss.arguments for form in argument.role.forms)
    ]
    assert {*NAMES, "multi_margin", "multilabel_margin"} <= {*over_classes}
    assert [name for name, loss in LOSSES.items() if "class_axis" in loss.settings] == over_classes
    assert PLACING.keys() == {"class_axis"}
    last = {name for name in over_classes if LOSSES[name].settings["class_axis"][1] == -1}
    assert last == {"multilabel_margin", "multilabel_soft_margin"}  # as PyTorch has them


@pytest.mark.parametrize(("name", "axis", "form"), CASES)
def test_classes_on_any_axis_are_classes_moved(name, axis, form):
    weight = RNG.uniform(0.5, 1.5, CLASSES)
    target = INDEX if form == "index" else PROBABILITIES
    differentiable = ["input", "weight", *(["target"] if form == "probabilities" else [])]
    direction = RNG.standard_normal(LOGITS.shape)

    def ask(place, **options):
        moved = {
            "input": np.moveaxis(LOGITS, -1, place),
            "weight": weight,
            "hvp": np.moveaxis(direction, -1, place),
        }
        moved["target"] = target if form == "index" else np.moveaxis(target, -1, place)
        asked = {
            "gradient": differentiable,
            "hessian": True,
            "reduction": MODES,
            "class_axis": place,
            **options,
        }
        return evaluate(find(name), Call({**moved, "sample_weight": np.arange(30.0).reshape(BATCH)}, asked))

    last, found = ask(-1), ask(axis)
    assert found.count == last.count == 30
    for mode in MODES:
        np.testing.assert_allclose(found.loss[mode], last.loss[mode], rtol=1e-14)
        assert np.shape(found.loss[mode]) == (BATCH if mode == "none" else ())
        np.testing.assert_allclose(found.gradient[mode]["weight"], last.gradient[mode]["weight"], rtol=1e-12)
        for kind, of in (
            ("gradient", "input"),
            ("hessian", "input"),
            ("hvp", "input"),
            ("gradient", "target"),
        ):
            if of not in getattr(found, kind)[mode]:
                continue
            expected = np.moveaxis(getattr(last, kind)[mode][of], -1, axis)
            np.testing.assert_allclose(getattr(found, kind)[mode][of], expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("name", "axis", "form"), CASES)
def test_the_axes_of_a_reduction_are_those_of_the_loss_and_not_of_the_logits(name, axis, form):
    target = INDEX if form == "index" else np.moveaxis(PROBABILITIES, -1, axis)
    arrays = {"input": np.moveaxis(LOGITS, -1, axis), "target": target}
    none = evaluate(find(name), Call(arrays, {"class_axis": axis, "reduction": "none"})).loss["none"]
    for over in (0, 1, [0, 2], -1):
        summed = evaluate(find(name), Call(arrays, {"class_axis": axis, "reduction": "sum", "axis": over}))
        expected = none.sum(axis=tuple(over) if isinstance(over, list) else over)
        np.testing.assert_allclose(summed.loss["sum"], expected, rtol=1e-13)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_an_array_of_one_axis_has_its_classes_there(name, axis):
    """The default, 1, is also that of an array which has no other; any other axis must be there."""
    arrays = {"input": LOGITS[0, 0, 0], "target": np.array(2)}
    found = evaluate(find(name), Call(arrays, {"class_axis": axis}))
    assert found.loss["mean"] == evaluate(find(name), Call(arrays)).loss["mean"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("shape", "axis"), [((2, 4), 2), ((2, 4), -3), ((4,), 2), ((4,), -2), ((2, 3, 4), 5)]
)
def test_an_axis_that_is_not_there_is_refused(name, shape, axis):
    arrays = {"input": np.zeros(shape), "target": np.zeros(shape[:-1], int)}
    with pytest.raises(InvalidCall) as refused:
        evaluate(find(name), Call(arrays, {"class_axis": axis}))
    (detail,) = refused.value.errors
    assert detail.at == "class_axis"
    assert detail.expected == f"an axis of an array that has {len(shape)}"


@pytest.mark.parametrize("axis", [-1, 0, 2])
def test_a_wrong_class_is_named_in_the_caller_s_axes(axis):
    target = np.moveaxis(PROBABILITIES, -1, axis).copy()
    place = [1, 2, 4]
    place.insert(axis if axis >= 0 else 3, 3)
    target[tuple(place)] = 1.5
    arrays = {"input": np.moveaxis(LOGITS, -1, axis), "target": target}
    with pytest.raises(InvalidCall) as refused:
        evaluate(find("cross_entropy"), Call(arrays, {"class_axis": axis}))
    assert refused.value.errors[0].at == "target" + "".join(f"[{i}]" for i in place)


def test_arrays_whose_classes_stand_elsewhere_disagree():
    arrays = {"input": np.moveaxis(LOGITS, -1, 0), "target": PROBABILITIES}
    with pytest.raises(InvalidCall, match="target"):
        evaluate(find("cross_entropy"), Call(arrays, {"class_axis": 0}))


def test_optax_has_classes_last_and_a_caller_may_say_otherwise():
    alias = next(a for a in LOSSES["cross_entropy"].aliases if a.framework == "optax")
    assert isinstance(alias, Alias)
    assert alias.defaults["class_axis"] == -1
    arrays = {"input": LOGITS, "target": INDEX}
    own = evaluate(find("cross_entropy"), Call(arrays, {"class_axis": -1, "reduction": "none"})).loss["none"]
    optax = evaluate(find(alias.name), Call(arrays)).loss["none"]
    np.testing.assert_array_equal(optax, own)
    moved = {"input": np.moveaxis(LOGITS, -1, 1), "target": INDEX}
    second = evaluate(find(alias.name), Call(moved, {"class_axis": 1})).loss["none"]
    np.testing.assert_allclose(second, own, rtol=1e-14)


@pytest.mark.parametrize("broadcast", [np.s_[:1], np.s_[:, :, :1], np.s_[:1, :, :1]], ids=str)
@pytest.mark.parametrize("axis", [-1, 0, 1, 2])
def test_classes_stay_on_their_axis_when_samples_broadcast(axis, broadcast):
    few = PROBABILITIES[broadcast]
    arrays = {"input": np.moveaxis(LOGITS, -1, axis), "target": np.moveaxis(few, -1, axis)}
    whole = {**arrays, "target": np.moveaxis(np.broadcast_to(few, PROBABILITIES.shape), -1, axis).copy()}
    options = {"class_axis": axis, "reduction": ["none", "mean"], "gradient": True}
    found = evaluate(find("cross_entropy"), Call(arrays, {**options, "broadcast": True}))
    expected = evaluate(find("cross_entropy"), Call(whole, options))
    np.testing.assert_allclose(found.loss["none"], expected.loss["none"], rtol=1e-14)
    np.testing.assert_allclose(
        found.gradient["mean"]["input"], expected.gradient["mean"]["input"], rtol=1e-13
    )
