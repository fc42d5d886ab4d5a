"""What fused kernels work in is kept from block to block, however wide the rows are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.engine.blocks import BLOCK_BYTES
from lossd.losses import find
from lossd.message import Array, Call
from lossd.numerics import scratch

ROWS = 2**14
# As many bytes to a row as make the largest block, 1.41 times `BLOCK_BYTES`, of a power of two of rows.
WIDEST = int(BLOCK_BYTES * 1.4 / 2**12)


def vectors(width: int, dtype: Any, *names: str) -> dict[str, Array]:
    rng = np.random.default_rng(3)
    return {name: rng.standard_normal((ROWS, width)).astype(dtype) for name in names}


CALLS = {
    "triplet_margin": lambda width, dtype: vectors(width, dtype, "anchor", "positive", "negative"),
    "cosine_embedding": lambda width, dtype: {
        **vectors(width, dtype, "input1", "input2"),
        "target": np.where(np.arange(ROWS) % 2, 1, -1).astype(dtype),
    },
    "cross_entropy": lambda width, dtype: {
        **vectors(width, dtype, "input"),
        "target": np.arange(ROWS) % width,
    },
    "multi_margin": lambda width, dtype: {
        **vectors(width, dtype, "input"),
        "target": np.arange(ROWS) % width,
    },
    "multilabel_soft_margin": lambda width, dtype: {
        **vectors(width, dtype, "input"),
        "target": np.ones((ROWS, width), dtype),
    },
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CALLS)
def test_no_buffer_of_the_largest_block_is_made_anew(
    name: str, dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Recorded()
    monkeypatch.setattr("lossd.engine.fused._of_thread.scratch", found)
    arrays = CALLS[name](WIDEST // np.dtype(dtype).itemsize, dtype)
    evaluate(find(name), Call(arrays, {"gradient": True}))
    assert found.largest > BLOCK_BYTES
    assert found.largest <= scratch._KEPT_BYTES


class Recorded(scratch.Scratch):
    """Remembers how large the largest buffer was."""

    largest = 0

    def of_shape(self, name: str, shape: tuple[int, ...], dtype: Any) -> Array:
        found = super().of_shape(name, shape, dtype)
        self.largest = max(self.largest, found.nbytes)
        return found
