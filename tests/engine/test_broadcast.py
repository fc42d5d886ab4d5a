"""Broadcasting: refused unless asked for, and then as if the caller had repeated the array and summed its gradient."""

from __future__ import annotations

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.errors import InvalidCall
from lossd.losses import find
from lossd.message import Call

RNG = np.random.default_rng(3)
LOGITS = RNG.standard_normal((4, 3, 5))
PROBABILITIES = np.exp(LOGITS[::-1]) / np.exp(LOGITS[::-1]).sum(axis=1, keepdims=True)
FRACTIONS = RNG.uniform(0.1, 0.9, (4, 5))
VECTORS = RNG.standard_normal((4, 5, 3))
MODES = ["none", "sum", "mean", "weighted_mean"]

# Loss to arrays of the full shape, and the axes of each that are cut to length one or away.
CASES = {
    "a row for all": ("mse", {"input": FRACTIONS, "target": FRACTIONS[::-1]}, {"target": np.s_[0]}),
    "a column for all": ("l1", {"input": FRACTIONS, "target": FRACTIONS[::-1]}, {"target": np.s_[:, :1]}),
    "one number for all": ("huber", {"input": FRACTIONS, "target": FRACTIONS[::-1]}, {"target": np.s_[0, 0]}),
    "input and target": (
        "mse", {"input": FRACTIONS, "target": FRACTIONS}, {"input": np.s_[:, :1], "target": np.s_[:1]},
    ),
    "a weight": ("mse", {"input": FRACTIONS, "target": FRACTIONS[::-1], "weight": FRACTIONS}, {"weight": np.s_[:1]}),
    "a target and its weight": (
        "mse",
        {"input": FRACTIONS, "target": FRACTIONS[::-1], "weight": FRACTIONS},
        {"target": np.s_[0], "weight": np.s_[0]},
    ),
    "one distribution for all samples": (
        "cross_entropy", {"input": LOGITS, "target": PROBABILITIES}, {"target": np.s_[:1]},
    ),
    "one distribution for all positions": (
        "cross_entropy", {"input": LOGITS, "target": PROBABILITIES}, {"target": np.s_[:, :, :1]},
    ),
    "logits for all positions": (
        "cross_entropy", {"input": LOGITS, "target": LOGITS.argmax(axis=1)}, {"input": np.s_[:, :, :1]},
    ),
    "logits for all samples": ("nll", {"input": LOGITS, "target": LOGITS.argmax(axis=1)}, {"input": np.s_[:1]}),
    "one anchor": (
        "triplet_margin",
        {"anchor": VECTORS, "positive": VECTORS[::-1], "negative": VECTORS[:, ::-1]},
        {"anchor": np.s_[0, 0]},
    ),
    "one target for a column": (
        "multi_quantile",
        {"input": VECTORS, "target": FRACTIONS, "quantiles": np.array([0.1, 0.5, 0.9])},
        {"target": np.s_[0]},
    ),
    "one length for all": (
        "ctc",
        {
            "logits": VECTORS, "targets": np.ones((5, 2), int), "input_lengths": np.full(5, 4),
            "target_lengths": np.full(5, 2),
        },
        {"target_lengths": np.s_[0], "input_lengths": np.s_[:1]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_broadcast_is_repetition(name):
    loss, full, cuts = CASES[name]
    arrays = full | {key: np.asarray(full[key][cut]) for key, cut in cuts.items()}
    rank = {key: full[key].ndim for key in full}
    repeated = full | {key: np.broadcast_to(arrays[key], full[key].shape).copy() for key in cuts}
    differentiable = [
        a.name for a in find(loss).arguments if a.name in full and full[a.name].dtype.kind == "f"
    ]
    options = {"reduction": MODES, "gradient": differentiable}
    actual = evaluate(find(loss), Call(arrays, options | {"broadcast": True}))
    expected = evaluate(find(loss), Call(repeated, options))
    assert actual.count == expected.count
    for mode in MODES:
        # rounding of some 20 float64 numbers in another order
        np.testing.assert_allclose(actual.loss[mode], expected.loss[mode], rtol=1e-13)
        for key in differentiable:
            summed = _sum_to(expected.gradient[mode][key], arrays[key].shape, rank[key])
            assert actual.gradient[mode][key].shape == arrays[key].shape
            np.testing.assert_allclose(
                actual.gradient[mode][key], summed, rtol=1e-12, atol=1e-13, err_msg=f"{mode} {key}"
            )


@pytest.mark.parametrize("name", CASES)
def test_broadcast_is_refused_by_default(name):
    loss, full, cuts = CASES[name]
    with pytest.raises(InvalidCall, match=r"expected .*got ") as refused:
        evaluate(find(loss), Call(full | {key: np.asarray(full[key][cut]) for key, cut in cuts.items()}))
    assert refused.value.errors[0].at in full


@pytest.mark.parametrize("shape", [(), (5,), (1, 5), (4, 1), (4, 5)])
@pytest.mark.parametrize("name", ["weight", "pos_weight"])
def test_factors_always_broadcast(shape, name):
    """PyTorch's weight and pos_weight of the binary losses broadcast by their documentation."""
    bce = find("bce_with_logits")
    given = {"input": LOGITS[:, 0], "target": FRACTIONS}
    factor = np.asarray(0.5 + np.arange(np.prod(shape, dtype=int)).reshape(shape))
    whole = np.broadcast_to(factor, (4, 5)).copy()
    options = {"reduction": MODES, "gradient": ["input", "target", name]}
    actual, expected = (evaluate(bce, Call(given | {name: value}, options)) for value in (factor, whole))
    for mode in MODES:
        np.testing.assert_allclose(actual.loss[mode], expected.loss[mode], rtol=1e-13)
        summed = _sum_to(expected.gradient[mode][name], shape, 2)
        np.testing.assert_allclose(actual.gradient[mode][name], summed, rtol=1e-13, atol=1e-15)
        np.testing.assert_allclose(
            actual.gradient[mode]["input"], expected.gradient[mode]["input"], rtol=1e-13
        )


@pytest.mark.parametrize("shape", [(), (5,), (1, 5), (4, 1), (4, 5)])
def test_sample_weight_and_mask_broadcast_against_the_unreduced_loss(shape):
    weight = np.asarray(0.5 + np.arange(np.prod(shape, dtype=int)).reshape(shape))
    mask = np.asarray(np.arange(np.prod(shape, dtype=int)).reshape(shape) % 2 == 0)
    given = {"input": LOGITS[:, 0], "target": FRACTIONS}
    answers = [
        evaluate(
            find("mse"), Call(given | {"sample_weight": w, "mask": m}, {"reduction": MODES, "gradient": True})
        )
        for w, m in ((weight, mask), (np.broadcast_to(weight, (4, 5)), np.broadcast_to(mask, (4, 5))))
    ]
    for mode in MODES:
        np.testing.assert_array_equal(answers[0].loss[mode], answers[1].loss[mode])
        np.testing.assert_array_equal(answers[0].gradient[mode]["input"], answers[1].gradient[mode]["input"])


def test_second_derivatives_of_a_broadcast_input_add_up():
    given = {"input": np.array([[1.0], [2.0]]), "target": np.zeros((2, 3))}
    options = {"broadcast": True, "reduction": "sum", "hessian": True}
    answer = evaluate(find("mse"), Call(given | {"hvp": np.array([[1.0], [-2.0]])}, options))
    np.testing.assert_array_equal(answer.hessian["sum"]["input"], [[6.0], [6.0]])
    np.testing.assert_array_equal(answer.hvp["sum"]["input"], [[6.0], [-12.0]])


def _sum_to(array, shape, rank):
    """Sum an array over the axes that broadcasting ``shape`` made of it."""
    array = array.sum(axis=tuple(range(rank - len(shape))))
    stretched = tuple(axis for axis, size in enumerate(shape) if size == 1)
    return array.sum(axis=stretched, keepdims=True)
