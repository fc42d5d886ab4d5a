"""Triplets whose anchor is far from both others, or whose distances leave the type: by exact arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.losses import find
from lossd.message import Answer, Call
from tests.oracle.exact import MP, numbers
from tests.oracle.formulas_of_sets import triplet_margin

NAMES = ("anchor", "positive", "negative")
STEP = MP.mpf(10) ** -60
ANCHORS = {1e8: 1e-15, 1e5: 1e-15, 30.0: 1e-14, 3.0: 1e-14}  # to the error over the largest part


def ask(triplet: Any, **options: Any) -> Answer:
    arrays = dict(zip(NAMES, map(np.asarray, triplet), strict=True))
    arrays |= {key: options.pop(key) for key in list(options) if key.startswith("hvp")}
    return evaluate(find("triplet_margin"), Call(arrays, {"reduction": "none", "eps": 0.0, **options}))


def exact_product(
    triplet: list[np.ndarray], direction: Any, name: str = "anchor", **settings: Any
) -> np.ndarray:
    """Return the Hessian of the first row times a direction, by differences of the exact gradient."""
    given = dict(zip(NAMES, (numbers(array[0]) for array in triplet), strict=True))

    def slopes(step: Any) -> list[Any]:
        moved = [x + step * v for x, v in zip(given[name], direction, strict=True)]
        found = triplet_margin(**{**given, name: moved}, eps=0.0, **settings)
        return [MP.fsum(addends) for addends in found.gradient[name]]

    differences = zip(slopes(STEP), slopes(-STEP), strict=True)
    return np.array([float((ahead - behind) / (2 * STEP)) for ahead, behind in differences])


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("p", [1.5, 2.0, 3.0, 4.5])
@pytest.mark.parametrize("far", ANCHORS)
def test_the_curvature_of_two_nearly_equal_distances_keeps_its_digits(far, p, swap):
    """Each distance curves by 1 over its length, their difference by 1 over its square."""
    rng = np.random.default_rng(7)
    anchor = np.array([[0.3 * far, -0.5 * far, far] if p != 2 else [0.3, -0.5, far]])
    positive, negative = rng.standard_normal((2, 1, 3))
    if swap:  # with the negative nearer to the anchor than to the positive
        negative += [[0.0, 9.0, 0.8 * far]]
    triplet, direction = [anchor, positive, negative], np.array([[1.0, -2.0, 0.5]])
    settings = {"margin": 9.0 * far, "swap": swap, "p": p}
    answer = ask(triplet, hvp=direction, hessian=True, **settings)
    exact = exact_product(triplet, direction[0], **settings)
    bends = [exact_product(triplet, axis, **settings)[place] for place, axis in enumerate(np.eye(3))]
    for found, expected in ((answer.hvp, exact), (answer.hessian, bends)):
        np.testing.assert_allclose(
            found["none"]["anchor"][0], expected, rtol=0, atol=ANCHORS[far] * np.abs(expected).max()
        )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("p", [1.5, 2.0, 3.0, 10.0])
def test_a_product_with_the_curvature_of_any_norm_keeps_its_digits(p, dtype):
    """What is at right angles to the differences is all of it: along them norms do not curve."""
    rng = np.random.default_rng(11)
    for _ in range(20):
        triplet = [*rng.standard_normal((3, 1, 4)).astype(dtype)]
        near = (triplet[0] - triplet[1])[0]
        for direction in (near * dtype(3), rng.standard_normal(4).astype(dtype)):
            settings = {"margin": 9.0, "p": p}
            found = ask(triplet, hvp=direction[None], **settings).hvp["none"]["anchor"][0]
            exact = exact_product(triplet, numbers(direction), **settings)
            limits = np.finfo(dtype)
            np.testing.assert_allclose(
                found, exact, rtol=0, atol=4 * p * limits.eps * np.abs(direction).max()
            )


@pytest.mark.parametrize("name", ["positive", "negative"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("p", [1.5, 2.0, 3.0, 10.0, 30.0])
def test_each_vector_has_the_curvature_of_its_sides(p, swap, dtype, name):
    """Also where one coordinate makes nearly all of a side, and the powers of the others vanish beside 1."""
    rng = np.random.default_rng(19)
    for thin in (1.0, 1e-1, 1e-3, 1e-5):
        triplet = [*(rng.standard_normal((3, 1, 3)) * [1.0, thin, thin]).astype(dtype)]
        direction = rng.integers(-3, 4, (1, 3)).astype(dtype)
        settings = {"margin": 9.0, "swap": swap, "p": p}
        answer = ask(triplet, **{f"hvp.{name}": direction}, hessian=[name], **settings)
        exact = exact_product(triplet, numbers(direction[0]), name, **settings)
        axes = enumerate(np.eye(3))
        bends = [exact_product(triplet, axis, name, **settings)[place] for place, axis in axes]
        eps, least = 8 * p * np.finfo(dtype).eps, 16 * float(np.finfo(dtype).smallest_subnormal)
        for found, expected in ((answer.hvp, exact), (answer.hessian, bends)):
            largest = np.abs(expected).max()
            np.testing.assert_allclose(found["none"][name][0], expected, rtol=0, atol=eps * largest + least)
        if name == "negative" or not swap:  # else the curvatures of two sides may cancel
            np.testing.assert_allclose(answer.hessian["none"][name][0], bends, rtol=eps, atol=least)


def test_a_product_with_two_directions_has_the_whole_slope_of_a_norm_whose_powers_vanish():
    triplet = [np.array([row], np.float32) for row in ([0, 0], [1, 0.5], [-3, -1])]
    directions = {"hvp.positive": np.float32([[1, 0]]), "hvp.negative": np.float32([[0, 0]])}
    found = ask(triplet, **directions, p=30.0, margin=9.0).hvp["none"]["positive"][0]
    exact = exact_product(triplet, [1, 0], "positive", p=30.0, margin=9.0)
    np.testing.assert_allclose(found, exact, rtol=1e-5)


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0])
def test_a_subnormal_distance_on_a_line_does_not_curve(p):
    """One over it is infinite, but a distance on a line is the absolute difference."""
    answer = ask([[[0.0]], [[1.0]], [[-1.5e-323]]], p=p, swap=True, hvp=np.array([[-1.0]]), hessian=True)
    assert answer.hvp["none"]["anchor"] == 0
    assert answer.hessian["none"]["anchor"] == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_small_difference_keeps_its_sign_beside_one_that_overflows(dtype):
    """The slopes of a sum of absolute differences are signs."""
    limits = np.finfo(dtype)
    tiny, top = limits.smallest_subnormal, limits.max
    positive, negative = np.array([[-3 * tiny, top]], dtype), np.array([[1, top / 2]], dtype)
    for far in (-top, -np.inf):
        anchor = np.array([[-tiny, far]], dtype)
        answer = ask([anchor, positive, negative], p=1.0, swap=True, gradient=True)
        # To the anchor and away from the negative: in each coordinate these are opposite directions.
        np.testing.assert_array_equal(answer.gradient["none"]["positive"], [[0, 0]])


NORMS = [1.0, 1.5, 2.0, 3.0, 50.0]


def assert_exact(triplet: list[np.ndarray], far: float, **settings: Any) -> None:
    """Compare the loss and gradients of one row with exact ones.

    To the digits of the largest slope, and of the angle at ``far`` under which two vectors of 4 at most are seen: a
    coordinate that makes the whole norm has a slope of nearly 1 in both distances, of any p.
    """
    answer = ask(triplet, gradient=True, **settings)
    exact = triplet_margin(
        **{name: numbers(array[0]) for name, array in zip(NAMES, triplet, strict=True)}, eps=0.0, **settings
    )
    eps = 8 * settings["p"] * np.finfo(triplet[0].dtype).eps
    value = float(MP.fsum(exact.value))
    np.testing.assert_allclose(answer.loss["none"][0], value, rtol=eps)
    for name in NAMES:
        slopes = np.array([float(MP.fsum(addends)) for addends in exact.gradient[name]])
        np.testing.assert_allclose(
            answer.gradient["none"][name][0], slopes, rtol=eps, atol=eps * (np.abs(slopes).max() + 4 / far)
        )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("far", [1e17, 1e5, 30.0])
def test_the_difference_of_two_long_distances_keeps_its_digits_in_any_norm(far, p, dtype):
    rng = np.random.default_rng(13)
    for _ in range(10):
        anchor = dtype(far) * rng.choice([-1, 1, 1e-3], (1, 4)).astype(dtype)
        positive, negative = rng.standard_normal((2, 1, 4)).astype(dtype)
        assert_exact([anchor, positive, negative], far, p=p, margin=8.0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("far", [1e17, 1e5, 30.0])
def test_so_it_does_where_the_positive_is_far_from_both_and_the_negative_nearer_to_it(far, p, dtype):
    rng = np.random.default_rng(17)
    for _ in range(10):
        positive = dtype(far) * rng.choice([-1, 1], (1, 4)).astype(dtype)
        anchor = rng.standard_normal((1, 4)).astype(dtype)
        negative = anchor + np.sign(positive) * rng.uniform(0.5, 2, (1, 4)).astype(dtype)
        # The negative is as far from the positive, and farther from the anchor by a multiple of the positive.
        assert_exact([anchor, positive, negative], far, p=p, margin=8.0, swap=True)
        assert_exact(
            [anchor * dtype(far), positive, -negative * dtype(far)], far, p=p, margin=9.0 * far, swap=True
        )


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("other", [0.0, 1e-30, 1e30, 3e38, np.nan, np.inf])
def test_the_other_rows_of_a_block_do_not_change_a_triplet(other, swap, p):
    triplet = (
        [np.array(each, np.float32)[None] for each in ([3000, 4000], [1, 1], [1.001, 1.002])],
        [np.array(each, np.float32)[None] for each in ([4e8, 0], [1, 0], [9, 0])],
    )
    besides = np.array([[[other, 0]], [[0, 0]], [[1, 2]]], np.float32)
    for single in triplet:
        alone = ask(single, p=p, swap=swap, margin=0.0, gradient=True)
        beside = ask(
            [np.concatenate(pair) for pair in zip(single, besides, strict=True)],
            p=p,
            swap=swap,
            margin=0.0,
            gradient=True,
        )
        # A row that overflows takes the whole block to float64, which rounds elsewhere.
        np.testing.assert_allclose(beside.loss["none"][0], alone.loss["none"][0], rtol=1e-6)
        for name, slopes in alone.gradient["none"].items():
            np.testing.assert_allclose(beside.gradient["none"][name][:1], slopes, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("p", NORMS)
def test_an_equal_row_leaves_the_mean_of_the_others_as_it_was(p):
    """Means take the fused kernel where there is one."""
    triplet = [np.array([row, [0.0]], np.float32) for row in ([4e8], [1.0], [9.0])]
    answer = ask(triplet, p=p, reduction="mean", margin=1.0, gradient=True)
    assert answer.loss["mean"] == 5.0
    np.testing.assert_array_equal(answer.gradient["mean"]["negative"][0], [0.5])


@pytest.mark.parametrize("p", NORMS)
def test_a_pair_that_is_one_vector_has_the_product_that_it_nearly_has(p):
    """The curvature by the negative of two equal differences comes from their logarithms, which are 0 there."""
    anchor, positive = np.array([[50.0, -30.0]]), np.array([[1.0, 2.0]])
    direction = np.array([[1.0, -2.0]])

    def product(negative: np.ndarray) -> np.ndarray:
        arrays = {"anchor": anchor, "positive": positive, "negative": negative, "hvp.negative": direction}
        options = {"reduction": "none", "eps": 0.0, "p": p}
        return evaluate(find("triplet_margin"), Call(arrays, options)).hvp["none"]["negative"]

    np.testing.assert_allclose(product(positive.copy()), product(positive + 1e-9), rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("reduction", "far"),
    # The fused kernel leaves to the other those whose directions differ by less than 1 / 16.
    [("none", 1.0), *((reduction, far) for reduction in ("none", "sum") for far in (30.0, 1e3, 1e6))],
)
def test_each_coordinate_of_directions_that_are_nearly_one_axis_keeps_its_digits(far, reduction, dtype):
    """Whatever the margin: it hides no digit of the gradient that it hides of the loss."""
    rng = np.random.default_rng(23)
    for _ in range(20):
        # Small whole numbers: the differences are exact.
        anchor = np.array([[far, 0.0, 0.0]], dtype)
        positive, negative = (
            np.concatenate([-rng.integers(1, 9, (1, 1)) * far, rng.integers(1, 9, (1, 2)) / 64], axis=1)
            for _ in range(2)
        )
        triplet = [anchor, positive.astype(dtype), negative.astype(dtype)]
        found = ask(triplet, reduction=reduction, margin=70 * far, gradient=True).gradient[reduction][
            "anchor"
        ]
        given = dict(zip(NAMES, (numbers(array[0]) for array in triplet), strict=True))
        exact = triplet_margin(**given, eps=0.0, margin=70 * far).gradient["anchor"]
        slopes = np.array([float(MP.fsum(addends)) for addends in exact])
        rounding = 8 * np.finfo(dtype).eps
        thin = np.abs(triplet[0] - triplet[1])[0] / far
        # The others are as long as the vectors are thin, and the longest is of the order of their square.
        np.testing.assert_allclose(found[0, 1:], slopes[1:], rtol=0, atol=rounding * thin[1:].max())
        np.testing.assert_allclose(found[0, 0], slopes[0], rtol=0, atol=rounding * thin[1:].max() ** 2)


@pytest.mark.parametrize("reduction", ["none", "sum"])
def test_an_anchor_on_a_line_with_both_others_ahead_has_no_slope(reduction):
    answer = ask([np.float32([[x]]) for x in (0, 49, 41)], reduction=reduction, margin=100.0, gradient=True)
    assert answer.gradient[reduction]["anchor"] == 0


def test_a_product_with_two_directions_is_also_along_the_longest_coordinate():
    triplet = [np.array([row], np.float64) for row in ([0, 0], [1, 0.01], [2, 0.03])]
    directions = {"hvp.anchor": np.float64([[1, 2]]), "hvp.negative": np.float64([[0, 0]])}
    found = ask(triplet, **directions, margin=9.0).hvp["none"]["anchor"][0]
    np.testing.assert_allclose(found, exact_product(triplet, [1, 2], margin=9.0), rtol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("nearer", ["anchor", "positive"])
def test_a_far_negative_is_nearer_to_one_of_both_with_swap(nearer, p, dtype):
    """By less than its distances have digits: these are equal as they are rounded, and no tie."""
    ends = {"anchor": [[0.002, 0.001]], "positive": [[-0.002, -0.001]]}
    anchor, positive = [*ends.values()] if nearer == "anchor" else [*ends.values()][::-1]
    far = 1e5 if dtype == np.float32 else 1e14
    triplet = [np.array(each, dtype) for each in (anchor, positive, [[far, far / 2]])]
    assert_exact(triplet, 1.0, margin=4 * far, p=p, swap=True)


@pytest.mark.parametrize("p", [0.5, 1.0, 1.5, 2.0, 3.0, 30.0])
def test_two_lengths_on_a_line_differ_by_no_slope(p):
    """Any norm of one number is its size: where both differences have one sign, the anchor's slopes cancel whole."""
    triplet = [np.array([[each]], np.float32) for each in (0.1, -5.6e16, 3e-24 - 5.7e5)]
    answer = ask(triplet, p=p, margin=1e20, gradient=True, hessian=True, hvp=np.ones((1, 1)))
    for found in (answer.gradient, answer.hessian, answer.hvp):
        assert found["none"]["anchor"] == 0


