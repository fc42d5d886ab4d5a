"""What a call costs, known from its shapes and its loss's declaration before anything is allocated."""

from __future__ import annotations

import math

from lossd.declaration.pattern import Sizes, parse
from lossd.engine.bind import Bound
from lossd.engine.blocks import power_of_two

# Elements on which a NumPy call takes longer than to make it.
_STEP_ELEMENTS = 1 << 10
# Elements of a block of a recursion, whose steps are worth it: 32 MiB.
_BLOCK_ELEMENTS = 1 << 22


def elements(patterns: str, sizes: Sizes) -> int:
    """Return the number of elements of a sum of patterns, such as ``(N, N) + (6, N, D)``."""
    return sum(math.prod(parse(text).core_shape(sizes)) for text in patterns.split(" + "))


def min_block_rows(bound: Bound) -> int:
    """Return how many rows make each step of a recursion worth a NumPy call, if there is memory for them."""
    cost = bound.loss.cost
    steps = elements(cost.steps, bound.sizes)
    if steps <= 1:
        return 1
    row = max(elements(cost.workspace, bound.sizes), 1)
    worth = -(-_STEP_ELEMENTS * steps // row)
    return power_of_two(max(min(2 * worth, _BLOCK_ELEMENTS // row), 1))
