"""This file is the fast way: a loss's tuned kernel, for the calls that it can take.

One pass over a block writes the scaled gradient and returns the sum of the values; nothing else
leaves the cache. Most calls of a training loop are of this kind, and each has the shapes of the one
before: what follows from shapes, types and options alone is a `Recipe`, worked out once and kept.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from lossd.engine.arrange import Arranged, Placed, arrange
from lossd.engine.blocks import Checkpoint, cut_blocks, run_blocks
from lossd.engine.check import CheckedNames, check_block, names_to_check
from lossd.engine.layout import Block, FlatRows, Rows, empty_rows, rows_of
from lossd.engine.plan import Plan, make_plan
from lossd.engine.request import read_request
from lossd.errors import InvalidCall
from lossd.losses.domain import Shape
from lossd.losses.scratch import Scratch
from lossd.losses.spec import GENERAL_ARRAYS, Loss
from lossd.message import Answer, Array, Call

# Options that read the arrays' values before the plan is made.
_READS_VALUES = frozenset(["check_finite", *GENERAL_ARRAYS])


class _OfThread(threading.local):
    """What each thread keeps between blocks and calls."""

    def __init__(self) -> None:
        self.scratch = Scratch()


_of_thread = _OfThread()


@dataclass(frozen=True, slots=True)
class Input:
    """How a recipe reads one argument.

    Attributes:
        placed: Its place in the call that the recipe was made for.
        dtype: What the kernel wants.
        shape: ``(rows, *core)`` where the array is laid out so; None where it must be rearranged.
        checked: Whether its values are checked.
    """

    placed: Placed
    dtype: np.dtype[Any]
    shape: Shape | None
    checked: bool


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a tuned kernel needs to know of a call besides the numbers in its arrays."""

    loss: Loss
    arranged: Arranged
    plan: Plan
    inputs: Mapping[str, Input]
    settings: Mapping[str, Any]
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
    if recipe is not None and loss.ignored is not None:
        ignored = loss.ignored(arrays, recipe.plan.settings)
        if ignored is not None and np.count_nonzero(ignored):
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
    return make_recipe(loss, arranged, plan, names_to_check(arranged, request["check_target"]), block_bytes)


def make_recipe(
    loss: Loss, arranged: Arranged, plan: Plan, checked: CheckedNames, block_bytes: int
) -> Recipe | None:
    """Return how the tuned kernel of ``loss`` answers a call, or None where it cannot."""
    if not _can_fuse(loss, arranged, plan):
        return None
    assert loss.tuned is not None
    ((reduction, scale),) = plan.scales.items()
    computing, storage = arranged.computing, arranged.storage
    settings = {name: value for name, value in plan.settings.items() if name in loss.tuned.accepts}
    inputs = {
        name: Input(
            placed,
            arranged.type_of(placed.role),
            _shape_by_rows(placed, arranged),
            name in checked,
        )
        for name, placed in arranged.placed.items()
    }
    return Recipe(
        loss=loss,
        arranged=arranged,
        plan=plan,
        inputs=inputs,
        settings={**settings, "scale": computing.type(scale.gradient)},
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


def _shape_by_rows(placed: Placed, arranged: Arranged) -> Shape | None:
    """Return ``(rows, *core)`` where a reshape is all that it takes."""
    rank, core = placed.array.ndim, placed.core
    if core != tuple(range(rank - len(core), rank)):
        return None
    lengths = tuple(placed.array.shape[place] for place in core)
    return (arranged.count, math.prod(lengths)) if placed.role.flat_core else (arranged.count, *lengths)


def run_recipe(
    recipe: Recipe,
    arrays: Mapping[str, Array],
    *,
    owned: bool,
    threads: int = 1,
    checkpoint: Checkpoint | None = None,
) -> Answer:
    """Answer a call by the tuned kernel.

    Args:
        recipe: What follows from the call's shapes.
        arrays: The call's arrays.
        owned: Whether a gradient may take the place of the argument it is of.
        threads: How many threads may work.
        checkpoint: Called between blocks.
    """
    loss, plan = recipe.loss, recipe.plan
    assert loss.tuned is not None
    kernel, settings = loss.tuned.kernel, recipe.settings
    rows = [_see(arrays[name], name, how) for name, how in recipe.inputs.items()]
    gradient, into = _make_room(recipe, arrays if owned else {}) if plan.gradient else ({}, [])

    def work(block: Block) -> float:
        scratch = _of_thread.scratch
        given = {name: _read(source, how, block, recipe.arranged) for name, source, how in rows}
        if into and recipe.in_place:
            out = [room.read(block, None) for room in into]
        else:
            out = [scratch.zeros(name, given[name]) for name in loss.gradient]
        value = kernel(**given, **settings, out=out[0] if len(out) == 1 else out, scratch=scratch)
        if into and not recipe.in_place:
            for room, values in zip(into, out, strict=True):
                room.write(block, values)
        return value

    total = sum(run_blocks(work, recipe.blocks, threads, checkpoint), 0.0)
    found = {recipe.reduction: gradient} if gradient else {}
    value = recipe.real(total / recipe.divisor)
    return Answer(
        {recipe.reduction: value}, recipe.arranged.count, plan.denominator, found, warnings=plan.warnings
    )


def _make_room(recipe: Recipe, spent: Mapping[str, Array]) -> tuple[dict[str, Array], list[Rows]]:
    """Allocate the gradients, or take the place of arguments that are ``spent``, and see them by rows."""
    assert recipe.loss.tuned is not None
    sparse, storage = recipe.loss.tuned.sparse, recipe.arranged.storage
    arrays: dict[str, Array] = {}
    rows: list[Rows] = []
    for name in recipe.plan.gradient:
        how = recipe.inputs[name]
        shape = how.placed.array.shape
        if how.shape is None:
            arrays[name], room = empty_rows(
                shape, how.placed.core, storage, flat_core=how.placed.role.flat_core, zero=sparse
            )
        else:
            given = spent.get(name)
            if sparse or given is None or not _can_hold(given, storage):
                given = np.zeros(shape, storage) if sparse else np.empty(shape, storage)
            arrays[name] = given
            room = FlatRows(arrays[name].reshape(how.shape))
        rows.append(room)
    return arrays, rows


def _can_hold(array: Array, storage: np.dtype[Any]) -> bool:
    """Return whether a gradient of type ``storage`` can be written over ``array``."""
    flags = array.flags
    return bool(array.dtype == storage and flags.c_contiguous and flags.aligned and flags.writeable)


def _see(array: Array, name: str, how: Input) -> tuple[str, Rows, Input]:
    """See an argument by rows."""
    rows = (
        rows_of(array, how.placed.core, how.placed.role.flat_core)
        if how.shape is None
        else FlatRows(array.reshape(how.shape))
    )
    return name, rows, how


def _read(source: Rows, how: Input, block: Block, arranged: Arranged) -> Array:
    """Return a block of an argument, checked."""
    if not how.checked:
        return source.read(block, how.dtype)
    values = source.read(block, None)
    check_block(how.placed, values, block, arranged)
    return values if values.dtype is how.dtype else np.ascontiguousarray(values, how.dtype)
