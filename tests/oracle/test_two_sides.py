"""Digits of losses of cosines where vectors are close to one line, on both sides of it: labels nearly learnt."""

from __future__ import annotations

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.losses import LOSSES
from tests.oracle.case import Case
from tests.oracle.exact import MP, numbers
from tests.oracle.test_second_derivatives import TYPES, errors
from tests.oracle.truth import call_of, oracle_rows, truth

THIN = pytest.mark.parametrize("thin", [1e-1, 1e-3])
LOSSES_OF_COSINES = pytest.mark.parametrize("name", ["nt_xent", "supcon"])


def by_sides(thin: float, dtype: type) -> dict[str, np.ndarray]:
    """Return vectors whose label is the side on which they are."""
    embeddings, labels = np.random.default_rng(3).standard_normal((6, 3)), np.arange(6) % 2
    embeddings[:, 0] = np.where(labels, -1, 1) * np.abs(embeddings[:, 0])
    embeddings[:, 1:] *= thin
    return {"embeddings": embeddings.astype(dtype), "labels": labels}


@TYPES
@THIN
@LOSSES_OF_COSINES
def test_gradients_have_as_many_digits_on_two_sides_as_on_one(name: str, thin: float, dtype: type) -> None:
    case = Case("two sides", by_sides(thin, dtype), {"temperature": 0.1})
    gradient = evaluate(LOSSES[name], call_of(case, reduction="sum", gradient=True)).gradient["sum"]
    _, exact = truth(name, case)
    expected = np.array([[float(MP.fsum(part)) for part in row] for row in exact["embeddings"]])
    error, largest = np.abs(gradient["embeddings"] - expected), np.abs(expected).max(axis=0)
    assert (error <= 16 * np.finfo(dtype).eps * largest).all()


@TYPES
@THIN
@LOSSES_OF_COSINES
def test_products_have_as_many_digits_on_two_sides_as_on_one(name: str, thin: float, dtype: type) -> None:
    direction = np.random.default_rng(4).standard_normal((6, 3)).astype(dtype)
    error, exact = errors(name, "embeddings", direction, **by_sides(thin, dtype), temperature=0.1)
    assert (error <= 16 * np.finfo(dtype).eps * exact.max(axis=0)).all()


@TYPES
@pytest.mark.parametrize(
    ("labels", "sides", "item"),
    [
        pytest.param([0, 0, 1, 2], [1, 1, -1, 1], 0, id="a negative of two"),
        pytest.param([0, 1, 0, 2], [1, -1, -1, -1], 0, id="all others"),
        pytest.param([0, 0, 0, 1], [1, 1, -1, -1], 0, id="all negatives, and one of two positives"),
    ],
)
def test_items_on_the_other_side_take_no_digit_of_a_temperature(
    labels: list[int], sides: list[int], item: int, dtype: type
) -> None:
    """All similarities that count are those of one side: vectors are 1e-5 apart there, similarities 1e-9."""
    line = [
        [0.35537627, -0.65383518],
        [0.35537142, -0.65382075],
        [0.35535777, -0.65381604],
        [0.35538784, -0.65381515],
    ]
    embeddings = (np.array(line) * np.array(sides)[:, None]).astype(dtype)
    case = Case("a line", {"embeddings": embeddings, "labels": np.array(labels)}, {"temperature": 0.0625})
    call = call_of(case, reduction="none", gradient=["temperature"])
    call.arrays["upstream"] = np.eye(len(labels), dtype=dtype)[item]
    found = evaluate(LOSSES["nt_xent"], call).gradient["none"]["temperature"]
    arrays = {key: numbers(array) for key, array in case.arrays.items()}
    row = oracle_rows("nt_xent", arrays, case.settings)[item]
    exact = float(MP.fsum(row.gradient["temperature"]))
    assert abs(found - exact) <= np.finfo(dtype).eps / 1e-5 * abs(exact)


def test_the_cosines_of_a_vector_of_zeros_are_exactly_0() -> None:
    arrays = {"embeddings": np.array([[0.0, 0.0], [0.0, 0.0], [-3.2, 2.1]]), "labels": np.array([1, 2, 2])}
    case = Case("zeros", arrays, {"temperature": 0.5})
    found = evaluate(LOSSES["supcon"], call_of(case, reduction="sum", gradient=["temperature"]))
    assert found.gradient["sum"]["temperature"] == 0


@TYPES
def test_cosines_at_right_angles_stay_equal_between_vectors_on_two_sides(dtype: type) -> None:
    """The last item is as far from its positive as from its negative: only the second has a share to lose."""
    vectors = np.array([[2.0, 0.0], [-1.8, 0.0], [0.0, -3.2]], dtype)
    case = Case("axes", {"embeddings": vectors, "labels": np.array([0, 2, 2])}, {"temperature": 0.07})
    found = evaluate(LOSSES["supcon"], call_of(case, reduction="sum", gradient=["temperature"]))
    exact = float(MP.fsum(truth("supcon", case)[1]["temperature"]))
    assert abs(found.gradient["sum"]["temperature"] - exact) <= 16 * np.finfo(dtype).eps * abs(exact)


@TYPES
@LOSSES_OF_COSINES
@pytest.mark.parametrize(
    ("embeddings", "labels"),
    [
        pytest.param([[-1, 0], [1, 0], [-1e-6, -1]], [0, 1, 1], id="two axes"),
        pytest.param([[2, 0], [-1.8, 0], [1e-5, -3.2]], [0, 1, 1], id="of several lengths"),
        pytest.param([[1, 0, 0], [-1, 0, 0], [1e-6, 1, 0], [1e-7, 0, 1]], [0, 1, 1, 0], id="three axes"),
        pytest.param([[1, 0], [-1, 0], [1e-3, 1], [-1e-3, -1]], [0, 1, 1, 0], id="two lines"),
    ],
)
def test_cosines_near_0_have_digits_of_their_own(
    name: str, embeddings: list[list[float]], labels: list[int], dtype: type
) -> None:
    """Vectors next to axes: cosines of 1e-6 follow from products of that size, where 1 would round them."""
    case = Case(
        "axes", {"embeddings": np.array(embeddings, dtype), "labels": np.array(labels)}, {"temperature": 0.07}
    )
    found = evaluate(LOSSES[name], call_of(case, reduction="sum", gradient=["embeddings", "temperature"]))
    _, exact = truth(name, case)
    gradient, eps = found.gradient["sum"], np.finfo(dtype).eps
    expected = np.array([[float(MP.fsum(part)) for part in row] for row in exact["embeddings"]])
    assert (np.abs(gradient["embeddings"] - expected) <= 16 * eps * np.abs(expected)).all()
    slope = float(MP.fsum(exact["temperature"]))
    assert abs(gradient["temperature"] - slope) <= 16 * eps * abs(slope)
