"""The engine's flow: each step is a function in a file of its own, and a call passes each once.

    validate      request.py    every argument, setting and option by its type and range
    bind          bind.py       each array against the pattern of its argument: its batch and its core dimensions
    select        selection.py  which rows and values take part, by the mask and the loss's own rule
    plan          plan.py       the factors of every reduction; fused_plan.py finds whether a fused kernel does it
    run           run.py        the kernel over blocks of rows
    reduce        reduce.py     the sums divided, and what the denominators depend on
    make_answer   answer.py     results in the caller's type, sorted

In place of the last three a fused plan has run_fused, in fused.py: a fused kernel has one reduction, whose sum needs no
more than to be divided, and writes gradients in the caller's type.

Shapes, types and options alone decide validation, binding, the cost and most plans. So these steps take arrays that
hold only zeros, and what they come to is a template that `template_cache` keeps. A call then binds its own arrays to
the template; where values decide what takes part or what a mean divides by, it is planned then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from lossd.declaration.loss import Loss
from lossd.engine.answer import make_answer
from lossd.engine.bind import Bound, bind, bind_again
from lossd.engine.blocks import BLOCK_BYTES, block_rows, one_blas_thread
from lossd.engine.check import CheckedNames, check_finite, check_shared, names_to_check
from lossd.engine.concatenated import Starts, padded
from lossd.engine.cost import TEMPORARIES, Estimate, estimate, fused_speed, min_block_rows
from lossd.engine.fused import run_fused
from lossd.engine.fused_plan import FusedPlan, fused_plan
from lossd.engine.index_arguments import IndexArgument, check_ignored, index_arguments
from lossd.engine.limits import CostLimits, refuse_excess
from lossd.engine.normalizer import has_normalizer
from lossd.engine.plan import Plan, make_plan
from lossd.engine.reduce import reduce
from lossd.engine.request import Request, validate
from lossd.engine.run import run
from lossd.engine.selection import Selection, select
from lossd.engine.template_cache import cached_template
from lossd.engine.wanted import Wanted, wanted_of
from lossd.message import Answer, Array, Call, Checkpoint

_MOST_KEPT_BLOCKS = 32  # of a template's plan; to plan a call of more takes less than a hundredth of its time


@dataclass(frozen=True, slots=True)
class CallTemplate:
    """What calls of the same shapes, types and options have in common.

    Attributes:
        request: Every setting and option.
        bound: The arrays as they are bound; those of a template that is kept hold zeros.
        wanted: The reductions and derivatives.
        estimate: What such a call costs.
        block_bytes: About the size of the widest argument's block.
        plan: The plan, unless values decide it.
        fused: The plan of a fused kernel that covers such calls.
        indices: Arguments of indices, which must all be valid for the plan to hold.
    """

    request: Request
    bound: Bound
    wanted: Wanted
    estimate: Estimate
    block_bytes: int
    plan: Plan | None = None
    fused: FusedPlan | None = None
    indices: tuple[IndexArgument, ...] = ()

    def holds_for(self, arrays: Mapping[str, Array]) -> bool:
        """Return whether the plan is that of a call with these arrays."""
        if not self.indices:
            return self.plan is not None
        return self.plan is not None and all([index.valid(arrays) for index in self.indices])


class Prepared(NamedTuple):
    """A call whose template and cost are known; of its arrays only the shapes and types were looked at.

    Attributes:
        call: The call.
        template: What calls like this have in common.
        starts: Where rows begin in arrays that the caller sent concatenated.
    """

    call: Call
    template: CallTemplate
    starts: Starts

    @property
    def estimate(self) -> Estimate:
        """What the call costs."""
        return self.template.estimate


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
        block_bytes: About the size of the widest argument's block; a kernel that is not fused gets a quarter of it.
        limits: What the call may cost; anything if None.

    Raises:
        InvalidCall: An array, a setting or an option is not what the loss means, or the call would cost more than it
            may; the errors say where.
    """
    return compute(prepare(loss, call, limits=limits, block_bytes=block_bytes), threads, checkpoint)


def prepare(
    loss: Loss, call: Call, *, limits: CostLimits | None = None, block_bytes: int = BLOCK_BYTES
) -> Prepared:
    """Find or make a call's template, which has its cost; the arguments are those of `evaluate`.

    Raises:
        InvalidCall: As `evaluate` does, but for values that the blocks check.
    """
    call, starts = padded(loss, call)
    return Prepared(call, cached_template(make_template, loss, call, block_bytes, limits), starts)


