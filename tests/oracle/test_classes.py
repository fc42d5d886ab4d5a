"""What losses over classes make of the rare: one class, unused weights, empty batches, memory that arrays share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.errors import InvalidCall
from lossd.fused import FUSED
from lossd.losses import LOSSES
from lossd.message import Answer, Call
from lossd.numerics.scratch import Scratch
from lossd.numerics.stable import softmax
from lossd.numerics.sums import total_of_any_sign
from tests.fused.unfused import unfused
from tests.oracle.exact import MP

NAN, INF = np.nan, np.inf
EITHER_KERNEL = pytest.mark.parametrize("fused", [True, False], ids=["fused", "unfused"])
TYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])


def ask(name: str, fused: bool = True, **given: Any) -> Answer:
    """Evaluate a loss, with its fused kernel or without."""
    loss = LOSSES[name] if fused else unfused(LOSSES[name])
    arrays = {key: np.asarray(value) for key, value in given.items() if key in loss.array_names}
    options = {key: value for key, value in given.items() if key not in arrays}
    return evaluate(loss, Call(arrays, {"gradient": True, "reduction": "sum", **options}))


@EITHER_KERNEL
@pytest.mark.parametrize(
    ("logit", "value"),
    [(NAN, NAN), (-INF, NAN), (INF, 0.0), (3.0, 0.0)],
    ids=["nan", "-inf", "inf", "finite"],
)
def test_the_only_class_is_certain_unless_it_is_no_number_or_ruled_out(logit, value, fused):
    answer = ask("cross_entropy", fused, input=[[logit]], target=[0])
    np.testing.assert_array_equal(answer.loss["sum"], value)
    np.testing.assert_array_equal(answer.gradient["sum"]["input"], [[value]])


def test_a_row_that_has_no_softmax_is_nan_in_all_of_it():
    rows = np.array([[NAN, 0], [0, NAN], [INF, INF], [-INF, -INF], [INF, NAN]])
    with np.errstate(all="ignore"):
        for part in (*softmax(rows), *softmax(np.array([[NAN], [-INF]]))):
            assert np.isnan(part).all()
        certain = softmax(np.array([[INF, 0, -INF]]))
    np.testing.assert_array_equal(certain.probability, [[1, 0, 0]])


@TYPES
def test_a_difference_of_logits_that_is_rounded_costs_no_digits(dtype):
    """Logits of up to 600 apart: an exponent's half ulp would be as many as 300 ulp of the exponential."""
    rng = np.random.default_rng(0)
    x = (rng.uniform(-1, 1, (200, 3)) * (300 if dtype is np.float64 else 40)).astype(dtype)
    probability = softmax(x).probability
    ulp = float(np.finfo(dtype).eps)
    for row, got in zip(x.tolist(), probability.tolist(), strict=True):
        powers = [MP.exp(MP.mpf(c)) for c in row]
        for power, p in zip(powers, got, strict=True):
            exact = power / MP.fsum(powers)
            assert abs(p - exact) <= 6 * ulp * exact


def test_a_smoothed_gradient_near_its_target_keeps_its_digits():
    x = np.array([[1.105303, -6.783316]], np.float32)
    found = ask("cross_entropy", input=x, target=[0], label_smoothing=1e-3).gradient["sum"]["input"]
    s = 1 / (1 + MP.exp(MP.mpf(float(x[0, 0])) - MP.mpf(float(x[0, 1]))))  # of the other class
    exact = float(MP.mpf(1e-3) / 2 * (1 - s) - (1 - MP.mpf(1e-3) / 2) * s)
    # A difference of numbers up to 5e-4: a few ulp of these.
    np.testing.assert_allclose(found, [[exact, -exact]], rtol=0, atol=4 * 2**-23 * 5e-4)


@pytest.mark.parametrize("unused", [NAN, INF, -INF])
@pytest.mark.parametrize("reduction", ["sum", "mean", "weighted_mean"])
def test_the_weight_of_an_absent_class_does_not_matter(unused, reduction):
    given: dict[str, Any] = {
        "input": [[100.0, 0, 1], [0, 0, 0]],
        "target": [2, 1],
        "gradient": ["input", "weight"],
        "reduction": reduction,
    }
    for name in ("cross_entropy", "nll"):
        found = ask(name, **given, weight=[unused, 1.0, 1.0])
        plain = ask(name, **given, weight=[7.0, 1.0, 1.0])
        assert found.denominator == plain.denominator == 2
        np.testing.assert_array_equal(found.loss[reduction], plain.loss[reduction])
        for key, gradient in plain.gradient[reduction].items():
            np.testing.assert_array_equal(found.gradient[reduction][key], gradient)
    mean = ask("cross_entropy", **{**given, "reduction": "mean"}, weight=[unused, 1.0, 1.0]).loss["mean"]
    assert mean == pytest.approx((99 + np.log(3)) / 2, rel=1e-15)


