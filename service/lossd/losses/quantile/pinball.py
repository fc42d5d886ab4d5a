"""Pinball losses: predictions that should be too low a given share of the time."""

from __future__ import annotations

import numpy as np

from lossd.declaration.boosting import Boosting
from lossd.declaration.edge import Edge
from lossd.declaration.example import Example
from lossd.declaration.loss import loss
from lossd.declaration.picture import curve
from lossd.declaration.result import Result
from lossd.declaration.roles import PerQuantile, Quantiles, Real
from lossd.message import Array


@loss(
    formula=r"\ell = \sum_k \max(q_k\, d_k,\ (q_k - 1)\, d_k)",
    where=(r"d_k = t - x_k",),
    source="Koenker and Bassett (1978), Regression Quantiles",
    example=Example(
        input=[[1.0, 3.0], [0.0, 0.0]], target=[2.0, 4.0], quantiles=[0.25, 0.75], value=[0.5, 4.0]
    ),
    long_double=True,
    boosting=Boosting(
        "XGBoost's reg:quantileerror and LightGBM's quantile", hessian=lambda hessian, weight: hessian + 1
    ),
    symbols={"quantiles": "q_k"},
    picture=curve(-4, 4, "input − target", held={"quantiles": 0.8}),
    edges=(Edge("tie", "zero", 0.0),),
)
def multi_quantile(input: PerQuantile, target: Real, *, quantiles: Quantiles) -> Result:
    """Pinball loss of several quantiles of one target at once, summed over the quantiles.

    Where a prediction equals its target the slope is that of a prediction too low; for gradient boosting it is
    that of one too high, ``1 - q``, and the Hessian is 1.

    Use: Intervals and forecasts of demand: predictions that are too low a given share of the time.
    Avoid: The mean, which no quantile is: mse.
    """
    error = target[:, None] - input
    slope = _slope(quantiles, error, error < 0)
    value = (slope * error).sum(axis=1)
    overflow = np.isinf(value)
    if overflow.any():  # a difference may overflow where the loss does not; its half cannot
        half = slope * (target[:, None] / 2 - input / 2)
        value = np.where(overflow, 2 * half.sum(axis=1), value)
    flat = np.where(np.isnan(slope), slope, 0)
    return Result(
        value,
        {
            "input": -slope,
            "target": lambda: slope.sum(axis=1),
            "quantiles": lambda: error,
        },
        {"input": flat, "target": lambda: flat.sum(axis=1)},
        {"input": lambda direction: flat},
        boosting={"input": lambda: -_slope(quantiles, error, error <= 0)},
    )


def _slope(quantiles: Array, error: Array, too_high: Array) -> Array:
    """Return the slope of each quantile's loss over the error; NaN where the error is."""
    slope: Array = quantiles - too_high
    slope[np.isnan(error)] = np.nan
    return slope
