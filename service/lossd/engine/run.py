"""Runs a loss's kernel block by block, with all that a call may ask of it.

The kernel gives values and derivatives; here they are weighted, summed and stored, for every
reduction that was asked for, while the block is in cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from lossd.declaration.result import Pullback, Result, evaluated
from lossd.engine.arguments import read_arguments
from lossd.engine.bind import Bound
from lossd.engine.blocks import cut_blocks, run_blocks
from lossd.engine.derivatives import derivatives_of
from lossd.engine.factors import Factor, block_factor
from lossd.engine.heavy_factors import weighs_heavily
from lossd.engine.layout import Block, Rows, empty_rows
from lossd.engine.lists import ListRows, list_rows
from lossd.engine.plan import Plan
from lossd.engine.precision import Number, rounded, trap, wider
from lossd.engine.reductions import REDUCTIONS
from lossd.engine.vjp import vjp, zero_without_weight
from lossd.engine.wanted import Kind
from lossd.message import Array, Checkpoint
from lossd.numerics.tree_sum import TreeSum

# What blocks add to shared arrays is kept until so many are done.
_BLOCKS_AT_A_TIME = 8

Key = tuple[Kind, str, str]  # a derivative: its kind, the reduction, the argument or setting


@dataclass(frozen=True, slots=True)
class Totals:
    """What the blocks of a call add up to.

    Attributes:
        kept: Reduction to every value, ``(rows, *core of the value)``.
        sums: Reduction to its undivided sum.
        arrays: Every derivative that was asked for, in the shapes of broadcast arguments; 0 where rows share it.
        shared: What the blocks add to those that rows share.
        unnormalized: Arguments with a row of probabilities that does not sum to one.
    """

    kept: Mapping[str, Array]
    sums: Mapping[str, TreeSum]
    arrays: Mapping[Key, Array]
    shared: Mapping[Key, TreeSum]
    unnormalized: frozenset[str]


@dataclass(slots=True)
class BlockSums:
    """What one block adds to the sums."""

    values: dict[str, Number] = field(default_factory=dict)
    shared: dict[Key, Array] = field(default_factory=dict)
    unnormalized: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where blocks store what is kept of every row.

    Attributes:
        kept: Reduction to every value, ``(rows, *core of the value)``.
        arrays: Every derivative.
        rows: Those of them that have rows, to write to.
    """

    kept: Mapping[str, Array]
    arrays: Mapping[Key, Array]
    rows: Mapping[Key, Rows]


def run(
    bound: Bound, plan: Plan, *, threads: int, checkpoint: Checkpoint | None, first_block: int = 0
) -> Totals:
    """Run the kernel over the rows that take part, in a wider type where the call's own overflows."""
    loss = bound.loss
    compute = partial(_run_in_type, threads=threads, checkpoint=checkpoint, first_block=first_block)
    if plan.divided_by & set(plan.wanted.gradient):
        # What a weight adds to the denominator is nearly what it adds to the sum, where it outweighs the others.
        bound = replace(bound, computing=wider(bound.computing, than_double=False))
    computing = bound.computing
    if plan.extended and loss.of_residual:
        return compute(*_widened(*_widened(bound, plan)))  # float32 in long double too
    if plan.extended:
        bound = replace(bound, computing=(computing := np.dtype(np.float64)))
        if not loss.long_double:
            return compute(bound, plan)
    try:
        # What underflows of a power of the residual may be scaled up again; the tail of an exponential is only by a
        # heavy weight.
        with trap(underflow=loss.of_residual):
            return compute(bound, plan, trap_heavy=not loss.of_residual and _kernel_dtype(bound) != computing)
    except FloatingPointError:
        pass  # its traceback holds what was allocated, which is freed here
    return compute(*_widened(bound, plan))


def _widened(bound: Bound, plan: Plan) -> tuple[Bound, Plan]:
    """Return a call that is computed in the next wider type, with its sums in the widest."""
    return replace(bound, computing=_kernel_dtype(bound)), replace(plan, extended=True)


def _kernel_dtype(bound: Bound) -> np.dtype[Any]:
    """Return the next wider type that the loss's kernel runs in."""
    return wider(bound.computing, than_double=bound.loss.long_double)


def _run_in_type(
    bound: Bound,
    plan: Plan,
    *,
    trap_heavy: bool = False,
    threads: int,
    checkpoint: Checkpoint | None,
    first_block: int,
) -> Totals:
    """Run every block in the call's type of arithmetic, and add up their sums by the places of the blocks.

    Args:
        bound: The call's arrays.
        plan: What to compute.
        trap_heavy: Whether a block whose factors are heavy is computed again in a wider type if it underflows.
        threads: How many threads may work.
        checkpoint: Called between blocks.
        first_block: The place of the first block among those of a larger call that this is a part of.

    Raises:
        FloatingPointError: A block left the range of its type, where the caller traps that.
    """
    outputs = _allocate_outputs(bound, plan)
    blocks = cut_blocks(bound, plan.rows, plan.block_rows)
    work = partial(_run_heavy_block if trap_heavy else _run_block, bound, plan, outputs)
    sums = {name: TreeSum() for name in plan.factors if name not in outputs.kept}
    shared = {key: TreeSum() for key in outputs.arrays if key not in outputs.rows}
    unnormalized: frozenset[str] = frozenset()
    for first in range(0, len(blocks), _BLOCKS_AT_A_TIME):
        few = blocks[first : first + _BLOCKS_AT_A_TIME]
        found = iter(run_blocks(work, [block for block in few if block is not None], threads, checkpoint))
        for place, block in enumerate(few, first_block + first):
            each = BlockSums() if block is None else next(found)
            for name, total in sums.items():
                total.add(place, each.values.get(name))
            for key, total in shared.items():
                total.add(place, each.shared.get(key))
            unnormalized |= each.unnormalized
    return Totals(outputs.kept, sums, outputs.arrays, shared, unnormalized)


