"""Focal losses: what is classified well already counts less."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from lossd.declaration.alias import Alias, optax
from lossd.declaration.cost import Cost
from lossd.declaration.example import Example
from lossd.declaration.loss import loss
from lossd.declaration.picture import curve
from lossd.declaration.result import Result
from lossd.declaration.roles import NonNegative, Probability, Score
from lossd.declaration.signature import Differentiable
from lossd.message import Array
from lossd.numerics.stable import EXP_RANGE, sigmoid, softplus, times

_NONE = "The default reduction is `none`: every loss is returned."


@loss(
    aliases=(
        Alias("sigmoid_focal_loss", "torchvision", _NONE, defaults={"reduction": "none"}),
        *optax(
            "optax.sigmoid_focal_loss",
            also="No class weighs more than the other unless `alpha` is given.",
            defaults={"alpha": -1.0},
        ),
    ),
    formula=r"\ell = \alpha_t\, q^\gamma \,[\,t\, \mathrm{sp}(-x) + (1 - t)\, \mathrm{sp}(x)\,]",
    where=(
        r"q = t\, s(-x) + (1 - t)\, s(x)",
        r"\alpha_t = \alpha t + (1 - \alpha)(1 - t)",
        r"\mathrm{sp}(x) = \log(1 + e^x)",
    ),
    source=(
        "Lin et al. (2017), Focal Loss for Dense Object Detection; "
        "https://docs.pytorch.org/vision/stable/generated/torchvision.ops.sigmoid_focal_loss.html"
    ),
    example=Example(input=[1.5, -0.5], target=[1.0, 0.0], value=[0.0016757117316439142, 0.05068011788812773]),
    cost=Cost(work="(14)"),
    long_double=True,
    picture=curve(-6, 6, "input, a logit"),
)
def sigmoid_focal(
    input: Score,
    target: Probability,
    *,
    alpha: Annotated[float, Field(ge=-1, le=1), Differentiable] = 0.25,
    gamma: Annotated[NonNegative, Differentiable] = 2.0,
) -> Result:
    """Binary cross entropy of a logit times a power of q, the probability of being wrong.

    Use: Detection, where easy negatives outnumber all else a thousand to one.
    Avoid: Calibrated probabilities, or noisy labels: hard samples, which noise makes, count most.

    Settings:
        alpha: Weight of the positive class; that of the negative one is ``1 - alpha``. Below 0 none is weighed.
        gamma: Exponent of the probability of being wrong: the greater, the less easy samples count.
    """
    kind = np.result_type(input.dtype, np.float64)  # in which no product of two float32 numbers is subnormal
    x, t = input.astype(kind), target.astype(kind)
    rest = 1 - t
    missed, false = softplus(-x), softplus(x)  # what a positive costs, what a negative costs
    cost = times(t, missed) + times(rest, false)
    wrong = t * sigmoid(-x) + rest * sigmoid(x)
    right = t * sigmoid(x) + rest * sigmoid(-x)
    # Exact where either is next to 1, and for labels also where it underflows.
    log_soft = np.where(wrong > 0.5, np.log1p(-right), np.log(wrong))
    log_wrong = np.where(t == 0, -missed, np.where(t == 1, -false, log_soft))
    half = np.exp(
        times(0.5 * gamma, log_wrong)
    )  # its square may underflow where the product with the cost does not
    weighed = alpha >= 0
    weight = alpha * t + (1 - alpha) * rest if weighed else np.ones_like(t)

    def focused(by: Array) -> Array:
        return times(half, times(half, by))

    def ratio() -> Array:
        """Return cost over q, which is 1 where both underflow: there by logits at which they do not."""
        limit = EXP_RANGE[kind.char]
        near = np.where(t == 0, np.maximum(x, -limit), np.where(t == 1, np.minimum(x, limit), x))
        costs = times(t, softplus(-near)) + times(rest, softplus(near))
        quotient: Array = costs / (t * sigmoid(-near) + rest * sigmoid(near))
        return quotient

    def by_input() -> Array:
        rising = (rest - t) * sigmoid(x) * sigmoid(-x)  # dq/dx
        slope = rest * sigmoid(x) - t * sigmoid(-x) + gamma * times(rising, ratio())
        return times(weight, focused(slope))

    def by_target() -> Array:
        rising = -np.tanh(0.5 * x)  # dq/dt = s(-x) - s(x), which would cancel
        slope = times(weight, gamma * times(rising, ratio()) - x)
        return focused(slope + (2 * alpha - 1) * cost if weighed else slope)

    return Result(
        times(weight, focused(cost)),
        {
            "input": by_input,
            "target": by_target,
            "alpha": lambda: times((t - rest) * weighed, focused(cost)),
            "gamma": lambda: times(weight, times(focused(cost), log_wrong)),
        },
    )
