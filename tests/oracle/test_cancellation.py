"""Results that are small beside what they are differences of: the values are by hand or by mpmath."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.errors import InvalidCall
from lossd.losses import LOSSES, find
from lossd.message import Answer, Call


def ask(name: str, dtype: Any, *, asked: dict[str, Any], **arrays: Any) -> Answer:
    given = {
        key: np.array(value, None if key in ("labels", "target") and isinstance(value[0], int) else dtype)
        for key, value in arrays.items()
    }
    return evaluate(find(name), Call(given, asked))


@pytest.mark.parametrize("reduction", ["mean", "none"], ids=["fused", "kernel"])
@pytest.mark.parametrize(
    ("dtype", "anchor", "positive", "negative", "settings", "expected"),
    [
        (np.float32, [[1e8]], [[0]], [[-3]], {"eps": 0.0}, 0.0),
        (np.float32, [[1e5, 0]], [[0, 1]], [[0, 400]], {"eps": 0.0}, 0.2000082),
        (np.float32, [[3000, 0]], [[0, 1]], [[0, 40]], {}, 0.7335119),
        (np.float64, [[1, 0]], [[0, 1e-9]], [[0, 0]], {"eps": 0.0, "margin": 0.0}, 5e-19),
    ],
)
def test_triplets_far_from_the_origin_keep_their_digits(
    dtype, anchor, positive, negative, settings, expected, reduction
):
    asked = {**settings, "reduction": reduction, "gradient": True}
    arrays = {"anchor": anchor, "positive": positive, "negative": negative}
    answer = ask("triplet_margin", dtype, asked=asked, **arrays)
    np.testing.assert_allclose(np.ravel(answer.loss[reduction]), [expected], rtol=3e-7)
    if expected:  # every distance depends on differences alone
        total = sum(answer.gradient[reduction].values())
        np.testing.assert_allclose(total, 0, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("own", "other", "smooth"),
    [
        ([0.15], [1e-5], 0.0),
        ([1.0], [1e-10], 1e-7),
        ([1e-5, 1.0, 1e-6], [1e-4, 1e-3, 0.0], 0.0),
        ([2**-30] * 300 + [1.0], [2**-20] * 301, 2**-25),
    ],
    ids=["alone", "smoothed", "among three", "among many"],
)
def test_a_pixel_that_outweighs_its_region_has_an_exact_slope(own, other, smooth, dtype):
    """In fractions nothing is lost: with D the extent, ``(2 I + smooth - 2 y D) / D^2``, and that times -2 over D."""
    x, y = np.array(own, dtype), np.array(other, dtype)
    exact_x, exact_y = ([Fraction(v) for v in array.tolist()] for array in (x, y))
    extent = sum(exact_x + exact_y) + Fraction(smooth)
    overlap = 2 * sum(a * b for a, b in zip(exact_x, exact_y, strict=True)) + Fraction(smooth)
    heavy = int(x.argmax())
    slope = (overlap - 2 * exact_y[heavy] * extent) / extent**2
    asked = {"smooth": smooth, "axis": 0, "reduction": "sum"}
    of_input = ask("dice", dtype, asked={**asked, "gradient": ["input"], "hessian": True}, input=x, target=y)
    fused = ask("dice", dtype, asked={**asked, "gradient": True}, input=x, target=y)
    of_target = ask("dice", dtype, asked={**asked, "gradient": ["target"]}, input=y, target=x)
    slopes = [of_input.gradient["sum"]["input"], fused.gradient["sum"]["input"]]
    slopes.append(of_target.gradient["sum"]["target"])
    rtol = 8 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose([found[heavy] for found in slopes], float(slope), rtol=rtol)
    bend = of_input.hessian["sum"]["input"][heavy]
    np.testing.assert_allclose(bend, float(-2 * slope / extent), rtol=rtol)


@pytest.mark.parametrize("other", [[1e-10, 1.0, 6e-10], [1e-10, 1e-3, 6e-10]], ids=["all", "little"])
@pytest.mark.parametrize("own", [[0.2, 0.3, 0.6], [1e-9, 1.0, 1e-8]], ids=["spread", "heavy"])
@pytest.mark.parametrize("smooth", [0.0, 1e-7, 4.8e30])
@pytest.mark.parametrize("direction", [[1.0, 0.0, -1.0], [0.0, 1.0, 0.0], [2.0, -1.0, -1.0]])
def test_the_product_with_dices_hessian_keeps_the_digits_of_small_pixels(own, other, smooth, direction):
    """In fractions: with D the extent and y the other array, its element i, j is ``2 (y_i + y_j - 1 + F) / D^2``."""
    x, y, v = ([Fraction(number) for number in array] for array in (own, other, direction))
    extent = sum(x + y) + Fraction(smooth)
    lacking = (2 * sum(a * b for a, b in zip(x, y, strict=True)) + Fraction(smooth)) / extent
    rows = [[2 * (a + b - lacking) / extent**2 for b in y] for a in y]
    exact = [sum(a * b for a, b in zip(row, v, strict=True)) for row in rows]
    parts = max(abs(sum(b * c for b, c in zip(y, v, strict=True))), abs(sum(v))) * 2 / extent**2
    arrays = {"input": own, "target": other, "hvp": direction}
    asked = {"smooth": smooth, "axis": 0, "reduction": "sum"}
    found = ask("dice", np.float64, asked=asked, **arrays).hvp["sum"]["input"]
    np.testing.assert_allclose(found, [float(e) for e in exact], rtol=1e-14, atol=1e-15 * float(parts))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_weight_takes_no_digit_of_a_subnormal_probability(dtype):
    """That probability times a large logit is no small number."""
    limits = np.finfo(dtype)
    logit, small = float(limits.max) / 32, 1001 * float(limits.smallest_subnormal)
    arrays = {"input": [[0.0, logit, 0.0]], "target": [[small, 1.0, 0.0]], "weight": [2.3, 0.0, 0.9]}
    found = ask("cross_entropy", dtype, asked={"reduction": "none"}, **arrays).loss["none"]
    exact = Fraction(float(dtype(2.3))) * Fraction(small) * Fraction(float(dtype(logit)))
    np.testing.assert_allclose(found, float(exact), rtol=4 * float(limits.eps))


def test_ctcs_weights_may_be_large_where_their_sum_is_not():
    """`log_probs` need not be normalised: one frame of one label is minus that label's number."""
    arrays = {"log_probs": [[[100.0, 2.0, -0.3619339466624511]]], "targets": [[2]]}
    lengths = {"input_lengths": np.array([1]), "target_lengths": np.array([1])}
    given = {key: np.array(value) for key, value in arrays.items()}
    answer = evaluate(LOSSES["ctc"], Call({**given, **lengths}, {"reduction": "none"}))
    np.testing.assert_allclose(answer.loss["none"], 0.3619339466624511, rtol=2e-16)


