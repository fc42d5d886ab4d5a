"""This file is the regression losses: how far a predicted number is from the true one.

With ``r = input - target`` all are functions of r, so the gradient with respect to the target is minus
the one with respect to the input.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Annotated, Any

import numpy as np

from lossd.losses.alias import catboost, keras, objective, optax, pytorch, scikit_learn
from lossd.losses.mass import RowMass
from lossd.losses.roles import NonNegative, Positive, Real, RowWeight
from lossd.losses.scratch import Scratch
from lossd.losses.spec import Boosting, Differentiable, Example, Terms, loss, tuned
from lossd.losses.sums import dot, total
from lossd.message import Array

# A sum of products below this may have lost digits of every addend to underflow: for blocks of up to 2**20 rows.
_LEAST: Mapping[np.dtype[Any], float] = {np.dtype(np.float32): 2.0**-100, np.dtype(np.float64): 2.0**-960}
_TORCH = "https://docs.pytorch.org/docs/stable/generated/torch.nn."
_HALF = "They are those of half the square; the value is the square."


def _unit_curvature(library: str) -> Boosting:
    """Return that boosting libraries take the row's weight where the second derivative is zero."""
    return Boosting(library, hessian=lambda hessian, weight: np.ones_like(hessian) * weight)


@loss(
    aliases=(
        *pytorch("MSELoss", "mse_loss"),
        *scikit_learn("mean_squared_error"),
        *keras("MeanSquaredError"),
        *optax("optax.squared_error"),
        *objective("XGBoost", "reg:squarederror", also=_HALF),
        *objective("LightGBM", "regression_l2", also=_HALF),
    ),
    formula=r"\ell = r^2,\quad r = x - t",
    source=f"{_TORCH}MSELoss.html",
    example=Example(input=[1.0, 2.0, 3.0, 4.0], target=[1.5, 2.0, 2.0, 6.0], value=[0.25, 0.0, 1.0, 4.0]),
    mass=RowMass(),
    modulus=True,
    boosting=Boosting(
        "XGBoost's reg:squarederror and LightGBM's regression",
        gradient=0.5,
        hessian=lambda hessian, weight: 0.5 * hessian,
    ),
)
def mse(input: Real, target: Real, weight: RowWeight | None = None) -> Terms:
    """Squared error: one large mistake costs more than many small ones.

    The mean divides by the sum of ``weight`` where there is one. For gradient boosting gradient and Hessian
    are those of half the square, as in the libraries' own squared error.
    """
    residual = input - target
    slope = 2 * residual
    return Terms(
        residual * residual,
        {"input": slope, "target": lambda: -slope},
        lambda: _curvature(residual, 2),
    ).times(weight)


@tuned(mse)
def mse_block(input: Array, target: Array, *, scale: Any, out: Array, scratch: Scratch) -> float:
    """Square by a dot product, in the gradient's own memory unless that is the input's."""
    residual = np.subtract(input, target, out=_apart(input, out, scratch))
    value = _products(dot(residual, residual), residual)
    np.multiply(residual, 2 * scale, out=out)
    return value


@loss(
    aliases=(
        *pytorch("L1Loss", "l1_loss"),
        *scikit_learn("mean_absolute_error", "absolute_error"),
        *keras("MeanAbsoluteError", "mae"),
        *catboost("MAE"),
        *objective("XGBoost", "reg:absoluteerror"),
        *objective("LightGBM", "regression_l1"),
    ),
    formula=r"\ell = |r|,\quad r = x - t",
    source=f"{_TORCH}L1Loss.html",
    example=Example(input=[1.0, 2.0, 3.0], target=[1.0, 2.5, 5.0], value=[0.0, 0.5, 2.0]),
    mass=RowMass(),
    modulus=True,
    boosting=_unit_curvature("XGBoost's reg:absoluteerror and LightGBM's regression_l1"),
)
def l1(input: Real, target: Real, weight: RowWeight | None = None) -> Terms:
    """Absolute error: the median's loss, which outliers pull with constant force.

    The subgradient at zero is 0. The mean divides by the sum of ``weight`` where there is one.
    """
    residual = input - target
    slope = np.sign(residual)
    return Terms(
        np.abs(residual),
        {"input": slope, "target": lambda: -slope},
        lambda: _curvature(residual, 0),
    ).times(weight)


