"""This file is the fast way: a loss's tuned kernel, for the calls that it can take.

One pass over a block writes the scaled gradient and returns the sum of the values; nothing else
leaves the cache. Most calls of a training loop are of this kind.
"""

from __future__ import annotations

from threading import get_ident
from typing import Any

import numpy as np

from lossd.engine.arrange import Arranged
from lossd.engine.blocks import Checkpoint, cut_blocks, run_blocks
from lossd.engine.check import CheckedNames, check_block
from lossd.engine.layout import Block, FlatRows, empty_rows
from lossd.engine.plan import Plan
from lossd.losses.scratch import Scratch
from lossd.losses.spec import Loss
from lossd.message import Array

INDEX = np.dtype(np.intp)


def can_fuse(loss: Loss, arranged: Arranged, plan: Plan) -> bool:
    """Return whether the tuned kernel of ``loss`` can answer a call."""
    if loss.tuned is None or len(plan.scales) != 1 or plan.hessian or plan.direction is not None:
        return False
    weights, (scale,) = plan.weights, plan.scales.values()
    if weights.selected is not None or weights.axes is not None or "none" in plan.scales:
        return False
    if not isinstance(scale.value, float) or not isinstance(scale.gradient, float):
        return False
    first = loss.gradient[0]
    if plan.gradient not in ((), (first,)) or arranged.computing.kind == "c":
        return False
    accepts = loss.tuned.accepts
    return (
        all(name in accepts for name in arranged.placed)
        and all(
            placed.role == placed.argument.role and not placed.spread for placed in arranged.placed.values()
        )
        and all(name in accepts or value == loss.settings[name][1] for name, value in plan.settings.items())
    )


def run_fused(
    loss: Loss,
    arranged: Arranged,
    plan: Plan,
    checked: CheckedNames,
    *,
    threads: int = 1,
    checkpoint: Checkpoint | None = None,
    block_bytes: int,
) -> tuple[float, Array | None]:
    """Run the tuned kernel of ``loss``; return the sum of the values, and the gradient if wanted."""
    assert loss.tuned is not None
    kernel, accepts = loss.tuned
    settings = {name: value for name, value in plan.settings.items() if name in accepts}
    settings["scale"] = arranged.computing.type(next(iter(plan.scales.values())).gradient)
    first = arranged.placed[loss.gradient[0]]
    array, rows = None, None
    if plan.gradient:
        array, rows = empty_rows(first.array.shape, first.core, arranged.storage, flat_core=False, zero=False)
    in_place = isinstance(rows, FlatRows) and arranged.storage == arranged.computing
    scratches: dict[int, Scratch] = {}

    def work(block: Block) -> float:
        scratch = scratches.setdefault(get_ident(), Scratch())
        arguments = _read(arranged, block, checked)
        given = arguments[loss.gradient[0]]
        out = rows.array[block] if in_place and isinstance(rows, FlatRows) else scratch.empty("out", given)
        value = kernel(**arguments, **settings, out=out, scratch=scratch)
        if rows is not None and not in_place:
            rows.write(block, out)
        return value

    blocks = cut_blocks(arranged, None, block_bytes)
    return sum(run_blocks(work, blocks, threads, checkpoint), 0.0), array


def _read(arranged: Arranged, block: Block, checked: CheckedNames) -> dict[str, Any]:
    """Return a block of every given argument, checked."""
    arguments: dict[str, Any] = {}
    for name, placed in arranged.placed.items():
        rows, integer = placed.rows, placed.role.domain.integer
        dtype = INDEX if integer else arranged.computing
        if rows is None:
            arguments[name] = np.ascontiguousarray(placed.array, dtype)
        elif name in checked:
            values = rows.read(block, None)
            check_block(placed, values, block, arranged)
            arguments[name] = values if values.dtype is dtype else np.ascontiguousarray(values, dtype)
        else:
            arguments[name] = rows.read(block, dtype)
    return arguments
