"""Where other libraries give something else than the true number, and what is returned here."""

from __future__ import annotations

from itertools import product

import ml_dtypes
import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.errors import InvalidCall
from lossd.losses import find
from lossd.message import Call
from tests.oracle.exact import MP, numbers, ulps_off
from tests.oracle.formulas import bce_with_logits

inf = np.inf
EASY = pytest.mark.parametrize("reduction", ["none", "sum", "mean"])


def run(name, *, reduction="none", gradient=False, dtype=np.float64, **given):
    """Return value and gradients; lists of floats become arrays of ``dtype``, lists of integers of int64."""
    arrays, options = {}, {"reduction": reduction, "gradient": gradient}
    for key, value in given.items():
        if isinstance(value, list | np.ndarray):
            array = np.asarray(value)
            arrays[key] = (
                array.astype(dtype) if isinstance(value, list) and array.dtype.kind == "f" else array
            )
        else:
            options[key] = value
    answer = evaluate(find(name), Call(arrays, options))
    return answer.loss[reduction], answer.gradient.get(reduction, {}), answer


@pytest.mark.parametrize(
    ("x", "t", "value"),
    [
        (-10.0, 0.0, 4.539889921686465e-5),
        (10.0, 1.0, 4.539889921686465e-5),
        (-16.0, 0.0, 1.1253516843950926e-7),
        (-80.0, 0.0, 1.8048513878454153e-35),
    ],
)
@EASY
def test_bce_with_logits_keeps_easy_samples(reduction, x, t, value):
    """log(1 + exp(-10)), exp(-16) and exp(-80)."""
    got, _, _ = run("bce_with_logits", input=[x], target=[t], dtype=np.float32, reduction=reduction)
    np.testing.assert_allclose(got, value, rtol=4 * np.finfo(np.float32).eps)


@pytest.mark.parametrize(("dtype", "reach"), [(np.float32, 104), (np.float64, 746)])
def test_bce_with_logits_is_within_4_ulp_at_every_x(dtype, reach):
    sweep = np.concatenate([np.linspace(-reach, reach, 301), np.linspace(-1, 1, 41)]).astype(dtype)
    for x, t in product(sweep, dtype([0, 1])):
        truth = bce_with_logits(input=numbers(x), target=numbers(t))
        for reduction in ("none", "mean"):
            got, by, _ = run(
                "bce_with_logits", input=x[None], target=t[None], reduction=reduction, gradient=True
            )
            assert ulps_off(np.squeeze(got), truth.value) < 4, (x, t, reduction)
            assert ulps_off(by["input"][0], truth.gradient["input"]) < 4, (x, t, reduction)


@EASY
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("x", "t"), [(inf, 1.0), (-inf, 0.0)])
def test_bce_with_logits_of_certainty_is_zero(x, t, dtype, reduction):
    got, by, _ = run(
        "bce_with_logits", input=[x], target=[t], dtype=dtype, reduction=reduction, gradient=True
    )
    assert got == 0
    assert by["input"] == 0


@EASY
@pytest.mark.parametrize(
    ("dtype", "logits", "value"),
    [(np.float32, [20.0, 0.0], 2.061153622438558e-9), (np.float64, [40.0, 0.0], 4.248354255291589e-18)],
)
def test_cross_entropy_keeps_easy_samples(dtype, logits, value, reduction):
    """exp(-20) and exp(-40), from tables; both gradients are that too."""
    got, by, _ = run(
        "cross_entropy", input=[logits], target=[0], dtype=dtype, reduction=reduction, gradient=True
    )
    np.testing.assert_allclose(got, value, rtol=4 * np.finfo(dtype).eps)
    np.testing.assert_allclose(by["input"], [[-value, value]], rtol=4 * np.finfo(dtype).eps)


@EASY
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cross_entropy_of_a_class_ruled_out_with_no_belief_is_finite(dtype, reduction):
    given = {"input": [[-inf, 0.0, 0.0]], "target": [[0.0, 0.5, 0.5]]}
    got, by, _ = run("cross_entropy", **given, dtype=dtype, reduction=reduction, gradient=True)
    np.testing.assert_allclose(got, np.log(2), rtol=2e-7)
    np.testing.assert_array_equal(by["input"], [[0, 0, 0]])


