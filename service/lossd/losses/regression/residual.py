"""Losses of the residual r = input - target that PyTorch and the boosting libraries have."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from lossd.declaration.alias import catboost, keras, objective, optax, pytorch, scikit_learn
from lossd.declaration.boosting import Boosting
from lossd.declaration.edge import Edge
from lossd.declaration.example import Example
from lossd.declaration.families import Curve, residual_loss
from lossd.declaration.roles import NonNegative, Positive
from lossd.declaration.signature import Differentiable
from lossd.message import Array

_TORCH = "https://docs.pytorch.org/docs/stable/generated/torch.nn."
_HALF = "They are those of half the square; the value is the square."


def _unit_curvature(library: str) -> Boosting:
    """Return that boosting libraries take the row's weight where the second derivative is zero."""
    return Boosting(library, hessian=lambda hessian, weight: np.ones_like(hessian) * weight)


@residual_loss(
    aliases=(
        *pytorch("MSELoss", "mse_loss"),
        *scikit_learn("mean_squared_error"),
        *keras("MeanSquaredError"),
        *optax("optax.squared_error"),
        *objective("XGBoost", "reg:squarederror", also=_HALF),
        *objective("LightGBM", "regression_l2", also=_HALF),
    ),
    formula=r"\ell = r^2",
    source=f"{_TORCH}MSELoss.html",
    example=Example(input=[1.0, 2.0, 3.0, 4.0], target=[1.5, 2.0, 2.0, 6.0], value=[0.25, 0.0, 1.0, 4.0]),
    boosting=Boosting(
        "XGBoost's reg:squarederror and LightGBM's regression",
        gradient=0.5,
        hessian=lambda hessian, weight: 0.5 * hessian,
    ),
    weight="sum",
)
def mse(r: Array) -> Curve:
    """Squared error: one large mistake costs more than many small ones.

    The mean divides by the sum of ``weight`` where there is one. For gradient boosting gradient and Hessian
    are those of half the square, as in the libraries' own squared error.

    Use: Errors of about the same size everywhere, as those of a normal distribution: it estimates the mean.
    Avoid: Targets with outliers: a residual ten times as large pulls ten times as hard. huber bounds that pull.
    """
    return Curve(r * r, 2 * r, lambda: _curvature(r, 2))


@residual_loss(
    aliases=(
        *pytorch("L1Loss", "l1_loss"),
        *scikit_learn("mean_absolute_error", "absolute_error"),
        *keras("MeanAbsoluteError", "mae"),
        *catboost("MAE"),
        *objective("XGBoost", "reg:absoluteerror"),
        *objective("LightGBM", "regression_l1"),
    ),
    formula=r"\ell = |r|",
    source=f"{_TORCH}L1Loss.html",
    example=Example(input=[1.0, 2.0, 3.0], target=[1.0, 2.5, 5.0], value=[0.0, 0.5, 2.0]),
    boosting=_unit_curvature("XGBoost's reg:absoluteerror and LightGBM's regression_l1"),
    weight="sum",
    edges=(Edge("tie", "zero", 0.0),),
)
def l1(r: Array) -> Curve:
    """Absolute error: the median's loss, which outliers pull with constant force.

    The subgradient at zero is 0. The mean divides by the sum of ``weight`` where there is one.

    Use: Targets with outliers, or where the median is wanted.
    Avoid: Optimisers that need a slope which fades near the solution: it is -1 or 1 up to zero. smooth_l1 and huber
        fade.
    """
    return Curve(np.abs(r), np.sign(r), lambda: _curvature(r, 0))


@residual_loss(
    aliases=(*pytorch("HuberLoss", "huber_loss"), *keras("Huber"), *optax("optax.huber_loss")),
    formula=(
        r"\ell = \begin{cases} \tfrac12 r^2 & |r| < \delta \\ \delta(|r| - \tfrac12\delta) & "
        r"\text{otherwise} \end{cases}"
    ),
    source=f"Huber (1964), Robust Estimation of a Location Parameter; {_TORCH}HuberLoss.html",
    example=Example(input=[0.5, 3.0, -3.0], target=[0.0, 0.0, 0.0], value=[0.125, 2.5, 2.5]),
    boosting=_unit_curvature("LightGBM's huber"),
    weight="count",
    edges=(Edge("tie", "exactly `delta`", "delta"),),
)
def huber(r: Array, *, delta: Annotated[Positive, Differentiable] = 1.0) -> Curve:
    """Squared near zero, linear beyond ``delta``: a squared error that outliers cannot dominate.

    Use: Regression whose targets have some outliers: near zero it is as efficient as mse, and far away it pulls like
        l1.
    Avoid: Outliers so far out that even a constant pull is too much: cauchy lets them go.

    Settings:
        delta: The absolute residual at which the square ends and the line begins.
    """
    slope = np.clip(r, -delta, delta)
    return Curve(
        slope * (r - 0.5 * slope),
        slope,
        lambda: _curvature(r, np.less(np.abs(r), np.float64(delta))),
        {"delta": lambda: np.maximum(np.abs(r) - delta, 0)},
    )


