"""This file is how many numbers are added without losing digits, at the speed of one pass.

Adding n float32 numbers one by one errs by up to n ulp, and NumPy's float64 accumulation of float32
costs three times a plain sum. So short runs are added by BLAS in the numbers' own type, where its
lanes keep the error below an ulp, and the runs' sums are added in float64. Runs start at fixed
places: the bits of a sum depend on the numbers alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np

from lossd.message import Array

RUN = 512
_ONES: Mapping[np.dtype[Any], Array] = {
    np.dtype(kind): np.ones(RUN, kind) for kind in (np.float32, np.float64)
}


def total(values: Array) -> float:
    """Return the sum of contiguous float32 or float64 values, ``(n,)``."""
    found = _total(values, _ONES[values.dtype])
    # The sum of a run may overflow float32 where the sum of all does not overflow float64.
    return found if isfinite(found) else float(np.add.reduce(values, dtype=np.float64))


def dot(left: Array, right: Array) -> float:
    """Return the sum of products of contiguous float32 or float64 values, each ``(n,)``."""
    found = _dot(left, right)
    return found if isfinite(found) else float(np.add.reduce(left * right, dtype=np.float64))


def _total(values: Array, ones: Array) -> float:
    size = values.size
    if size <= RUN:
        return float(values @ ones[:size])
    whole = size - size % RUN
    runs = values[:whole].reshape(-1, RUN) @ ones
    return float(np.add.reduce(runs, dtype=np.float64)) + float(values[whole:] @ ones[: size - whole])


def _dot(left: Array, right: Array) -> float:
    size = left.size
    if size <= RUN:
        return float(left @ right)
    whole = size - size % RUN
    runs = np.vecdot(left[:whole].reshape(-1, RUN), right[:whole].reshape(-1, RUN))
    return float(np.add.reduce(runs, dtype=np.float64)) + float(left[whole:] @ right[whole:])
