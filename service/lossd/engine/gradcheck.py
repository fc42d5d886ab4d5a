"""Checks analytic gradients against numerical ones, on the caller's own data.

A number is moved to either side by ever smaller steps, from a tenth of its size on, and the central differences are
extrapolated to a step of 0 with an estimate of the error (`lossd.numerics.ridders`). Everything is computed in float64,
whatever the caller sent. Where a loss has a kink, the slopes to both sides stay apart however small the step is; there
no gradient is wrong, and none is compared.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lossd.declaration.loss import Loss
from lossd.engine.cost import Estimate
from lossd.engine.differences import Differences, largest_size
from lossd.engine.evaluate import compute, prepare
from lossd.engine.float64_call import in_float64, zeros_in_float64
from lossd.engine.limits import CostLimits
from lossd.errors import TooExpensive, invalid
from lossd.message import Call, Checkpoint, Deviation, GradientCheck
from lossd.numerics.ridders import ACCURACY, EVALUATIONS

MOST_LISTED = 20
# Operations of each evaluation beside the estimated ones: of a few numbers, one takes up to 0.38 ms, as of cox.
_EVALUATION_WORK = 200_000
_FLOAT64_BYTES = 8
# A gradient is wrong where it is off by more than the estimated error of the differences, which may be this much more.
_DOUBT = 10


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is checked, and what it may cost.

    Attributes:
        call: The call in float64 with the gradient asked for, but zeros in place of its numbers.
        reduction: The reduction whose gradient is checked.
        settings: Every setting.
        checked: The arguments and settings whose gradients are compared.
        elements: How many numbers these have.
        work: The most operations that all evaluations take.
        estimate: The cost of the gradient.
    """

    call: Call
    reduction: str
    settings: Mapping[str, Any]
    checked: tuple[str, ...]
    elements: int
    work: int
    estimate: Estimate


@dataclass(slots=True)
class _Found:
    """What was found so far."""

    by_argument: dict[str, Deviation] = field(default_factory=dict)
    kinks: list[str] = field(default_factory=list)
    unmoved: int = 0
    undecided: int = 0

    def compare(self, argument: str, deviation: Deviation) -> None:
        known = self.by_argument.get(argument)
        if known is None or _order(deviation) > _order(known):
            self.by_argument[argument] = deviation

    def result(self, plan: _Plan, evaluations: int) -> GradientCheck:
        largest = max(self.by_argument.values(), key=_order, default=None)
        return GradientCheck(
            plan.reduction,
            plan.elements,
            evaluations,
            largest,
            self.by_argument,
            tuple(self.kinks[:MOST_LISTED]),
            len(self.kinks),
            self.unmoved,
            self.undecided,
        )


def check_gradient(
    loss: Loss,
    call: Call,
    *,
    limits: CostLimits | None = None,
    checkpoint: Checkpoint | None = None,
    charge: Callable[[int], None] | None = None,
    reserve: Callable[[int], None] | None = None,
) -> GradientCheck:
    """Compare the gradient of a call with differences of its loss.

    Args:
        loss: What to evaluate.
        call: Its arguments, settings and options, of which ``gradient`` names what is checked; without it, what the
            loss's source differentiates.
        limits: What all evaluations together may cost, by the most that each number may take; anything if None.
        checkpoint: Called between evaluations; what it raises ends the work.
        charge: Called with the most operations of them all before the first; what it raises ends the work.
        reserve: Called with the bytes that the check holds beside the call's own arrays, before it makes any copy; what
            it raises ends the work.

    Raises:
        InvalidCall: The call is not what the loss means, asks for several reductions, has complex numbers, or would
            cost too much.
    """
    plan = _plan(loss, call, limits)
    _refuse_excess(plan, limits)
    if reserve is not None:
        reserve(_bytes_held(call, plan))
    if charge is not None:
        charge(plan.work)
    wide = in_float64(call, plan.call)
    answer = compute(prepare(loss, wide, limits=limits), checkpoint=checkpoint)
    settings = {name: plan.settings[name] for name in plan.checked if name in loss.settings}
    moved = replace(wide, options={**wide.options, **settings})
    differences = Differences(loss, plan.reduction, moved, checkpoint=checkpoint)
    found = _Found()
    for name in plan.checked:
        slopes = np.asarray(answer.gradient[plan.reduction][name], np.float64)
        scale = largest_size(slopes) or differences.typical_slope(name)
        for place in np.ndindex(slopes.shape):
            _compare(found, differences, name, place, float(slopes[place]), scale)
    return found.result(plan, differences.evaluations)


def _plan(loss: Loss, call: Call, limits: CostLimits | None) -> _Plan:
    """Find from shapes and options alone what is checked."""
    zeros = zeros_in_float64(loss, call)
    asked = replace(zeros, options={**zeros.options, "gradient": zeros.options.get("gradient") or True})
    prepared = prepare(loss, asked, limits=limits)
    request = prepared.template.request
    constant = loss.stop_gradient_under(request.settings)
    checked = tuple(name for name in prepared.template.wanted.gradient if name not in constant)
    elements = sum(call.arrays[name].size if name in call.arrays else 1 for name in checked)
    work = (prepared.estimate.work + _EVALUATION_WORK) * EVALUATIONS * elements
    reduction = _reduction(request.options.reduction)
    return _Plan(asked, reduction, request.settings, checked, elements, work, prepared.estimate)


def _compare(
    found: _Found,
    differences: Differences,
    name: str,
    place: tuple[int, ...],
    analytic: float,
    scale: float,
) -> None:
    """Compare one number's derivatives."""
    at = name + "".join(f"[{i}]" for i in place)
    numerical = differences.slope(name, place, scale)
    if numerical is None:
        found.unmoved += 1
        return
    difference = abs(analytic - numerical.slope)
    if numerical.kink and not math.isnan(analytic):
        found.kinks.append(at)
    elif ACCURACY * scale < difference <= _DOUBT * numerical.error:
        found.undecided += 1
    else:
        found.compare(name, Deviation(at, analytic, numerical.slope, difference / scale))


def _bytes_held(call: Call, plan: _Plan) -> int:
    """Return the bytes that a check holds at its peak beside the call's own arrays.

    They are the arrays in float64, of the one that is moved the copy, the sizes of its slopes and of its numbers, and
    two answers: that with the gradient, and that of an evaluation, which ``upstream`` is multiplied with.
    """
    wide, estimate = plan.call.arrays, plan.estimate
    widened = sum(array.nbytes for name, array in wide.items() if array.dtype != call.arrays[name].dtype)
    moved = max((call.arrays[name].size for name in plan.checked if name in call.arrays), default=0)
    upstream = wide["upstream"].nbytes if "upstream" in wide else 0
    return widened + 3 * _FLOAT64_BYTES * moved + estimate.workspace + 2 * estimate.answer + upstream


def _reduction(asked: str | Sequence[str]) -> str:
    names = [asked] if isinstance(asked, str) else [*asked]
    if len(set(names)) != 1:
        raise invalid("reduction", "one reduction, whose gradient is checked", f"{len(set(names))} of them")
    return names[0]


def _refuse_excess(plan: _Plan, limits: CostLimits | None) -> None:
    if limits is not None and plan.work > limits.work:
        raise TooExpensive(
            f"the check is too expensive: it moves {plan.elements} numbers, which takes up to {plan.work:.3g} "
            f"operations, and this server allows {limits.work:.3g}; send fewer, or name what to check in `gradient`"
        )


def _order(deviation: Deviation) -> float:
    """Return what deviations are compared by: NaN is the largest."""
    return math.inf if math.isnan(deviation.deviation) else deviation.deviation
