"""Small parts, so that small files have many."""

from __future__ import annotations

import numpy as np
import pytest

from lossd.bulk import plan

ROWS, CLASSES = 20_011, 48  # 4096 rows to a block of float32


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a part be of a megabyte."""
    monkeypatch.setattr(plan, "PART_BYTES", 1 << 20)


@pytest.fixture(scope="session")
def logits() -> np.ndarray:
    return np.random.default_rng(5).standard_normal((ROWS, CLASSES)).astype(np.float32)


@pytest.fixture(scope="session")
def labels() -> np.ndarray:
    return np.random.default_rng(6).integers(0, CLASSES, ROWS)
