"""This file is what follows from a call's shapes, types and options alone: worked out once, and kept.

Most calls of a training loop are of one kind, and each has the shapes of the one before. A `Recipe`
holds all that a tuned kernel needs to know of such a call besides the numbers in its arrays.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from lossd.engine.arrange import Arranged, Placed, arrange
from lossd.engine.blocks import cut_blocks
from lossd.engine.check import CheckedNames, names_to_check
from lossd.engine.layout import Block
from lossd.engine.plan import Plan, make_plan
from lossd.engine.request import read_request
from lossd.errors import InvalidCall
from lossd.losses.domain import Domain, Index, Shape
from lossd.losses.spec import GENERAL_ARRAYS, Loss
from lossd.message import Array, Call

# Options that read the arrays' values before the plan is made.
_READS_VALUES = frozenset(["check_finite", *GENERAL_ARRAYS])


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
class Choice:
    """An argument of whole numbers that choose, looked at before the blocks: it is small beside what it chooses from.

    Attributes:
        name: The argument.
        domain: What it may hold.
        sizes: Length of every named dimension.
        ignored: What it holds where a row takes no part, if the domain has that too.
    """

    name: str
    domain: Domain
    sizes: Mapping[str, int]
    ignored: int | None

    def is_made(self, arrays: Mapping[str, Array]) -> bool:
        """Return whether every row chooses."""
        array = arrays[self.name]
        if self.domain.forbidden(array, self.sizes) is not None:
            return False
        return self.ignored is None or not np.count_nonzero(np.equal(array, self.ignored))


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a tuned kernel needs to know of a call besides the numbers in its arrays."""

    loss: Loss
    arranged: Arranged
    plan: Plan
    inputs: Mapping[str, Input]
    settings: Mapping[str, Any]
    choices: tuple[Choice, ...]
    blocks: list[Block]
    reduction: str
    divisor: float
    real: type[Any]
    in_place: bool


def recipe_for(loss: Loss, call: Call, block_bytes: int) -> Recipe | None:
    """Return the recipe for a call's shapes and options, or None where its values matter too."""
    arrays, options = call.arrays, call.options
    if loss.tuned is None or not _READS_VALUES.isdisjoint(arrays) or not _READS_VALUES.isdisjoint(options):
        return None
    try:
        recipe = _known(
            loss,
            tuple([(name, array.shape, array.dtype) for name, array in arrays.items()]),
            tuple([(name, value.__class__, value) for name, value in options.items()]),
            block_bytes,
        )
    except (InvalidCall, TypeError):  # told with the call's own values; or an option that is a list
        return None
    if recipe is None:
        return None
    for choice in recipe.choices:
        if not choice.is_made(arrays):
            return None
    return recipe


@lru_cache(maxsize=1024)
def _known(
    loss: Loss,
    arrays: tuple[tuple[str, Shape, np.dtype[Any]], ...],
    options: tuple[tuple[str, type, Any], ...],
    block_bytes: int,
) -> Recipe | None:
    """Make a recipe from arrays of the right shapes that hold nothing."""
    empty = {name: np.broadcast_to(np.zeros((), dtype), shape) for name, shape, dtype in arrays}
    request = read_request(loss, Call(empty, {name: value for name, _, value in options}))
    arranged = arrange(loss, request)
    plan = make_plan(loss, request, arranged, None)
    if plan.weights.mass is not None:
        return None
    choices = tuple(_choices(loss, arranged, plan.settings))
    chosen = {choice.name for choice in choices}
    checked = tuple(n for n in names_to_check(arranged, request["check_target"]) if n not in chosen)
    return make_recipe(loss, arranged, plan, checked, block_bytes, choices)


def _choices(loss: Loss, arranged: Arranged, settings: Mapping[str, Any]) -> Iterator[Choice]:
    """Yield the arguments to look at before a recipe is used for a call."""
    for name, placed in arranged.placed.items():
        domain = placed.role.domain
        if isinstance(domain, Index):
            ignored = settings[loss.ignored[1]] if loss.ignored and loss.ignored[0] == name else -1
            possible = 0 <= ignored < arranged.sizes[domain.of]
            yield Choice(name, domain, arranged.sizes, ignored if possible else None)


def make_recipe(
    loss: Loss,
    arranged: Arranged,
    plan: Plan,
    checked: CheckedNames,
    block_bytes: int,
    choices: tuple[Choice, ...] = (),
) -> Recipe | None:
    """Return how the tuned kernel of ``loss`` answers a call, or None where it cannot.

    Args:
        loss: The loss.
        arranged: The call's arrays.
        plan: The call's plan.
        checked: Arguments whose values the blocks check.
        block_bytes: Size of the widest argument's block.
        choices: What is looked at before each use.
    """
    if not _can_fuse(loss, arranged, plan):
        return None
    assert loss.tuned is not None
    ((reduction, scale),) = plan.scales.items()
    computing, storage = arranged.computing, arranged.storage
    settings = {name: value for name, value in plan.settings.items() if name in loss.tuned.accepts}
    inputs = {name: _input(placed, arranged, name in checked) for name, placed in arranged.placed.items()}
    return Recipe(
        loss=loss,
        arranged=arranged,
        plan=plan,
        inputs=inputs,
        settings={**settings, "scale": computing.type(scale.gradient)},
        choices=choices,
        blocks=cut_blocks(arranged, None, block_bytes),
        reduction=reduction,
        divisor=float(scale.divisor),
        real=storage.type,
        in_place=storage == computing and all(inputs[name].shape is not None for name in plan.gradient),
    )


def _can_fuse(loss: Loss, arranged: Arranged, plan: Plan) -> bool:
    """Return whether the tuned kernel of ``loss`` can answer a call."""
    if loss.tuned is None or len(plan.scales) != 1 or plan.hessian or plan.direction is not None:
        return False
    weights, (scale,) = plan.weights, plan.scales.values()
    if weights.selected is not None or weights.axes is not None or "none" in plan.scales:
        return False
    if not isinstance(scale.value, float) or not isinstance(scale.gradient, float) or not scale.divisor:
        return False
    if plan.gradient not in ((), loss.gradient) or arranged.computing.kind == "c" or not arranged.count:
        return False
    accepts, defaults = loss.tuned.accepts, loss.settings
    return (
        all(name in accepts for name in arranged.placed)
        and all(
            placed.role == placed.argument.role and not placed.spread for placed in arranged.placed.values()
        )
        and all(name in accepts or value == defaults[name][1] for name, value in plan.settings.items())
    )


def _input(placed: Placed, arranged: Arranged, checked: bool) -> Input:
    """Work out how an argument is read."""
    dtype = arranged.type_of(placed.role)
    return Input(
        placed=placed,
        dtype=dtype,
        shape=_shape_by_rows(placed, arranged),
        checked=checked,
        as_stored=placed.array.dtype == dtype and not checked,
    )


def _shape_by_rows(placed: Placed, arranged: Arranged) -> Shape | None:
    """Return ``(rows, *core)`` where a reshape is all that it takes."""
    rank, core = placed.array.ndim, placed.core
    if core != tuple(range(rank - len(core), rank)):
        return None
    lengths = tuple(placed.array.shape[place] for place in core)
    return (arranged.count, math.prod(lengths)) if placed.role.flat_core else (arranged.count, *lengths)
