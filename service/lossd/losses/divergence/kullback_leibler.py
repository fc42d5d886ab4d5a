"""Divergences of Kullback and Leibler, summand by summand."""

from __future__ import annotations

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
from lossd.declaration.roles import LogProbability
from lossd.message import Array
from lossd.numerics.stable import times

# Typical numbers are probabilities as well as logarithms.
ProbabilityOrLogarithm = Annotated[Array, Role(domain=Interval(typical=(0.1, 0.9)))]
_IMPOSSIBLE = -20_000.0  # the logarithm of what is 0 in every type, times whatever number


@loss(
    aliases=pytorch("KLDivLoss"),
    formula=r"\ell = t (\log t - x)",
    where=(r"\ell = e^t (t - x) \text{ with a logarithmic target}",),
    source="https://docs.pytorch.org/docs/stable/generated/torch.nn.KLDivLoss.html",
    example=Example(input=[-0.6931471805599453, 0.0], target=[1.0, 0.0], value=[0.6931471805599453, 0.0]),
    long_double=True,
    picture=curve(-5, 0, "input, the logarithm of a probability", held={"target": 0.5}),
    edges=(Edge("degenerate", "minus infinity, for a target of 0", -np.inf, {"target": 0.0}),),
)
def kl_div(input: LogProbability, target: ProbabilityOrLogarithm, *, log_target: bool = False) -> Result:
    """How much a distribution differs from the true one, of which each element is a summand.

    ``input`` is the logarithm of a probability, ``target`` a probability. A target of probability 0 adds nothing,
    whatever the input. The reduction ``batchmean`` gives the divergence; ``mean`` also divides by the number of
    elements of a row.

    Use: Distillation: one distribution should follow another. Use the reduction ``batchmean``.
    Avoid: Probabilities as input: it takes their logarithms. Hard labels: cross_entropy.

    Settings:
        log_target: Whether ``target`` is the logarithm of a probability too.
    """
    if log_target:
        return _of_logarithms(input, target)
    log_t = np.log(target)
    excess = log_t - input
    return Result(
        times(target, excess),
        {
            "input": lambda: -target,
            "target": lambda: np.where(target == 0, log_t, excess + 1),
        },
        {"input": lambda: np.zeros_like(input), "target": lambda: 1 / target},
    )


def _of_logarithms(input: Array, target: Array) -> Result:
    excess = target - input
    half = np.exp(0.5 * target)  # whose square may underflow where its product with the excess does not

    def weighted(by: Array) -> Array:
        product = np.where((by == 0) | np.isinf(by), by, half * by * half)
        return np.where(target < _IMPOSSIBLE, 0, product)

    return Result(
        weighted(excess),
        {"input": lambda: -np.exp(target), "target": lambda: weighted(excess + 1)},
        {"input": lambda: np.zeros_like(input), "target": lambda: weighted(excess + 2)},
    )
