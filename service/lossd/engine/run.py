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

from lossd.declaration.result import Result
from lossd.engine.arguments import read_arguments
from lossd.engine.bind import Bound
from lossd.engine.blocks import Checkpoint, cut_blocks, run_blocks
from lossd.engine.check import CheckedNames
from lossd.engine.contract import contract, zero_without_weight
from lossd.engine.derivatives import derivatives_of
from lossd.engine.heavy import block_factor, weighs_heavily
from lossd.engine.layout import Block, Rows, empty_rows
from lossd.engine.lists import ListRows, list_rows
from lossd.engine.plan import Factor, Plan
from lossd.engine.precision import Number, trap, wider
from lossd.engine.wanted import Kind
from lossd.message import Array

Key = tuple[Kind, str, str]  # a derivative: its kind, the reduction, the argument or setting


@dataclass(frozen=True, slots=True)
class Job:
    """A call, ready to run.

    Attributes:
        bound: Its arrays.
        plan: What to compute.
        checked: Arguments whose values the blocks check.
        strict: Whether probabilities must sum to one.
        block_rows: How many rows a kernel sees at a time, a power of two.
    """

    bound: Bound
    plan: Plan
    checked: CheckedNames
    strict: bool
    block_rows: int


@dataclass(frozen=True, slots=True)
class Totals:
    """What the blocks of a call add up to.

    Attributes:
        values: Reduction to its undivided sum, or to every value, flat.
        derivatives: Every derivative that was asked for, in the shapes of broadcast arguments.
        distributions: Whether every row of probabilities summed to one.
    """

    values: Mapping[str, Any]
    derivatives: Mapping[Key, Array]
    distributions: bool


@dataclass(slots=True)
class Parts:
    """What one block adds to the sums."""

    values: dict[str, Number] = field(default_factory=dict)
    shared: dict[Key, Array] = field(default_factory=dict)
    distributions: bool = True


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


def run(job: Job, *, threads: int, checkpoint: Checkpoint | None) -> Totals:
    """Run the kernel over the rows that take part, in a wider type where the call's own overflows."""
    loss = job.bound.loss
    again = partial(_run, threads=threads, checkpoint=checkpoint)
    if job.plan.divided_by & set(job.plan.wanted.gradient):
        # What a weight adds to the denominator is nearly what it adds to the sum, where it outweighs the others.
        job = _computed_in(job, wider(job.bound.computing, than_double=False))
    computing = job.bound.computing
    if job.plan.wide and loss.of_residual:
        return again(_widened(_widened(job)))  # float32 in long double too
    if job.plan.wide:
        job = _computed_in(job, computing := np.dtype(np.float64))
        if not loss.long_double:
            return again(job)
    try:
        # What underflows of a power of the residual may be scaled up again; the tail of an exponential is only by a
        # heavy weight.
        with trap(underflow=loss.of_residual):
            return again(job, trap_heavy=not loss.of_residual and _kernel_dtype(job) != computing)
    except FloatingPointError:
        return again(_widened(job))


def _widened(job: Job) -> Job:
    """Return a call that is computed in the next wider type, with its sums in the widest."""
    widened = _computed_in(job, _kernel_dtype(job))
    return replace(widened, plan=replace(job.plan, wide=True))


def _kernel_dtype(job: Job) -> np.dtype[Any]:
    """Return the next wider type that the loss's kernel runs in."""
    return wider(job.bound.computing, than_double=job.bound.loss.long_double)


def _computed_in(job: Job, computing: np.dtype[Any]) -> Job:
    return replace(job, bound=replace(job.bound, computing=computing))


def _run(job: Job, *, trap_heavy: bool = False, threads: int, checkpoint: Checkpoint | None) -> Totals:
    bound, plan = job.bound, job.plan
    outputs = _allocate(bound, plan)
    blocks = cut_blocks(bound, plan.rows, job.block_rows)
    work = partial(_run_heavy_block if trap_heavy else _run_block, job, outputs)
    parts = run_blocks(work, blocks, threads, checkpoint)
    for key, array in outputs.arrays.items():
        if key not in outputs.rows:
            for part in parts:
                array += part.shared[key]
    values: dict[str, Any] = {name: kept.reshape(-1) for name, kept in outputs.kept.items()}
    for name in plan.scales:
        if name not in values:
            values[name] = sum((part.values[name] for part in parts), plan.sum_type(0))
    return Totals(values, outputs.arrays, all(part.distributions for part in parts))


def _run_heavy_block(job: Job, outputs: Outputs, block: Block) -> Parts:
    """Compute a block, and again in a wider type if what underflows in it is brought back by heavy weights."""
    if not weighs_heavily(job.bound, job.plan, block):
        return _run_block(job, outputs, block)
    try:
        with trap(underflow=True):
            return _run_block(job, outputs, block)
    except FloatingPointError:
        return _run_block(_widened(job), outputs, block)  # other blocks stay as they are


def _run_block(job: Job, outputs: Outputs, block: Block) -> Parts:
    bound, plan = job.bound, job.plan
    parts = Parts()
    arguments, parts.distributions = read_arguments(bound, block, job.checked, strict=job.strict)
    result = bound.loss.kernel(**arguments, **plan.settings)
    found = derivatives_of(result, arguments, bound, plan, block)
    for name, scale in plan.scales.items():
        _add_values(parts, outputs, name, result, block_factor(scale.value, block, bound), block, plan)
        factor = block_factor(scale.gradient, block, bound)
        for (kind, argument), derivative in found.items():
            key = (kind, name, argument)
            by_rows = key in outputs.rows
            values = contract(derivative, factor, result.value.shape, by_rows=by_rows, wide=plan.wide)
            if by_rows:
                outputs.rows[key].write(block, values)
            else:
                parts.shared[key] = values
    return parts


def _allocate(bound: Bound, plan: Plan) -> Outputs:
    """Allocate what is kept of every row."""
    arrays: dict[Key, Array] = {}
    rows: dict[Key, Rows] = {}
    for reduction in plan.scales:
        for kind, name in plan.wanted.all:
            key = (kind, reduction, name)
            arrays[key], view = _output(name, bound, plan)
            if view is not None:
                rows[key] = view
    shape = (bound.count, *bound.value_core) if bound.loss.value.batched else bound.unreduced
    kept = {
        name: np.zeros(shape, plan.sum_type)
        for name in plan.scales
        if name == "none" or plan.weights.axes is not None
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
        array = np.zeros(shape, dtype)
        return array, list_rows(array, given.rows.lists)
    if given.broadcast is not None:
        shape, core = given.broadcast, tuple(range(len(bound.batch), len(given.broadcast)))
    return empty_rows(shape, core, dtype, flattened=given.role.flattened, zero=plan.rows is not None)


def _add_values(
    parts: Parts, outputs: Outputs, name: str, result: Result, factor: Factor, block: Block, plan: Plan
) -> None:
    """Keep a block's values, or add them up in the plan's type of sums."""
    value, exact = result.value, plan.sum_type
    if name in outputs.kept:
        kept = outputs.kept[name]
        kept[block if kept.ndim else ...] = _weighted(value, factor)
    elif isinstance(factor, np.ndarray):
        parts.values[name] = np.add.reduce(_weighted(value, factor), axis=None, dtype=exact)
    else:
        parts.values[name] = np.add.reduce(value, axis=None, dtype=exact) * factor


def _weighted(value: Array, factor: Factor) -> Array:
    return zero_without_weight(value * factor, factor)
