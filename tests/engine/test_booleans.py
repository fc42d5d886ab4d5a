"""Booleans: 0 and 1 where an argument's numbers lie between these, refused where they mean nothing."""

from __future__ import annotations

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.errors import InvalidCall
from lossd.losses import find
from lossd.message import Call


@pytest.mark.parametrize("name", ["bce", "bce_with_logits", "dice"])
@pytest.mark.parametrize("options", [{}, {"gradient": True}, {"reduction": ["none", "mean"]}], ids=str)
def test_false_and_true_are_0_and_1_where_numbers_lie_between(name, options):
    target = np.array([True, False, True])
    x = np.array([0.2, 0.5, 0.9])
    answers = [
        evaluate(find(name), Call({"input": x, "target": t}, options)) for t in (target, target.astype(float))
    ]
    for mode, value in answers[1].loss.items():
        np.testing.assert_array_equal(answers[0].loss[mode], value)
        assert answers[0].loss[mode].dtype == value.dtype


def test_false_and_true_are_class_probabilities():
    x = np.array([[0.2, 0.5, 0.9], [0.1, 0.0, 2.0]])
    chosen = np.array([[True, False, False], [False, False, True]])
    found = evaluate(find("cross_entropy"), Call({"input": x, "target": chosen}, {"check_target": "strict"}))
    assert (
        found.loss["mean"]
        == evaluate(find("cross_entropy"), Call({"input": x, "target": chosen * 1.0})).loss["mean"]
    )


@pytest.mark.parametrize("name", ["mse", "nll"])
def test_booleans_are_refused_where_they_mean_nothing(name):
    shape = (2, 3) if name == "nll" else (2,)
    with pytest.raises(InvalidCall, match="got bool"):
        evaluate(find(name), Call({"input": np.zeros(shape), "target": np.zeros(2, bool)}))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8])
def test_events_and_masks_may_be_written_as_the_numbers_1_and_0(dtype):
    chosen = np.array([True, False, True])
    survival = {"log_h": np.array([0.5, 1.0, 0.0]), "durations": np.array([1.0, 2.0, 3.0])}
    calls = [
        ("cox", lambda truths: survival | {"events": truths}),
        ("mse", lambda truths: {"input": np.arange(3.0), "target": np.zeros(3), "mask": truths}),
    ]
    for name, arrays in calls:
        options = {"gradient": True, "reduction": ["none", "mean"]}
        one, other = (evaluate(find(name), Call(arrays(x), options)) for x in (chosen, chosen.astype(dtype)))
        assert (one.count, one.denominator) == (other.count, other.denominator)
        for reduction in options["reduction"]:
            np.testing.assert_array_equal(one.loss[reduction], other.loss[reduction])
        gradients = [answer.gradient["mean"][next(iter(answer.gradient["mean"]))] for answer in (one, other)]
        np.testing.assert_array_equal(*gradients)


@pytest.mark.parametrize("dtype", [bool, np.float64])
def test_an_empty_array_has_no_type(dtype):
    given = {"input": np.zeros(0), "target": np.zeros(0, dtype), "mask": np.zeros(0, dtype)}
    assert evaluate(find("mse"), Call(given, {"reduction": "sum"})).loss["sum"] == 0
