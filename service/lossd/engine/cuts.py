"""Where a call may be cut into parts: between blocks, which one call would cut at the same places."""

from __future__ import annotations

import math

from lossd.declaration.loss import Loss
from lossd.engine.bind import Bound
from lossd.engine.blocks import BLOCK_BYTES, block_rows, blocks_before, least_cut
from lossd.engine.evaluate import CallTemplate, prepare
from lossd.engine.plan import Plan
from lossd.engine.reductions import REDUCTIONS
from lossd.errors import invalid
from lossd.message import Call


def rows_per_block(loss: Loss, call: Call, block_bytes: int = BLOCK_BYTES) -> int:
    """Return at multiples of what a call may be cut, counted along the first axis of its batch.

    It follows from types and from the lengths of all other axes, and is a power of two where there is no other axis of
    the batch.

    Raises:
        InvalidCall: As `evaluate` does.
    """
    template = prepare(loss, call, block_bytes=block_bytes).template
    return rows_of_unit(template.bound, template)


def refuse_what_has_no_parts(bound: Bound, plan: Plan) -> None:
    """Refuse a call of which the rows of a part do not say what they add.

    Raises:
        InvalidCall: The error says what stands in the way.
    """
    loss, wanted = bound.loss, plan.wanted
    if loss.whole_batch or not bound.batch:
        raise invalid("", "a loss whose rows stand alone", f"{loss.name}, whose value is of the whole batch")
    if bound.lists is not None:
        raise invalid("", "lists of one length", "lists whose blocks depend on all their lengths")
    if plan.inputs.axes is not None:
        raise invalid("axis", "a reduction over all axes", "some")
    if plan.extended:
        raise invalid("", "weights and settings whose products a double holds", "some that need a wider type")
    divided = averages(plan)
    if wanted.all and divided and plan.inputs.denominator is None:
        expected = f"what {divided[0]} divides by over all rows, as combined parts without derivatives say"
        raise invalid("denominator", expected, "none")
    for kind, name in wanted.all:
        given = bound.arrays.get(name)
        if given is not None and given.rows is not None and given.broadcast is not None:
            raise invalid(
                kind, f"no derivative of {name}, or {name} of the batch's own shape", "a broadcast array"
            )


def averages(plan: Plan) -> list[str]:
    """Return the reductions of a call that divide by something."""
    return [name for name in plan.wanted.reductions if REDUCTIONS[name].divisor is not None]


def rows_of_unit(bound: Bound, template: CallTemplate) -> int:
    """Return `rows_per_block` of a call that is bound."""
    size = max(template.estimate.block_rows, block_rows(bound, template.block_bytes))
    unit, inner = least_cut(bound, size), _inner_rows(bound)
    return unit // math.gcd(unit, inner)


def first_block(first: int, bound: Bound, size: int, template: CallTemplate) -> int:
    """Return the place of the block that begins with an entry of the first axis of the whole batch."""
    found = blocks_before(first * _inner_rows(bound), bound, size)
    if found is None:
        expected = f"a multiple of {rows_of_unit(bound, template)}, the rows_per_block of such calls"
        raise invalid("partial.first", expected, first)
    return found


def _inner_rows(bound: Bound) -> int:
    return math.prod(bound.batch[1:])
