"""What a call asks for, worked out before any kernel runs.

Every reduction's factor on every value is known from the weights, the mask and the shapes alone, so a
kernel's derivatives can be scaled while they are in cache, and value and gradient take one pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossd.declaration.loss import Boosting
from lossd.declaration.result import Normalizer
from lossd.declaration.signature import PLACING
from lossd.engine.bind import Bound, BoundArray, bind_array
from lossd.engine.dtypes import real_numbers
from lossd.engine.masks import per_value
from lossd.engine.normalize import has_normalizer, normalizer_of
from lossd.engine.precision import WIDE, Number, is_plain, trap
from lossd.engine.reduce import (
    REDUCTIONS,
    Weights,
    denominator,
    holds_zero,
    normalise_axes,
    widened,
)
from lossd.engine.request import Request
from lossd.engine.selection import Selection
from lossd.engine.shapes import Form
from lossd.engine.wanted import Wanted, reductions_of, wanted_of
from lossd.errors import invalid
from lossd.message import Array

Factor = Number | Array  # one for all values, or one each


@dataclass(frozen=True, slots=True)
class Scale:
    """What one reduction multiplies each value with.

    Attributes:
        value: Factor on a value before the sum.
        divisor: What the sum is divided by; an array where ``axis`` leaves axes.
        gradient: Factor on a value's derivatives: of the value's factor, the divisor and upstream.
    """

    value: Factor
    divisor: Number | Array
    gradient: Factor


@dataclass(frozen=True, slots=True)
class Plan:
    """What to compute.

    Attributes:
        scales: Reduction to its factors, in the order asked for.
        weights: What weighs the values.
        normalizer: What the mean divides by, if not the number of values.
        rows: Numbers of the rows that take part; all if None.
        wanted: The derivatives that are asked for.
        directions: Argument to the direction with which to multiply the Hessian.
        settings: The loss's settings as its kernel takes them.
        boosting: What to make of the derivatives for gradient boosting; None leaves them.
        denominator: What the averaging reduction divides by, for the report.
        warnings: What the caller should know.
        wide: Whether some factor or setting is too large or too small for the type of the arithmetic.
    """

    scales: Mapping[str, Scale]
    weights: Weights
    normalizer: Normalizer | None
    rows: Array | None
    wanted: Wanted
    directions: Mapping[str, BoundArray]
    settings: Mapping[str, Any]
    boosting: Boosting | None
    denominator: float | Array
    warnings: tuple[str, ...]
    wide: bool = False

    @property
    def divided_by(self) -> frozenset[str]:
        """Arguments that the mean's denominator depends on."""
        return frozenset(self.normalizer.gradient) if self.normalizer is not None else frozenset()

    @property
    def sum_type(self) -> type[Any]:
        """The type that sums and what is still to be added to accumulate in."""
        return WIDE if self.wide else np.float64


def make_plan(request: Request, bound: Bound, selection: Selection) -> Plan:
    """Work out the factors of every reduction, and what is wanted of the kernel.

    Args:
        request: The validated call.
        bound: Its arrays.
        selection: What takes part.
    """
    loss, options = bound.loss, request.options
    names, warnings = reductions_of(request)
    normalizer = normalizer_of(bound, selection.rows) if has_normalizer(bound) else None
    weights = _weights(request, bound, selection, normalizer)
    scales = _plain_scales(names, weights, request, bound)
    wide = scales is None
    if scales is None:
        weights = widened(weights)
        scales = {name: _scale(name, weights, request, bound) for name in names}
    averaging = next((name for name in names if REDUCTIONS[name].divisor), "mean")
    divisor = scales[averaging].divisor if averaging in scales else denominator("mean", weights, "zero")
    wanted = wanted_of(request, bound)
    _check_second_derivatives(wanted, names, weights, normalizer)
    smooth = (request.settings[name] for name in loss.differentiable_settings)
    return Plan(
        scales=scales,
        weights=weights,
        normalizer=normalizer,
        rows=selection.rows,
        wanted=wanted,
        directions={
            name: _direction(bound.arrays[name], array, bound) for name, array in wanted.directions.items()
        },
        settings={name: value for name, value in request.settings.items() if name not in PLACING},
        boosting=loss.boosting if options.convention == "gbm" else None,
        denominator=divisor.astype(np.float64) if isinstance(divisor, np.ndarray) else float(divisor),
        warnings=warnings,
        wide=wide or not all(is_plain(setting, bound.computing) for setting in smooth),
    )


