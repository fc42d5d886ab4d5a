"""Products with the Hessian by dual numbers, of inputs whose tangents leave the range of their type."""

from __future__ import annotations

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.losses import LOSSES
from lossd.message import Call

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
RNG = np.random.default_rng(0)
EMBEDDINGS = RNG.standard_normal((6, 3))
DIRECTION = RNG.standard_normal((6, 3))
LABELS = np.array([0, 0, 1, 1, 2, 2])


def _product(name: str, embeddings: np.ndarray, direction: np.ndarray) -> np.ndarray:
    call = Call(
        {"embeddings": embeddings, "labels": LABELS, "hvp": direction.astype(embeddings.dtype)},
        {"temperature": 1.0, "reduction": "sum"},
    )
    return evaluate(LOSSES[name], call).hvp["sum"]["embeddings"]


@DTYPES
@pytest.mark.parametrize("name", ["nt_xent", "supcon"])
def test_a_product_scales_with_a_vector_however_short_it_is(name: str, dtype: type) -> None:
    """The loss does not depend on lengths: with one times s, its row of the product for its direction times s is 1/s's.

    Tangents of a direction of length 1 are about 1 / s, which float32 and float64 have no number for.
    """
    limits = np.finfo(dtype)
    power = limits.minexp - limits.nmant // 2  # of a subnormal number that has digits left
    plain = np.ldexp(np.rint(np.ldexp(EMBEDDINGS, 4)), -4).astype(dtype)
    short = plain.copy()
    short[0] = np.ldexp(plain[0], power)
    along = DIRECTION.copy()
    along[0] = 0  # what the others feel of it does not change
    expected, found = _product(name, plain, along), _product(name, short, along)
    np.testing.assert_allclose(found[1:], expected[1:], rtol=40 * limits.eps)


@DTYPES
@pytest.mark.parametrize("name", ["nt_xent", "supcon"])
def test_what_leaves_the_type_is_infinite_and_nothing_is_nan(name: str, dtype: type) -> None:
    short = EMBEDDINGS.astype(dtype)
    short[0] = np.finfo(dtype).smallest_subnormal * 3
    found = _product(name, short, DIRECTION)
    assert np.isinf(found[0]).all()
    assert not np.isnan(found).any()


@DTYPES
@pytest.mark.parametrize("name", ["nt_xent", "supcon"])
def test_a_batch_without_pairs_has_a_product_of_0(name: str, dtype: type) -> None:
    short = EMBEDDINGS.astype(dtype)
    short[::2] = np.finfo(dtype).smallest_subnormal
    call = Call(
        {"embeddings": short, "labels": np.arange(6), "hvp": DIRECTION.astype(dtype)}, {"reduction": "sum"}
    )
    assert not evaluate(LOSSES[name], call).hvp["sum"]["embeddings"].any()
