"""This file is what a call asks for, worked out before any kernel runs.

Every reduction's factor on every row is known from the weights, the mask and the shapes alone, so a
kernel's derivatives can be scaled while they are in cache, and value and gradient take one pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossd.engine.arrange import Arranged, Placed, real_numbers
from lossd.engine.precision import WIDE, Number, is_plain, trap
from lossd.engine.reduce import (
    REDUCTIONS,
    Weights,
    denominator,
    holds_zero,
    legacy_reduction,
    normalise_axes,
    widened,
)
from lossd.errors import excerpt, invalid
from lossd.losses.spec import Boosting, Loss
from lossd.message import Array

Factor = Number | Array  # one for all rows, or (rows,)


@dataclass(frozen=True, slots=True)
class Scale:
    """What one reduction multiplies each row with.

    Attributes:
        value: Factor on a row's value before the sum.
        divisor: What the sum is divided by; an array where ``axis`` leaves axes.
        gradient: Factor on a row's derivatives: of the value's factor, the divisor and upstream.
    """

    value: Factor
    divisor: Number | Array
    gradient: Factor


@dataclass(frozen=True, slots=True)
class Plan:
    """What to compute.

    Attributes:
        scales: Reduction to its factors, in the order asked for.
        weights: What weighs the rows.
        gradient: Names to differentiate with respect to.
        hessian: Whether the diagonal of the Hessian is wanted.
        direction: What to multiply the Hessian with.
        settings: The loss's settings as its kernel takes them.
        boosting: What to make of the derivatives for gradient boosting; None leaves them.
        denominator: What the averaging reduction divides by, for the report.
        warnings: What the caller should know.
        wide: Whether some factor or setting is too large or too small for the type of the arithmetic.
    """

    scales: Mapping[str, Scale]
    weights: Weights
    gradient: tuple[str, ...]
    hessian: bool
    direction: Placed | None
    settings: Mapping[str, Any]
    boosting: Boosting | None
    denominator: float | Array
    warnings: tuple[str, ...]
    wide: bool = False

    @property
    def sum_type(self) -> type[Any]:
        """The type that sums and what is still to be added to accumulate in."""
        return WIDE if self.wide else np.float64


def make_plan(loss: Loss, request: Mapping[str, Any], arranged: Arranged, selected: Array | None) -> Plan:
    """Work out the factors of every reduction, and what is wanted of the kernel.

    Args:
        loss: The loss.
        request: The validated call.
        arranged: Its arrays.
        selected: Numbers of the rows that take part; all if None.
    """
    settings = {name: request[name] for name in loss.settings}
    warnings: list[str] = []
    names = _reductions(loss, request, warnings)
    weights = _weights(loss, request, arranged, settings, selected)
    scales = _plain_scales(names, weights, request, arranged)
    wide = scales is None
    if scales is None:
        weights = widened(weights)
        scales = {name: _scale(name, weights, request, arranged) for name in names}
    averaging = next((name for name in names if REDUCTIONS[name].divisor), "mean")
    divisor = scales[averaging].divisor if averaging in scales else _quiet_divisor(weights, request)
    gbm = request["convention"] == "gbm"
    return Plan(
        scales=scales,
        weights=weights,
        gradient=_wanted(loss, request, arranged, gbm),
        hessian=request["hessian"] or gbm,
        direction=None,
        settings=settings,
        boosting=loss.boosting if gbm else None,
        denominator=divisor.astype(np.float64) if isinstance(divisor, np.ndarray) else float(divisor),
        warnings=tuple(warnings),
        wide=wide or not all(is_plain(settings[name], arranged.computing) for name in loss.smooth),
    )


def select_rows(loss: Loss, request: Mapping[str, Any], arranged: Arranged) -> Array | None:
    """Return the numbers of the rows that the mask and the loss's own rule leave in, or None for all."""
    keep: Array | None = None
    mask = request["mask"]
    if mask is not None:
        kind = mask.dtype.kind
        if mask.size and (kind not in "biu" or (kind != "b" and ((mask != 0) & (mask != 1)).any())):
            raise invalid("mask", "true and false, or 1 and 0", f"{mask.dtype} values")
        keep = _per_row(mask.astype(bool), arranged, "mask")
    if loss.ignored is not None:
        argument, setting = loss.ignored
        values = whole_arguments(arranged).get(argument)
        ignored = None if values is None else values == request[setting]
        if ignored is not None and ignored.any():
            keep = ~ignored if keep is None else keep & ~ignored
    return None if keep is None else np.flatnonzero(keep)


