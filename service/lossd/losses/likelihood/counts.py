"""Likelihoods of counts."""

from __future__ import annotations

from math import exp, log, pi
from typing import Annotated

import numpy as np

from lossd.declaration.alias import objective, pytorch
from lossd.declaration.boosting import Boosting
from lossd.declaration.domain import Interval
from lossd.declaration.edge import Edge
from lossd.declaration.example import Example
from lossd.declaration.loss import loss
from lossd.declaration.picture import curve
from lossd.declaration.result import Derivative, Result
from lossd.declaration.role import Role
from lossd.declaration.roles import NonNegative
from lossd.message import Array
from lossd.numerics.remainders import expm1_remainder, log1p_remainder
from lossd.numerics.stable import held, times, two_sum

# Typical numbers are rates as well as logarithms of rates.
LogarithmOrRate = Annotated[Array, Role(domain=Interval(typical=(0.5, 1.5)))]
Count = Annotated[Array, Role(domain=Interval(0.0, typical=(0.0, 9.0)))]
_STEP = "The Hessian is times exp(0.7), the default of the library's max_delta_step."
_LOG_2_PI = log(2 * pi)


@loss(
    aliases=(
        *pytorch("PoissonNLLLoss", "poisson_nll_loss"),
        *objective("XGBoost", "count:poisson", also=_STEP),
        *objective("LightGBM", "poisson", also=_STEP),
    ),
    formula=(
        r"\ell = \begin{cases} e^x - t x & \text{of a logarithm} \\ x - t \log(x + \epsilon) & "
        r"\text{of a rate} \end{cases}"
    ),
    where=(r"\text{full: } + t \log t - t + \tfrac12 \log 2 \pi t \text{ if } t > 1",),
    source="https://docs.pytorch.org/docs/stable/generated/torch.nn.PoissonNLLLoss.html",
    example=Example(input=[0.5, -1.0], target=[2.0, 0.0], value=[0.6487212707001282, 0.36787944117144233]),
    boosting=Boosting(
        "XGBoost's count:poisson and LightGBM's poisson",
        hessian=lambda hessian, weight: hessian * exp(0.7),
    ),
    long_double=True,
    picture=curve(-3, 3, "input, the logarithm of a rate", held={"target": 2.0}),
    edges=(Edge("bound", "zero, for a target of 0", 0.0, {"target": 0.0}),),
)
def poisson_nll(
    input: LogarithmOrRate,
    target: Count,
    *,
    log_input: bool = True,
    full: bool = False,
    eps: NonNegative = 1e-8,
) -> Result:
    """Negative log likelihood of a count under the Poisson distribution of a rate, or of its logarithm.

    Without ``full`` what does not depend on the rate, ``log t!``, is left out; with it, it is Stirling's
    approximation for targets above 1, and 0 for others.

    Use: Counts: visits, claims, photons.
    Avoid: Counts that vary more than their mean says: their uncertainty comes out too small.

    Settings:
        log_input: Whether ``input`` is the logarithm of the rate.
        full: Whether Stirling's approximation of ``log t!`` is added.
        eps: Added to the rate before its logarithm is taken; unused with ``log_input``.
    """
    return _of_logarithm(input, target, full=full) if log_input else _of_rate(input, target, full, eps)


def _of_logarithm(input: Array, target: Array, *, full: bool) -> Result:
    rate = np.exp(input)
    value = rate - times(target, input)
    slopes: dict[str, Derivative] = {"input": lambda: rate - target, "target": lambda: -input}
    curvatures: dict[str, Derivative] = {"input": lambda: np.exp(input), "target": lambda: _nothing(target)}
    if full:
        many, t = _where_many(target)
        log_t = np.log(t)
        # e^x - t x + t log t - t = t (e^d - 1 - d) with d = x - log t, which does not cancel near the optimum
        d = input - log_t
        close = np.abs(d) < 1
        apart = np.where(close, t * expm1_remainder(np.where(close, d, 0)), rate - t - t * d)
        value = np.where(many, apart + 0.5 * (log_t + _LOG_2_PI), value)
        slopes["target"] = lambda: np.where(many, log_t - input + 0.5 / t, -input)
        curvatures["target"] = lambda: np.where(many, _curvature_of_stirling(t), 0)
    return Result(_infinite_if(input == np.inf, value), slopes, curvatures)


def _of_rate(input: Array, target: Array, full: bool, eps: float) -> Result:
    shift = held(eps, input.dtype)
    rate, lost = two_sum(input, shift)
    # What a sum next to 1 has rounded away is most of its logarithm.
    log_rate = np.log(rate) + np.where(lost == 0, 0, lost / rate)
    value = input - times(target, log_rate)

    def excess() -> Array:
        """Return rate - t, from the numbers that it is made of."""
        apart, lost = two_sum(input, -target)
        above, lost_too = two_sum(apart, shift)
        found: Array = above + (lost + lost_too)
        return found

    def share() -> Array:
        return np.where(target == 0, 0, target / rate)

    def of_input() -> Array:
        apart = excess()
        return np.where(np.isfinite(apart) & (rate != 0), apart / rate, 1 - share())

    slopes: dict[str, Derivative] = {"input": of_input, "target": lambda: -log_rate}
    curvatures: dict[str, Derivative] = {
        "input": lambda: np.where(target == 0, 0, share() / rate),
        "target": lambda: _nothing(target),
    }
    if full:
        many, t = _where_many(target)
        # With q = (rate - t) / t the loss is t (q - log1p(q)) - eps + log(2 pi t) / 2, likewise.
        q = np.where(many, excess(), 0) / t
        close = (q >= -0.5) & (q <= 1)
        q_close = np.where(close, q, 0)
        log_share = np.where(close, np.log1p(q_close), _log_quotient(rate, t))
        near = t * q_close * q_close * log1p_remainder(q_close) - shift
        whole = np.where(close, near, input - t - t * log_share) + 0.5 * (np.log(t) + _LOG_2_PI)
        value = np.where(many, whole, value)
        slopes["target"] = lambda: np.where(many, 0.5 / t - log_share, -log_rate)
        curvatures["target"] = lambda: np.where(many, _curvature_of_stirling(t), 0)
    return Result(_infinite_if(input == np.inf, value), slopes, curvatures)


def _nothing(numbers: Array) -> Array:
    """Return 0 of every number, of infinity too; NaN of NaN."""
    return np.where(np.isnan(numbers), numbers, 0)


def _where_many(target: Array) -> tuple[Array, Array]:
    """Return where Stirling's approximation is added, and the targets there, 1 elsewhere."""
    many = target > 1
    return many, np.where(many, target, 1)


def _curvature_of_stirling(target: Array) -> Array:
    return (1 - 0.5 / target) / target


def _log_quotient(numerator: Array, denominator: Array) -> Array:
    """Return the logarithm of a quotient by a number above 1, also where the quotient underflows."""
    quotient = numerator / denominator
    return np.where(
        quotient >= np.finfo(quotient.dtype).tiny, np.log(quotient), np.log(numerator) - np.log(denominator)
    )


def _infinite_if(infinite: Array, value: Array) -> Array:
    """Return values that are infinite where the rate is: it outgrows its logarithm."""
    return np.where(infinite, np.inf, value)
