"""Second derivatives of what vectors have directions for, where these are close or one coordinate makes most of them.

Exact: differences of the oracle's gradients.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.losses import LOSSES
from tests.oracle.case import Case
from tests.oracle.condition import exact_inputs, rows_and_gradients
from tests.oracle.curvature import hessian_diagonal, hessian_vector
from tests.oracle.exact import MP
from tests.oracle.truth import call_of

TYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def errors(name: str, of: str, direction: Any = None, **given: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return how far each element is off, and the exact ones: of the Hessian's diagonal or of a product with it."""
    arrays = {key: each for key, each in given.items() if isinstance(each, np.ndarray)}
    case = Case(name, arrays, {key: each for key, each in given.items() if key not in arrays})
    kind = "hessian" if direction is None else "hvp"
    asked = {"hessian": [of]} if direction is None else {f"hvp.{of}": direction}
    answer = evaluate(LOSSES[name], call_of(case, reduction="sum", **asked))
    got = getattr(answer, kind)["sum"][of]
    exact, inputs, numbers = rows_and_gradients(name, False), exact_inputs(case), range(got.size)
    if direction is None:
        truth = hessian_diagonal(exact, *inputs, of, numbers)
    else:
        along = np.array([MP.mpf(float(x)) for x in direction.ravel()], object).reshape(direction.shape)
        truth = hessian_vector(exact, *inputs, of, along, numbers)
    found = np.array([float(x) for x in truth]).reshape(got.shape)
    return np.abs(got - found), np.abs(found)


def both(name: str, of: str, **given: Any) -> Any:
    """Yield errors and exact elements of the diagonal and of a product."""
    yield errors(name, of, **given)
    yield errors(name, of, np.random.default_rng(5).integers(1, 4, given[of].shape) / 2, **given)


@TYPES
@pytest.mark.parametrize("of", ["embeddings", "prototypes"])
@pytest.mark.parametrize("angle", [1e-1, 1e-3, 1e-5])
def test_the_curvature_of_an_angle_next_to_0_has_the_digits_of_the_angle(angle, of, dtype):
    """In a plane it is that of a cosine, of which nothing grows as the angle shrinks."""
    rng = np.random.default_rng(3)
    prototypes = rng.standard_normal((3, 2))
    embeddings = prototypes[:2] + angle * rng.standard_normal((2, 2))
    arrays = {"embeddings": embeddings.astype(dtype), "prototypes": prototypes.astype(dtype)}
    for error, exact in both("arcface", of, **arrays, labels=np.arange(2), scale=4.0):
        assert (error <= 8 * np.finfo(dtype).eps / angle * exact.max()).all()


@TYPES
@pytest.mark.parametrize("of", ["embeddings", "prototypes"])
@pytest.mark.parametrize("thin", [1e-1, 1e-3])
def test_angles_curve_by_a_coordinate_that_all_vectors_share_as_little_as_they_do(thin, of, dtype):
    """The curvature by it is of the order of the others' squares."""
    rng = np.random.default_rng(3)
    vectors = (rng.standard_normal((5, 2)) * [0, thin] + [1, 0]).astype(dtype)
    arrays = {"embeddings": vectors[:2], "prototypes": vectors[2:]}
    for error, exact in both("arcface", of, **arrays, labels=np.arange(2), scale=4.0):
        assert (error <= 32 * np.finfo(dtype).eps * exact.max(axis=0)).all()


@TYPES
@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("thin", [1e-1, 1e-3])
@pytest.mark.parametrize("name", ["nt_xent", "supcon"])
def test_cosines_of_pairs_curve_as_little_by_a_coordinate_that_makes_nearly_all(name, thin, size, dtype):
    rng = np.random.default_rng(3)
    embeddings = rng.standard_normal((6, size))
    embeddings[:3, 1:] *= thin
    given = {"embeddings": embeddings.astype(dtype), "labels": np.arange(6) % 2}
    for error, exact in both(name, "embeddings", **given, temperature=0.5):
        own = exact[:3].max(axis=0)
        assert (error[:3] <= 16 * np.finfo(dtype).eps * own).all()


def test_a_hazard_that_is_nothing_beside_another_still_moves_it():
    """Both levels of risk are rounded to one number, and move apart."""
    given = {"durations": np.array([2.0, 1.0]), "events": np.array([False, True])}
    log_h, direction = np.array([36.7, -0.1]), np.array([0.0, 2.0])
    error, exact = errors("cox", "log_h", direction, log_h=log_h, **given)
    assert (error <= 1e-13 * exact).all()


@TYPES
@pytest.mark.parametrize("of", ["embeddings", "prototypes"])
@pytest.mark.parametrize("own", [1.0, -1.0], ids=["at its prototype", "opposite"])
def test_without_a_margin_an_angle_of_0_is_smooth(own, of, dtype):
    """The angle itself has a kink there, its cosine has none."""
    prototypes = np.array([[0.0, own], [1.0, 0.5]], dtype)
    given = {"embeddings": np.array([[0.0, 2.0]], dtype), "prototypes": prototypes, "labels": np.array([0])}
    error, exact = errors("arcface", of, **given, margin=0.0, scale=4.0)
    assert (error <= 8 * np.finfo(dtype).eps * exact.max()).all()


def test_the_curvature_of_a_vector_too_small_for_it_is_infinite():
    """The parts of its own class and of the others are beyond the range, of either sign."""
    embeddings = np.array([[3.09e-314, 2.59e-316], [-1.83e-314, -5.72e-314]])
    prototypes = np.array([[-1.09, 7.83], [1.04, -0.83]])
    given = {"embeddings": embeddings, "prototypes": prototypes, "labels": np.array([1, 0])}
    case = Case("tiny", given, {"margin": 0.0, "scale": 1e-24})
    found = evaluate(LOSSES["arcface"], call_of(case, reduction="sum", hessian=["embeddings"])).hessian
    assert np.isinf(found["sum"]["embeddings"]).all()


@pytest.mark.parametrize("eps", [0.5, 1e100])
def test_a_kink_has_no_second_derivative_however_little_it_bends(eps):
    """Two boxes without a side: what moves one edge of x changes slopes of y to either side."""
    boxes = {"boxes1": np.zeros((1, 4)), "boxes2": np.zeros((1, 4))}
    exact, inputs = rows_and_gradients("giou", False), exact_inputs(Case("giou", boxes, {"eps": eps}))
    direction = np.array([[MP.mpf(-1), MP.mpf(0), MP.mpf(0), MP.mpf(0)]], dtype=object)
    assert hessian_vector(exact, *inputs, "boxes1", direction, range(4)) == [0, None, 0, None]