def _run_heavy_block(bound: Bound, plan: Plan, outputs: Outputs, block: Block) -> BlockSums:
    """Compute a block, and again in a wider type if what underflows in it is brought back by heavy weights."""
    if not weighs_heavily(bound, plan, block):
        return _run_block(bound, plan, outputs, block)
    try:
        with trap(underflow=True):
            return _run_block(bound, plan, outputs, block)
    except FloatingPointError:
        return _run_block(*_widened(bound, plan), outputs, block)  # other blocks stay as they are


def _run_block(bound: Bound, plan: Plan, outputs: Outputs, block: Block) -> BlockSums:
    """Call the kernel once, weigh its values and derivatives for every reduction, and store or sum them.

    What belongs to a row is written to its place in ``outputs``; what rows share is returned, to be added up.
    """
    sums = BlockSums()
    arguments, sums.unnormalized = read_arguments(bound, block, plan.checked, strict=plan.strict)
    result = bound.loss.kernel(**arguments, **plan.settings)
    found = derivatives_of(result, arguments, bound, plan, block)
    for name, factors in plan.factors.items():
        _add_values(sums, outputs, name, result, block_factor(factors.value, block, bound), block, plan)
    weights = {name: block_factor(each.derivative, block, bound) for name, each in plan.factors.items()}
    for (kind, argument), derivative in found.items():
        once = derivative if isinstance(derivative, Pullback) else evaluated(derivative)
        for name, factor in weights.items():
            key = (kind, name, argument)
            by_rows = key in outputs.rows
            values = vjp(
                once,
                factor,
                result.value.shape,
                by_rows=by_rows,
                extended=plan.extended,
                exponent=plan.exponents[name],
            )
            if by_rows:
                outputs.rows[key].write(block, values)
            else:
                # A pullback has the kernel's type, in which the sum of many blocks would lose digits.
                sums.shared[key] = np.asarray(values, np.result_type(values, outputs.arrays[key]))
    return sums


def _allocate_outputs(bound: Bound, plan: Plan) -> Outputs:
    """Allocate what is kept of every row."""
    arrays: dict[Key, Array] = {}
    rows: dict[Key, Rows] = {}
    for reduction in plan.factors:
        for kind, name in plan.wanted.all:
            key = (kind, reduction, name)
            arrays[key], view = _output(name, bound, plan)
            if view is not None:
                rows[key] = view
    shape = (bound.count, *bound.value_core) if bound.loss.value.batched else bound.unreduced
    kept = {
        name: np.zeros(shape, bound.real if REDUCTIONS[name].keeps_values else plan.sum_type)
        for name in plan.factors
        if REDUCTIONS[name].keeps_values or plan.inputs.axes is not None
    }
    return Outputs(kept, arrays, rows)


def _output(name: str, bound: Bound, plan: Plan) -> tuple[Array, Rows | None]:
    """Return an array for a derivative, and a view of it by rows if it has such."""
    given = bound.arrays.get(name)
    if given is None or given.rows is None:
        shape = () if given is None else given.array.shape
        complex_too = given is not None and bound.computing.kind == "c" and name in bound.complex
        return np.zeros(
            shape, np.result_type(plan.sum_type, bound.computing) if complex_too else plan.sum_type
        ), None
    # What something is still to be added to is not rounded to 16 bits before.
    dtype = bound.dtype_of(given.role) if given.broadcast else bound.storage
    if name in plan.divided_by:
        dtype = np.dtype(plan.sum_type)
    shape, core = given.array.shape, given.core
    if isinstance(given.rows, ListRows):
        array = np.zeros(given.broadcast or shape, dtype)
        return array, list_rows(array, given.rows.lists)
    if given.broadcast is not None:
        shape, core = given.broadcast, tuple(range(len(bound.batch), len(given.broadcast)))
    return empty_rows(shape, core, dtype, flattened=given.role.flattened, zero=plan.rows is not None)


def _add_values(
    sums: BlockSums, outputs: Outputs, name: str, result: Result, factor: Factor, block: Block, plan: Plan
) -> None:
    """Keep a block's values, in the answer's type unless they are still to be added, or add them up."""
    value, exact = result.value, plan.sum_type
    if name in outputs.kept:
        kept = outputs.kept[name]
        kept[block if kept.ndim else ...] = rounded(_times(value, factor), kept.dtype)
    elif isinstance(factor, np.ndarray):
        sums.values[name] = np.add.reduce(_times(value, factor), axis=None, dtype=exact)
    else:
        sums.values[name] = np.add.reduce(value, axis=None, dtype=exact) * factor


def _times(value: Array, factor: Factor) -> Array:
    return zero_without_weight(value * factor, factor)
