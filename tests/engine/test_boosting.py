"""The gradient and Hessian that gradient boosting libraries expect of a custom objective.

By hand, from the libraries' own objectives: XGBoost's reg:squarederror and binary:logistic, LightGBM's
regression_l1 and huber, XGBoost's multi:softprob, whose Hessian is twice the diagonal.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lossd.api.catalogue import describe
from lossd.declaration.boosting import Boosting
from lossd.engine import evaluate
from lossd.losses import LOSSES, find
from lossd.message import Call

SCORES = np.array([0.5, -1.0, 3.0, 0.25])
TRUTH = np.array([0.0, 1.0, 1.0, 0.25])
RESIDUAL = SCORES - TRUTH
CHANCE = 1 / (1 + np.exp(-SCORES))
LABELS = np.array([0.0, 1.0, 1.0, 0.0])
LOGITS = np.array([[0.0, 1.0, -1.0], [2.0, 0.0, 0.5]])
CHANCES = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
CLASSES = np.array([1, 2])

# Loss to its arguments, and the gradient and Hessian by hand.
CASES = {
    "mse": ({"input": SCORES, "target": TRUTH}, RESIDUAL, np.ones(4)),
    "l1": ({"input": SCORES, "target": TRUTH}, np.sign(RESIDUAL), np.ones(4)),
    "huber": ({"input": SCORES, "target": TRUTH}, np.clip(RESIDUAL, -1, 1), np.ones(4)),
    "bce_with_logits": ({"input": SCORES, "target": LABELS}, CHANCE - LABELS, CHANCE * (1 - CHANCE)),
    "cross_entropy": (
        {"input": LOGITS, "target": CLASSES},
        CHANCES - np.eye(3)[CLASSES],
        2 * CHANCES * (1 - CHANCES),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_gradient_and_hessian_are_the_libraries_own(name):
    arrays, gradient, hessian = CASES[name]
    answer = evaluate(find(name), Call(arrays, {"convention": "gbm"}))
    assert list(answer.loss) == ["sum"]
    np.testing.assert_allclose(answer.gradient["sum"]["input"], gradient, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(answer.hessian["sum"]["input"], hessian, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("name", CASES)
def test_a_sample_s_weight_multiplies_both(name):
    arrays, gradient, hessian = CASES[name]
    weight = np.arange(1.0, len(gradient) + 1)
    answer = evaluate(find(name), Call(arrays | {"sample_weight": weight}, {"convention": "gbm"}))
    column = weight.reshape(-1, *[1] * (gradient.ndim - 1))
    np.testing.assert_allclose(answer.gradient["sum"]["input"], gradient * column, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(answer.hessian["sum"]["input"], hessian * column, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("name", ["mse", "l1", "huber", "bce_with_logits"])
def test_the_weight_argument_multiplies_both_too(name):
    arrays, gradient, hessian = CASES[name]
    weight = np.arange(1.0, len(gradient) + 1)
    answer = evaluate(find(name), Call(arrays | {"weight": weight}, {"convention": "gbm"}))
    np.testing.assert_allclose(answer.gradient["sum"]["input"], gradient * weight, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(answer.hessian["sum"]["input"], hessian * weight, rtol=1e-14, atol=1e-15)


def test_items_that_affect_each_other_have_both():
    """Of a loss over pairs they are the sum's own, and what libraries make of them is made of the sum's."""
    arrays = {
        "embeddings": np.random.default_rng(0).standard_normal((6, 3)),
        "labels": np.array([0, 0, 1, 1, 2, 3]),
        "sample_weight": np.arange(6.0),
        "mask": np.arange(6) != 2,
    }
    pairs = find("nt_xent")
    halved = replace(pairs, boosting=Boosting(gradient=0.5, hessian=lambda hessian, weight: 0.5 * hessian))
    plain = evaluate(pairs, Call(arrays, {"reduction": "sum", "gradient": True, "hessian": True}))
    for declared, factor in ((pairs, 1.0), (halved, 0.5)):
        answer = evaluate(declared, Call(arrays, {"convention": "gbm"}))
        assert list(answer.loss) == ["sum"]
        for kind in ("gradient", "hessian"):
            expected = factor * getattr(plain, kind)["sum"]["embeddings"]
            assert expected.any()
            np.testing.assert_array_equal(getattr(answer, kind)["sum"]["embeddings"], expected)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=lambda loss: loss.name)
def test_the_catalogue_says_whose_objective_it_is(loss):
    """A loss whose derivatives differ from the plain ones for boosting follows a library, and says which."""
    assert describe(loss).boosting == loss.boosting.library
    assert loss.boosting.library or loss.boosting == Boosting()


# LightGBM's objective to our loss, its arguments beside the labels, and LightGBM's parameters.
BUILT_IN = {
    "regression": ("mse", {}, {}),
    "regression_l1": ("l1", {}, {}),
    "huber": ("huber", {"delta": 0.75}, {"alpha": 0.75}),
    "quantile": ("multi_quantile", {"quantiles": np.array([0.75])}, {"alpha": 0.75}),
    "binary": ("bce_with_logits", {}, {}),
}


@pytest.mark.parametrize("objective", BUILT_IN)
def test_lightgbm_s_first_split_gains_what_our_derivatives_say(objective):
    """With sums G and H of gradient and Hessian on each side, a split gains ``sum G^2 / H`` less that of both.

    On one side every score equals its label, so ties decide the gain.
    """
    lightgbm = pytest.importorskip("lightgbm")
    name, given, parameters = BUILT_IN[objective]
    side = np.repeat([0.0, 1.0], 40)
    labels = side if objective == "binary" else side + np.tile([0.0, 0.25], 40)
    scores = labels + side * np.tile([0.0, 0.5, -1.0, -2.0], 20)
    options = {key: value for key, value in given.items() if not isinstance(value, np.ndarray)}
    arrays = {key: value for key, value in given.items() if isinstance(value, np.ndarray)}
    call = Call(
        {"input": scores[:, None] if arrays else scores, "target": labels, **arrays},
        {"convention": "gbm", **options},
    )
    answer = evaluate(find(name), call)
    gradient, hessian = (
        getattr(answer, kind)["sum"]["input"].reshape(-1) for kind in ("gradient", "hessian")
    )
    settings = {"objective": objective, "num_leaves": 2, "min_data_in_leaf": 1, **parameters}
    quiet = {"verbosity": -1, "num_threads": 1, "boost_from_average": False, "min_sum_hessian_in_leaf": 0.0}
    booster = lightgbm.Booster(
        {**settings, **quiet}, lightgbm.Dataset(side[:, None], labels, init_score=scores, params=quiet)
    )
    booster.update()
    tree = booster.dump_model()["tree_info"][0]["tree_structure"]

    def strength(rows):
        return gradient[rows].sum() ** 2 / hessian[rows].sum()

    gain = strength(side == 0) + strength(side == 1) - strength(side >= 0)
    assert gain > 0.1
    np.testing.assert_allclose(tree["split_gain"], gain, rtol=1e-5)
