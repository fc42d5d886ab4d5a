"""Lists of unequal length, flat with the size of each, or padded with a mask of their items.

Lists of one length make blocks of their own, so that a kernel sees neither padding nor mask.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossd.declaration.pattern import Shape
from lossd.engine.layout import Block
from lossd.engine.masks import truths
from lossd.engine.precision import rounded
from lossd.errors import invalid
from lossd.message import Array


@dataclass(frozen=True, slots=True)
class Lists:
    """The lists of a call.

    Attributes:
        counts: How many items each has, ``(rows,)``.
        starts: Where each begins among the items.
        places: Where each item stands in the caller's flat arrays.
        width: How many places a list has there, where it is padded; 0 where lists come one after the other.
    """

    counts: Array
    starts: Array
    places: Array
    width: int = 0

    def items(self, block: Block) -> Array:
        """Return where the items of lists of one length stand, ``(rows, items)``."""
        rows = np.arange(block.start, block.stop) if isinstance(block, slice) else block
        count = int(self.counts[rows[0]]) if len(rows) else 0
        found: Array = self.places[self.starts[rows][:, None] + np.arange(count)]
        return found


@dataclass(frozen=True, slots=True)
class ListRows:
    """An array whose rows are lists of unequal length; a block holds lists of one."""

    array: Array  # (items, *rest of the core)
    lists: Lists

    period = 1

    def read(self, block: Block, dtype: np.dtype[Any] | None) -> Array:
        """Return a contiguous copy."""
        return np.ascontiguousarray(self.array[self.lists.items(block)], dtype)

    def write(self, block: Block, values: Array) -> None:
        """Store values."""
        self.array[self.lists.items(block)] = rounded(values, self.array.dtype)


def list_rows(array: Array, lists: Lists) -> ListRows:
    """See an array of items by lists: of all items, or padded to ``(*batch, width, ...)``."""
    if not lists.width:
        return ListRows(array, lists)
    before = next(axes for axes in range(array.ndim) if math.prod(array.shape[:axes]) == len(lists.counts))
    return ListRows(array.reshape(-1, *array.shape[before + 1 :]), lists)


def of_group(group: Array) -> Lists:
    """Return lists that come one after the other, of these sizes.

    Raises:
        InvalidCall: The sizes are no whole numbers from 0 on.
    """
    if group.dtype.kind not in "iu" or group.ndim != 1:
        raise invalid(
            "group",
            "the sizes of the lists, whole numbers of shape (N)",
            f"{group.dtype} of shape {group.shape}",
        )
    wrong = group < 0
    if wrong.any():
        place = int(np.flatnonzero(wrong)[0])
        raise invalid(f"group[{place}]", "a whole number >= 0", group[place])
    counts = group.astype(np.intp)
    return Lists(counts, np.cumsum(counts) - counts, np.arange(int(counts.sum())))


def of_mask(mask: Array, batch: Shape, width: int) -> Lists:
    """Return padded lists whose items a mask of ``(*batch, width)`` says.

    Raises:
        InvalidCall: The mask is of another shape, or holds anything but true and false.
    """
    if mask.shape != (*batch, width):
        raise invalid("mask", f"the shape of the lists, {(*batch, width)}", mask.shape)
    kept = truths(mask).reshape(math.prod(batch), width)
    counts = np.count_nonzero(kept, axis=1)
    return Lists(counts, np.cumsum(counts) - counts, np.flatnonzero(kept), width)


def cut_lists(lists: Lists, size: int) -> list[Block]:
    """Cut lists into blocks of at most ``size`` lists of one length, shorter ones first; empty ones take no part."""
    blocks: list[Block] = []
    for count in np.unique(lists.counts[lists.counts > 0]):
        alike = np.flatnonzero(lists.counts == count)
        blocks += [alike[first : first + size] for first in range(0, len(alike), size)]
    return blocks
