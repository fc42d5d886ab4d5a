"""Lists of unequal length, flat with the size of each, or padded with a mask of their items.

Lists of one length make blocks of their own, so that a kernel sees neither padding nor mask.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossd.declaration.pattern import Shape
from lossd.engine.layout import Block
from lossd.engine.masks import truths
from lossd.engine.precision import rounded
from lossd.errors import invalid
from lossd.message import Array

# What is known of so many takes 50 MiB.
_MOST_LISTS = 1 << 21


@dataclass(frozen=True, slots=True)
class Lists:
    """The lists of a call.

    Attributes:
        counts: How many items each has, ``(rows,)``.
        starts: Where each begins among the items.
        places: Where each item stands in the caller's flat arrays.
        width: The padded length of a list in those arrays; 0 where lists come one after the other.
        axes: How many axes of a padded array are those of the batch; 0 where lists come one after the other.
    """

    counts: Array
    starts: Array
    places: Array
    width: int = 0
    axes: int = 0

    def items(self, block: Block) -> Array:
        """Return where the items of lists of one length stand, ``(rows, items)``."""
        rows = np.arange(block.start, block.stop) if isinstance(block, slice) else block
        count = int(self.counts[rows[0]]) if len(rows) else 0
        found: Array = self.places[self.starts[rows][:, None] + np.arange(count)]
        return found


@dataclass(frozen=True, slots=True)
class ListRows:
    """An array whose rows are lists of unequal length; a block holds lists of one.

    Attributes:
        array: Its items, ``(items, *rest of the core)``; padded, ``(*batch, width, *rest)``, if it is broadcast.
        lists: Where each list stands.
        padded: The axes of the items, where it is broadcast: to copy all of it would take its full size.
    """

    array: Array
    lists: Lists
    padded: Shape | None = None

    period = 1

    def read(self, block: Block, dtype: np.dtype[Any] | None) -> Array:
        """Return a contiguous copy."""
        items: Any = self.lists.items(block)
        if self.padded is not None:
            items = np.unravel_index(items, self.padded)
        return np.ascontiguousarray(self.array[items], dtype)

    def write(self, block: Block, values: Array) -> None:
        """Store values."""
        if self.padded is not None:
            raise TypeError("a broadcast array is only read")
        self.array[self.lists.items(block)] = rounded(values, self.array.dtype)


def list_rows(array: Array, lists: Lists) -> ListRows:
    """View an array of items by lists: of all items, or padded to ``(*batch, width, ...)``, which may be broadcast."""
    padded, core = array.shape[: lists.axes + 1], array.shape[lists.axes + 1 :]
    if 0 in array.strides and array.size:
        return ListRows(array, lists, padded)
    return ListRows(array.reshape(math.prod(padded), *core), lists)


def of_group(group: Array, items: int) -> Lists:
    """Return lists of these sizes that come one after the other, none longer than ``items``, the number of all items.

    Raises:
        InvalidCall: A size is not such a whole number.
    """
    if group.dtype.kind not in "iu" or group.ndim != 1:
        raise invalid(
            "group",
            "the sizes of the lists, whole numbers of shape (N)",
            f"{group.dtype} of shape {group.shape}",
        )
    _refuse_more_lists("group", len(group))
    wrong = (group < 0) | (group > items)
    if wrong.any():
        place = int(np.flatnonzero(wrong)[0])
        raise invalid(f"group[{place}]", f"a whole number in [0, {items}], the number of items", group[place])
    counts = group.astype(np.intp)
    return Lists(counts, np.cumsum(counts) - counts, np.arange(items))


def _refuse_more_lists(name: str, count: int) -> None:
    """Refuse lists of which there are so many that to know where each is would take much memory."""
    if count > _MOST_LISTS:
        raise invalid(name, f"at most {_MOST_LISTS} lists", count)


def padded_lists(mask: Array | None, batch: Shape, width: int) -> Lists | None:
    """Return the lists of ``(*batch, width)`` arrays whose items a mask marks; None where all are of one length.

    Lists of width 0 are treated like lists that a mask empties: they are left out.

    Raises:
        InvalidCall: The mask is of another shape, or holds anything but true and false.
    """
    if mask is None or mask.ndim != len(batch) + 1:
        return None if width else _empty_lists(batch)
    if mask.shape != (*batch, width):
        raise invalid("mask", f"the shape of the lists, {(*batch, width)}", mask.shape)
    _refuse_more_lists("mask", math.prod(batch))
    kept = truths(mask).reshape(math.prod(batch), width)
    counts = np.count_nonzero(kept, axis=1)
    return Lists(counts, np.cumsum(counts) - counts, np.flatnonzero(kept), max(width, 1), len(batch))


def _empty_lists(batch: Shape) -> Lists:
    nothing = np.zeros(math.prod(batch), np.intp)
    return Lists(nothing, nothing, np.zeros(0, np.intp), axes=len(batch))


def lengths_of(lists: Lists, size: int, rows: Array | None = None) -> Iterator[tuple[int, int, Array]]:
    """Yield each length of non-empty lists, shortest first, with how many lists make a block and which they are.

    Args:
        lists: The lists.
        size: How many of the longest make a block; of shorter ones, as many as have that many items together.
        rows: Numbers of the lists that take part; all if None.
    """
    taking = np.flatnonzero(lists.counts) if rows is None else rows
    counts = lists.counts[taking]
    order = np.argsort(counts, kind="stable")
    lengths, starts = np.unique(counts[order], return_index=True)
    parts = np.split(taking[order], starts[1:]) if len(taking) else []
    for length, alike in zip(lengths.tolist(), parts, strict=True):
        yield length, power_of_two(size * int(lists.counts.max()) // length), alike


def cut_lists(lists: Lists, size: int, rows: Array | None = None) -> list[Block]:
    """Cut lists into blocks of one length each; the arguments are those of `lengths_of`."""
    return [
        alike[first : first + few]
        for _, few, alike in lengths_of(lists, size, rows)
        for first in range(0, len(alike), few)
    ]


def power_of_two(most: int) -> int:
    """Return the largest power of two that is at most ``most``, but at least 1."""
    return 1 << max(most.bit_length() - 1, 0)
