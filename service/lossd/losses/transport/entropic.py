"""Optimal transport with an entropy: what it costs to move one histogram to another, smoothed."""

from __future__ import annotations

from functools import cache
from math import factorial
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field

from lossd.declaration.cost import Cost
from lossd.declaration.domain import Distribution
from lossd.declaration.example import Example
from lossd.declaration.loss import loss
from lossd.declaration.picture import Slider, bars
from lossd.declaration.result import Result
from lossd.declaration.role import Role
from lossd.declaration.roles import Positive
from lossd.declaration.signature import Differentiable
from lossd.message import Array
from lossd.numerics.stable import times
from lossd.numerics.tiles import with_pauses

# Costs over epsilon of which products underflow in float64, until epsilon brings them back.
_LEAST_EXPONENT = 1e-280

Histogram = Annotated[Array, Role("(..., B)", domain=Distribution())]
Costs = Annotated[Array, Role("(B, B) or (..., B, B)")]

# Below this, the power series of `_divergence` has all digits of a long double with so many terms.
_SMALL = 0.3
_SERIES = tuple((power - 1) / factorial(power) for power in range(20, 1, -1))


@loss(
    formula=r"\ell = \sum_i a_i f_i + \sum_j b_j g_j",
    where=(
        r"f_i = -\varepsilon \log \sum_j \tfrac{b_j}{\sum b} e^{(g_j - C_{ij}) / \varepsilon}",
        r"g_j = -\varepsilon \log \sum_i \tfrac{a_i}{\sum a} e^{(f_i - C_{ij}) / \varepsilon}",
    ),
    source="Cuturi (2013), Sinkhorn Distances; Feydy et al. (2019), Interpolating between Optimal Transport and MMD",
    example=Example(
        input=[[0.5, 0.25, 0.125, 0.125]],
        target=[[0.125, 0.125, 0.25, 0.5]],
        cost=[[0.0, 1.0, 2.0, 3.0], [1.0, 0.0, 1.0, 2.0], [2.0, 1.0, 0.0, 1.0], [3.0, 2.0, 1.0, 0.0]],
        epsilon=1.0,
        iterations=3,
        value=[1.4215876857815184],
    ),
    gradient=("input",),
    cost=Cost(
        workspace="(2, iterations, B) + (8, B, B)", work="(8, iterations, B, B)", steps="(120, iterations)"
    ),
    long_double=True,
    symbols={"input": "a", "target": "b", "cost": "C", "epsilon": r"\varepsilon"},
    picture=bars(low=0.0, high=1.0),
)
def sinkhorn(
    input: Histogram,
    target: Histogram,
    cost: Costs,
    *,
    epsilon: Annotated[Positive, Differentiable, Slider(0.02, 2.0, "log")] = 0.1,
    iterations: Annotated[int, Field(ge=1, le=10_000, examples=[3])] = 100,
) -> Result:
    """Cost of transport between two histograms, with the entropy of the plan relative to that of no plan.

    It is the dual objective after a fixed number of iterations, each an update of f and one of g, which starts at 0.
    Once these have converged, it is the least of ``<P, C> + epsilon KL(P | a b)`` over all plans P. Derivatives are
    those of the number that is returned: through all iterations, not those of the limit. The cost is one matrix, or one
    for each row. A potential is rounded beside the costs: where they exceed ``epsilon`` by a factor of R, what the
    entropy adds to a slope has an error of about 1e-16 R times ``epsilon``. So have second derivatives, which are
    made of that alone: where R is 1e16, they have no digits, and so where ``epsilon`` exceeds the costs by as much. A
    bin without mass may have slopes beyond the range of floats where R is 100 or more: second derivatives of such a row
    are then infinite or NaN.

    Histograms should sum to 1. Others are taken as they are, with a warning, also two of unequal sums, between which
    there is no plan: the value is then the formula's number and no cost of transport. ``check_target: strict`` refuses
    them.

    Use: Distributions whose bins have distances: being near counts.
    Avoid: A small ``epsilon`` with few iterations: the result is not yet the transport cost.

    Settings:
        epsilon: Weight of the entropy: the smaller, the nearer to plain transport, and the more iterations it takes.
        iterations: How often both potentials are updated.
    """
    kind = np.result_type(input, np.float64)
    largest = np.abs(cost).max(axis=(-2, -1), initial=0)
    if ((largest > 0) & (largest < _LEAST_EXPONENT * np.longdouble(epsilon))).any():
        kind = np.dtype(np.longdouble)
    a, b, costs = (array.astype(kind, copy=False) for array in (input, target, cost))
    costs = costs if costs.ndim == 3 else costs[None]
    eps = kind.type(epsilon)
    alpha, beta = a / a.sum(axis=1, keepdims=True), b / b.sum(axis=1, keepdims=True)
    across = np.swapaxes(costs, 1, 2)
    f, g = [], [np.zeros_like(b)]
    for _ in with_pauses(range(iterations)):
        f.append(_update(beta, g[-1], costs, eps).potential)
        g.append(_update(alpha, f[-1], across, eps).potential)

    @cache
    def slopes() -> _Slopes:
        """Return the derivatives, iteration by iteration from the last."""
        of_g = b
        of_alpha, of_beta, of_costs = (
            np.zeros_like(a),
            np.zeros_like(b),
            np.zeros_like(a[:, :, None] * b[:, None, :]),
        )
        of_eps = np.zeros_like(a[:, 0])
        for last in with_pauses(reversed(range(iterations))):
            excess = _update(alpha, f[last], across, eps).excess
            share = times(alpha[:, None, :], np.exp(excess))  # (rows, j, i)
            beyond = _contract(of_g, np.expm1(excess))
            of_alpha = of_alpha - eps * beyond
            of_eps = of_eps + (of_g * _divergence(alpha, excess)).sum(axis=1)
            of_costs = of_costs + np.swapaxes(times(of_g[:, :, None], share), 1, 2)
            if last == iterations - 1:  # a less what the plan takes of it
                of_f = times(alpha, (a.sum(axis=1) - b.sum(axis=1))[:, None] - beyond)
            else:
                of_f = -_contract(of_g, share)
            excess = _update(beta, g[last], costs, eps).excess
            share = times(beta[:, None, :], np.exp(excess))  # (rows, i, j)
            of_beta = of_beta - eps * _contract(of_f, np.expm1(excess))
            of_eps = of_eps + (of_f * _divergence(beta, excess)).sum(axis=1)
            of_costs = of_costs + times(of_f[:, :, None], share)
            of_g = -_contract(of_f, share)
        return _Slopes(
            f[-1] + _through_share(of_alpha, a), g[-1] + _through_share(of_beta, b), of_costs, of_eps
        )

    return Result(
        times(a, f[-1]).sum(axis=1) + times(b, g[-1]).sum(axis=1),
        {
            "input": lambda: slopes().input,
            "target": lambda: slopes().target,
            "cost": lambda: slopes().cost,
            "epsilon": lambda: slopes().epsilon,
        },
    )