@tuned(l1)
def l1_block(input: Array, target: Array, *, scale: Any, out: Array, scratch: Scratch) -> float:
    """Take the sign as the difference of two comparisons: a third of the time of ``np.sign``."""
    residual = np.subtract(input, target, out=scratch.empty("residual", out))
    above = np.greater(residual, 0, out=scratch.empty("above", out, bool)).view(np.int8)
    below = np.less(residual, 0, out=scratch.empty("below", out, bool)).view(np.int8)
    value = total(np.abs(residual, out=residual))  # now the absolute residuals
    if not value < inf:  # an overflow; or NaN, which is neither above nor below
        raise FloatingPointError
    np.multiply(np.subtract(above, below, out=above), scale, out=out)
    return value


@loss(
    aliases=(*pytorch("HuberLoss", "huber_loss"), *keras("Huber"), *optax("optax.huber_loss")),
    formula=r"\ell = \tfrac12 r^2 \text{ if } |r| < \delta \text{ else } \delta(|r| - \tfrac12\delta),\quad r = x - t",
    source=f"Huber (1964), Robust Estimation of a Location Parameter; {_TORCH}HuberLoss.html",
    example=Example(input=[0.5, 3.0, -3.0], target=[0.0, 0.0, 0.0], value=[0.125, 2.5, 2.5]),
    modulus=True,
    boosting=_unit_curvature("LightGBM's huber"),
)
def huber(
    input: Real,
    target: Real,
    weight: RowWeight | None = None,
    *,
    delta: Annotated[Positive, Differentiable] = 1.0,
) -> Terms:
    """Squared near zero, linear beyond ``delta``: a squared error that outliers cannot dominate."""
    residual = input - target
    slope = np.clip(residual, -delta, delta)
    return Terms(
        slope * (residual - 0.5 * slope),
        {
            "input": slope,
            "target": lambda: -slope,
            "delta": lambda: np.maximum(np.abs(residual) - delta, 0),
        },
        lambda: _curvature(residual, np.less(np.abs(residual), np.float64(delta))),
    ).times(weight)


@tuned(huber)
def huber_block(
    input: Array, target: Array, *, delta: float, scale: Any, out: Array, scratch: Scratch
) -> float:
    """Take ``s (r - s/2)`` as two sums of products: s r is at least s s, so their difference loses no digits."""
    residual = np.subtract(input, target, out=scratch.empty("residual", out))
    slope = np.clip(residual, -delta, delta, out=_apart(input, out, scratch))
    value = _products(dot(slope, residual) - 0.5 * dot(slope, slope), residual)
    np.multiply(slope, scale, out=out)
    return value


@loss(
    aliases=pytorch("SmoothL1Loss", "smooth_l1_loss"),
    formula=r"\ell = \frac{r^2}{2\beta} \text{ if } |r| < \beta \text{ else } |r| - \tfrac12\beta,\quad r = x - t",
    source=f"Girshick (2015), Fast R-CNN; {_TORCH}SmoothL1Loss.html",
    example=Example(input=[0.5, 3.0], target=[0.0, 0.0], beta=2.0, value=[0.0625, 2.0]),
    modulus=True,
    boosting=_unit_curvature("LightGBM's huber, which it is where beta is 1"),
)
def smooth_l1(input: Real, target: Real, *, beta: Annotated[NonNegative, Differentiable] = 1.0) -> Terms:
    """Absolute error with a squared foot of half-width ``beta``; l1 where ``beta`` is 0."""
    residual = input - target
    if beta == 0:
        slope = np.sign(residual)
        return Terms(
            np.abs(residual),
            {"input": slope, "target": lambda: -slope, "beta": lambda: _curvature(residual, -0.5)},
            lambda: _curvature(residual, 0),
        )
    near = np.clip(residual, -beta, beta)
    exact = np.result_type(residual, np.float64).type(beta)
    slope = near / beta
    return Terms(
        slope * (residual - 0.5 * near),
        {
            "input": slope,
            "target": lambda: -slope,
            "beta": lambda: -0.5 * slope * slope,
        },
        lambda: _curvature(residual, np.less(np.abs(residual), exact) / exact),
    )


