"""Digits of arcface where prototypes are close to one axis, and far from one class but not from each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.losses import LOSSES
from tests.oracle.case import Case
from tests.oracle.exact import MP
from tests.oracle.test_second_derivatives import TYPES
from tests.oracle.truth import call_of, truth


def relative_errors(case: Case) -> dict[str, float]:
    """Return the largest error of the values and of each gradient, over the largest number of each."""
    answer = evaluate(LOSSES["arcface"], call_of(case, reduction="sum", gradient=["embeddings", "scale"]))
    values, gradients = truth("arcface", case)
    scale = float(MP.fsum(part for row in gradients["scale"] for part in _addends(row)))
    embeddings = np.array([[float(MP.fsum(x)) for x in row] for row in gradients["embeddings"]])
    value = float(MP.fsum(part for row in values for part in row))
    found = answer.gradient["sum"]
    return {
        "value": abs(answer.loss["sum"] / value - 1),
        "scale": abs(found["scale"] / scale - 1),
        "embeddings": float(np.abs(found["embeddings"] - embeddings).max() / np.abs(embeddings).max()),
    }


def _addends(row: Any) -> Any:
    return row if isinstance(row, tuple) else (row,)


@TYPES
@pytest.mark.parametrize("thin", [1e-1, 1e-3])
def test_prototypes_close_to_an_axis_keep_the_digits_by_which_they_differ(thin: float, dtype: type) -> None:
    rng = np.random.default_rng(1)
    prototypes = np.abs(rng.standard_normal((4, 3))) + 0.5
    prototypes[:, 1:] *= thin
    embeddings = rng.standard_normal((5, 3)) * [1, thin, thin]
    arrays = {"embeddings": embeddings.astype(dtype), "prototypes": prototypes.astype(dtype)}
    case = Case("thin", {**arrays, "labels": np.array([0, 2, 2, 1, 3])}, {"margin": 0.0, "scale": 64.0})
    assert max(relative_errors(case).values()) <= 32 * np.finfo(dtype).eps


@TYPES
def test_classes_far_from_the_own_one_keep_the_digits_by_which_they_differ(dtype: type) -> None:
    """The shares of two classes at right angles tell a difference of 1e-8 of them from a margin of 0.2."""
    prototypes = np.array([[-1.0, 0.0, 0.0], [1e-9, 1.0, 0.0], [0.0, 0.0, 1.0]], dtype)
    arrays = {"embeddings": np.array([[1.0, 0.0, 0.0]], dtype), "prototypes": prototypes}
    case = Case("far", {**arrays, "labels": np.array([0])}, {"margin": 0.5, "scale": 1e9})
    assert max(relative_errors(case).values()) <= 16 * np.finfo(dtype).eps


def test_a_subnormal_scale_keeps_its_digits_in_the_gradient_of_a_short_vector() -> None:
    arrays = {
        "embeddings": np.array([[1.7e-237, 2.0e-237]]),
        "prototypes": np.array([[-3.0, 0.6], [1.7, 0.9]]),
        "labels": np.array([0]),
    }
    case = Case("short", arrays, {"margin": 0.05, "scale": 4.4114494e-317})
    assert relative_errors(case)["embeddings"] <= 16 * np.finfo(np.float64).eps