@pytest.mark.parametrize(("name", "mean", "slope"), [("mse", 6.33, -14 / 3), ("l1", 2.33, -1.0)])
def test_a_weight_is_broadcast_before_it_is_summed(name, mean, slope):
    given = {"input": [0.0], "target": [3.0, 3.0, 1.0], "weight": [1.0]}
    got, by, _ = run(name, **given, broadcast=True, reduction="mean", gradient=True)
    assert round(float(got), 2) == mean
    np.testing.assert_allclose(by["input"], [slope], rtol=1e-15)


def test_a_bfloat16_mean_is_correctly_rounded():
    """Near its expectation, log(1000) + 1/2 = 7.4078; bfloat16 counts in steps of 1/32 there."""
    rng = np.random.default_rng(2)
    logits = rng.standard_normal((4096, 1000)).astype(ml_dtypes.bfloat16)
    target = rng.integers(0, 1000, 4096)
    wide = logits.astype(np.float64)
    exact = np.mean(np.log(np.exp(wide).sum(axis=1)) - wide[np.arange(4096), target])
    for gradient in (False, True):
        got, _, _ = run("cross_entropy", input=logits, target=target, reduction="mean", gradient=gradient)
        assert got.dtype == ml_dtypes.bfloat16
        assert float(got) == 7.40625 == float(ml_dtypes.bfloat16(exact))


@pytest.mark.parametrize(
    ("given", "gradient"),
    [
        ("log_probs", [[[-1 / 3, -2 / 3]], [[-1 / 3, -2 / 3]]]),
        ("logits", [[[1 / 6, -1 / 6]], [[1 / 6, -1 / 6]]]),
    ],
)
def test_the_ctc_gradient_is_of_what_was_given(given, gradient):
    """Two frames of even odds, one label: of the paths 11, 01, 10 each frame is the label in two of three."""
    frames = [[[0.0, 0.0]]] * 2 if given == "logits" else [[[np.log(0.5)] * 2]] * 2
    lengths = {"input_lengths": [2], "target_lengths": [1]}
    got, by, _ = run("ctc", **{given: frames}, targets=[[1]], **lengths, reduction="sum", gradient=True)
    np.testing.assert_allclose(got, np.log(4 / 3), rtol=1e-15)
    np.testing.assert_allclose(by[given], gradient, rtol=4e-16)


@pytest.mark.parametrize("targets", [[[1, 3]], [[1, -1]], [[1, 0]]], ids=["too large", "negative", "blank"])
@pytest.mark.parametrize("concatenated", [False, True])
def test_a_ctc_target_that_is_no_symbol_is_refused(targets, concatenated):
    frames = [[[0.0, 0.0, 0.0]]] * 4
    with pytest.raises(
        InvalidCall, match=r"expected whole numbers in \[0, 3\) other than blank, 0, got -?\d"
    ) as caught:
        run(
            "ctc",
            logits=frames,
            targets=targets[0] if concatenated else targets,
            input_lengths=[4],
            target_lengths=[2],
        )
    assert caught.value.status == 422
    assert caught.value.errors[0].at == ("targets[1]" if concatenated else "targets[0][1]")


def test_a_ctc_symbol_past_the_targets_length_is_not_read():
    padded, _, _ = run(
        "ctc", logits=[[[0.0, 0.0]]] * 2, targets=[[1, -9]], input_lengths=[2], target_lengths=[1]
    )
    np.testing.assert_allclose(padded, [np.log(4 / 3)], rtol=1e-15)


@pytest.mark.parametrize("smoothing", [-0.1, 1.5, 1.0000001])
def test_label_smoothing_is_a_fraction(smoothing):
    with pytest.raises(InvalidCall, match="label_smoothing") as caught:
        run("cross_entropy", input=[[0.0, 1.0]], target=[0], label_smoothing=smoothing)
    assert caught.value.status == 422


BF16 = ml_dtypes.bfloat16


