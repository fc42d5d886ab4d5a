"""The engine's flow: validate, bind, plan, run, reduce, answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lossd.declaration.loss import Loss
from lossd.engine.answer import answer
from lossd.engine.bind import with_arrays
from lossd.engine.blocks import BLOCK_BYTES, Checkpoint, one_blas_thread
from lossd.engine.check import check_finite, check_shared, names_to_check
from lossd.engine.concatenated import Starts, padded
from lossd.engine.cost import Estimate
from lossd.engine.fused import run_fused
from lossd.engine.fused_plan import fused_plan
from lossd.engine.known import Known, known_call
from lossd.engine.limits import CostLimits
from lossd.engine.plan import make_plan
from lossd.engine.run import Job, run
from lossd.engine.selection import select
from lossd.message import Answer, Call


@dataclass(frozen=True, slots=True)
class Prepared:
    """A call that was validated and bound, and whose cost is known; nothing is computed yet."""

    call: Call
    known: Known
    starts: Starts
    block_bytes: int

    @property
    def estimate(self) -> Estimate:
        """What the call costs."""
        return self.known.estimate


def evaluate(
    loss: Loss,
    call: Call,
    *,
    threads: int = 1,
    checkpoint: Checkpoint | None = None,
    block_bytes: int = BLOCK_BYTES,
    limits: CostLimits | None = None,
) -> Answer:
    """Evaluate a loss: its value for every reduction asked for, and the derivatives of that value.

    Args:
        loss: What to evaluate.
        call: Arrays by argument, settings and options; their meaning is in `Options` and in the loss.
        threads: How many threads may work; the answer's bits do not depend on it.
        checkpoint: Called between blocks; what it raises ends the work.
        block_bytes: Size of the widest argument's block; a kernel that is not fused gets a quarter of it.
        limits: What the call may cost; anything if None.

    Raises:
        InvalidCall: An array, a setting or an option is not what the loss means, or the call would cost more than it
            may; the errors say where.
    """
    return run_call(prepare(loss, call, limits=limits, block_bytes=block_bytes), threads, checkpoint)


def prepare(
    loss: Loss, call: Call, *, limits: CostLimits | None = None, block_bytes: int = BLOCK_BYTES
) -> Prepared:
    """Validate and bind a call, and estimate its cost; the arguments are those of `evaluate`.

    Raises:
        InvalidCall: As `evaluate` does, but for values that the blocks check.
    """
    with np.errstate(all="ignore"):
        call, starts = padded(loss, call)
        return Prepared(call, known_call(loss, call, block_bytes, limits), starts, block_bytes)


def run_call(prepared: Prepared, threads: int = 1, checkpoint: Checkpoint | None = None) -> Answer:
    """Compute the answer of a prepared call; the arguments are those of `evaluate`.

    Raises:
        InvalidCall: A value is outside its argument's domain, or the loss does not offer a derivative.
    """
    one_blas_thread()
    known, call = prepared.known, prepared.call
    with np.errstate(all="ignore"):  # overflow and NaN are answers here
        if known.fused is not None and all(index.valid(call.arrays) for index in known.indices):
            return run_fused(
                known.fused, call.arrays, owned=call.owned, threads=threads, checkpoint=checkpoint
            )
        return _run_by_values(prepared, threads, checkpoint)


def _run_by_values(prepared: Prepared, threads: int, checkpoint: Checkpoint | None) -> Answer:
    """Answer a call whose values decide how, or that no fused kernel covers."""
    known, call = prepared.known, prepared.call
    request = known.request.of_arrays(call.arrays)
    options = request.options
    if options.check_finite:
        check_finite(call.arrays)
    bound = known.bound
    if bound.lists is None:
        bound = with_arrays(bound, request.arrays, broadcast=options.broadcast, starts=prepared.starts)
    plan, checked = known.plan, known.checked
    if plan is None or not all(index.valid(call.arrays) for index in known.indices):
        checked = names_to_check(bound, options.check_target)
        check_shared(bound, checked)
        plan = make_plan(request, bound, select(request, bound))
        fused = fused_plan(bound, plan, checked, prepared.block_bytes)
        if fused is not None:
            return run_fused(fused, call.arrays, owned=call.owned, threads=threads, checkpoint=checkpoint)
    else:
        check_shared(bound, checked)
    job = Job(bound, plan, checked, options.check_target == "strict", known.estimate.block_rows)
    return answer(request, bound, plan, run(job, threads=threads, checkpoint=checkpoint))
