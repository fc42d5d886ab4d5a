"""Cosines next to 1: what they lack to it has as many digits as the angle has, not the few that 1 leaves."""

from __future__ import annotations

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.losses import LOSSES
from lossd.message import Call
from tests.oracle.exact import MP, numbers
from tests.oracle.formulas_of_vectors import arcface, barlow_twins, cosine_embedding

TYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])
ANGLES = pytest.mark.parametrize("angle", [1e-2, 1e-4, 1e-6])


def value(name, dtype, settings=None, **arrays):
    call = Call(arrays, {**(settings or {}), "reduction": "sum"})
    return float(evaluate(LOSSES[name], call).loss["sum"])


def close(angle, dtype, count=4):
    rng = np.random.default_rng(3)
    one = rng.standard_normal((count, 5))
    return one.astype(dtype), (one + angle * rng.standard_normal(one.shape)).astype(dtype)


@TYPES
@ANGLES
def test_what_a_cosine_lacks_to_1_keeps_its_digits(dtype, angle):
    one, other = close(angle, dtype)
    for row in range(len(one)):
        exact = cosine_embedding(input1=numbers(one[row]), input2=numbers(other[row]), target=MP.mpf(1))
        (truth,) = exact.value
        arrays = {"input1": one[row], "input2": other[row], "target": np.ones((), dtype)}
        error = abs(value("cosine_embedding", dtype, **arrays) / float(truth) - 1)
        assert error < 8 * np.finfo(dtype).eps / angle


@pytest.mark.parametrize(
    ("dtype", "one", "other", "lacking"),
    [
        (
            np.float32,
            [97.73011016845703, 1.5, 0.030091935768723488],
            [97.73011779785156, 1.4999998807907104, 0.03009193204343319],
            2.9238362073371068e-18,
        ),
        (
            np.float64,
            [1.4562595569796368, -0.00041087336080210143, -0.0002425553777086664],
            [1.4562595569796375, -0.00041087336080210154, -0.00024255537770866633],
            1.0206736700636898e-38,
        ),
    ],
)
def test_the_rounded_lengths_of_unit_vectors_add_nothing(dtype, one, other, lacking):
    """Of vectors of nearly one coordinate rounding hardly turns the direction."""
    arrays = {"input1": np.array(one, dtype), "input2": np.array(other, dtype), "target": np.ones((), dtype)}
    found = value("cosine_embedding", dtype, **arrays)
    assert found == pytest.approx(lacking, rel=8 * float(np.finfo(dtype).eps), abs=0)


@TYPES
@ANGLES
def test_correlations_next_to_1_keep_their_digits(dtype, angle):
    one, other = close(angle, dtype)
    (truth,) = barlow_twins(z1=numbers(one), z2=numbers(other), lambd=0.0)
    error = abs(
        value("barlow_twins", dtype, {"lambd": 0.0}, z1=one, z2=other) / float(MP.fsum(truth.value)) - 1
    )
    assert error < 16 * np.finfo(dtype).eps / angle


@TYPES
@ANGLES
def test_a_vector_next_to_its_prototype_keeps_the_slope_of_its_angle(dtype, angle):
    """The slope of the angle does not vanish with it."""
    vectors, prototypes = close(angle, dtype)
    labels = np.arange(4)
    arrays = {"embeddings": vectors, "labels": labels, "prototypes": prototypes}
    answer = evaluate(LOSSES["arcface"], Call(arrays, {"reduction": "sum", "gradient": True, "scale": 1.0}))
    for row in labels:
        exact = arcface(
            embeddings=numbers(vectors[row]), labels=int(row), prototypes=numbers(prototypes), scale=1.0
        )
        truth = np.array([float(MP.fsum(part)) for part in exact.gradient["embeddings"]])
        error = np.abs(answer.gradient["sum"]["embeddings"][row] - truth).max() / np.abs(truth).max()
        assert error < 8 * np.finfo(dtype).eps / angle


@TYPES
@pytest.mark.parametrize("far", [1.0, 1e3, 1e6])
def test_an_item_far_from_all_others_keeps_the_digits_of_its_slope(far, dtype):
    """To move it hardly turns its dimension: its slope is as many times less than theirs as it is farther."""
    rng = np.random.default_rng(4)
    views = rng.standard_normal((2, 6, 3))
    views[0, 2, 1] *= far
    z1, z2 = views.astype(dtype)
    answer = evaluate(
        LOSSES["barlow_twins"], Call({"z1": z1, "z2": z2}, {"reduction": "sum", "gradient": True})
    )
    (truth,) = barlow_twins(z1=numbers(z1), z2=numbers(z2))
    exact = float(MP.fsum(truth.gradient["z1"][2][1]))
    assert abs(answer.gradient["sum"]["z1"][2, 1] - exact) <= 32 * np.finfo(dtype).eps * abs(exact)
