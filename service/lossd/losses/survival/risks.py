"""Who is at risk at each time, and shares in the risk there, for `cox`.

A sum of hazards is kept in two parts: the highest log hazard, as it was given, and the sum as a multiple of that
hazard. A share in the risk is a quotient of two such sums. From rounded logarithms of the sums it would have their
errors: 1e-14 where log hazards are about 100.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lossd.message import Array
from lossd.numerics.scans import carried, of_others, running
from lossd.numerics.stable import times


class Risks(NamedTuple):
    """Who is at risk when, in the order of the durations, the longest first; those of one duration are a group.

    Attributes:
        order: The items in that order, ``(N,)``.
        hazard: Their log hazards.
        excess: How far all others at risk together are above the item; minus infinity where there is nobody else.
        first: Where the item's group starts.
        last: Where it ends.
        group: The number of the item's group.
        starts: Where each group starts, ``(groups,)``.
        highest: Where the highest hazard is of all at risk at each group's time.
        kept: The share of each group, and all before it, in the risk at the next group's time; 0 for the last.
        joined: The share of the next group there, likewise.
    """

    order: Array
    hazard: Array
    excess: Array
    first: Array
    last: Array
    group: Array
    starts: Array
    highest: Array
    kept: Array
    joined: Array

    def by_group(self, values: Array) -> Array:
        """Return the sum of each group's values."""
        sums: Array = np.add.reduceat(values, self.starts)
        return sums


def risks_of(log_h: Array, durations: Array) -> Risks:
    """Sort the items, and sum the hazards of those at risk.

    Where one has no time, nobody knows who is at risk when: all hazards are NaN.
    """
    undefined = np.isnan(durations)
    # Whole numbers by their ranks: float64 does not hold all of them.
    when = np.unique(durations, return_inverse=True)[1] if durations.dtype.kind in "iu" else durations
    latest_first = -np.where(undefined, np.inf, when)
    order = np.argsort(latest_first, kind="stable")
    exact = log_h.astype(np.result_type(log_h, np.float64), copy=False)
    hazard, time = np.where(undefined.any(), np.nan, exact)[order], latest_first[order]
    is_start = np.append(True, time[1:] != time[:-1])[: len(time)]
    starts, group = np.flatnonzero(is_start), np.cumsum(is_start) - 1
    ends = np.append(starts[1:], len(time))[: len(starts)] - 1
    first, last = starts[group], ends[group]
    peak = running(np.maximum, hazard, first)[ends]  # of each group
    own = np.exp(_less(hazard, peak[group]))
    joining = _Sum(peak, np.add.reduceat(own, starts))
    level = _up_to(joining)
    earlier = _Sum(_before(level.top, -np.inf), _before(level.factor, 0))  # all of longer durations
    before, behind = of_others(np.add, own, first, last, 0.0)
    others = _added(_Sum(earlier.top[group], earlier.factor[group]), _Sum(peak[group], before + behind))
    return Risks(
        order,
        hazard,
        _excess(others, hazard),
        first,
        last,
        group,
        starts,
        _highest(hazard)[ends],
        following(_share(earlier, level)),
        following(_share(joining, level)),
    )


def following(values: Array) -> Array:
    """Return the value of the next group, 0 behind the last."""
    return np.append(values[1:], 0)


class _Sum(NamedTuple):
    """Sums of hazards.

    Attributes:
        top: The highest log hazard.
        factor: The sum as a multiple of that hazard.
    """

    top: Array
    factor: Array


def _up_to(joining: _Sum) -> _Sum:
    """Return for each group the sum of its hazards and those of all groups before it."""
    top = running(np.maximum, joining.top, np.zeros(len(joining.top), int))
    kept = np.exp(_less(_before(top, -np.inf), top))
    own = times(joining.factor, np.exp(_less(joining.top, top)))
    return _Sum(top, carried(own[::-1], kept[::-1])[::-1])


def _added(one: _Sum, other: _Sum) -> _Sum:
    top = np.maximum(one.top, other.top)
    first, second = (times(each.factor, np.exp(_less(each.top, top))) for each in (one, other))
    return _Sum(top, first + second)


def _share(part: _Sum, whole: _Sum) -> Array:
    share: Array = times(part.factor, np.exp(_less(part.top, whole.top))) / whole.factor
    return share


def _excess(others: _Sum, hazard: Array) -> Array:
    """Return how far the sum of the others is above each hazard, minus infinity where there is none."""
    nobody = ((others.factor == 0) | np.isneginf(others.top)) & ~np.isnan(hazard)
    return np.where(nobody, -np.inf, (others.top - hazard) + np.log(others.factor))


def _before(values: Array, nothing: float) -> Array:
    """Return the value of the group before, ``nothing`` before the first."""
    return np.append(nothing, values[:-1])[: len(values)]


def _less(one: Array, other: Array) -> Array:
    """Return the difference of two log hazards, 0 where they are the same infinity."""
    return np.where((one == other) & np.isinf(one), 0, one - other)


def _highest(hazard: Array) -> Array:
    """Return where the highest of all hazards up to each place is."""
    is_highest = hazard >= np.maximum.accumulate(hazard)
    places: Array = np.maximum.accumulate(np.where(is_highest, np.arange(len(hazard)), 0))
    return places