def _reductions(loss: Loss, request: Mapping[str, Any], warnings: list[str]) -> list[str]:
    """Return the reductions asked for, each once.

    Raises:
        InvalidCall: None is asked for, PyTorch's old spelling asks for one that an alias does not take, or
            ``upstream`` is given where no reduction uses it.
    """
    names = _asked(loss, request, warnings)
    if request["upstream"] is not None and not any(REDUCTIONS[name].keeps_rows for name in names):
        raise invalid("upstream", "the reduction none, which alone it goes with", f"only {', '.join(names)}")
    return names


def _asked(loss: Loss, request: Mapping[str, Any], warnings: list[str]) -> list[str]:
    if request["convention"] == "gbm":
        return ["sum"]
    average, reduce = request["size_average"], request["reduce"]
    if average is not None or reduce is not None:
        name = legacy_reduction(average, reduce)
        taken = loss.alias.reductions if loss.alias is not None else ()
        if taken and name not in taken:
            at = "reduce" if reduce is not None else "size_average"
            raise invalid(at, f"a reduction of {' or '.join(taken)} under the name {loss.alias.name}", name)  # type: ignore[union-attr]
        warnings.append(f"size_average and reduce are PyTorch's old spelling; use reduction: {name!r}")
        return [name]
    asked = request["reduction"]
    if isinstance(asked, str):
        return [asked]
    if not asked:
        raise invalid("reduction", "at least one name", "an empty list")
    return list(dict.fromkeys(asked))


def _weights(
    loss: Loss,
    request: Mapping[str, Any],
    arranged: Arranged,
    settings: Mapping[str, Any],
    selected: Array | None,
) -> Weights:
    """Gather what weighs the rows of a call."""
    weighed = has_mass(loss, arranged)
    arguments = whole_arguments(arranged) if weighed or loss.mean_scale else {}
    axis = None if "axis" in loss.settings else request["axis"]
    return Weights(
        batch=arranged.batch,
        selected=selected,
        sample=_sample_weight(loss, request, arranged),
        mass=_mass(loss, arguments, settings, selected, arranged) if weighed else None,
        mean_scale=loss.mean_scale(arguments, settings) if loss.mean_scale else None,
        axes=normalise_axes(axis, len(arranged.batch)),
        denominator=request["denominator"],
    )


def has_mass(loss: Loss, arranged: Arranged) -> bool:
    """Return whether values of the call's arrays say what its rows add to the mean's denominator."""
    return loss.mass is not None and (not loss.mass.of or loss.mass.of in arranged.placed)


def whole_arguments(arranged: Arranged) -> dict[str, Any]:
    """Return the arguments that have one value per row, or none, as whole arrays: ``(rows,)`` or shared."""
    whole: dict[str, Any] = {}
    for name, placed in arranged.placed.items():
        if placed.rows is None:
            whole[name] = placed.array
        elif not placed.role.core:
            whole[name] = placed.rows.read(slice(0, arranged.count), None)
    return whole


def _mass(
    loss: Loss,
    arguments: Mapping[str, Any],
    settings: Mapping[str, Any],
    selected: Array | None,
    arranged: Arranged,
) -> Array | None:
    """Return the rows' mass; rows that take no part may hold anything, so they are left out."""
    assert loss.mass is not None
    if selected is None:
        return loss.mass(arguments, settings)
    of_rows = {name for name, placed in arranged.placed.items() if placed.rows is not None}
    chosen = {name: a[selected] if name in of_rows else a for name, a in arguments.items()}
    mass = loss.mass(chosen, settings)
    if mass is None:
        return None
    whole = np.zeros(arranged.count, np.float64)
    whole[selected] = mass
    return whole


