"""Sums derivatives over the axes that a broadcast made."""

from __future__ import annotations

import numpy as np

from lossd.engine.bind import BoundArray, with_last_axis
from lossd.message import Array


def in_own_shape(array: Array, given: BoundArray) -> Array:
    """Return a derivative in the shape of its argument."""
    return array if given.broadcast is None else _sum_to(array, given)


def _sum_to(array: Array, given: BoundArray) -> Array:
    """Sum an array of the broadcast shape over the axes that the broadcast made."""
    core_count = len(given.core)
    shape = list(with_last_axis(given.array, given.role, given.broadcast or ()).shape)
    moved = [shape[axis] for axis in range(len(shape)) if axis not in given.core]
    moved += [shape[axis] for axis in given.core]
    lead = array.ndim - len(moved)
    accumulate = np.result_type(array, np.float64)
    if lead or array.dtype != accumulate:
        array = np.add.reduce(array, axis=tuple(range(lead)), dtype=accumulate)
    stretched = tuple(a for a, size in enumerate(moved) if size == 1 and array.shape[a] != 1)
    array = np.add.reduce(array, axis=stretched, keepdims=True) if stretched else array
    return (
        np.moveaxis(array, range(-core_count, 0), given.core)
        if core_count
        else array.reshape(given.array.shape)
    )
