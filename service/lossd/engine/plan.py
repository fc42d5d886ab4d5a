"""What to compute, worked out before any kernel runs: factors, rows that take part, and how a kernel is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lossd.declaration.boosting import Boosting
from lossd.declaration.result import Normalizer
from lossd.declaration.signature import PLACING
from lossd.engine.bind import Bound, BoundArray, bind_array
from lossd.engine.check import CheckedNames
from lossd.engine.dtypes import real_numbers
from lossd.engine.factors import Factors, factors_of, reduction_inputs
from lossd.engine.normalizer import has_normalizer, normalizer_of
from lossd.engine.precision import WIDE, keeps_digits, pullback_exponent
from lossd.engine.reductions import REDUCTIONS, ReductionInputs, denominator
from lossd.engine.request import Request
from lossd.engine.selection import Selection
from lossd.engine.shapes import MatchedArray
from lossd.engine.wanted import Wanted
from lossd.errors import invalid
from lossd.message import Array


@dataclass(frozen=True)
class Plan:
    """What to compute.

    Attributes:
        wanted: The reductions and derivatives that are asked for.
        factors: Reduction to its factors, in the order asked for.
        inputs: What the factors were made of.
        normalizer: What the mean divides by, if not the number of values.
        rows: Numbers of the rows that take part; all if None.
        block_rows: How many of them a kernel sees at a time, a power of two.
        checked: Arguments whose values the blocks check.
        strict: Whether probabilities must sum to one.
        directions: Argument to the direction with which to multiply the Hessian.
        settings: The loss's settings as its kernel takes them.
        boosting: What to make of the derivatives for gradient boosting; None leaves them.
        denominator: What the averaging reduction divides by, for the report.
        empty: Result of a mean over zero elements.
        extended: Whether some factor or setting is too large or too small for the type of the arithmetic, so that
            sums and products need the extended range of `WIDE`.
    """

    wanted: Wanted
    factors: Mapping[str, Factors]
    inputs: ReductionInputs
    normalizer: Normalizer | None
    rows: Array | None
    block_rows: int
    checked: CheckedNames
    strict: bool
    directions: Mapping[str, BoundArray]
    settings: Mapping[str, Any]
    boosting: Boosting | None
    denominator: float | Array
    empty: str
    extended: bool = False

    @cached_property
    def divided_by(self) -> frozenset[str]:
        """Arguments that the mean's denominator depends on."""
        return frozenset(self.normalizer.gradient) if self.normalizer is not None else frozenset()

    @cached_property
    def exponents(self) -> Mapping[str, int]:
        """Reduction to the `pullback_exponent` of its factors: one for all blocks, wherever these are cut."""
        return {
            name: pullback_exponent(each.derivative) if self.extended else 0
            for name, each in self.factors.items()
        }

    @property
    def sum_type(self) -> type[Any]:
        """The type in which sums accumulate, and arrays to which more is added."""
        return WIDE if self.extended else np.float64


def make_plan(
    request: Request,
    bound: Bound,
    wanted: Wanted,
    selection: Selection,
    *,
    checked: CheckedNames,
    block_rows: int,
) -> Plan:
    """Work out the factors of every reduction, and how the kernel is called.

    Args:
        request: The validated call.
        bound: Its arrays.
        wanted: The reductions and derivatives that it asks for.
        selection: What takes part.
        checked: Arguments whose values the blocks check.
        block_rows: How many rows the kernel sees at a time.
    """
    loss, options = bound.loss, request.options
    names = wanted.reductions
    normalizer = normalizer_of(bound, selection.rows) if has_normalizer(bound) else None
    given = reduction_inputs(request, bound, selection, normalizer, block_rows)
    factors, inputs = factors_of(names, given, request, bound)
    averaging = next((name for name in names if REDUCTIONS[name].divisor), "mean")
    divisor = factors[averaging].divisor if averaging in factors else denominator("mean", inputs, "zero")
    _check_second_derivatives(wanted, inputs, normalizer)
    smooth = (request.settings[name] for name in loss.differentiable_settings)
    return Plan(
        wanted=wanted,
        factors=factors,
        inputs=inputs,
        normalizer=normalizer,
        rows=selection.rows,
        block_rows=block_rows,
        checked=checked,
        strict=options.check_target == "strict",
        directions={
            name: _direction(bound.arrays[name], array, bound) for name, array in request.directions.items()
        },
        settings={name: value for name, value in request.settings.items() if name not in PLACING},
        boosting=loss.boosting if options.convention == "gbm" else None,
        denominator=divisor.astype(np.float64) if isinstance(divisor, np.ndarray) else float(divisor),
        empty=options.empty,
        extended=inputs is not given or not all(keeps_digits(setting, bound.computing) for setting in smooth),
    )


def _check_second_derivatives(wanted: Wanted, inputs: ReductionInputs, normalizer: Normalizer | None) -> None:
    """Refuse second derivatives of means with respect to what they divide by."""
    if normalizer is None or inputs.denominator is not None:
        return
    means = [name for name in wanted.reductions if REDUCTIONS[name].normalizer_weight is not None]
    for kind, asked in (("hessian", wanted.hessian), ("hvp", wanted.hvp)):
        for name in asked:
            if means and name in normalizer.gradient:
                expected = f"another reduction than {means[0]}, or a denominator, as that divides by {name}"
                raise invalid(kind, expected, f"a request for the {kind} of {name}")


def _direction(given: BoundArray, direction: Array, bound: Bound) -> BoundArray:
    """Bind a direction as the argument that it is for."""
    matched = MatchedArray(given.argument, given.role, real_numbers(direction, "hvp"), given.core)
    return bind_array(matched, bound.batch, broadcast=given.broadcast is not None, lists=bound.lists)