def test_two_sides_that_a_shift_makes_alike_curve_by_what_the_shift_swallows():
    """Of anchor less positive and positive less negative, which `eps` makes nearly equal, in any norm."""
    triplet = [[[-1.2900209053855778e-14, 0.0, 0.0]], [[0.0] * 3], [[-1.2900209053855775e-14, 0.0, 0.0]]]
    answer = ask(triplet, p=3.0, eps=-0.28567384018742437, swap=True, hessian=["positive"])
    found = answer.hessian["none"]["positive"][0, 0]
    np.testing.assert_allclose(found, -1.3509909485644173e-13, rtol=1e-12)


def test_a_side_that_curves_more_than_another_beyond_range_curves_infinitely():
    triplet = [[[1.6487e-320, 1.651e-320, -4.24e-321]], [[1.6477e-320, 1.651e-320, -4.224e-321]]]
    negative = [[5e-324, -1.5e-323, -5e-324]]
    found = ask([*triplet, negative], margin=522.4, swap=True, hessian=["positive"]).hessian["none"][
        "positive"
    ]
    assert found[0, 0] == np.inf


@pytest.mark.parametrize(
    ("dtype", "eps", "expected"),
    [
        (np.float32, 1024.0, 1.6493045),
        (np.float32, 2.0**20, 1.649049),
        (np.float32, 1e10, 1.6490485),
        (np.float64, 1024.0, 1.6493045423046874),
        (np.float64, 1e10, 1.64904851945438),
    ],
)
def test_a_shift_does_not_swallow_how_much_longer_one_side_is_than_another(dtype, eps, expected):
    triplet = [np.array([row], dtype) for row in ([1.75, 0], [0.5, 0.25], [1.25, 0.125])]
    found = ask(triplet, eps=eps, swap=True, margin=0.5).loss["none"][0]
    np.testing.assert_allclose(found, expected, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_shift_swallows_no_difference_of_numbers(dtype):
    triplet = [np.array([[x]], dtype) for x in (1.75, 0.5, 1.25)]
    assert ask(triplet, eps=1e18, swap=True, margin=0.5).loss["none"][0] == 2.5