@np.errstate(all="ignore")
def make_template(loss: Loss, call: Call, block_bytes: int, limits: CostLimits | None) -> CallTemplate:
    """Validate, bind and plan a call as far as its shapes, types and options decide.

    What would cost too much is refused before anything is allocated.
    """
    request = validate(loss, call)
    bound = bind(request)
    check_ignored(request, bound)
    wanted = wanted_of(request, bound)
    rows = max(block_rows(bound, block_bytes // TEMPORARIES), min_block_rows(bound))
    cost = estimate(request, bound, wanted, rows)
    if limits is not None:
        refuse_excess(cost, limits)
    template = CallTemplate(request, bound, wanted, cost, block_bytes)
    if _values_decide(request, bound):
        return template
    indices = tuple(index_arguments(request, bound))
    whole = {index.name for index in indices}  # checked as a whole, not by the blocks
    checked = names_to_check(bound, request.options.check_target)
    checked = tuple([name for name in checked if name not in whole])
    plan, fused = _plan(template, request, bound, Selection(), checked)
    if fused is not None:
        cost = replace(cost, speed=fused_speed(fused.speed, bound, wanted))
    if not all(factors.are_numbers for factors in plan.factors.values()):
        return template  # no array as long as the call's own is kept
    if fused is not None and len(fused.blocks) > _MOST_KEPT_BLOCKS:
        return template  # nor as many slices
    return CallTemplate(request, bound, wanted, cost, block_bytes, plan, fused, indices)


def compute(prepared: Prepared, threads: int = 1, checkpoint: Checkpoint | None = None) -> Answer:
    """Compute the answer of a prepared call; the arguments are those of `evaluate`.

    Raises:
        InvalidCall: A value is outside its argument's domain, or the loss does not offer a derivative.
    """
    with arithmetic():
        return compute_within(prepared, threads, checkpoint)


def arithmetic() -> np.errstate:
    """Return the context in which calls are computed, any number of them."""
    one_blas_thread()
    return np.errstate(all="ignore")  # overflow and NaN are answers here


def compute_within(prepared: Prepared, threads: int = 1, checkpoint: Checkpoint | None = None) -> Answer:
    """Compute the answer of a prepared call within `arithmetic`; to enter it takes a tenth of a small call's time.

    Raises:
        InvalidCall: As `compute` does.
    """
    call = prepared.call
    bound, plan, fused = planned(prepared)
    if fused is not None:
        return run_fused(fused, call.arrays, owned=call.owned, threads=threads, checkpoint=checkpoint)
    totals = run(bound, plan, threads=threads, checkpoint=checkpoint)
    return make_answer(bound, plan, reduce(bound, plan, totals))


def planned(prepared: Prepared, *, may_fuse: bool = True) -> tuple[Bound, Plan, FusedPlan | None]:
    """Bind a call's own arrays and plan it, or find that its template's plan holds.

    Where a fused kernel answers the call, the bound arrays may be those of the template.

    Args:
        prepared: The call.
        may_fuse: Whether a fused kernel may answer it.

    Raises:
        InvalidCall: A value is outside its argument's domain.
    """
    template, arrays = prepared.template, prepared.call.arrays
    holds = template.holds_for(arrays)
    if holds and may_fuse and template.fused is not None:
        return template.bound, template.fused.plan, template.fused
    bound = _bind_values(prepared)
    if holds and template.plan is not None:
        check_shared(bound, template.plan.checked)
        return bound, template.plan, None
    plan, fused = _plan_values(prepared, bound)
    return bound, plan, fused if may_fuse else None


def _bind_values(prepared: Prepared) -> Bound:
    """Bind a call's own arrays as those of its template were bound, unless the template was made of them."""
    template, arrays = prepared.template, prepared.call.arrays
    options = template.request.options
    if options.check_finite:
        check_finite(arrays)
    is_own = all([array is arrays[name] for name, array in template.request.arrays.items()])
    if is_own and not prepared.starts:
        return template.bound
    return bind_again(template.bound, arrays, broadcast=options.broadcast, starts=prepared.starts)


def _plan_values(prepared: Prepared, bound: Bound) -> tuple[Plan, FusedPlan | None]:
    """Plan a call by its own values."""
    template = prepared.template
    request = template.request.of_arrays(prepared.call.arrays)
    checked = names_to_check(bound, request.options.check_target)
    check_shared(bound, checked)
    return _plan(template, request, bound, select(request, bound), checked)


def _plan(
    template: CallTemplate, request: Request, bound: Bound, selection: Selection, checked: CheckedNames
) -> tuple[Plan, FusedPlan | None]:
    """Plan a call, and how a fused kernel answers it; None where none can."""
    rows = template.estimate.block_rows
    plan = make_plan(request, bound, template.wanted, selection, checked=checked, block_rows=rows)
    return plan, fused_plan(bound, plan, template.block_bytes)


def _values_decide(request: Request, bound: Bound) -> bool:
    """Return whether a call's plan depends on the values of its arrays."""
    return (
        has_normalizer(bound)
        or bound.lists is not None
        or request.options.check_finite
        or request.has_general_arrays
    )
