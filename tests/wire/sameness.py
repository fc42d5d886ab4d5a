"""When two arrays, calls or answers are the same: every bit, NaN included."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np


def assert_same(left, right) -> None:
    if dataclasses.is_dataclass(left):
        assert type(left) is type(right)
        for field in dataclasses.fields(left):
            assert_same(getattr(left, field.name), getattr(right, field.name))
    elif isinstance(left, Mapping):
        assert left.keys() == right.keys()
        for name in left:
            assert_same(left[name], right[name])
    elif isinstance(left, tuple):
        assert type(left) is type(right)
        for one, other in zip(left, right, strict=True):
            assert_same(one, other)
    elif isinstance(left, np.ndarray | np.generic) or isinstance(right, np.ndarray | np.generic):
        left, right = np.asarray(left), np.asarray(right)
        assert left.dtype == right.dtype
        assert left.shape == right.shape
        assert left.tobytes() == right.tobytes()
    else:
        assert type(left) is type(right)
        assert left == right