@tuned(smooth_l1)
def smooth_l1_block(
    input: Array, target: Array, *, beta: float, scale: Any, out: Array, scratch: Scratch
) -> float:
    """Do as huber does, which it is where ``beta`` is 1; no product here exceeds the loss."""
    if beta == 0:
        return l1_block(input, target, scale=scale, out=out, scratch=scratch)
    if beta == 1:
        return huber_block(input, target, delta=1.0, scale=scale, out=out, scratch=scratch)
    residual = np.subtract(input, target, out=scratch.empty("residual", out))
    slope = np.multiply(residual, out.dtype.type(1 / beta), out=_apart(input, out, scratch))
    np.clip(slope, -1.0, 1.0, out=slope)
    value = dot(slope, residual) - 0.5 * beta * _products(dot(slope, slope), residual)
    if not value < inf:
        raise FloatingPointError
    np.multiply(slope, scale, out=out)
    return value


@loss(
    aliases=objective("XGBoost", "reg:pseudohubererror"),
    formula=r"\ell = \delta^2 \left(\sqrt{1 + (r / \delta)^2} - 1\right),\quad r = x - t",
    source="Charbonnier et al. (1994), Two deterministic half-quadratic regularization algorithms; XGBoost",
    example=Example(input=[3.0, 0.0], target=[0.0, 3.0], delta=4.0, value=[4.0, 4.0]),
    modulus=True,
    boosting=Boosting("XGBoost's reg:pseudohubererror"),
)
def pseudo_huber(input: Real, target: Real, *, delta: Annotated[Positive, Differentiable] = 1.0) -> Terms:
    """Squared near zero, linear far beyond ``delta``, and smooth everywhere between."""
    # With h the hypotenuse of r and delta, the loss is delta (h - delta) = delta r^2 / (h + delta), which does not
    # cancel. Divided by the longer leg, h is in [1, sqrt 2], so nothing overflows that is finite in the end.
    residual = input - target
    size = np.abs(residual)
    shorter, longer = np.minimum(size, delta), np.maximum(size, delta)
    ratio = shorter / longer
    hypotenuse = np.sqrt(1 + ratio * ratio)
    of_delta, of_size = np.where(size <= delta, 1, ratio), np.where(size >= delta, 1, ratio)
    share = 1 / (hypotenuse + of_delta)
    slope = np.copysign(shorter / hypotenuse, residual)
    return Terms(
        shorter * (size * share),
        {
            "input": slope,
            "target": lambda: -slope,
            # (h - delta)^2 / h
            "delta": lambda: size * (of_size * share) * (of_size * share) * (of_size / hypotenuse),
        },
        lambda: (of_delta / hypotenuse) ** 3,
    )


def _curvature(residual: Array, second: Array | float) -> Array:
    """Return a second derivative; that at NaN is NaN."""
    return np.where(np.isnan(residual), residual, second).astype(residual.dtype, copy=False)


def _apart(input: Array, out: Array, scratch: Scratch) -> Array:
    """Return a place for a result that is not yet the gradient: ``out``, unless that is the input's own memory.

    Where the residual overflows, the input is needed once more. Views of one array have one base.
    """
    return scratch.empty("apart", out) if out.base is input.base else out


def _products(value: float, residual: Array) -> float:
    """Return a sum of products of residuals, in whose range no digits of it are lost.

    Raises:
        FloatingPointError: Some of it overflowed, underflowed or is NaN.
    """
    if _LEAST[residual.dtype] <= value < inf or (value == 0 and not residual.any()):
        return value
    raise FloatingPointError
