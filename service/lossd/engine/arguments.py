"""Reads the arguments of a block, checked, as a kernel takes them."""

from __future__ import annotations

import numpy as np

from lossd.engine.bind import Bound, BoundArray
from lossd.engine.check import (
    CheckedNames,
    check_block,
    check_constraints,
    check_sums,
    holds_distributions,
)
from lossd.engine.layout import Block
from lossd.message import Array

Arguments = dict[str, Array | None]


def read_arguments(
    bound: Bound, block: Block, checked: CheckedNames, *, strict: bool
) -> tuple[Arguments, frozenset[str]]:
    """Return a block of every argument, and those with a row of probabilities that does not sum to one.

    Args:
        bound: The call.
        block: The rows.
        checked: Arguments whose values are checked.
        strict: Whether probabilities must sum to one.

    Raises:
        InvalidCall: A value is outside its domain, or arguments do not fit together.
    """
    arguments: Arguments = dict.fromkeys(bound.loss.by_name)
    unnormalized = set()
    for name, given in bound.arrays.items():
        dtype = given.array.dtype if _is_read_as_given(given) else bound.dtype_of(given.role)
        if given.rows is None:
            arguments[name] = np.asarray(given.array, dtype, order="C")
            continue
        if name not in checked:
            arguments[name] = given.rows.read(block, dtype)
            continue
        values = given.rows.read(block, None)
        used = _used(given, values, block, bound)
        check_block(given, values, block, bound, used)
        if holds_distributions(given.role) and not check_sums(given, values, block, bound, strict=strict):
            unnormalized.add(name)
        if used is not None:
            values = np.where(used, values.astype(dtype), -1)
        arguments[name] = np.ascontiguousarray(values, dtype)
    check_constraints(arguments, block, bound)
    return arguments, frozenset(unnormalized)


def _is_read_as_given(given: BoundArray) -> bool:
    """Return whether an argument's order is lost where its numbers are rounded; those of 16 bits are not."""
    return given.role.by_order and given.array.dtype.kind in "iuf" and given.array.dtype.itemsize >= 4


def _used(given: BoundArray, values: Array, block: Block, bound: Bound) -> Array | None:
    """Return which numbers of each row count, where an argument says how many; None where all do."""
    lengths = bound.arrays.get(given.role.lengths or "")
    if lengths is None:
        return None
    assert lengths.rows is not None
    used: Array = np.arange(values.shape[-1]) < lengths.rows.read(block, None)[:, None]
    return used
