"""All that a fused kernel needs to know of a call besides the numbers in its arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossd.declaration.pattern import Shape
from lossd.engine.bind import Bound, BoundArray
from lossd.engine.blocks import block_rows, row_slices
from lossd.engine.check import takes_any_number
from lossd.engine.layout import shape_by_rows
from lossd.engine.plan import Plan
from lossd.engine.precision import is_heavy, rounding_to
from lossd.fused import FUSED
from lossd.fused.table import FusedKernel


@dataclass(frozen=True, slots=True)
class InputPlan:
    """How one argument is read.

    Attributes:
        given: The argument of the call that the plan was made for.
        dtype: The type that the kernel takes.
        shape: ``(rows, *core)`` where the array is laid out so; None where it must be rearranged.
        checked: Whether its values are checked.
        as_stored: Whether a kernel can take it as it is, if it is aligned too.
    """

    given: BoundArray
    dtype: np.dtype[Any]
    shape: Shape | None
    checked: bool
    as_stored: bool


@dataclass(frozen=True, slots=True)
class FusedPlan:
    """All that a fused kernel needs to know of a call besides the numbers in its arrays."""

    bound: Bound
    plan: Plan
    kernel: Callable[..., float]
    speed: float
    inputs: Mapping[str, InputPlan]
    settings: Mapping[str, Any]
    blocks: list[slice]
    reduction: str
    divisor: float
    real: Callable[[Any], Any]
    in_place: bool


def fused_plan(bound: Bound, plan: Plan, block_bytes: int) -> FusedPlan | None:
    """Plan how a fused kernel of the loss answers a call; return None where none can.

    Args:
        bound: The call's arrays.
        plan: The call's plan.
        block_bytes: About the size of the widest argument's block.
    """
    kernel = next((each for each in FUSED.get(bound.loss.kernel, ()) if _covers(each, bound, plan)), None)
    if kernel is None:
        return None
    ((reduction, factors),) = plan.factors.items()
    computing, storage = bound.computing, bound.storage
    settings = {name: value for name, value in plan.settings.items() if name in kernel.accepts}
    inputs = {
        name: _input(given, bound, checked=name in plan.checked) for name, given in bound.arrays.items()
    }
    return FusedPlan(
        bound=bound,
        plan=plan,
        kernel=kernel.function,
        speed=kernel.speed,
        inputs=inputs,
        settings={**settings, "scale": computing.type(factors.derivative)},
        blocks=row_slices(bound, block_rows(bound, block_bytes)),
        reduction=reduction,
        divisor=float(factors.divisor),
        real=rounding_to(storage),
        in_place=storage == computing
        and all(inputs[name].shape is not None for name in plan.wanted.gradient),
    )


def _covers(kernel: FusedKernel, bound: Bound, plan: Plan) -> bool:
    """Return whether a fused kernel can answer a call."""
    loss, wanted = bound.loss, plan.wanted
    if plan.extended or len(plan.factors) != 1 or wanted.hessian or wanted.hvp:
        return False
    (factors,) = plan.factors.values()
    if plan.rows is not None or plan.inputs.axes is not None or "none" in plan.factors:
        return False
    if (
        not isinstance(factors.value, float)
        or not isinstance(factors.derivative, float)
        or not factors.divisor
    ):
        return False
    if not loss.of_residual and is_heavy([factors.derivative], bound.computing):
        return False
    if wanted.gradient not in ((), loss.gradient) or bound.computing.kind == "c" or not bound.count:
        return False
    return all(
        name in kernel.accepts and _is_ordinary(given, name in plan.checked)
        for name, given in bound.arrays.items()
    ) and all(
        name in kernel.accepts or value == loss.settings[name][1] for name, value in plan.settings.items()
    )


def _is_ordinary(given: BoundArray, checked: bool) -> bool:
    """Return whether an argument is in its first form, of the batch's shape, and its values in its domain."""
    return (
        given.role is given.argument.role.forms[0]
        and given.broadcast is None
        and (checked or given.role.domain.kind == "whole" or takes_any_number(given.role))
    )


def _input(given: BoundArray, bound: Bound, *, checked: bool) -> InputPlan:
    """Plan how to read one argument."""
    dtype = bound.dtype_of(given.role)
    return InputPlan(
        given=given,
        dtype=dtype,
        shape=shape_by_rows(given.array.shape, given.core, given.role.flattened),
        checked=checked,
        as_stored=given.array.dtype == dtype and not checked,
    )
