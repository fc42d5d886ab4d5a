"""Every alias gives the numbers of its framework: literal inputs and outputs, each with its version and call."""

from __future__ import annotations

import re

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.errors import InvalidCall, UnknownLoss
from lossd.losses import LOSSES, find
from lossd.message import Call
from tests.oracle.alias_values import LINES, assert_given

ALIASES = {alias.name: alias for loss in LOSSES.values() for alias in loss.aliases}


def ask(name, arrays, **options):
    return evaluate(find(name), Call({key: np.asarray(values) for key, values in arrays.items()}, options))


@pytest.mark.parametrize("name", ALIASES)
def test_every_alias_has_literal_values_of_its_framework(name):
    frameworks = {line["framework"] for line in LINES if line["name"] == name}
    file = "tests/oracle/data/aliases.jsonl"
    assert frameworks == {ALIASES[name].framework}, (
        f"add lines to {file}: what its framework gives under {name}"
    )


@pytest.mark.declarations
def test_every_line_belongs_to_an_alias():
    assert {line["name"] for line in LINES} == set(ALIASES)
    assert all(line["version"] and line["call"] for line in LINES)


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line['name']}: {line['call'][:90]}")
def test_an_alias_gives_what_its_framework_gives(line):
    """Also under which reduction, which is the framework's own unless the line's call names another."""
    answer = ask(line["name"], line["arrays"], **line.get("options", {}))
    assert_given(line, {kind: getattr(answer, kind) for kind in ("loss", "gradient", "hessian")})


X, T = [[0.5, 2.0], [3.0, 0.25]], [[1.0, 0.0], [0.0, 0.25]]


def test_a_default_of_a_framework_gives_way_to_the_caller():
    assert list(ask("mean_squared_error", {"input": X, "target": T}, reduction="none").loss) == ["none"]
    plain = ask("reg:squarederror", {"input": X, "target": T}, convention=None)
    assert plain.gradient == {}
    assert ask("Dice", {"input": [0.0], "target": [0.0]}, smooth=1.0).loss["mean"] == 0


def test_a_sample_weight_belongs_to_samples_in_keras_and_scikit_learn():
    """By hand: the rows' squares sum to 4.25 and 9; NumPy would weigh the columns, 9.25 and 4."""
    arrays = {"input": X, "target": T, "sample_weight": [1.0, 3.0]}
    assert ask("MeanSquaredError", arrays).loss["mean"] == (4.25 + 3 * 9) / 4
    assert ask("mean_squared_error", arrays).loss["weighted_mean"] == (4.25 + 3 * 9) / 8
    assert ask("mse", arrays).loss["mean"] == (9.25 + 3 * 4) / 4


@pytest.mark.parametrize("reduction", ["sum", "none", ["mean", "sum"], "batchmean"])
def test_a_reduction_that_means_something_else_in_the_framework_is_refused(reduction):
    """Keras' sum over a batch of 2 x 3 losses is a third of their sum."""
    with pytest.raises(InvalidCall, match=r"under the name MeanSquaredError \(mse takes every reduction\)"):
        ask("MeanSquaredError", {"input": X, "target": T}, reduction=reduction)
    with pytest.raises(InvalidCall, match=r'expected "sum" .*under the name reg:squarederror'):
        ask("reg:squarederror", {"input": X, "target": T}, reduction="mean")


def test_logits_are_not_taken_for_probabilities():
    with pytest.raises(InvalidCall, match=r"probabilities \(call bce_with_logits for logits\)"):
        ask("BinaryCrossentropy", {"input": [[0.5]], "target": [[1.0]]}, from_logits=True)


@pytest.mark.parametrize("gradient", [True, False])
@pytest.mark.parametrize(
    "target", [[[0, 1], [2, 2]], [[[0.5, 0.25, 0.25], [0, 0, 1]]] * 2], ids=["index", "probability"]
)
def test_classes_last_are_classes_second_moved(target, gradient):
    """The same numbers as PyTorch's form gives for the same classes, value and gradient."""
    logits = np.linspace(-3, 3, 12).reshape(2, 2, 3) ** 3
    last = ask(
        "softmax_cross_entropy", {"input": logits, "target": target}, reduction=["sum"], gradient=gradient
    )
    target = np.asarray(target)
    moved = np.moveaxis(target, -1, 1) if target.ndim == 3 else target
    second = ask(
        "cross_entropy",
        {"input": np.moveaxis(logits, -1, 1), "target": moved},
        reduction=["sum"],
        gradient=gradient,
    )
    np.testing.assert_allclose(last.loss["sum"], second.loss["sum"], rtol=1e-15)
    for name, found in last.gradient.get("sum", {}).items():
        np.testing.assert_allclose(found, np.moveaxis(second.gradient["sum"][name], 1, -1), rtol=1e-13)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("keras.losses.Huber", "did you mean Huber?"),
        ("torch.nn.HuberLoss", "did you mean HuberLoss?"),
        ("F.cross_entropy", "did you mean cross_entropy"),
        ("tf.keras.losses.CategoricalCrossentropy", "call cross_entropy"),
        ("sklearn.metrics.log_loss", "call bce"),
        ("torch.nn.functional", "is named"),
    ],
)
def test_the_last_word_of_a_framework_s_name_says_what_is_meant(name, told):
    with pytest.raises(UnknownLoss, match=re.escape(told)):
        find(name)
