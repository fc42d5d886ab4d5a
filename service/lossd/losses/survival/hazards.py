"""Losses of hazards: how likely the events are that happened among all that could have."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from lossd.declaration.boosting import Boosting
from lossd.declaration.cost import Cost
from lossd.declaration.example import Example
from lossd.declaration.loss import loss
from lossd.declaration.result import Normalizer, Pullback, Result
from lossd.declaration.role import Role
from lossd.declaration.roles import Event
from lossd.message import Array
from lossd.numerics.scans import carried, of_others, running
from lossd.numerics.stable import sigmoid, softplus, times

PerItem = Annotated[Array, Role("(N)")]
Times = Annotated[Array, Role("(N)", by_order=True)]


def _per_event(events: Array) -> Normalizer:
    """Divide means by the number of events."""
    return Normalizer(events.astype(np.float64))


@loss(
    formula=r"\ell_i = e_i \log \sum_{j:\, d_j \ge d_i} \exp(h_j - h_i)",
    source="Cox (1972), Regression Models and Life-Tables; Breslow (1974), Covariance Analysis of Censored Survival "
    "Data; pycox, CoxPHLoss; statsmodels, PHReg",
    example=Example(
        log_h=[0.0, 0.0, 0.0],
        durations=[1.0, 2.0, 3.0],
        events=[True, True, False],
        value=[1.0986122886681098, 0.6931471805599453, 0.0],  # log 3, log 2
    ),
    gradient=("log_h",),
    value="(N)",
    normalizer=_per_event,
    cost=Cost(workspace="(24, N)", work="(20, N)"),
    boosting=Boosting("XGBoost's survival:cox, of durations without ties and without weights"),
    long_double=True,
)
def cox(log_h: PerItem, durations: Times, events: Event) -> Result:
    """Negative logarithm of Cox's partial likelihood: each event against all that were still at risk.

    The item of an event has the loss, any other 0. Events at the same time are tied as Breslow has it: all of them are
    at risk until then. The mean divides by the number of events. Durations matter by their order alone, so their
    derivatives are 0; one that is no number has no place in the order, and every loss is NaN.
    """
    risks = _risks(log_h, durations)
    happened, group = events.astype(risks.hazard.dtype)[risks.order], risks.group
    # How far all others at risk together are above the item; nobody is infinitely far below.
    alone = np.isneginf(risks.others) & ~np.isnan(risks.hazard)
    excess = np.where(alone, -np.inf, risks.others - risks.hazard)
    own, rest = sigmoid(-excess), sigmoid(excess)  # the item's share of the risk, and the others'
    level = risks.level
    # The share in the risk at a time of all who were at risk at the time before it in the order, and of those who join.
    kept = np.append(np.exp(_difference(level[:-1], level[1:])), 0)
    joined = np.append(np.exp(_difference(risks.joining, level)[1:]), 0)

    def in_order(upstream: Array) -> Array:
        return times(happened, upstream.astype(np.result_type(upstream, happened), copy=False)[risks.order])

    def as_given(sorted_: Array) -> Array:
        found = np.empty_like(sorted_)
        found[risks.order] = sorted_
        return found

    def of_hazards(upstream: Array) -> Array:
        """Return the share in the risk of all other events, less what is missing of the whole in its own."""
        weight = in_order(upstream)
        before, behind = of_others(np.add, weight, risks.first, risks.last, 0.0)
        later = times(_next(carried(_by_group(weight, risks), kept)), kept)
        return as_given(times(before + behind + later[group], own) - times(weight, rest))

    def curvature(upstream: Array) -> Array:
        """Return the sum of p (1 - p), p the share of an item in the risk at each event from its own time on.

        At a later time it is r p, with r the share in it of all who were at risk at the item's own, and
        ``r p (1 - r p) = p [r (1 - r) + r^2 (1 - p)]``. Both sums over the times follow from those of the next time,
        where r' is the share of all at risk then: ``r = c r'``, ``r (1 - r) = c [r' (1 - r') + r'^2 (1 - c)]``.
        """
        squares = carried(_by_group(in_order(upstream), risks), kept * kept)  # sums of r^2
        products = carried(times(_next(squares), kept * joined), kept)  # sums of r (1 - r)
        return as_given(times(products[group], own) + times(squares[group], own * rest))

    return Result(
        as_given(times(happened, softplus(excess))),
        {
            "log_h": Pullback(of_hazards),
            "durations": Pullback(lambda upstream: np.zeros_like(durations)),
        },
        {"log_h": Pullback(curvature), "durations": Pullback(lambda upstream: np.zeros_like(durations))},
    )


class _Risks(NamedTuple):
    """Who is at risk when, in the order of the durations, the longest first; those of one duration are a group.

    Attributes:
        order: The items in that order, ``(N,)``.
        hazard: Their log hazards.
        others: Logarithm of the hazard of all others at risk at an item's time.
        first: Where the item's group starts.
        last: Where it ends.
        group: The number of the item's group.
        starts: Where each group starts, ``(groups,)``.
        level: Logarithm of the hazard of all at risk at each group's time.
        joining: Logarithm of the group's own.
    """

    order: Array
    hazard: Array
    others: Array
    first: Array
    last: Array
    group: Array
    starts: Array
    level: Array
    joining: Array


def _risks(log_h: Array, durations: Array) -> _Risks:
    """Sort the items, and sum the hazards of those at risk.

    Where one has no time, nobody knows who is at risk when: all hazards are NaN.
    """
    undefined = np.isnan(durations)
    # Whole numbers by their ranks: float64 does not hold all of them.
    when = np.unique(durations, return_inverse=True)[1] if durations.dtype.kind in "iu" else durations
    latest_first = -np.where(undefined, np.inf, when)
    order = np.argsort(latest_first, kind="stable")
    exact = log_h.astype(np.result_type(log_h, np.float64), copy=False)
    # Only differences matter: small numbers in place of large ones, where none is rounded by it.
    highest = np.where(np.isfinite(exact), exact, -np.inf).max(initial=-np.inf)
    if np.array_equal((exact - highest) + highest, exact):
        exact = exact - highest
    hazard, time = np.where(undefined.any(), np.nan, exact)[order], latest_first[order]
    is_start = np.append(True, time[1:] != time[:-1])[: len(time)]
    starts, group = np.flatnonzero(is_start), np.cumsum(is_start) - 1
    ends = np.append(starts[1:], len(time))[: len(starts)] - 1
    first, last = starts[group], ends[group]
    total = running(np.logaddexp, hazard, np.zeros_like(first))
    level, joining = total[ends], running(np.logaddexp, hazard, first)[ends]
    tied = np.logaddexp(*of_others(np.logaddexp, hazard, first, last, -np.inf))
    earlier = np.append(-np.inf, level)[group]  # all of longer durations
    return _Risks(order, hazard, np.logaddexp(earlier, tied), first, last, group, starts, level, joining)


def _by_group(weight: Array, risks: _Risks) -> Array:
    sums: Array = np.add.reduceat(weight, risks.starts)
    return sums


def _next(values: Array) -> Array:
    """Return the value of the next group, 0 behind the last."""
    return np.append(values[1:], 0)


def _difference(one: Array, other: Array) -> Array:
    """Return the difference of two logarithms, 0 where they are the same infinity."""
    return np.where(one == other, 0, one - other)
