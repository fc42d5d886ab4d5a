"""The engine's flow: validate, bind, plan, run, reduce, answer."""

from __future__ import annotations

import numpy as np

from lossd.declaration.loss import Loss
from lossd.engine.answer import answer
from lossd.engine.bind import with_arrays
from lossd.engine.blocks import BLOCK_BYTES, Checkpoint, block_rows, one_blas_thread
from lossd.engine.check import check_finite, check_shared, names_to_check
from lossd.engine.concatenated import Starts, padded
from lossd.engine.cost import min_block_rows
from lossd.engine.fused import run_fused
from lossd.engine.fused_plan import fused_plan
from lossd.engine.known import Known, known_call
from lossd.engine.plan import make_plan
from lossd.engine.run import Job, run
from lossd.engine.selection import select
from lossd.message import Answer, Call

# A kernel that reads as the maths holds several results of a block's size at a time, a fused one few.
_TEMPORARIES = 4


def evaluate(
    loss: Loss,
    call: Call,
    *,
    threads: int = 1,
    checkpoint: Checkpoint | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> Answer:
    """Evaluate a loss: its value for every reduction asked for, and the derivatives of that value.

    Args:
        loss: What to evaluate.
        call: Arrays by argument, settings and options; their meaning is in `Options` and in the loss.
        threads: How many threads may work; the answer's bits do not depend on it.
        checkpoint: Called between blocks; what it raises ends the work.
        block_bytes: Size of the widest argument's block; a kernel that is not fused gets a quarter of it.

    Raises:
        InvalidCall: An array, a setting or an option is not what the loss means; the errors say where.
    """
    one_blas_thread()
    with np.errstate(all="ignore"):  # overflow and NaN are answers here
        call, starts = padded(loss, call)
        known = known_call(loss, call, block_bytes)
        if known.fused is not None and all(index.valid(call.arrays) for index in known.indices):
            return run_fused(
                known.fused, call.arrays, owned=call.owned, threads=threads, checkpoint=checkpoint
            )
        return _evaluate(known, call, starts, threads=threads, checkpoint=checkpoint, block_bytes=block_bytes)


def _evaluate(
    known: Known, call: Call, starts: Starts, *, threads: int, checkpoint: Checkpoint | None, block_bytes: int
) -> Answer:
    """Answer a call whose values decide how, or that no fused kernel covers."""
    request = known.request.of_arrays(call.arrays)
    if request.options.check_finite:
        check_finite(call.arrays)
    bound = with_arrays(known.bound, request.arrays, broadcast=request.options.broadcast, starts=starts)
    plan, checked = known.plan, known.checked
    if plan is None or not all(index.valid(call.arrays) for index in known.indices):
        checked = names_to_check(bound, request.options.check_target)
        check_shared(bound, checked)
        plan = make_plan(request, bound, select(request, bound))
        fused = fused_plan(bound, plan, checked, block_bytes)
        if fused is not None:
            return run_fused(fused, call.arrays, owned=call.owned, threads=threads, checkpoint=checkpoint)
    else:
        check_shared(bound, checked)
    size = max(block_rows(bound, block_bytes // _TEMPORARIES), min_block_rows(bound))
    job = Job(bound, plan, checked, request.options.check_target == "strict", size)
    return answer(request, bound, plan, run(job, threads=threads, checkpoint=checkpoint))
