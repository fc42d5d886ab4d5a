"""Checks values against the domains and constraints of a loss, block by block, while they are in cache.

A value outside its argument's domain is an error that names array, index path and value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np

from lossd.declaration.domain import Distribution, Interval, domain_text, unless_empty
from lossd.declaration.role import Role
from lossd.engine.bind import Bound, BoundArray, with_last_axis
from lossd.engine.layout import Block
from lossd.engine.lists import ListRows, Lists
from lossd.errors import invalid
from lossd.message import Array

CheckedNames = tuple[str, ...]


def names_to_check(bound: Bound, check_target: str) -> CheckedNames:
    """Return the arguments whose values are checked; those of anything but real numbers always are."""
    return tuple(
        name
        for name, given in bound.arrays.items()
        if not takes_any_number(given.role)
        and (given.role.domain.kind != "real" or name != "target" or check_target != "none")
    )


def check_block(
    given: BoundArray, values: Array, block: Block, bound: Bound, used: Array | None = None
) -> None:
    """Refuse a block of ``(rows, *core)`` values that holds one outside its domain.

    Args:
        given: The argument.
        values: The block.
        block: Its rows.
        bound: The call.
        used: Which values count; all if None.

    Raises:
        InvalidCall: The error names the first such value.
    """
    wrong = given.role.domain.forbidden(values, bound.sizes)
    if wrong is not None and used is not None:
        wrong = unless_empty(wrong & used)
    if wrong is not None:
        _refuse(given, values, wrong, block, bound, domain_text(given.role.domain, bound.sizes))


def check_constraints(arguments: Mapping[str, Array | None], block: Block, bound: Bound) -> None:
    """Refuse a block in which arguments do not fit together.

    Raises:
        InvalidCall: The error names the first such value of the constraint's first argument.
    """
    for constraint in bound.loss.constraints:
        involved = {
            name: array for name in constraint.arguments if (array := arguments.get(name)) is not None
        }
        if len(involved) < len(constraint.arguments):
            continue
        wrong = constraint.forbidden(involved, bound.sizes)
        if wrong is not None:
            blamed = constraint.arguments[0]
            _refuse(bound.arrays[blamed], involved[blamed], wrong, block, bound, str(constraint))


def check_shared(bound: Bound, names: CheckedNames) -> None:
    """Check the arrays that all rows share."""
    for name in names:
        given = bound.arrays[name]
        if given.rows is None:
            wrong = given.role.domain.forbidden(given.array, bound.sizes)
            if wrong is not None:
                where = tuple(int(i) for i in np.argwhere(wrong)[0])
                raise invalid(
                    _path(name, where), domain_text(given.role.domain, bound.sizes), given.array[where]
                )


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
    return unless_empty(np.abs(np.add.reduce(values, axis=-1, dtype=np.float64) - 1) > tolerance)


def _epsilon(dtype: np.dtype[Any]) -> float:
    finfo: Any = ml_dtypes.finfo  # NumPy's own does not know bfloat16
    return float(finfo(dtype).eps)


def check_sums(given: BoundArray, values: Array, block: Block, bound: Bound, *, strict: bool) -> bool:
    """Return whether every row of probabilities sums to one; if ``strict`` refuse the first that does not."""
    wrong = sums_to_one(values)
    if wrong is None:
        return True
    if strict:
        row = int(np.flatnonzero(wrong)[0])
        where = _place(given, _row_number(block, row), [], bound)
        raise invalid(where, "probabilities that sum to 1", f"a sum of {values[row].sum():.6g}")
    return False


def holds_distributions(role: Role) -> bool:
    """Return whether an array holds a probability distribution per row."""
    return isinstance(role.domain, Distribution)


def takes_any_number(role: Role) -> bool:
    """Return whether every real number is in a role's domain."""
    return isinstance(role.domain, Interval) and role.domain.unbounded


def _refuse(
    given: BoundArray, values: Array, wrong: Array, block: Block, bound: Bound, expected: str
) -> None:
    row, *rest = np.argwhere(wrong)[0] if wrong.ndim else [0]
    value = values[(row, *rest)] if wrong.ndim else values
    where = _place(given, _row_number(block, int(row)), [int(place) for place in rest], bound)
    raise invalid(where, expected, value)


def _row_number(block: Block, row: int) -> int:
    return block.start + row if isinstance(block, slice) else int(block[row])


def _place(given: BoundArray, row: int, core: list[int], bound: Bound) -> str:
    """Return the path of a value in the caller's own axes."""
    name = given.argument.name
    if given.starts is not None:
        return _path(name, (int(given.starts[row]) + core[0],))
    if isinstance(given.rows, ListRows) and given.broadcast is None:
        return _path(name, _item(given.rows.lists, row, core, bound))
    if isinstance(given.rows, ListRows):
        *_, place = _item(given.rows.lists, row, core[:1], bound)
        core = [place, *core[1:]]
    batch: list[Any] = [int(i) for i in np.unravel_index(row, bound.batch)] if bound.batch else []
    if given.role.flattened:
        lengths = [given.array.shape[place] for place in given.core]
        core = [int(i) for i in np.unravel_index(core[0], lengths)] if core and lengths else []
    if given.broadcast is not None:
        # Rows are numbered in the shape it was broadcast to: count from the last axis.
        shape = with_last_axis(given.array, given.role, given.broadcast).shape
        own = [size for axis, size in enumerate(shape) if axis not in given.core]
        batch = [0 if size == 1 else i for i, size in zip(batch[len(batch) - len(own) :], own, strict=True)]
    path: list[Any] = [None] * given.array.ndim
    inner: list[Any] = list(core) or [":"] * len(given.core)
    for place, index in zip(given.core, inner, strict=True):
        path[place] = index
    rest = iter(batch)
    return _path(name, tuple(next(rest) if index is None else index for index in path))


def _item(lists: Lists, row: int, core: list[int], bound: Bound) -> tuple[int, ...]:
    """Return where an item of a list stands in the caller's array."""
    place = int(lists.places[lists.starts[row] + core[0]])
    if not lists.width:
        return (place, *core[1:])
    batch = (int(i) for i in np.unravel_index(row, bound.batch))
    return (*batch, place % lists.width, *core[1:])


def _path(name: str, index: tuple[Any, ...]) -> str:
    return name + "".join(f"[{i}]" for i in index)
