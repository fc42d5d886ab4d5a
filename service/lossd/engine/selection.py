"""Which rows and values of a call take part: what its mask and the loss's own rule leave in."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lossd.engine.bind import Bound
from lossd.engine.masks import per_value, truths
from lossd.engine.request import Request
from lossd.message import Array


@dataclass(frozen=True, slots=True)
class Selection:
    """What takes part in a call; None means all.

    Attributes:
        rows: Numbers of the rows that a kernel sees.
        values: Flat indices of the unreduced losses that count.
    """

    rows: Array | None = None
    values: Array | None = None


def select(request: Request, bound: Bound) -> Selection:
    """Return what a call's mask and the loss's own rule leave in.

    Raises:
        InvalidCall: The mask is of another shape, or holds anything but true and false.
    """
    keep = _kept_by_mask(request, bound)
    taken = _both(_not_ignored(request, bound), _not_empty(bound))
    if keep is None and taken is None:
        return Selection()
    row_values = math.prod(bound.value_core)
    if keep is None or bound.loss.whole_batch or row_values == 1:
        both = _both(keep, taken)
        assert both is not None
        rows = np.flatnonzero(both)
        return Selection(rows, _values_of(rows, bound, row_values))
    kept = keep.reshape(bound.count, row_values)
    kept = kept if taken is None else kept & taken[:, None]
    return Selection(np.flatnonzero(kept.any(axis=1)), np.flatnonzero(kept))


def _kept_by_mask(request: Request, bound: Bound) -> Array | None:
    """Return what a mask keeps: of the items of a whole batch, else of the values; lists know their own items."""
    mask = request.mask
    if mask is None or (bound.lists is not None and bound.lists.width):
        return None
    return per_value(truths(mask), bound.batch if bound.loss.whole_batch else bound.unreduced, "mask")


def _not_ignored(request: Request, bound: Bound) -> Array | None:
    """Return which rows do not hold the value that the loss ignores; None if no row does."""
    if bound.loss.ignored is None:
        return None
    argument, setting = bound.loss.ignored
    given = bound.arrays.get(argument)
    if given is None or given.rows is None or given.role.ignored is None or given.role.pattern.core:
        return None
    ignored = given.rows.read(slice(0, bound.count), None) == request.settings[setting]
    return ~ignored if ignored.any() else None


def _not_empty(bound: Bound) -> Array | None:
    """Return which lists have items; None where rows are no lists of unequal length."""
    return None if bound.lists is None else bound.lists.counts > 0


def _both(one: Array | None, other: Array | None) -> Array | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other


def _values_of(rows: Array, bound: Bound, row_values: int) -> Array | None:
    """Return the flat indices of the values of some rows; None where all rows have one value together."""
    if bound.loss.whole_batch:
        return None if not bound.unreduced and len(rows) else rows
    if row_values == 1:
        return rows
    return (rows[:, None] * row_values + np.arange(row_values)).reshape(-1)
