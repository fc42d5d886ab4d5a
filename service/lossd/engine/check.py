"""This file is the check of values: block by block, while they are in cache.

A value outside its argument's domain is an error that names array, index path and value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np

from lossd.engine.arrange import Arranged, Placed
from lossd.engine.layout import Block
from lossd.errors import invalid
from lossd.losses.domain import Distribution, Interval
from lossd.message import Array

CheckedNames = tuple[str, ...]


def names_to_check(arranged: Arranged, check_target: str) -> CheckedNames:
    """Return the arguments whose values are checked; indices always are."""
    return tuple(
        name
        for name, placed in arranged.placed.items()
        if not anything_goes(placed)
        and (placed.role.domain.integer or name != "target" or check_target != "none")
    )


def check_block(placed: Placed, values: Array, block: Block, arranged: Arranged) -> None:
    """Refuse a block of ``(rows, *core)`` values that holds one outside its domain.

    Raises:
        InvalidCall: The fault names the first such value.
    """
    forbidden = placed.role.domain.forbidden(values, arranged.sizes)
    if forbidden is None:
        return
    row, *rest = np.argwhere(forbidden)[0] if forbidden.ndim else [0]
    value = values[(row, *rest)] if forbidden.ndim else values
    where = _place(placed, _row_number(block, int(row)), [int(place) for place in rest], arranged)
    raise invalid(where, _with_sizes(placed, arranged), value)


def check_shared(arranged: Arranged, names: CheckedNames) -> None:
    """Check the arrays that all rows share."""
    for name in names:
        placed = arranged.placed[name]
        if placed.rows is None:
            forbidden = placed.role.domain.forbidden(placed.array, arranged.sizes)
            if forbidden is not None:
                where = tuple(int(i) for i in np.argwhere(forbidden)[0])
                raise invalid(_path(name, where), _with_sizes(placed, arranged), placed.array[where])


def check_finite(arrays: Mapping[str, Array]) -> None:
    """Refuse the first NaN or infinity among the arrays."""
    for name, array in arrays.items():
        if array.dtype.kind in "iub":
            continue
        finite = np.isfinite(array)
        if not finite.all():
            where = tuple(int(i) for i in np.argwhere(~finite)[0])
            raise invalid(_path(name, where), "a finite number", array[where])


def sums_to_one(values: Array) -> Array | None:
    """Mark the rows of probabilities that do not sum to one, or return None where all do."""
    # To half the digits that the numbers were stored in: their errors add up over the classes.
    tolerance = 0.0 if values.dtype.kind in "iub" else _epsilon(values.dtype) ** 0.5
    wrong = np.abs(np.add.reduce(values, axis=-1, dtype=np.float64) - 1) > tolerance
    return wrong if wrong.any() else None


def _epsilon(dtype: np.dtype[Any]) -> float:
    finfo: Any = ml_dtypes.finfo  # NumPy's own does not know bfloat16
    return float(finfo(dtype).eps)


def check_sums(placed: Placed, values: Array, block: Block, arranged: Arranged, strict: bool) -> bool:
    """Return whether every row of probabilities sums to one; if ``strict`` refuse the first that does not."""
    wrong = sums_to_one(values)
    if wrong is None:
        return True
    if strict:
        row = int(np.flatnonzero(wrong)[0])
        where = _place(placed, _row_number(block, row), [], arranged)
        raise invalid(where, "probabilities that sum to 1", f"a sum of {values[row].sum():.6g}")
    return False


def holds_distributions(placed: Placed) -> bool:
    """Return whether an array holds a probability distribution per row."""
    return isinstance(placed.role.domain, Distribution)


def anything_goes(placed: Placed) -> bool:
    """Return whether every real number is in an argument's domain."""
    return isinstance(placed.role.domain, Interval) and placed.role.domain.unbounded


def _with_sizes(placed: Placed, arranged: Arranged) -> str:
    """Describe a domain with the lengths of this call in place of the dimensions' names."""
    text = str(placed.role.domain)
    for name, size in arranged.sizes.items():
        text = text.replace(f", {name}", f", {size}")
    return text


def _row_number(block: Block, row: int) -> int:
    return block.start + row if isinstance(block, slice) else int(block[row])


def _place(placed: Placed, row: int, core: list[int], arranged: Arranged) -> str:
    """Return the path of a value in the caller's own axes."""
    batch: list[Any] = [int(i) for i in np.unravel_index(row, arranged.batch)] if arranged.batch else []
    name, rank = placed.argument.name, placed.array.ndim
    if placed.role.flat_core:
        lengths = [placed.array.shape[place] for place in placed.core]
        core = [int(i) for i in np.unravel_index(core[0], lengths)] if core and lengths else []
    if placed.spread is not None:
        # Rows are numbered in the shape it was broadcast to: count from the last axis.
        own = [size for axis, size in enumerate(placed.array.shape) if axis not in placed.core]
        batch = [0 if size == 1 else i for i, size in zip(batch[len(batch) - len(own) :], own, strict=True)]
    path: list[Any] = [None] * rank
    inner: list[Any] = list(core) or [":"] * len(placed.core)
    for place, index in zip(placed.core, inner, strict=True):
        path[place] = index
    rest = iter(batch)
    return _path(name, tuple(next(rest) if index is None else index for index in path))


def _path(name: str, index: tuple[Any, ...]) -> str:
    return name + "".join(f"[{i}]" for i in index)
