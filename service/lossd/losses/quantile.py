"""This file is the quantile losses: predictions that should be too low a given share of the time."""

from __future__ import annotations

import numpy as np

from lossd.losses.roles import PerQuantile, Quantiles, Real
from lossd.losses.spec import Boosting, Example, Terms, loss


@loss(
    formula=r"\ell = \sum_k \max(q_k\, d_k,\ (q_k - 1)\, d_k),\quad d_k = t - x_k",
    source="Koenker and Bassett (1978), Regression Quantiles",
    example=Example(
        input=[[1.0, 3.0], [0.0, 0.0]], target=[2.0, 4.0], quantiles=[0.25, 0.75], value=[0.5, 4.0]
    ),
    boosting=Boosting(hessian=lambda hessian, weight: np.ones_like(hessian)),
)
def multi_quantile(input: PerQuantile, target: Real, *, quantiles: Quantiles) -> Terms:
    """Pinball loss of several quantiles of one target at once, summed over the quantiles.

    Where a prediction equals its target the slope is that of a prediction too low.
    """
    error = target[:, None] - input
    slope = quantiles - (error < 0)  # of the error
    slope[np.isnan(error)] = np.nan
    return Terms(
        (slope * error).sum(axis=1),
        {
            "input": -slope,
            "target": lambda: slope.sum(axis=1),
            "quantiles": lambda: error,
        },
        lambda: np.zeros_like(input),
        lambda direction: np.zeros_like(input),
    )