@pytest.mark.parametrize("value", [INF, -INF, NAN])
def test_a_loss_that_has_no_weight_does_not_matter(value):
    """Rule: what has no weight adds nothing, whatever it holds."""
    for name in ("cross_entropy", "nll"):
        answer = ask(name, input=[[value, 0.0], [0.0, -1.0]], target=[0, 1], weight=[0.0, 1.0])
        rest = ask(name, input=[[0.0, -1.0]], target=[1])
        assert answer.loss["sum"] == rest.loss["sum"]
    answer = ask("bce_with_logits", input=[value, 1.0], target=[0.0, 1.0], weight=[0.0, 1.0])
    assert answer.loss["sum"] == ask("bce_with_logits", input=[1.0], target=[1.0]).loss["sum"]
    assert answer.gradient["sum"]["input"][0] == 0
    for name in ("bce", "bce_with_logits"):
        answer = ask(name, input=[0.5, 0.5], target=[NAN, 1.0], weight=[0.0, 1.0])
        assert np.isfinite(answer.loss["sum"])
    unused = ask("bce_with_logits", input=[2.0], target=[0.0], pos_weight=[value])
    plain = ask("bce_with_logits", input=[2.0], target=[0.0])
    assert unused.loss["sum"] == pytest.approx(plain.loss["sum"], rel=1e-15)
    np.testing.assert_allclose(unused.gradient["sum"]["input"], plain.gradient["sum"]["input"], rtol=1e-15)


def test_an_index_to_ignore_means_nothing_beside_probabilities():
    given: dict[str, Any] = {"input": [[0.0, 1.0]], "target": [[0.5, 0.5]]}
    for ignored in (1, -1):
        with pytest.raises(InvalidCall) as refused:
            ask("cross_entropy", **given, ignore_index=ignored)
        assert [(detail.at, detail.got) for detail in refused.value.errors] == [
            ("ignore_index", str(ignored))
        ]
    default = ask("cross_entropy", **given, ignore_index=-100)
    assert default.loss["sum"] == ask("cross_entropy", **given).loss["sum"]


@pytest.mark.parametrize("target", [np.zeros(0, np.int64), np.zeros(0)], ids=["integers", "an empty list"])
@pytest.mark.parametrize("name", ["cross_entropy", "nll"])
def test_no_rows_with_class_weights_are_nothing(name, target):
    given = {
        "input": np.zeros((0, 3)),
        "target": target,
        "weight": np.ones(3),
        "gradient": ["input", "weight"],
    }
    answer = ask(name, **given, **{"reduction": ["none", "sum"]})
    assert answer.loss["none"].shape == (0,)
    assert answer.loss["sum"] == answer.count == answer.denominator == 0
    with pytest.raises(InvalidCall) as refused:
        ask(name, **given, **{"reduction": "mean"})
    assert [detail.at for detail in refused.value.errors] == ["reduction"]
    for empty, expected in {"nan": NAN, "zero": 0.0}.items():
        answer = ask(name, **given, **{"reduction": "mean", "empty": empty})
        np.testing.assert_array_equal(answer.loss["mean"], expected)
        assert not answer.gradient["mean"]["weight"].any()


SHARING = {
    "labels": ("bce_with_logits", np.array([0.0, 1, 1, 0, 1, 0])),
    "soft": ("bce_with_logits", np.array([0.1, 0.7, 0.4, 1, 0, 0.2])),
    "probable labels": ("bce", np.array([0.0, 1, 1, 0, 1, 0])),
    "probable": ("bce", np.array([0.1, 0.7, 0.4, 0.9, 0.3, 0.2])),
}


