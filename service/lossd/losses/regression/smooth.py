"""Losses of the residual r = input - target that grow more slowly than its square, smooth everywhere.

With c their scale, ``shorter`` and ``longer`` are the lesser and the greater of |r| and c, and their ratio is in
[0, 1], so that nothing overflows or cancels that does not in the result.
"""

from __future__ import annotations

from math import log
from typing import Annotated, NamedTuple

import numpy as np

from lossd.declaration.alias import keras, optax
from lossd.declaration.boosting import Boosting
from lossd.declaration.cost import Cost
from lossd.declaration.example import Example
from lossd.declaration.families import Curve, residual_loss
from lossd.declaration.roles import Positive
from lossd.declaration.signature import Differentiable
from lossd.message import Array
from lossd.numerics.remainders import atanh_tail, log1p_remainder
from lossd.numerics.stable import times

_FAR = 40.0  # exp(-2 * 40) is below the last place of what it is added to, and a normal number of every type


@residual_loss(
    aliases=(
        *keras("LogCosh"),
        *optax("optax.log_cosh"),
    ),
    formula=r"\ell = \log \cosh r",
    source="https://keras.io/api/losses/regression_losses/#logcosh-class; optax.losses.log_cosh",
    example=Example(
        input=[1.0, -1.0, 0.0], target=[0.0, 0.0, 0.0], value=[0.4337808304830271, 0.4337808304830271, 0.0]
    ),
    boosting=Boosting("CatBoost's LogCosh"),
)
def log_cosh(r: Array) -> Curve:
    """Half the square near zero, the absolute value less log 2 far away, and smooth everywhere.

    Use: Robust regression without a setting to choose, with smooth derivatives of every order.
    Avoid: Targets whose scale is far from 1: the turn from square to line is at a residual of about 1. huber has
        ``delta``.
    """
    size = np.abs(r)
    half_sine = np.sinh(0.5 * np.minimum(size, 1))
    # 1 + 2 sinh(r/2)^2 = cosh(r), which does not cancel near 0
    near = np.log1p(2 * half_sine * half_sine)
    far = size - log(2) + np.log1p(np.exp(-2 * np.minimum(size, _FAR)))

    def curvature() -> Array:
        tail = np.exp(-2 * size)
        second: Array = 4 * tail / (1 + tail) ** 2  # 1 / cosh^2
        return second

    return Curve(np.where(size <= 1, near, far), np.tanh(r), curvature)


@residual_loss(
    formula=r"\ell = \tfrac{c^2}{2} \log\bigl(1 + (r / c)^2\bigr)",
    source=(
        "Black and Anandan (1996), The Robust Estimation of Multiple Motions; "
        "https://docs.scipy.org/doc/scipy/reference/generated/scipy.optimize.least_squares.html"
    ),
    example=Example(
        input=[1.0, 2.0], target=[0.0, 0.0], scale=2.0, value=[0.44628710262841953, 1.3862943611198906]
    ),  # 2 log(1.25), 2 log(2)
    symbols={"scale": "c"},
    cost=Cost(work="(4)"),
)
def cauchy(r: Array, *, scale: Annotated[Positive, Differentiable] = 1.0) -> Curve:
    """Half the square near zero, a logarithm beyond ``scale``: far outliers hardly pull at all.

    It is the negative logarithm of the Cauchy distribution's density, times ``scale`` squared over 2. It is not convex.

    Use: Heavy-tailed errors: gross outliers lose their pull altogether.
    Avoid: A poor starting point: it is not convex, and what is far away is given up. Start with huber.

    Settings:
        scale: The absolute residual at which the pull is strongest.
    """
    s = _sides(r, scale)
    square = s.ratio * s.ratio
    # log(1 + u^2) with u = |r| / c, over u^2 where u <= 1
    grown = np.where(s.near, _over(np.log1p(square), square), np.log1p(square) - 2 * np.log(s.ratio))

    def by_scale() -> Array:
        """Return ``c (log(1 + u^2) - w)``, ``w = u^2 / (1 + u^2)``; near 0 it is ``c (-log1p(-w) - w)``."""
        share = np.where(s.near, square, 0) / (1 + square)
        close = s.size * share * (s.ratio / (1 + square)) * log1p_remainder(-share)
        return np.where(s.near, close, s.shorter * (grown - 1 / (1 + square)))

    return Curve(
        s.shorter * (s.shorter * (0.5 * grown)),
        np.copysign(s.shorter * s.of_scale / (1 + square), r),
        lambda: np.where(s.near, 1, -square) * (1 - s.ratio) * (1 + s.ratio) / (1 + square) ** 2,
        {"scale": by_scale},
    )


