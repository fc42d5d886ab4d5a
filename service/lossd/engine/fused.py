"""Runs a loss's fused kernel, for the calls that it covers.

One pass over a block writes the scaled gradient and returns the sum of the values; nothing else
leaves the cache.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import partial
from math import isfinite
from typing import Any

import numpy as np

from lossd.declaration.result import evaluated
from lossd.engine.bind import Bound
from lossd.engine.blocks import run_blocks
from lossd.engine.check import check_block
from lossd.engine.fused_plan import FusedPlan, InputPlan
from lossd.engine.layout import Block, FlatRows, Rows, empty_rows, rows_of
from lossd.engine.precision import WIDE, Number, in_range, rounded
from lossd.message import Answer, Array, Checkpoint
from lossd.numerics.scratch import Scratch
from lossd.numerics.tree_sum import tree_total


class _OfThread(threading.local):
    """What each thread keeps between blocks and calls."""

    def __init__(self) -> None:
        self.scratch = Scratch()


_of_thread = _OfThread()


def run_fused(
    fused: FusedPlan,
    arrays: Mapping[str, Array],
    *,
    owned: bool,
    threads: int = 1,
    checkpoint: Checkpoint | None = None,
) -> Answer:
    """Answer a call by a fused kernel.

    Args:
        fused: The plan of the fused kernel.
        arrays: The call's arrays.
        owned: Whether a gradient may overwrite its own argument.
        threads: How many threads may work.
        checkpoint: Called between blocks.
    """
    parts, gradient = run_fused_blocks(fused, arrays, owned=owned, threads=threads, checkpoint=checkpoint)
    total = parts[0] if len(parts) == 1 else tree_total(parts)
    if len(parts) > 1 and not isfinite(total):  # of parts that may be finite
        total = tree_total(map(WIDE, parts))
    found = {fused.reduction: gradient} if gradient else {}
    value = fused.real(total / fused.divisor)
    plan = fused.plan
    return Answer(
        {fused.reduction: value}, fused.bound.count, plan.denominator, found, warnings=plan.wanted.warnings
    )


def run_fused_blocks(
    fused: FusedPlan,
    arrays: Mapping[str, Array],
    *,
    owned: bool,
    threads: int = 1,
    checkpoint: Checkpoint | None = None,
) -> tuple[list[Number], dict[str, Array]]:
    """Return the sum of each block, and the gradients; the arguments are those of `run_fused`."""
    as_stored, others = _split_inputs(fused, arrays)
    gradient, outputs = _allocate_gradients(fused, arrays if owned else {})
    if fused.in_place and outputs and not others and len(fused.blocks) == 1:
        # A view of each block would cost a small call more than its numbers do.
        if checkpoint is not None:
            checkpoint()
        return [_run_kernel(fused, as_stored, [output.array for output in outputs])], gradient
    work = partial(_run_fused_block, fused, as_stored, others, outputs)
    return run_blocks(work, fused.blocks, threads, checkpoint), gradient


def _run_fused_block(
    fused: FusedPlan,
    as_stored: Mapping[str, Array],
    others: list[tuple[str, Rows, InputPlan]],
    outputs: list[Rows],
    block: Block,
) -> Number:
    """Run the kernel on one block."""
    given = {name: rows[block] for name, rows in as_stored.items()}
    for name, source, planned in others:
        given[name] = _read(source, planned, block, fused.bound)
    if outputs and fused.in_place:
        return _run_kernel(fused, given, [output.array[block] for output in outputs])
    out = [_of_thread.scratch.empty(name, given[name]) for name in fused.bound.loss.gradient]
    value = _run_kernel(fused, given, out)
    if outputs:
        for output, values in zip(outputs, out, strict=True):
            output.write(block, values)
    return value


def _run_kernel(fused: FusedPlan, given: Mapping[str, Array], out: list[Array]) -> Number:
    try:
        return fused.kernel(
            **given, **fused.settings, out=out[0] if len(out) == 1 else out, scratch=_of_thread.scratch
        )
    except FloatingPointError:  # the arguments are as they were: `out` is written anew
        compute = partial(_run_reference, fused, given)
        total, gradients = in_range(compute, fused.bound.computing)
        for output, gradient in zip(out, gradients, strict=True):
            output[...] = rounded(gradient, output.dtype)
        return total


def _run_reference(
    fused: FusedPlan, given: Mapping[str, Array], dtype: np.dtype[Any]
) -> tuple[Number, list[Array]]:
    """Return a block's sum of values and scaled gradients, by the loss's own kernel in ``dtype``."""
    loss, plan = fused.bound.loss, fused.plan
    arguments: dict[str, Array | None] = dict.fromkeys(loss.by_name)
    for name, array in given.items():
        arguments[name] = array if array.dtype.kind in "iu" else array.astype(dtype)
    result = loss.kernel(**arguments, **plan.settings)
    factor = plan.factors[fused.reduction].derivative
    gradients = [evaluated(result.gradient[name]) * dtype.type(factor) for name in loss.gradient]
    return np.add.reduce(result.value, dtype=np.result_type(dtype, np.float64)), gradients


def _allocate_gradients(fused: FusedPlan, spent: Mapping[str, Array]) -> tuple[dict[str, Array], list[Rows]]:
    """Allocate the gradients, or take the place of arguments that are ``spent``, and see them by rows."""
    storage = fused.bound.storage
    arrays: dict[str, Array] = {}
    rows: list[Rows] = []
    for name in fused.plan.wanted.gradient:
        planned = fused.inputs[name]
        shape = planned.given.array.shape
        if planned.shape is None:
            arrays[name], output = empty_rows(
                shape, planned.given.core, storage, flattened=planned.given.role.flattened, zero=False
            )
        else:
            taken = name in spent and _can_hold(spent[name], storage) and _is_apart(name, spent)
            arrays[name] = spent[name] if taken else np.empty(shape, storage)
            output = FlatRows(arrays[name].reshape(planned.shape))
        rows.append(output)
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


def _split_inputs(
    fused: FusedPlan, arrays: Mapping[str, Array]
) -> tuple[dict[str, Array], list[tuple[str, Rows, InputPlan]]]:
    """Split the arguments, by rows, into those that the kernel can take as they are, and those to be read."""
    as_stored: dict[str, Array] = {}
    others: list[tuple[str, Rows, InputPlan]] = []
    for name, planned in fused.inputs.items():
        array = arrays[name]
        if planned.shape is None:
            others.append((name, rows_of(array, planned.given.core, planned.given.role.flattened), planned))
            continue
        rows = array.reshape(planned.shape)  # a view always: kernels tell shared memory by its base
        if planned.as_stored and (flags := rows.flags).c_contiguous and flags.aligned:
            as_stored[name] = rows
        else:
            others.append((name, FlatRows(rows), planned))
    return as_stored, others


def _read(source: Rows, planned: InputPlan, block: Block, bound: Bound) -> Array:
    """Return a block of an argument, checked."""
    if not planned.checked:
        return source.read(block, planned.dtype)
    values = source.read(block, None)
    check_block(planned.given, values, block, bound)
    return values if values.dtype is planned.dtype else np.ascontiguousarray(values, planned.dtype)