@residual_loss(
    aliases=pytorch("SmoothL1Loss", "smooth_l1_loss"),
    formula=(
        r"\ell = \begin{cases} \dfrac{r^2}{2\beta} & |r| < \beta \\ |r| - \tfrac12\beta & "
        r"\text{otherwise} \end{cases}"
    ),
    source=f"Girshick (2015), Fast R-CNN; {_TORCH}SmoothL1Loss.html",
    example=Example(input=[0.5, 3.0], target=[0.0, 0.0], beta=2.0, value=[0.0625, 2.0]),
    boosting=_unit_curvature("LightGBM's huber, which it is where beta is 1"),
    edges=(Edge("tie", "exactly `beta`", "beta"),),
)
def smooth_l1(r: Array, *, beta: Annotated[NonNegative, Differentiable] = 1.0) -> Curve:
    """Absolute error with a squared foot of half-width ``beta``; l1 where ``beta`` is 0.

    Use: Coordinates of boxes and other regression where the slope should be 1 far away whatever ``beta`` is.
    Avoid: A loss that should turn into mse for a large threshold: that is huber, which is ``beta`` times this one.

    Settings:
        beta: The absolute residual at which the square ends and the line begins.
    """
    if beta == 0:
        flat = {"beta": lambda: _curvature(r, -0.5)}
        return Curve(np.abs(r), np.sign(r), lambda: _curvature(r, 0), flat)
    near = np.clip(r, -beta, beta)
    exact = np.result_type(r, np.float64).type(beta)
    slope = near / beta
    return Curve(
        slope * (r - 0.5 * near),
        slope,
        lambda: _curvature(r, np.less(np.abs(r), exact) / exact),
        {"beta": lambda: -0.5 * slope * slope},
    )


@residual_loss(
    aliases=objective("XGBoost", "reg:pseudohubererror"),
    formula=r"\ell = \delta^2 \left(\sqrt{1 + (r / \delta)^2} - 1\right)",
    source="Charbonnier et al. (1994), Two deterministic half-quadratic regularization algorithms; XGBoost",
    example=Example(input=[3.0, 0.0], target=[0.0, 3.0], delta=4.0, value=[4.0, 4.0]),
    boosting=Boosting("XGBoost's reg:pseudohubererror"),
)
def pseudo_huber(r: Array, *, delta: Annotated[Positive, Differentiable] = 1.0) -> Curve:
    """Squared near zero, linear far beyond ``delta``, and smooth everywhere between.

    Use: What huber is for, where the optimiser needs a second derivative that does not jump.
    Avoid: Exact agreement with huber: between square and line it is lower.

    Settings:
        delta: The absolute residual around which the square turns into the line.
    """
    # With h the hypotenuse of r and delta, the loss is delta (h - delta) = delta r^2 / (h + delta), which does not
    # cancel. Divided by the longer leg, h is in [1, sqrt 2], so nothing overflows that is finite in the end.
    size = np.abs(r)
    shorter, longer = np.minimum(size, delta), np.maximum(size, delta)
    ratio = shorter / longer
    hypotenuse = np.sqrt(1 + ratio * ratio)
    of_delta, of_size = np.where(size <= delta, 1, ratio), np.where(size >= delta, 1, ratio)
    share = 1 / (hypotenuse + of_delta)
    return Curve(
        shorter * (size * share),
        np.copysign(shorter / hypotenuse, r),
        lambda: (of_delta / hypotenuse) ** 3,
        # (h - delta)^2 / h
        {"delta": lambda: size * (of_size * share) * (of_size * share) * (of_size / hypotenuse)},
    )


def _curvature(residual: Array, second: Array | float) -> Array:
    """Return a second derivative; that at NaN is NaN."""
    return np.where(np.isnan(residual), residual, second).astype(residual.dtype, copy=False)
