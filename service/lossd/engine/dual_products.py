"""Which products with the Hessian take dual numbers, and how many: known before a kernel runs."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from lossd.declaration.pattern import Sizes
from lossd.declaration.result import Result
from lossd.declaration.second import ByHand, by_hand
from lossd.engine.bind import Bound, BoundArray
from lossd.engine.wanted import Wanted


def is_by_hand(name: str, directions: Collection[str], given: ByHand | Result, bound: Bound) -> bool:
    """Return whether a kernel itself gives an argument's part of the product of the Hessian with the directions."""
    if len(directions) > 1:
        return False
    # Only where every number has a value of its own is the diagonal the whole Hessian.
    pointwise = not bound.arrays[name].core and not bound.value_core and not bound.loss.whole_batch
    return name in given.product or (name in given.hessian and pointwise)


def products_by_dual_numbers(bound: Bound, wanted: Wanted, settings: Mapping[str, Any], sizes: Sizes) -> int:
    """Return how many products by dual numbers a block takes: one for a direction, one for each number of a diagonal.

    Args:
        bound: The call's arrays.
        wanted: The derivatives that are asked for.
        settings: The loss's settings.
        sizes: The lengths of the core axes.
    """
    if not wanted.hessian and not wanted.hvp:
        return 0
    hand, directions = by_hand(bound.loss, settings), wanted.hvp
    products = sum(not is_by_hand(name, directions, hand, bound) for name in directions)
    for name in set(wanted.hessian) - hand.hessian:
        given = bound.arrays[name]
        of_row = math.prod(given.role.pattern.core_shape(sizes))
        products += of_row if has_rows(given, bound) else given.array.size
    return products


def has_rows(given: BoundArray, bound: Bound) -> bool:
    """Return whether each row of a block has numbers of an argument that affect no other row."""
    return given.rows is not None and not bound.loss.whole_batch
