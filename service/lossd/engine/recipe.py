"""This file is all that a tuned kernel needs to know of a call besides the numbers in its arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossd.engine.arrange import Arranged, Placed
from lossd.engine.blocks import cut_blocks
from lossd.engine.check import CheckedNames, anything_goes
from lossd.engine.layout import Block, shape_by_rows
from lossd.engine.plan import Plan
from lossd.engine.precision import is_heavy, rounding_to
from lossd.losses.domain import Shape
from lossd.losses.spec import Loss


@dataclass(frozen=True, slots=True)
class Input:
    """How a recipe reads one argument.

    Attributes:
        placed: Its place in the call that the recipe was made for.
        dtype: What the kernel wants.
        shape: ``(rows, *core)`` where the array is laid out so; None where it must be rearranged.
        checked: Whether its values are checked.
        as_stored: Whether a kernel can take it as it is, if it is aligned too.
    """

    placed: Placed
    dtype: np.dtype[Any]
    shape: Shape | None
    checked: bool
    as_stored: bool


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a tuned kernel needs to know of a call besides the numbers in its arrays."""

    loss: Loss
    kernel: Callable[..., float]
    arranged: Arranged
    plan: Plan
    inputs: Mapping[str, Input]
    settings: Mapping[str, Any]
    blocks: list[Block]
    reduction: str
    divisor: float
    real: Callable[[Any], Any]
    in_place: bool


def make_recipe(
    loss: Loss, arranged: Arranged, plan: Plan, checked: CheckedNames, block_bytes: int
) -> Recipe | None:
    """Return how the tuned kernel of ``loss`` answers a call, or None where it cannot.

    Args:
        loss: The loss.
        arranged: The call's arrays.
        plan: The call's plan.
        checked: Arguments whose values the blocks check.
        block_bytes: Size of the widest argument's block.
    """
    if not _can_fuse(loss, arranged, plan, checked):
        return None
    assert loss.tuned is not None
    ((reduction, scale),) = plan.scales.items()
    computing, storage = arranged.computing, arranged.storage
    settings = {name: value for name, value in plan.settings.items() if name in loss.tuned.accepts}
    inputs = {name: _input(placed, arranged, name in checked) for name, placed in arranged.placed.items()}
    return Recipe(
        loss=loss,
        kernel=loss.tuned.kernel,
        arranged=arranged,
        plan=plan,
        inputs=inputs,
        settings={**settings, "scale": computing.type(scale.gradient)},
        blocks=cut_blocks(arranged, None, block_bytes),
        reduction=reduction,
        divisor=float(scale.divisor),
        real=rounding_to(storage),
        in_place=storage == computing and all(inputs[name].shape is not None for name in plan.gradient),
    )


def _can_fuse(loss: Loss, arranged: Arranged, plan: Plan, checked: CheckedNames) -> bool:
    """Return whether the tuned kernel of ``loss`` can answer a call."""
    if loss.tuned is None or loss.prepare is not None:
        return False
    if plan.wide or len(plan.scales) != 1 or plan.hessian or plan.direction is not None:
        return False
    weights, (scale,) = plan.weights, plan.scales.values()
    if weights.selected is not None or weights.axes is not None or "none" in plan.scales:
        return False
    if not isinstance(scale.value, float) or not isinstance(scale.gradient, float) or not scale.divisor:
        return False
    if not loss.modulus and is_heavy([scale.gradient], arranged.computing):
        return False
    if plan.gradient not in ((), loss.gradient) or arranged.computing.kind == "c" or not arranged.count:
        return False
    accepts, defaults = loss.tuned.accepts, loss.settings
    return (
        all(name in accepts for name in arranged.placed)
        and all(
            placed.role == placed.argument.role
            and not placed.spread
            and (name in checked or placed.role.domain.integer or anything_goes(placed))
            for name, placed in arranged.placed.items()
        )
        and all(name in accepts or value == defaults[name][1] for name, value in plan.settings.items())
    )


def _input(placed: Placed, arranged: Arranged, checked: bool) -> Input:
    """Work out how an argument is read."""
    dtype = arranged.type_of(placed.role)
    return Input(
        placed=placed,
        dtype=dtype,
        shape=shape_by_rows(placed.array.shape, placed.core, placed.role.flat_core),
        checked=checked,
        as_stored=placed.array.dtype == dtype and not checked,
    )