@pytest.mark.parametrize(
    ("left", "right", "both"),
    [
        ("f4", "f8", "f8"),
        ("f2", "f4", "f4"),
        ("f2", "f8", "f8"),
        (BF16, "f4", "f4"),
        (BF16, "f8", "f8"),
        ("i8", "f4", "f4"),
    ],
)
def test_huber_promotes_mixed_types(left, right, both):
    values, truths = np.array([0, 3, -3]), np.array([0.5, 0, 0])
    got, by, _ = run(
        "huber", input=values.astype(left), target=truths.astype(right), gradient=["input", "target"]
    )
    assert got.dtype == by["input"].dtype == by["target"].dtype == np.dtype(both)
    np.testing.assert_array_equal(got, [0.125, 2.5, 2.5])
    np.testing.assert_array_equal(by["input"], [-0.5, 1, -1])


def test_probabilities_that_do_not_sum_to_one_are_reported():
    call = {"input": [[0.0, 0.0], [0.0, 0.0]], "target": [[0.5, 0.5], [0.2, 0.2]]}
    got, _, answer = run("cross_entropy", **call)
    np.testing.assert_allclose(got, [np.log(2), 0.4 * np.log(2)], rtol=1e-15)
    assert any("sum to 1" in warning for warning in answer.warnings)
    with pytest.raises(InvalidCall, match="sum to 1") as caught:
        run("cross_entropy", **call, check_target="strict")
    assert caught.value.status == 422
    assert caught.value.errors[0].at.startswith("target[1]")
    call["target"][1] = [0.25, 0.75]
    assert run("cross_entropy", **call, check_target="strict")[2].warnings == ()


@pytest.mark.parametrize("p", [1.0, 3.0, 5.0])
def test_a_triplet_of_odd_degree_measures_sizes_of_differences(p):
    """Differences of both signs; raising them to an odd power unsigned would cancel them, or give nan."""
    near = MP.mpf(1 + 2**p) ** (1 / MP.mpf(p))
    far = MP.mpf(2 * 3**p) ** (1 / MP.mpf(p))
    vectors = {"anchor": [[0.0, 0.0]], "positive": [[1.0, -2.0]], "negative": [[3.0, -3.0]]}
    got, by, _ = run("triplet_margin", **vectors, p=p, eps=0.0, margin=9.0, gradient=True)
    np.testing.assert_allclose(got, [float(9 + near - far)], rtol=1e-14)
    assert np.isfinite(by["anchor"]).all()


@EASY
@pytest.mark.parametrize(("dtype", "far"), [(np.float32, 89.0), (np.float64, 710.0)])
def test_soft_margin_of_a_hopeless_sample_is_finite(dtype, far, reduction):
    """PyTorch: inf, gradient nan."""
    got, by, _ = run(
        "soft_margin", input=[-far], target=[1.0], dtype=dtype, reduction=reduction, gradient=True
    )
    assert got == far
    assert by["input"] == -1


@EASY
@pytest.mark.parametrize(
    ("x", "t", "log_target"), [(-inf, -inf, True), (0.5, -inf, True), (-inf, 0.0, False), (0.5, 0.0, False)]
)
def test_what_has_no_probability_adds_nothing_to_kl_div(x, t, log_target, reduction):
    """PyTorch: nan, but for the last."""
    given = {"input": [x], "target": [t], "log_target": log_target}
    got, by, _ = run("kl_div", **given, reduction=reduction, gradient=True)
    assert got == 0
    assert by["input"] == 0


@EASY
def test_a_count_of_0_has_a_gradient(reduction):
    """PyTorch: nan, of the logarithm of 0 in Stirling's approximation, which is not taken there."""
    given = {"input": [0.5], "target": [0.0], "full": True, "gradient": ["target"]}
    _, by, _ = run("poisson_nll", **given, reduction=reduction)
    assert by["target"] == -0.5


def test_a_variance_for_each_row_broadcasts():
    """By hand: (log 4 + 4 / 4) / 2, (log 4 + 16 / 4) / 2, (log 1 + 1) / 2 and 0."""
    given = {"input": [[2.0, 4.0], [1.0, 0.0]], "target": [[0.0, 0.0], [0.0, 0.0]], "var": [[4.0], [1.0]]}
    got, by, _ = run("gaussian_nll", **given, gradient=["var"])
    log_2 = np.log(2)
    np.testing.assert_allclose(got, [[log_2 + 0.5, log_2 + 2], [0.5, 0]], rtol=1e-15)
    np.testing.assert_allclose(by["var"], [[-0.375], [0.5]], rtol=1e-15)  # sums of (1 - r^2 / v) / (2 v)
