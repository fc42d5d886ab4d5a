"""Losses of value functions: how far estimated returns are from those that followed."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from lossd.declaration.alias import Alias
from lossd.declaration.cost import Cost
from lossd.declaration.domain import PROBABILITY, Interval
from lossd.declaration.edge import Edge
from lossd.declaration.example import Example
from lossd.declaration.loss import loss
from lossd.declaration.picture import bars
from lossd.declaration.result import Pullback, Result
from lossd.declaration.role import Role
from lossd.message import Array
from lossd.numerics.stable import times
from lossd.numerics.tiles import with_pauses

PerStep = Annotated[Array, Role("(..., T)")]
Discounts = Annotated[Array, Role("(..., T)", domain=Interval(0.0, typical=(0.5, 1.0)), weighs=True)]
Mixing = Annotated[Array, Role("() or (..., T)", domain=PROBABILITY)]


@loss(
    aliases=(
        Alias(
            "rlax.td_lambda",
            "rlax",
            "The default reduction is `none`: the error of every step is returned.",
            defaults={"reduction": "none"},
        ),
    ),
    formula=r"\ell_t = G_t - v_{t-1}",
    where=(
        r"G_t = r_t + \gamma_t [(1 - \lambda_t) v_t + \lambda_t G_{t+1}]",
        r"G_{T+1} = v_T",
    ),
    source="Sutton and Barto (2018), Reinforcement Learning, chapter 12; rlax.td_lambda",
    example=Example(
        v_tm1=[[1.0, 2.0, 1.5, 0.5]],
        r_t=[[1.0, 0.0, 0.5, 2.0]],
        discount_t=[[0.5, 0.5, 0.5, 0.5]],
        v_t=[[2.0, 1.5, 0.5, 1.0]],
        lambda_=0.5,
        value=[[0.671875, -1.3125, -0.25, 2.0]],
    ),
    gradient=("v_tm1", "v_t", "r_t", "discount_t", "lambda_"),
    value="(..., T)",
    cost=Cost(workspace="(8, T)", work="(2, T)", steps="(16, T)"),
    long_double=True,
    stop_gradient={"stop_target_gradients": ("r_t", "discount_t", "v_t", "lambda_")},
    symbols={"v_tm1": "v", "r_t": "r", "discount_t": r"\gamma", "v_t": "v", "lambda_": r"\lambda"},
    picture=bars("v_tm1", low=-1.0, high=4.0),
    edges=(
        Edge(
            "degenerate",
            "a discount of 0: the last step of an episode",
            given={"discount_t": [[0.0, 0.5, 0.5, 0.5]]},
        ),
    ),
)
def td_lambda(
    v_tm1: PerStep,
    r_t: PerStep,
    discount_t: Discounts,
    v_t: PerStep,
    lambda_: Mixing,
    *,
    stop_target_gradients: bool = True,
) -> Result:
    """Temporal difference error of every step: its lambda-return less its estimated value.

    The error is signed, as its source returns it. With the reduction `none` and the errors as `upstream`, the gradient
    is that of half their squares. A discount of 0 ends an episode: nothing behind it matters. The mean divides by
    the number of steps of all rows together.

    Use: Value functions from trajectories; ``lambda_`` between one step ahead and the whole return.
    Avoid: A loss to minimise as it is: the error has a sign. Half its square is the loss; see above.

    Settings:
        stop_target_gradients: Whether derivatives take the returns for constants, so that only `v_tm1` has any.
    """
    steps = v_t.shape[1]
    mixing = np.broadcast_to(lambda_, v_t.shape)
    last = np.arange(steps) == steps - 1
    errors, returns = [v_t[:, :0]], [v_t[:, -1:]]  # from the last step on
    for step in with_pauses(reversed(range(steps))):
        now = slice(step, step + 1)
        mixed = times(1 - mixing[:, now], v_t[:, now]) + times(mixing[:, now], returns[-1])
        later = times(discount_t[:, now], mixed)
        errors.append((r_t[:, now] - v_tm1[:, now]) + later)
        returns.append(r_t[:, now] + later)
    ahead = np.concatenate(returns[-2::-1] or errors, axis=1)  # the return from the next step on

    def by_return(upstream: Array) -> Array:
        """Return the gradient with respect to the return of each step, which is a part of those before it."""
        carried = times(discount_t, mixing)
        found = [upstream[:, :1]]
        for step in with_pauses(range(1, steps)):
            earlier = times(found[-1], carried[:, step - 1 : step])
            found.append(upstream[:, step : step + 1] + earlier)
        return np.concatenate(found, axis=1)

    def of_values(upstream: Array) -> Array:
        own = np.where(
            last, discount_t, times(discount_t, 1 - mixing)
        )  # the return behind the last step is its value
        return times(by_return(upstream), own)

    def of_mixing(upstream: Array) -> Array:
        gain = np.where(last, 0, times(discount_t, ahead - v_t))  # behind the last step both are its value
        slope = times(by_return(upstream), gain)
        if lambda_.ndim:
            return slope
        total = slope.sum()
        # Steps may pull to both sides, where one infinite number decides for all of them together.
        return total if not np.isnan(total) else by_number(upstream)

    def by_number(upstream: Array) -> Array:
        """Return how the sum of returns changes with one `lambda_` for all steps, added up by rewards and values."""
        found, carried = by_return(upstream), times(discount_t, mixing)
        rising = [np.zeros_like(found[:, :1])]  # of `found` with `lambda_`
        for step in with_pauses(range(1, steps)):
            before = slice(step - 1, step)
            own = times(discount_t[:, before], found[:, before])
            rising.append(own + times(carried[:, before], rising[-1]))
        rises = np.concatenate(rising, axis=1)
        of_value = times(discount_t, np.where(last, rises, times(1 - mixing, rises) - found))
        total: Array = (times(rises, r_t) + times(of_value, v_t)).sum()
        return total

    return Result(
        np.concatenate(errors[::-1], axis=1),
        {
            "v_tm1": Pullback(lambda upstream: -upstream),
            "r_t": Pullback(by_return),
            "discount_t": Pullback(
                lambda upstream: times(by_return(upstream), times(1 - mixing, v_t) + times(mixing, ahead))
            ),
            "v_t": Pullback(of_values),
            "lambda_": Pullback(of_mixing),
        },
    )
