"""This file is the fast way: a loss's tuned kernel, for the calls that it can take.

One pass over a block writes the scaled gradient and returns the sum of the values; nothing else
leaves the cache.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import partial
from math import inf
from typing import Any

import numpy as np

from lossd.engine.arrange import Arranged
from lossd.engine.blocks import Checkpoint, run_blocks
from lossd.engine.check import check_block
from lossd.engine.layout import Block, FlatRows, Rows, empty_rows, rows_of
from lossd.engine.precision import WIDE, Number, in_range, rounded
from lossd.engine.recipe import Input, Recipe
from lossd.losses.scratch import Scratch
from lossd.losses.spec import forced
from lossd.message import Answer, Array


class _OfThread(threading.local):
    """What each thread keeps between blocks and calls."""

    def __init__(self) -> None:
        self.scratch = Scratch()


_of_thread = _OfThread()


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
    plan = recipe.plan
    plain, others = _see(recipe, arrays)
    gradient, into = _make_room(recipe, arrays if owned else {}) if plan.gradient else ({}, [])
    if recipe.in_place and into and not others and len(recipe.blocks) == 1:
        # A view of each block would cost a small call more than its numbers do.
        total = _run_kernel(recipe, dict(plain), [room.array for room in into])
    else:
        work = partial(_run_block, recipe, plain, others, into)
        parts = run_blocks(work, recipe.blocks, threads, checkpoint)
        total = sum(parts, 0.0)
        if total == inf:  # of parts that may be finite
            total = sum(parts, WIDE(0))
    found = {recipe.reduction: gradient} if gradient else {}
    value = recipe.real(total / recipe.divisor)
    return Answer(
        {recipe.reduction: value}, recipe.arranged.count, plan.denominator, found, warnings=plan.warnings
    )


def _run_block(
    recipe: Recipe,
    plain: list[tuple[str, Array]],
    others: list[tuple[str, Rows, Input]],
    into: list[Rows],
    block: Block,
) -> Number:
    """Run the kernel on one block."""
    given = {name: rows[block] for name, rows in plain}
    for name, source, how in others:
        given[name] = _read(source, how, block, recipe.arranged)
    if into and recipe.in_place:
        return _run_kernel(recipe, given, [room.array[block] for room in into])
    out = [_of_thread.scratch.empty(name, given[name]) for name in recipe.loss.gradient]
    value = _run_kernel(recipe, given, out)
    if into:
        for room, values in zip(into, out, strict=True):
            room.write(block, values)
    return value


def _run_kernel(recipe: Recipe, given: dict[str, Array], out: list[Array]) -> Number:
    try:
        return recipe.kernel(
            **given, **recipe.settings, out=out[0] if len(out) == 1 else out, scratch=_of_thread.scratch
        )
    except FloatingPointError:  # before anything was written to ``out``
        compute = partial(_run_reference, recipe, given)
        total, gradients = in_range(compute, recipe.arranged.computing)
        for place, gradient in zip(out, gradients, strict=True):
            place[...] = rounded(gradient, place.dtype)
        return total


def _run_reference(
    recipe: Recipe, given: Mapping[str, Array], dtype: np.dtype[Any]
) -> tuple[Number, list[Array]]:
    """Return a block's sum of values and scaled gradients, by the loss's own kernel in ``dtype``."""
    loss, plan = recipe.loss, recipe.plan
    arguments: dict[str, Array | None] = dict.fromkeys(a.name for a in loss.arguments)
    for name, array in given.items():
        arguments[name] = array if array.dtype.kind in "iu" else array.astype(dtype)
    terms = loss.kernel(**arguments, **plan.settings)
    factor = plan.scales[recipe.reduction].gradient
    gradients = [forced(terms.gradient[name]) * dtype.type(factor) for name in loss.gradient]
    return np.add.reduce(terms.value, dtype=np.result_type(dtype, np.float64)), gradients


def _make_room(recipe: Recipe, spent: Mapping[str, Array]) -> tuple[dict[str, Array], list[Rows]]:
    """Allocate the gradients, or take the place of arguments that are ``spent``, and see them by rows."""
    storage = recipe.arranged.storage
    arrays: dict[str, Array] = {}
    rows: list[Rows] = []
    for name in recipe.plan.gradient:
        how = recipe.inputs[name]
        shape = how.placed.array.shape
        if how.shape is None:
            arrays[name], room = empty_rows(
                shape, how.placed.core, storage, flat_core=how.placed.role.flat_core, zero=False
            )
        else:
            taken = name in spent and _can_hold(spent[name], storage) and _is_apart(name, spent)
            arrays[name] = spent[name] if taken else np.empty(shape, storage)
            room = FlatRows(arrays[name].reshape(how.shape))
        rows.append(room)
    return arrays, rows


def _can_hold(array: Array, storage: np.dtype[Any]) -> bool:
    """Return whether a gradient of type ``storage`` can be written over ``array``."""
    flags = array.flags
    return bool(array.dtype == storage and flags.c_contiguous and flags.aligned and flags.writeable)


def _is_apart(name: str, arrays: Mapping[str, Array]) -> bool:
    """Return whether an array's memory, from its first to its last byte, is apart from that of all the others.

    Where it is not, a gradient over it would change what is still to be read.
    """
    own = arrays[name]
    return not any([np.may_share_memory(own, other) for key, other in arrays.items() if key != name])


def _see(
    recipe: Recipe, arrays: Mapping[str, Array]
) -> tuple[list[tuple[str, Array]], list[tuple[str, Rows, Input]]]:
    """See the arguments by rows: those that the kernel can take as they are, and those to be read."""
    plain: list[tuple[str, Array]] = []
    others: list[tuple[str, Rows, Input]] = []
    for name, how in recipe.inputs.items():
        array = arrays[name]
        if how.shape is None:
            others.append((name, rows_of(array, how.placed.core, how.placed.role.flat_core), how))
            continue
        rows = array.reshape(how.shape)
        flags = rows.flags
        if how.as_stored and flags.c_contiguous and flags.aligned:
            plain.append((name, rows))
        else:
            others.append((name, FlatRows(rows), how))
    return plain, others


def _read(source: Rows, how: Input, block: Block, arranged: Arranged) -> Array:
    """Return a block of an argument, checked."""
    if not how.checked:
        return source.read(block, how.dtype)
    values = source.read(block, None)
    check_block(how.placed, values, block, arranged)
    return values if values.dtype is how.dtype else np.ascontiguousarray(values, how.dtype)