@pytest.mark.parametrize("shift", [0, 1], ids=["the same array", "overlapping views"])
@pytest.mark.parametrize("taken", ["input", "target"])
@pytest.mark.parametrize("case", SHARING)
def test_a_fused_kernel_reads_its_arguments_before_it_writes_over_them(case, taken, shift):
    name, memory = SHARING[case][0], SHARING[case][1].copy()
    given = {"input": memory[shift:], "target": memory[: len(memory) - shift]}
    fused = FUSED[LOSSES[name].kernel][0].function
    out = np.empty(len(memory) - shift)
    apart = {key: array.copy() for key, array in given.items()}
    with np.errstate(all="ignore"):
        value = fused(**apart, scale=np.float64(0.5), out=out, scratch=Scratch())
        again = fused(**given, scale=np.float64(0.5), out=given[taken], scratch=Scratch())
    assert again == value
    np.testing.assert_array_equal(given[taken], out)


@pytest.mark.parametrize(
    "logits", [[0.0, 1, 2], [200.0, -900, 1e5], [INF, 0, 1]], ids=["near", "far", "certain"]
)
@pytest.mark.parametrize("name", ["cross_entropy", "nll"])
def test_a_fused_kernel_of_classes_writes_over_its_input(name, logits):
    fused = FUSED[LOSSES[name].kernel][0].function
    x, target, out = np.array([logits, [0.5, -1, 2]]), np.array([0, 2]), np.empty((2, 3))
    with np.errstate(all="ignore"):
        value = fused(x.copy(), target, scale=np.float64(0.5), out=out, scratch=Scratch())
        again = fused(x, target, scale=np.float64(0.5), out=x, scratch=Scratch())
    assert again == value
    np.testing.assert_array_equal(x, out)


@EITHER_KERNEL
@pytest.mark.parametrize("rows", [3, 300, 4096])
def test_values_of_either_sign_cancel_without_a_trace(rows, fused):
    picked = np.resize(np.array([1e8, -1e8, 1], np.float32), rows)
    x = np.stack([picked, picked * 0], axis=1)
    exact = -float(picked.astype(np.float64).sum())
    assert ask("nll", fused, input=x, target=np.zeros(rows, np.int64)).loss["sum"] == np.float32(exact)
    assert total_of_any_sign(picked) == -exact


@TYPES
@EITHER_KERNEL
def test_a_small_part_of_a_sum_of_exponentials_keeps_its_digits(dtype, fused):
    """A power that is subnormal has few digits; over a sum that is small too it may be an ordinary probability."""
    x = np.array([[-40.5, -41, -100]] if dtype is np.float32 else [[-344, -344.5, -725]], dtype)
    found = ask("cross_entropy", fused, input=x, target=[0]).gradient["sum"]["input"]
    powers = [MP.exp(MP.mpf(float(c))) for c in x[0]]
    for c in (1, 2):
        exact = powers[c] / MP.fsum(powers)
        assert abs(float(found[0, c]) - exact) <= 8 * float(np.finfo(dtype).eps) * exact


@TYPES
@EITHER_KERNEL
def test_a_mean_of_heavy_classes_is_finite(dtype, fused):
    """Weights that take each row's loss out of the type's range are divided out of the mean."""
    weight = np.full(2, 1e38 if dtype is np.float32 else 1e305, dtype)
    x = np.array([[0, 100], [50, 0]], dtype)
    for name, expected in {"cross_entropy": 75.0, "nll": -0.0}.items():
        answer = ask(name, fused, input=x, target=[0, 1], weight=weight, reduction="mean", gradient=False)
        np.testing.assert_allclose(answer.loss["mean"], expected, rtol=1e-6)


@pytest.mark.parametrize("value", [0.25, 1e-30, INF, -INF, NAN])
@pytest.mark.parametrize("name", ["cross_entropy", "nll", "bce", "bce_with_logits"])
def test_a_single_sample_is_a_batch_of_one(name, value):
    """Arrays without an axis for samples mean what a row means, at the edges too."""
    if name == "bce" and np.isinf(value):
        value = 1.0
    classes = name in ("cross_entropy", "nll")
    x, target = (np.array([value, -1.0]), np.array(0)) if classes else (np.array(value), np.array(0.0))
    weight = np.array([2.0, NAN]) if classes else np.array(2.0)
    alone = {"input": x, "target": target, "weight": weight}
    rows = {key: array if key == "weight" and classes else array[None] for key, array in alone.items()}
    for reduction in ("none", "sum", "mean"):
        one, row = (ask(name, **given, reduction=reduction) for given in (alone, rows))
        np.testing.assert_array_equal(one.loss[reduction], np.squeeze(row.loss[reduction]))
        found, expected = (answer.gradient[reduction]["input"] for answer in (one, row))
        np.testing.assert_array_equal(found[None], expected)