def _sample_weight(loss: Loss, request: Mapping[str, Any], arranged: Arranged) -> Array | None:
    weight = request["sample_weight"]
    if weight is None:
        return None
    if loss.alias is not None and loss.alias.weighs_samples:
        weight = weight.reshape(weight.shape + (1,) * (len(arranged.batch) - weight.ndim))
    return _per_row(real_numbers(weight, "sample_weight"), arranged, "sample_weight")


def _per_row(array: Array, arranged: Arranged, name: str) -> Array:
    """Broadcast a general array against the unreduced loss."""
    if array.shape == arranged.batch:
        return array.reshape(-1)
    try:
        return np.broadcast_to(array, arranged.batch).reshape(-1)
    except ValueError:
        raise invalid(
            name, f"a shape that broadcasts to the unreduced loss's {arranged.batch}", array.shape
        ) from None


def _plain_scales(
    names: list[str], weights: Weights, request: Mapping[str, Any], arranged: Arranged
) -> dict[str, Scale] | None:
    """Return the factors of every reduction, or None if some lose digits in float64 or in the call's arithmetic."""
    try:
        with trap(underflow=True):
            scales = {name: _scale(name, weights, request, arranged) for name in names}
    except FloatingPointError:
        return None
    factors = (factor for scale in scales.values() for factor in (scale.value, scale.gradient))
    return scales if all(is_plain(factor, arranged.computing) for factor in factors) else None


def _scale(name: str, weights: Weights, request: Mapping[str, Any], arranged: Arranged) -> Scale:
    """Return the factors of one reduction."""
    reduction = REDUCTIONS[name]
    value: Factor = 1.0 if weights.sample is None else weights.sample
    if reduction.keeps_rows:
        upstream = _upstream(request, arranged)
        return Scale(value, 1.0, value if upstream is None else value * upstream)
    if reduction.mean_scaled and weights.mean_scale is not None:
        value = value * weights.mean_scale
    divisor = denominator(name, weights, request["empty"])
    per_row = divisor
    if isinstance(divisor, np.ndarray):
        lost = weights.axes or ()
        spread = np.expand_dims(divisor, lost) if len(lost) else divisor
        per_row = np.broadcast_to(spread, weights.batch).reshape(-1)
    return Scale(value, divisor, _over(value, per_row, request["empty"]))


def _over(value: Factor, divisor: Factor, empty: str) -> Factor:
    """Divide, where a divisor of zero gives what ``empty`` says."""
    if not holds_zero(divisor):
        quotient: Any = np.divide(value, divisor)  # which reports an overflow, as Python's division does not
        return float(quotient) if isinstance(quotient, float) else quotient
    nothing = 0.0 if empty == "zero" else np.nan
    return np.where(np.equal(divisor, 0), nothing, np.divide(value, divisor)) + np.zeros(np.shape(value))


def _upstream(request: Mapping[str, Any], arranged: Arranged) -> Array | None:
    upstream = request["upstream"]
    if upstream is None:
        return None
    if upstream.shape != arranged.batch:
        raise invalid("upstream", f"the shape of the unreduced loss, {arranged.batch}", upstream.shape)
    return real_numbers(upstream, "upstream").reshape(-1)


def _quiet_divisor(weights: Weights, request: Mapping[str, Any]) -> Number | Array:
    """Return the mean's denominator for the report of a call that does not average."""
    return denominator("mean", weights, "zero")


def _wanted(loss: Loss, request: Mapping[str, Any], arranged: Arranged, gbm: bool) -> tuple[str, ...]:
    """Return the names to differentiate with respect to."""
    asked = request["gradient"]
    if asked is True or gbm:
        return tuple(name for name in loss.gradient if name in arranged.placed)
    if asked is False:
        return ()
    possible = [name for name in loss.differentiable if name in arranged.placed or name in loss.smooth]
    names = [asked] if isinstance(asked, str) else asked
    for place, name in enumerate(names):
        placed = arranged.placed.get(name)
        if name not in possible or (placed is not None and not placed.role.differentiable):
            at = f"gradient[{place}]" if names is asked else "gradient"
            raise invalid(at, f"one of {', '.join(possible)}", repr(excerpt(name)))
    return tuple(dict.fromkeys(names))
