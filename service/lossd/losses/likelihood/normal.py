"""Likelihoods of the normal distribution."""

from __future__ import annotations

from math import log, pi
from typing import Annotated

import numpy as np

from lossd.declaration.alias import pytorch
from lossd.declaration.domain import Interval
from lossd.declaration.edge import Edge
from lossd.declaration.example import Example
from lossd.declaration.loss import loss
from lossd.declaration.picture import curve
from lossd.declaration.result import Result
from lossd.declaration.role import Role
from lossd.declaration.roles import NonNegative, Real
from lossd.message import Array
from lossd.numerics.stable import held

# Of the batch's shape, or of one that broadcasts to it: one variance for each row is (..., 1), or without that axis.
Variance = Annotated[Array, Role(domain=Interval(0.0, typical=(2.0, 4.0)), broadcasts=True, leading=True)]


@loss(
    aliases=pytorch("GaussianNLLLoss", "gaussian_nll_loss"),
    formula=r"\ell = \tfrac12 \Bigl(\log v + \frac{(x - t)^2}{v}\Bigr)",
    where=(
        r"v = \max(\mathrm{var}, \epsilon)",
        r"\text{full: } + \tfrac12 \log 2 \pi",
    ),
    source="https://docs.pytorch.org/docs/stable/generated/torch.nn.GaussianNLLLoss.html",
    example=Example(
        input=[1.0, 0.0], target=[3.0, 0.0], var=[4.0, 1.0], value=[1.1931471805599454, 0.0]
    ),  # (log(4) + 1) / 2
    gradient=("input", "var"),
    long_double=True,
    picture=curve(-4, 4, "input, with a target of 0", held={"var": 1.0}),
    edges=(Edge("bound", "zero, for a variance of 0", 0.0, {"var": 0.0}),),
)
def gaussian_nll(
    input: Real, target: Real, var: Variance, *, full: bool = False, eps: NonNegative = 1e-6
) -> Result:
    """Negative log likelihood of a number under the normal distribution of a mean and a variance.

    ``input`` is the mean, ``var`` the variance; one variance for each row of a matrix has a last axis of length 1, or
    lacks that axis.
    As its source defines it, the gradient with respect to a variance below ``eps`` is that at ``eps``, not 0. The
    Hessian is the derivative of that gradient.

    Use: Regression that should also say how sure it is: the model predicts mean and variance.
    Avoid: Outliers: they drive the variance up. A variance near zero makes the loss unbounded below.

    Settings:
        full: Whether the constant ``log(2 pi) / 2`` is added.
        eps: The least variance: smaller ones are taken as this.
    """
    v = np.maximum(var, held(eps, var.dtype))
    r = input - target
    deviation = r / np.sqrt(v)  # whose square overflows only with the loss
    square = deviation * deviation
    logarithm = np.log(v) + (log(2 * pi) if full else 0)
    return Result(
        0.5 * (logarithm + square),
        {
            "input": lambda: r / v,
            "target": lambda: -r / v,
            "var": lambda: 0.5 * (1 - square) / v,
        },
        {
            "input": lambda: np.where(np.isnan(r), r, 1 / v),
            "target": lambda: np.where(np.isnan(r), r, 1 / v),
            "var": lambda: np.where(var < v, 0, (square - 0.5) / v / v),
        },
    )
