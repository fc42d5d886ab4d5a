"""Parts of a call: what some of its rows add to the answer, for `combine` to put together.

Blocks of rows are cut at the same places as in one call, and what they come to is added as a binary tree over these
places. So parts may be computed anywhere and put together in any order: the answer has the bits of one call, but where
one of the two leaves the range of its type of numbers and computes in a wider one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from lossd.declaration.loss import Loss
from lossd.declaration.pattern import Shape
from lossd.engine.answer import in_own_type, make_answer, type_of, warnings_of
from lossd.engine.bind import Bound
from lossd.engine.blocks import BLOCK_BYTES, block_rows, one_blas_thread
from lossd.engine.cost import Estimate
from lossd.engine.cuts import averages, first_block, refuse_what_has_no_parts, rows_of_unit
from lossd.engine.evaluate import CallTemplate, Prepared, planned, prepare
from lossd.engine.fused import run_fused_blocks
from lossd.engine.limits import CostLimits, refuse_excess
from lossd.engine.options import read_partial
from lossd.engine.plan import Plan
from lossd.engine.reduce import reduce
from lossd.engine.reductions import count, divisor_terms
from lossd.engine.run import Key, Totals, run
from lossd.errors import invalid
from lossd.message import Answer, Array, Branches, Call, Checkpoint, Part, Partial, inner_lists
from lossd.numerics.tree_sum import TreeSum, tree_sum

_ACCUMULATED_BYTES = 16  # of a number of a shared derivative, complex ones included
_RUN_BRANCHES = 2  # of the blocks of a part, which follow one another, on each level of the tree


class PreparedPart(NamedTuple):
    """A part of a call whose template and cost are known.

    Attributes:
        prepared: Its rows as a call.
        partial: Which part they are.
        estimate: What it costs.
    """

    prepared: Prepared
    partial: Partial
    estimate: Estimate


class _Run(NamedTuple):
    """What the blocks of a part came to."""

    template: CallTemplate
    bound: Bound
    plan: Plan
    totals: Totals
    normalizers: Mapping[str, Branches]
    fused: bool
    partial: Partial


def prepare_part(
    loss: Loss, call: Call, *, limits: CostLimits | None = None, block_bytes: int = BLOCK_BYTES
) -> PreparedPart:
    """Prepare a call whose option ``partial`` says which part of a larger one it is.

    Args:
        loss: What to evaluate.
        call: Its options; its arrays cut to the rows of this part, and as they are where all rows share them.
        limits: What the part may cost; anything if None.
        block_bytes: About the size of the widest argument's block.

    Raises:
        InvalidCall: As `evaluate` does; or ``partial`` does not say where the part begins.
    """
    partial = read_partial(call.options["partial"])
    # Whether there is anything to average is for all parts together to say.
    options = {name: value for name, value in call.options.items() if name != "partial"} | {"empty": "nan"}
    prepared = prepare(loss, replace(call, options=options), limits=limits, block_bytes=block_bytes)
    estimate = _with_branches(prepared.template)
    if limits is not None:
        refuse_excess(estimate, limits)
    return PreparedPart(prepared, partial, estimate)


def compute_part(part: PreparedPart, threads: int = 1, checkpoint: Checkpoint | None = None) -> Answer:
    """Compute the answer to the rows of a part, and what they add to that of all rows.

    Raises:
        InvalidCall: As `evaluate` does; or the call has no parts, or cannot be cut there.
    """
    with np.errstate(all="ignore"):
        found = _run(part, threads, checkpoint)
        summed = _part(found)
        answer = make_answer(found.bound, found.plan, reduce(found.bound, found.plan, found.totals))
        return answer._replace(part=summed)


def evaluate_part(
    loss: Loss,
    call: Call,
    *,
    first: int = 0,
    selected: bool = False,
    of: int | None = None,
    threads: int = 1,
    checkpoint: Checkpoint | None = None,
    block_bytes: int = BLOCK_BYTES,
    limits: CostLimits | None = None,
) -> Part:
    """Evaluate some rows of a larger call.

    Args:
        loss: What to evaluate.
        call: Its options; its arrays cut to the rows of this part, and as they are where all rows share them.
        first: Where the part begins along the first axis of the whole batch: a multiple of `rows_per_block`.
        selected: Whether some values of the whole batch take no part, masked or ignored.
        of: How many entries the whole batch has along that axis; None if nobody is to check it.
        threads: How many threads may work.
        checkpoint: Called between blocks; what it raises ends the work.
        block_bytes: About the size of the widest argument's block.
        limits: What the part may cost; anything if None.

    Raises:
        InvalidCall: As `evaluate` does; or the call has no parts, or cannot be cut there.
    """
    partial = {"first": first, "selected": selected} | ({} if of is None else {"of": of})
    asked = replace(call, options={**call.options, "partial": partial})
    part = prepare_part(loss, asked, limits=limits, block_bytes=block_bytes)
    with np.errstate(all="ignore"):
        found = _run(part, threads, checkpoint)
        return _with_rows(_part(found), found)


def weigh_part(loss: Loss, call: Call, *, first: int = 0, block_bytes: int = BLOCK_BYTES) -> Part:
    """Find what some rows add to the denominators alone, without evaluating them.

    Only the arrays that say so are read (`weighing`); any other may be a broadcast of one number.

    Args:
        loss: What will be evaluated.
        call: The rows, as for `evaluate_part`; derivatives that it asks for are left out.
        first: Where the part begins along the first axis of the whole batch.
        block_bytes: About the size of the widest argument's block.

    Raises:
        InvalidCall: As `evaluate_part` does.
    """
    options = {**call.options, "gradient": False, "hessian": False, "empty": "nan"}
    prepared = prepare(loss, Call(call.arrays, options), block_bytes=block_bytes)
    with np.errstate(all="ignore"):
        bound, plan, _ = planned(prepared, may_fuse=False)
        refuse_what_has_no_parts(bound, plan)
        normalizers = _normalizers(plan, first_block(first, bound, plan.block_rows, prepared.template))
        nothing = Totals({}, {}, {}, {}, frozenset())
        partial = Partial(first)
        return _part(_Run(prepared.template, bound, plan, nothing, normalizers, fused=False, partial=partial))


def weighing(loss: Loss) -> frozenset[str]:
    """Return the names of the arrays that say what rows add to the denominators."""
    ignored = loss.ignored[:1] if loss.ignored is not None else ()
    return frozenset({"mask", "sample_weight", *loss.normalized_by, *ignored})


def _run(part: PreparedPart, threads: int, checkpoint: Checkpoint | None) -> _Run:
    """Run the blocks of a part, at their places among those of all rows."""
    one_blas_thread()
    (call, template, _), partial, _ = part
    first = partial.first
    bound, plan, fused = planned(part.prepared, may_fuse=not partial.selected)
    refuse_what_has_no_parts(bound, plan)
    if partial.of is not None and first + bound.batch[0] > partial.of:
        expected = f"{first + bound.batch[0]} rows or more, as this part ends there"
        raise invalid("partial.of", expected, partial.of)
    place = first_block(first, bound, plan.block_rows, template)
    normalizers = {} if plan.inputs.denominator is not None else _normalizers(plan, place)
    if fused is None:
        totals = run(bound, plan, threads=threads, checkpoint=checkpoint, first_block=place)
    else:
        terms, gradient = run_fused_blocks(
            fused, call.arrays, owned=call.owned, threads=threads, checkpoint=checkpoint
        )
        place = first_block(first, bound, block_rows(bound, template.block_bytes), template)
        totals = _fused_totals(fused.reduction, terms, gradient, place)
    return _Run(template, bound, plan, totals, normalizers, fused is not None, partial)


def _with_branches(template: CallTemplate) -> Estimate:
    """Return the cost of a part, whose answer has the sums of branches for what rows share."""
    bound, wanted, cost = template.bound, template.wanted, template.estimate
    blocks = -(-bound.count // max(cost.block_rows, 1))
    branches = _RUN_BRANCHES * max(blocks.bit_length(), 1)
    given = [bound.arrays.get(name) for _, name in wanted.all]
    shared = [() if each is None else each.array.shape for each in given if each is None or each.rows is None]
    times = branches * len(wanted.reductions)
    more = _ACCUMULATED_BYTES * times * sum(map(math.prod, shared))
    lists = times * sum(1 + inner_lists(shape) for shape in shared)
    return replace(cost, answer=cost.answer + more, inner_lists=cost.inner_lists + lists)


def _normalizers(plan: Plan, first: int) -> dict[str, Branches]:
    """Return what the rows add to each denominator; to that of a mean where nothing is averaged."""
    divided = averages(plan) or ["mean"]
    empty = 0 in plan.inputs.shape
    terms = {name: [] if empty else divisor_terms(name, plan.inputs) for name in divided}
    return {name: _branches(tree_sum(terms[name], first), ()) for name in divided}


def _fused_totals(reduction: str, terms: Sequence[Any], gradient: Mapping[str, Array], first: int) -> Totals:
    arrays: dict[Key, Array] = {("gradient", reduction, name): array for name, array in gradient.items()}
    return Totals({}, {reduction: tree_sum(terms, first)}, arrays, {}, frozenset())


def _part(found: _Run) -> Part:
    """Return what the rows of a part add to the answer of all."""
    template, bound, plan, totals, normalizers, fused, partial = found
    own = plan.inputs.denominator
    types = {name: type_of(name, bound) for _, _, name in totals.arrays}
    return Part(
        loss=bound.loss.name,
        first=partial.first,
        rows=bound.batch[0],
        rows_per_block=rows_of_unit(bound, template) if bound.count else 0,
        settings={name: value for name, value in template.request.settings.items() if value is not None},
        arrays=_given(template),
        fused=fused,
        count=count(plan.inputs),
        selected=plan.inputs.selected is not None,
        denominator=None if own is None else float(own),
        sums={name: _branches(total, ()) for name, total in totals.sums.items()},
        normalizers=normalizers,
        shared={key: _branches(total, totals.arrays[key].shape) for key, total in totals.shared.items()},
        types={**types, "": bound.real},
        warnings=warnings_of(bound, plan, totals.unnormalized),
        of=partial.of,
    )


def _given(template: CallTemplate) -> tuple[str, ...]:
    """Return the names of the arrays that all parts of a call have, or none."""
    weighted = template.request.sample_weight is not None
    return tuple(sorted([*template.bound.arrays, *(["sample_weight"] if weighted else [])]))


def _with_rows(part: Part, found: _Run) -> Part:
    """Return a part with what belongs to its rows alone."""
    kept, bound = found.totals.kept.get("none"), found.bound
    by_rows = {key: array for key, array in found.totals.arrays.items() if key not in found.totals.shared}
    return replace(
        part,
        values=None if kept is None else in_own_type(kept.reshape(found.plan.inputs.shape), bound.real),
        derivatives={key: in_own_type(array, part.types[key[2]]) for key, array in by_rows.items()},
    )


def _branches(total: TreeSum, shape: Shape) -> Branches:
    """Return a sum of terms of this shape as far as it goes."""
    nodes = [(level, place, term) for (level, place), term in sorted(total.nodes.items()) if term is not None]
    sums = np.array([term for _, _, term in nodes]).reshape(len(nodes), *shape)
    level, place = (np.array([node[of] for node in nodes], np.int64) for of in (0, 1))
    return Branches(level, place, sums)