class _Slopes(NamedTuple):
    """The derivatives of each row's loss."""

    input: Array
    target: Array
    cost: Array
    epsilon: Array


class _Update(NamedTuple):
    """One potential, and how it depends on what it is made of.

    Attributes:
        potential: The potential, ``(rows, B)``.
        excess: Logarithm of each weight's share in it over the weight, ``(rows, B, B)``.
    """

    potential: Array
    excess: Array


def _update(weight: Array, other: Array, costs: Array, eps: Array) -> _Update:
    """Return ``f_i = -eps log sum_j w_j exp((g_j - C_ij) / eps)``, and ``(f_i + g_j - C_ij) / eps``.

    The sum is relative to its largest term. Where all differences are small beside eps it is 1 and a little, and its
    logarithm that of the little: the weights sum to 1.
    """
    gain = other[:, None, :] - costs
    top = (np.log(weight)[:, None, :] + gain / eps).argmax(axis=2)[:, :, None]
    highest = np.take_along_axis(gain, top, axis=2)
    exponent = (gain - highest) / eps
    little = times(weight[:, None, :], np.expm1(exponent)).sum(axis=2, keepdims=True)
    large = np.log(times(weight[:, None, :], np.exp(exponent)).sum(axis=2, keepdims=True))
    level = np.where(np.abs(little) < 0.5, np.log1p(little), large)
    return _Update(-(highest + eps * level)[:, :, 0], exponent - level)


def _contract(of_potential: Array, derivative: Array) -> Array:
    """Sum ``(rows, n, m)`` over n, each times its potential's slope, ``(rows, n)``."""
    total: Array = times(of_potential[:, :, None], derivative).sum(axis=1)
    return total


def _divergence(weight: Array, excess: Array) -> Array:
    """Return ``sum_j w_j e^d d``, the derivative of a potential with respect to epsilon, ``(rows, n)``.

    As the weights sum to 1, and those times ``e^d`` too, it is the sum of ``w (d e^d - e^d + 1)``, of which no term is
    negative and small ones are about ``d^2 / 2``.
    """
    near = np.where(np.abs(excess) < _SMALL, excess, 0)
    series = np.zeros_like(excess)
    for coefficient in _SERIES:
        series = series * near + coefficient
    far = times(np.exp(excess), excess) - np.expm1(excess)
    terms = np.where(np.abs(excess) < _SMALL, series * near * near, far)
    total: Array = times(weight[:, None, :], terms).sum(axis=2)
    return total


def _through_share(of_share: Array, weight: Array) -> Array:
    """Return the slopes with respect to weights from those with respect to their shares in their sum."""
    total = weight.sum(axis=1, keepdims=True)
    slope: Array = (of_share - times(weight / total, of_share).sum(axis=1, keepdims=True)) / total
    return slope
