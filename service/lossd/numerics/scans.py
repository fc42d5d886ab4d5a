"""Running sums along the first axis by doubling: about log2(n) passes, and as many roundings in each sum.

What one pass adds to a place covers twice as many places before it as the pass before (Hillis and Steele 1986, Data
Parallel Algorithms). A sum starts anew where a segment does.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lossd.message import Array
from lossd.numerics.stable import times


def running(combine: Callable[[Array, Array], Array], values: Array, first: Array) -> Array:
    """Combine each value ``(n,)`` with all before it in its segment.

    Args:
        combine: An associative function of two arrays, such as `numpy.add` or `numpy.logaddexp`.
        values: The values.
        first: Where the segment of each place starts, ``(n,)``.
    """
    found, past = values.copy(), np.arange(len(values)) - first
    longest, whole = int(past.max(initial=-1)) + 1, not first.any()
    reach = 1
    while reach < longest:
        if whole:
            found[reach:] = combine(found[:-reach], found[reach:])
        else:
            later = np.flatnonzero(past >= reach)
            found[later] = combine(found[later - reach], found[later])
        reach *= 2
    return found


def of_others(
    combine: Callable[[Array, Array], Array], values: Array, first: Array, last: Array, nothing: float
) -> tuple[Array, Array]:
    """Combine for each place the values before it in its segment, and those behind it; ``nothing`` if there are none.

    Args:
        combine: As for `running`.
        values: The values.
        first: Where the segment of each place starts, ``(n,)``.
        last: Where it ends.
        nothing: The neutral element of ``combine``.
    """
    place, end = np.arange(len(values)), len(values) - 1
    before = np.full_like(values, nothing)
    behind = np.full_like(values, nothing)
    inner, outer = np.flatnonzero(place > first), np.flatnonzero(place < last)
    before[inner] = running(combine, values, first)[inner - 1]
    behind[outer] = running(combine, values[::-1], end - last[::-1])[::-1][outer + 1]
    return before, behind


def carried(values: Array, factors: Array) -> Array:
    """Return ``s_k = x_k + c_k s_(k+1)`` for values x and factors c, ``(n,)`` each, where 0 times anything is 0."""
    found, reach = values, 1
    while reach < len(values):
        moved = found[:-reach] + times(found[reach:], factors[:-reach])
        found = np.concatenate([moved, found[-reach:]])
        factors = np.concatenate([factors[:-reach] * factors[reach:], factors[-reach:]])
        reach *= 2
    return found