def _check_second_derivatives(
    wanted: Wanted, names: tuple[str, ...], weights: Weights, normalizer: Normalizer | None
) -> None:
    """Refuse second derivatives of means with respect to what they divide by."""
    if normalizer is None or weights.denominator is not None:
        return
    means = [name for name in names if REDUCTIONS[name].normalizer_weight is not None]
    for kind, asked in (("hessian", wanted.hessian), ("hvp", tuple(wanted.directions))):
        for name in asked:
            if means and name in normalizer.gradient:
                expected = f"another reduction than {means[0]}, or a denominator, as that divides by {name}"
                raise invalid(kind, expected, f"a request for the {kind} of {name}")


def _direction(given: BoundArray, direction: Array, bound: Bound) -> BoundArray:
    """Bind a direction as the argument that it is for."""
    form = Form(given.argument, given.role, real_numbers(direction, "hvp"), given.core)
    return bind_array(form, bound.batch, broadcast=given.broadcast is not None, lists=bound.lists)


def _weights(request: Request, bound: Bound, selection: Selection, normalizer: Normalizer | None) -> Weights:
    """Gather what weighs the values of a call."""
    return Weights(
        shape=bound.unreduced,
        selected=selection.values,
        sample=_sample_weight(request, bound, selection),
        normalizer=None if normalizer is None else normalizer.value,
        mean_scale=None if normalizer is None else normalizer.scale,
        axes=normalise_axes(None if "axis" in bound.placing else request.options.axis, len(bound.unreduced)),
        denominator=request.options.denominator,
    )


def _sample_weight(request: Request, bound: Bound, selection: Selection) -> Array | None:
    """Return the caller's weight of each value, 0 for values that do not count in rows that take part."""
    weight, alias = request.sample_weight, bound.loss.alias
    counts = selection.values
    partial = (
        counts is not None and selection.rows is not None and bound.value_core and not bound.loss.whole_batch
    )
    if weight is None and not partial:
        return None
    found = np.ones(bound.unreduced).reshape(-1)
    if weight is not None:
        if alias is not None and alias.weighs_samples:
            weight = weight.reshape(weight.shape + (1,) * (len(bound.unreduced) - weight.ndim))
        found = per_value(real_numbers(weight, "sample_weight"), bound.unreduced, "sample_weight")
    if not partial:
        return found
    kept = np.zeros_like(found)
    kept[counts] = found[counts]
    return kept


def _plain_scales(
    names: tuple[str, ...], weights: Weights, request: Request, bound: Bound
) -> dict[str, Scale] | None:
    """Return the factors of every reduction, or None if some lose digits in float64 or in the call's arithmetic."""
    try:
        with trap(underflow=True):
            scales = {name: _scale(name, weights, request, bound) for name in names}
    except FloatingPointError:
        return None
    factors = (factor for scale in scales.values() for factor in (scale.value, scale.gradient))
    return scales if all(is_plain(factor, bound.computing) for factor in factors) else None


def _scale(name: str, weights: Weights, request: Request, bound: Bound) -> Scale:
    """Return the factors of one reduction."""
    reduction, empty = REDUCTIONS[name], request.options.empty
    value: Factor = 1.0 if weights.sample is None else weights.sample
    if reduction.keeps_values:
        upstream = _upstream(request, bound)
        return Scale(value, 1.0, value if upstream is None else value * upstream)
    if reduction.mean_scaled and weights.mean_scale is not None:
        value = value * weights.mean_scale
    divisor = denominator(name, weights, empty)
    per_value_divisor = divisor
    if isinstance(divisor, np.ndarray):
        lost = weights.axes or ()
        kept = np.expand_dims(divisor, lost) if len(lost) else divisor
        per_value_divisor = np.broadcast_to(kept, weights.shape).reshape(-1)
    return Scale(value, divisor, _over(value, per_value_divisor, empty))


def _over(value: Factor, divisor: Factor, empty: str) -> Factor:
    """Divide, where a divisor of zero gives what ``empty`` says."""
    if not holds_zero(divisor):
        quotient: Any = np.divide(value, divisor)  # which reports an overflow, as Python's division does not
        return float(quotient) if isinstance(quotient, float) else quotient
    nothing = 0.0 if empty == "zero" else np.nan
    return np.where(np.equal(divisor, 0), nothing, np.divide(value, divisor)) + np.zeros(np.shape(value))


def _upstream(request: Request, bound: Bound) -> Array | None:
    upstream = request.upstream
    if upstream is None:
        return None
    if upstream.shape != bound.unreduced:
        raise invalid("upstream", f"the shape of the unreduced loss, {bound.unreduced}", upstream.shape)
    return real_numbers(upstream, "upstream").reshape(-1)
