"""What the tests must know of one loss beside its declaration: an `Oracle`.

Every loss has one, in the table that ends a file `cases_of_*.py`; `ORACLES` in `records.py` holds them all. The checks
know no loss and no setting by name. What one of them has to know of a loss is a field here, and a field says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from tests.oracle.case import Case, Drawn
from tests.oracle.exact import MP, Number

Profile = Callable[[np.random.Generator, tuple[int, ...], Any], np.ndarray]


class Comparison(NamedTuple):
    """A place where a loss compares numbers that are rounded before: on which side it falls, rounding may decide.

    Attributes:
        setting: What moves one side of it; it may be an argument of the formula alone.
        beside: Settings that are added to the numbers of a row before they are compared.
    """

    setting: str
    beside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Oracle:
    """The truth of a loss, and how closely it is held to it.

    Attributes:
        formula: Its `Truth` in exact arithmetic, of a row; a list of them if the loss is of a whole batch.
        cases: Draws the inputs that values and gradients are compared on.
        bound: Units in the last place that it may be off, in both types; a function of the case where rounding grows
            with a setting or an exponent.
        plain: The formula with each number as one addend, where that is quicker.
        curvature: For a loss of the residual: its second derivative, of the absolute residual and the setting.
        calls: How many random calls the tests make, fewer where the formula takes long.
        differentiated: How many rows are differentiated numerically.
        settings: Setting to the values that random calls give it, where its whole range says little.
        sizes: Letter to the one length that it has in random calls.
        rows: Lengths of a random batch.
        profile: Draws real arguments in place of the usual ways, where answers depend on the scale of what is drawn.
        repair: Changes drawn arrays so that they are in the domain that the drawn settings leave.
        factor: What a kernel multiplies numbers with that may be too small for the type, beside weights.
        second_factor: The same of second derivatives, where they multiply with more.
        sharpness: How often a rounding error of 1 is in an exponent, beside what the condition of the inputs adds.
        curvature_addends: How large the addends of second derivatives are, where `formula` does not give them.
        swamped: Whether digits that decide are lost beside numbers that all results have in common: no random check.
        comparisons: What it compares.
        hessian_cancels: Whether the Hessian is a sum that cancels by more than its condition.
        second_swamped: Whether the same holds of second derivatives alone.
        dual_numbers: Whether products are by dual numbers alone, of parts as large as the largest of the row.
        orders: Arguments that only put samples into an order, in which NaN has no place.
        has_limits: Whether infinity has a limit under a case's settings; else only NaN is tested.
        far: What stands for infinity in an argument, where exact arithmetic looks for the limit; its square, too.
        spreads_nan: Whether NaN in a row may be in its results that do not depend on it.
        limits: Arguments at whose infinity the row's results must be their limits, not NaN; None for all of them.
    """

    formula: Callable[..., Any]
    cases: Callable[[np.random.Generator, Any], Drawn]
    bound: float | Callable[[Case], float]
    plain: Callable[..., Any] | None = None
    curvature: Callable[[Number, Number], Number] | None = None
    calls: int = 60
    differentiated: int = 2
    settings: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    rows: tuple[int, ...] = (1, 1, 2, 3, 5)
    profile: Profile | None = None
    repair: Callable[[dict[str, np.ndarray], Mapping[str, Any]], None] = lambda arrays, settings: None
    factor: Callable[[Case], Number] = lambda case: 1.0
    second_factor: Callable[[Case], Number] | None = None
    sharpness: Callable[[Case], float] = lambda case: 0.0
    curvature_addends: Callable[[Case], float] = lambda case: 0.0
    swamped: Callable[[Case], bool] = lambda case: False
    comparisons: tuple[Comparison, ...] = ()
    hessian_cancels: bool = False
    second_swamped: Callable[[Case], bool] = lambda case: False
    dual_numbers: bool = False
    orders: tuple[str, ...] = ()
    has_limits: Callable[[Case], bool] = lambda case: True
    far: Callable[[Case, str], Number] = lambda case, argument: MP.mpf(10) ** 500
    spreads_nan: bool = False
    limits: tuple[str, ...] | None = None

    def ulps(self, case: Case) -> float:
        """Return how far an answer to a case may be off, in units in the last place."""
        bound = self.bound(case) if callable(self.bound) else self.bound
        return float(bound) * case.factor


class Oracles(dict[str, Oracle]):
    """Loss to its oracle; to look up one that is missing says what to write, and where."""

    def __missing__(self, name: str) -> Oracle:
        raise LookupError(
            f"{name} has no oracle: write its formula into a tests/oracle/formulas_of_*.py, its cases into a "
            f'cases_of_*.py, and add to the table ORACLES at the end of that file "{name}": Oracle(formula, cases, '
            "bound=8), with the units in the last place that it may be off (docs/declaring.md)"
        )