def test_the_longest_coordinate_of_an_embedding_has_an_exact_slope():
    embeddings = np.array([[300, 1e-3], [1, 2], [3, -1], [1, 1]], np.float32)
    asked = {"temperature": 0.5, "gradient": True}
    slope = ask("nt_xent", np.float32, asked=asked, embeddings=embeddings, labels=[0, 0, 1, 1])
    found = slope.gradient["mean"]["embeddings"][0]
    np.testing.assert_allclose(found[0], 7.4197e-9, rtol=1e-5)
    np.testing.assert_allclose(found @ embeddings[0].astype(float), 0, atol=1e-12)  # scale does not matter


@pytest.mark.parametrize("temperature", [0.07, 1e-3, 1e-5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_embeddings_at_right_angles_are_equally_alike_at_any_temperature(dtype, temperature):
    """All cosines are 0: each of an item's four negatives is as likely as its positive."""
    asked = {"temperature": temperature, "reduction": "none", "gradient": ["temperature"]}
    answer = ask("nt_xent", dtype, asked=asked, embeddings=np.eye(6), labels=[0, 0, 1, 1, 2, 2])
    np.testing.assert_allclose(answer.loss["none"], np.log(5), rtol=4 * np.finfo(dtype).eps)
    assert answer.gradient["none"]["temperature"] == 0


@pytest.mark.parametrize("weight", [1e-3, 1e-6, 1e-9])
def test_a_weight_that_outweighs_the_others_has_an_exact_slope(weight):
    """For two rows it is w1 (l0 - l1) / (w0 + w1)^2."""
    asked = {"gradient": ["weight"]}
    arrays = {"input": [1.1, 2.3], "target": [0.0, 0.0], "weight": [1.3, weight]}
    found = ask("mse", np.float32, asked=asked, **arrays).gradient["mean"]["weight"][0]
    x, w = (np.array(arrays[name], np.float32).astype(float) for name in ("input", "weight"))
    np.testing.assert_allclose(found, w[1] * (x[0] ** 2 - x[1] ** 2) / w.sum() ** 2, rtol=2e-6)


@pytest.mark.parametrize("junk", [np.nan, np.inf, -np.inf, 1e308])
@pytest.mark.parametrize(
    ("name", "arrays"),
    [
        ("cross_entropy", {"input": [[None, 1.0], [0.0, 1.0]], "target": [0, 1], "weight": [0.0, 1.0]}),
        ("nll", {"input": [[None, -1.0], [-2.0, -1.0]], "target": [0, 1], "weight": [0.0, 1.0]}),
        ("bce_with_logits", {"input": [None, 1.0], "target": [1.0, 0.0], "pos_weight": [0.0, 1.0]}),
        ("mse", {"input": [None, 1.0], "target": [1.0, 0.0], "weight": [0.0, 1.0]}),
        ("l1", {"input": [None, 1.0], "target": [1.0, 0.0], "weight": [0.0, 1.0]}),
    ],
)
def test_what_has_no_weight_does_not_matter_whatever_it_holds(name, arrays, junk):
    def asked(value: float) -> list[np.ndarray]:
        given = {
            key: [[value if x is None else x for x in row] if isinstance(row, list) else row for row in rows]
            for key, rows in arrays.items()
        }
        given = {key: [value if x is None else x for x in rows] for key, rows in given.items()}
        options = {"reduction": ["mean", "sum"], "gradient": True, "hessian": True}
        answer = ask(name, np.float64, asked=options, **given)
        of_input = [found["sum"]["input"] for found in (answer.gradient, answer.hessian)]
        return [answer.loss["sum"], answer.loss["mean"], *of_input]

    with np.errstate(all="ignore"):
        pairs = zip(asked(junk), asked(-0.5), strict=True)
        if name in ("mse", "l1", "bce_with_logits", "nll"):
            for found, expected in pairs:
                np.testing.assert_array_equal(found, expected)
            return
        for found, expected in pairs:  # the row without weight is 0, whatever its softmax
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["mse", "l1", "huber"])
def test_a_complex_residual_without_weight_does_not_matter(name):
    arrays = {"input": np.array([1 + 1j, np.nan + 0j]), "target": np.zeros(2, complex)}
    call = Call({**arrays, "weight": np.array([1.0, 0.0])}, {"reduction": "sum", "gradient": True})
    answer = evaluate(LOSSES[name], call)
    assert np.isfinite(answer.loss["sum"])
    assert answer.gradient["sum"]["input"][1] == 0


@pytest.mark.parametrize("name", ["cross_entropy", "nll"])
def test_the_denominator_is_told_of_a_sum_too(name):
    arrays = {"input": [[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]], "target": [2, 1], "weight": [1.0, 2.0, 3.0]}
    assert ask(name, np.float64, asked={"reduction": "sum"}, **arrays).denominator == 5
    answer = ask(name, np.float64, asked={"reduction": ["sum", "mean"]}, **arrays)
    np.testing.assert_allclose(answer.loss["sum"] / answer.denominator, answer.loss["mean"])


def test_a_mean_over_nothing_that_is_zero_has_slopes_of_zero():
    asked = {"gradient": ["weight"], "empty": "zero"}
    answer = ask("mse", np.float64, asked=asked, input=[np.inf, 2.0], target=[0.0, 0.0], weight=[0.0, 0.0])
    np.testing.assert_array_equal(answer.gradient["mean"]["weight"], [0, 0])


@pytest.mark.parametrize("reduction", ["mean", "sum", ["sum", "mean"]])
def test_upstream_without_its_reduction_is_refused(reduction):
    asked = {"reduction": reduction, "gradient": True}
    with pytest.raises(InvalidCall, match="expected the reduction none, which alone it goes with"):
        ask("huber", np.float64, asked=asked, input=[1.0, 2.0], target=[0.0, 0.0], upstream=[5.0, 5.0])


@pytest.mark.parametrize("old", [{"reduce": False}, {"size_average": False}])
def test_pytorchs_old_spelling_asks_for_no_reduction_that_an_alias_lacks(old):
    with pytest.raises(InvalidCall, match="under the name MeanSquaredError"):
        ask("MeanSquaredError", np.float64, asked=old, input=[1.0, 2.0], target=[0.0, 0.0])


def test_a_label_beyond_every_signed_integer_is_told_as_it_is_or_as_the_largest():
    arrays = {"logits": np.zeros((3, 1, 3)), "targets": np.array([[2**64 - 1]], np.uint64)}
    lengths = {"input_lengths": np.array([3]), "target_lengths": np.array([1])}
    with pytest.raises(
        InvalidCall, match=r"expected whole numbers in \[0, 3\) other than blank|got 9223372036854775807"
    ):
        evaluate(LOSSES["ctc"], Call({**arrays, **lengths}, {}))


@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_the_slope_of_a_temperature_that_many_items_share_keeps_its_digits(temperature):
    """It is a sum over 1500 items, each of which compares itself with all others."""
    rng = np.random.default_rng(5)
    arrays = {"embeddings": rng.standard_normal((1500, 8)).astype(np.float32), "labels": np.arange(1500) // 2}
    asked = {"gradient": ["temperature"], "temperature": temperature}
    single, double = (
        evaluate(find("nt_xent"), Call({**arrays, "embeddings": arrays["embeddings"].astype(dtype)}, asked))
        for dtype in (np.float32, np.float64)
    )
    found, true = (each.gradient["mean"]["temperature"] for each in (single, double))
    assert found == pytest.approx(float(true), rel=2e-6)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    ("dtype", "rate", "target", "value", "of_input", "of_target"),
    [
        (np.float32, 1e-3, 1.0, 4.9966696e-7, 9.990010e-4, -9.995004e-4),
        (np.float64, 1e-10, 1.0, 5e-21, 1e-10, -1e-10),
        (np.float64, 1e-20, 4.0, -3e-20, -3.0, -1e-20),
    ],
)
def test_a_rate_that_eps_swallows_keeps_its_digits(dtype, rate, target, value, of_input, of_target, full):
    """What is added to the rate is 1, next to which its logarithm is small; the values are by mpmath."""
    asked = {
        "log_input": False,
        "eps": 1.0,
        "full": full,
        "reduction": "none",
        "gradient": ["input", "target"],
    }
    answer = ask("poisson_nll", dtype, asked=asked, input=[rate], target=[target])
    slopes = answer.gradient["none"]
    assert slopes["input"][0] == pytest.approx(of_input, rel=3e-6)
    if full and target > 1:  # with Stirling's approximation
        return
    assert slopes["target"][0] == pytest.approx(of_target, rel=1e-6)
    assert answer.loss["none"][0] == pytest.approx(value, rel=1e-3 if dtype is np.float32 else 1e-6)