@residual_loss(
    formula=r"\ell = c^2 \bigl(|r| / c - \log(1 + |r| / c)\bigr)",
    source=(
        "Fair (1974), On the Robust Estimation of Econometric Models; "
        "https://lightgbm.readthedocs.io/en/stable/Parameters.html#fair_c"
    ),
    example=Example(
        input=[1.0, 2.0], target=[0.0, 0.0], c=1.0, value=[0.3068528194400547, 0.9013877113318902]
    ),  # 1 - log(2), 2 - log(3)
    boosting=Boosting("LightGBM's fair"),
    cost=Cost(work="(7)"),
)
def fair(r: Array, *, c: Annotated[Positive, Differentiable] = 1.0) -> Curve:
    """Half the square near zero, nearly linear far beyond ``c``, with three smooth derivatives.

    Use: What huber is for, with a curvature that never becomes zero, as second-order boosting likes it.
    Avoid: Gross outliers, whose pull stays near ``c``: see cauchy.

    Settings:
        c: The absolute residual at which the pull is half of what it is far away.
    """
    s = _sides(r, c)
    close = np.where(s.near, s.ratio, 0)
    # log(1 + u) / u with u = |r| / c > 1
    grown = times(s.ratio, np.log1p(s.ratio) - np.log(s.ratio))

    def by_scale() -> Array:
        """Return ``c (2 (u - log(1 + u)) - u^2 / (1 + u))``; near 0 by the series of `atanh_tail`, u^3 / 3 and on."""
        whole = 2 + close
        share = close / whole
        series = (1 / (1 + close) - 4 * atanh_tail(share * share) / (whole * whole)) / whole
        far = s.size * (1 + s.ratio / (1 + s.ratio) - 2 * grown)
        slope: Array = np.where(s.near, s.size * s.ratio * s.ratio * series, far)
        return slope

    return Curve(
        np.where(
            s.near, s.shorter * s.shorter * log1p_remainder(close), s.shorter * (s.longer * (1 - grown))
        ),
        np.copysign(s.shorter / (1 + s.ratio), r),
        lambda: (s.of_scale / (1 + s.ratio)) ** 2,
        {"c": by_scale},
    )


class _Sides(NamedTuple):
    """Absolute residuals and a scale, at least in float64, in which every scale has its digits.

    Attributes:
        size: The absolute residuals.
        near: Where they are at most the scale.
        shorter: The lesser of both.
        longer: The greater of both.
        ratio: The lesser over the greater.
        of_scale: The ratio of the scale to the greater.
    """

    size: Array
    near: Array
    shorter: Array
    longer: Array
    ratio: Array
    of_scale: Array


def _sides(residual: Array, scale: float) -> _Sides:
    wide = np.result_type(residual.dtype, np.float64)
    size, c = np.abs(residual).astype(wide), wide.type(scale)
    shorter, longer = np.minimum(size, c), np.maximum(size, c)
    near = size <= c
    # Far out, of a ratio that underflows a finite logarithm is left, times a square that underflows long before.
    least = np.where(near | np.isinf(longer), 0, np.finfo(wide).tiny)
    ratio = np.maximum(shorter / longer, least)
    return _Sides(size, near, shorter, longer, ratio, np.where(near, 1, ratio))


def _over(numerator: Array, denominator: Array) -> Array:
    """Return a quotient of two numbers that are equal where they are small; 1 where both are 0."""
    zero = denominator == 0
    return np.where(zero, 1, numerator / np.where(zero, 1, denominator))
