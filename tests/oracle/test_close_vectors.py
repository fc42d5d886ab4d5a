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
