"""Plans of known calls: what follows from shapes, types and options alone is worked out once and kept.

Most calls of a training loop have the shapes, types and options of the one before. Only what the arrays' values decide
is worked out for each call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from lossd.declaration.loss import Loss
from lossd.declaration.pattern import Shape
from lossd.engine.bind import Bound, bind
from lossd.engine.blocks import block_rows
from lossd.engine.check import CheckedNames, names_to_check
from lossd.engine.cost import Estimate, estimate, min_block_rows
from lossd.engine.fused_plan import FusedPlan, fused_plan
from lossd.engine.index_arguments import IndexArgument, check_ignored, index_arguments
from lossd.engine.limits import CostLimits, refuse_excess
from lossd.engine.normalize import has_normalizer
from lossd.engine.plan import Plan, make_plan
from lossd.engine.request import Request, read_request
from lossd.engine.selection import Selection
from lossd.errors import InvalidCall
from lossd.message import Array, Call

# A kernel that reads as the maths holds several results of a block's size at a time, a fused one few.
_TEMPORARIES = 4
# An option's value as a key: equal values of different types, as 1 and True, are different calls.
_Key = tuple[type, Any]
_Option = tuple[str, type, Any]
_Form = tuple[str, Shape, np.dtype[Any]]
# Types of options that are kept, and how many options and items of a list: a caller must not fill the memory.
# Nor can text do so: what is kept has passed the checks, so it is a name that the loss knows.
_PLAIN = frozenset([bool, int, float, str, type(None)])
_LONGEST = 32


class _NotKept(Exception):
    """An option is not of a type that is kept."""


@dataclass(frozen=True, slots=True)
class Known:
    """What calls of the same shapes, types and options have in common; the arrays in it hold nothing.

    Attributes:
        request: Every setting and option.
        bound: The arrays.
        estimate: What such a call costs.
        checked: Arguments whose values the blocks check.
        plan: The plan, unless values decide it.
        fused: The plan of a fused kernel that covers such calls.
        indices: Arguments to check as a whole before the plan is used.
    """

    request: Request
    bound: Bound
    estimate: Estimate
    checked: CheckedNames
    plan: Plan | None = None
    fused: FusedPlan | None = None
    indices: tuple[IndexArgument, ...] = ()


def known_call(loss: Loss, call: Call, block_bytes: int, limits: CostLimits | None) -> Known:
    """Return what is known of calls of this one's shapes, types and options.

    Raises:
        InvalidCall: An array, a setting or an option is not what the loss means.
    """
    if loss.ragged and (
        "group" in call.arrays or "mask" in call.arrays
    ):  # the shapes do not say how long lists are
        return _work_out(read_request(loss, call), block_bytes, limits)
    try:
        return _kept(loss, _forms(call.arrays), _keys(call.options), block_bytes, limits)
    except (InvalidCall, _NotKept):  # errors are to show the call's own values
        return _work_out(read_request(loss, call), block_bytes, limits)


@lru_cache(maxsize=1024)
def _kept(
    loss: Loss,
    forms: tuple[_Form, ...],
    options: tuple[_Option, ...],
    block_bytes: int,
    limits: CostLimits | None,
) -> Known:
    empty = {name: np.broadcast_to(np.zeros((), dtype), shape) for name, shape, dtype in forms}
    request = read_request(loss, Call(empty, {name: _value((kind, key)) for name, kind, key in options}))
    return _work_out(request, block_bytes, limits)


def _work_out(request: Request, block_bytes: int, limits: CostLimits | None) -> Known:
    """Work out all that does not depend on values; what would cost too much is refused before anything is allocated."""
    bound = bind(request)
    check_ignored(request, bound)
    size = max(block_rows(bound, block_bytes // _TEMPORARIES), min_block_rows(bound))
    cost = estimate(request, bound, size)
    if limits is not None:
        refuse_excess(cost, limits)
    checked = names_to_check(bound, request.options.check_target)
    if _values_decide(request, bound):
        return Known(request, bound, cost, checked)
    plan = make_plan(request, bound, Selection())
    if not _is_small(plan):
        return Known(request, bound, cost, checked)
    indices = tuple(index_arguments(request, bound))
    whole = {index.name for index in indices}
    checked = tuple(name for name in checked if name not in whole)
    return Known(request, bound, cost, checked, plan, fused_plan(bound, plan, checked, block_bytes), indices)


def _values_decide(request: Request, bound: Bound) -> bool:
    """Return whether a call's plan depends on the values of its arrays."""
    return (
        has_normalizer(bound)
        or bound.lists is not None
        or request.options.check_finite
        or request.has_general_arrays
    )


def _is_small(plan: Plan) -> bool:
    """Return whether no factor is an array, as long as the call's own: those are not kept."""
    factors = [(scale.value, scale.divisor, scale.gradient) for scale in plan.scales.values()]
    return not any(isinstance(factor, np.ndarray) for of_scale in factors for factor in of_scale)


def _forms(arrays: Mapping[str, Array]) -> tuple[_Form, ...]:
    return tuple([(name, array.shape, array.dtype) for name, array in arrays.items()])


def _keys(options: Mapping[str, Any]) -> tuple[_Option, ...]:
    if len(options) > _LONGEST:
        raise _NotKept
    return tuple([(name, *_key(value)) for name, value in options.items()])


def _key(value: Any) -> _Key:
    kind = value.__class__
    if kind is list:
        if len(value) > _LONGEST:
            raise _NotKept
        return kind, tuple(map(_key, value))
    if kind not in _PLAIN:
        raise _NotKept
    return kind, value


def _value(key: _Key) -> Any:
    kind, value = key
    return list(map(_value, value)) if kind is list else value
