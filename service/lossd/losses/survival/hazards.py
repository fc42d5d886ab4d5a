"""Losses of hazards: how likely the events are that happened among all that could have."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from lossd.declaration.boosting import Boosting
from lossd.declaration.cost import Cost
from lossd.declaration.denominator import Denominator
from lossd.declaration.edge import Edge
from lossd.declaration.example import Example
from lossd.declaration.loss import loss
from lossd.declaration.picture import bars
from lossd.declaration.result import Normalizer, Pullback, Result
from lossd.declaration.role import Role
from lossd.declaration.roles import Event
from lossd.losses.survival.risks import following, risks_of
from lossd.message import Array
from lossd.numerics.scans import carried, of_others
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
        log_h=[0.5, -1.0, 1.5, 0.0, -0.5],
        durations=[2.0, 5.0, 1.0, 4.0, 3.0],
        events=[True, False, True, True, False],
        value=[0.7873386716983295, 0.0, 0.5924590009536204, 0.3132616875182228, 0.0],
    ),
    gradient=("log_h",),
    value="(N)",
    normalizer=_per_event,
    cost=Cost(workspace="(28, N)", work="(48, N)"),
    boosting=Boosting("XGBoost's survival:cox, of durations without ties and without weights"),
    long_double=True,
    symbols={"log_h": "h"},
    picture=bars("log_h", low=-3.0, high=3.0, at=(0,)),
    denominator=Denominator("event"),
    edges=(
        Edge("tie", "two events at one time", given={"durations": [2.0, 5.0, 2.0, 4.0, 3.0]}),
        Edge("degenerate", "no event", given={"events": [False] * 5}),
    ),
)
def cox(log_h: PerItem, durations: Times, events: Event) -> Result:
    """Negative logarithm of Cox's partial likelihood: each event against all that were still at risk.

    The item of an event has the loss, any other 0. Events at the same time are tied as Breslow has it: all of them are
    at risk until then. The mean divides by the number of events. Durations matter by their order alone, so their
    derivatives are 0; one that is no number has no place in the order, and every loss is NaN.

    Use: Time until an event, some of them not yet seen: the order of risks is learnt, whatever the baseline.
    Avoid: Times themselves: it says who is at more risk, not when. Batches with few events have few terms.
    """
    risks = risks_of(log_h, durations)
    happened, group = events.astype(risks.hazard.dtype)[risks.order], risks.group
    own, rest = sigmoid(-risks.excess), sigmoid(risks.excess)  # the item's share of the risk, and the others'
    kept, joined = risks.kept, risks.joined

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
        later = times(following(carried(risks.by_group(weight), kept)), kept)
        return as_given(times(before + behind + later[group], own) - times(weight, rest))

    def curvature(upstream: Array) -> Array:
        """Return the sum of p (1 - p), p the share of an item in the risk at each event from its own time on.

        At a later time it is r p, with r the share in it of all who were at risk at the item's own, and
        ``r p (1 - r p) = p [r (1 - r) + r^2 (1 - p)]``. Both sums over the times follow from those of the next time,
        where r' is the share of all at risk then: ``r = c r'``, ``r (1 - r) = c [r' (1 - r') + r'^2 (1 - c)]``.
        """
        squares = carried(risks.by_group(in_order(upstream)), kept * kept)  # sums of r^2
        products = carried(times(following(squares), kept * joined), kept)  # sums of r (1 - r)
        return as_given(times(products[group], own) + times(squares[group], own * rest))

    def product(direction: Array) -> Pullback:
        """Multiply the Hessian with a direction v: an item's row is the sum over events of p (v - mean of v at risk).

        Both are taken from the v of the highest hazard at risk at a time, t, so that nothing cancels where its share
        rounds to 1. With p the shares in the risk at an item's own time, m that time's mean less t, and c, r and the
        next time's numbers as in `curvature`, ``m = sum p (v - t)`` over who joins, and ``c (m + t)`` of all before.
        """
        v = direction.astype(risks.hazard.dtype, copy=False)[risks.order]
        top = v[risks.highest]
        risen = top - following(top)
        joining = risks.by_group(times(own, v - top[group]))
        joining[1:] += times(kept, risen)[:-1]
        mean = carried(joining[::-1], np.append(kept[-2::-1], 0))[::-1]

        def of_upstream(upstream: Array) -> Array:
            weight = risks.by_group(in_order(upstream))
            shares = carried(weight, kept)  # sums of r
            below = carried(times(kept, times(risen, following(shares))) - times(weight, mean), kept)
            return as_given(times(own, times(v - top[group], shares[group]) + below[group]))

        return Pullback(of_upstream)

    unordered = Pullback(lambda upstream: np.zeros_like(durations))
    return Result(
        as_given(times(happened, softplus(risks.excess))),
        {"log_h": Pullback(of_hazards), "durations": unordered},
        {"log_h": Pullback(curvature), "durations": unordered},
        {"log_h": product},
    )
