"""Slopes of a function of one number by differences, with an estimate of their error and of a kink.

Central differences over steps that fall by a factor of 4 are extrapolated to a step of 0, as by Ridders (1982),
Advances in Engineering Software 4, 75-76: of all entries of the table, the one whose estimated error is least is taken.
An entry depends on its own last few steps alone, so steps that reach beyond a kink or out of the domain do no harm to
those that follow. The difference of the two one-sided slopes is extrapolated beside them: it goes to 0 where the
function is smooth, and to the jump of the slope at a kink.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

EVALUATIONS = 24
"""The most evaluations for one slope: of 12 steps, down to 4**-11 of the first, or of more where some are left out."""

ACCURACY = 1e-6
"""Relative error that a slope may have; rounding stays below it at the smallest step."""

_STEPS = 15  # of which the last, a 4e-9th part of the first, is still far above the rounding of a number
_RATIO = 4.0
_ENOUGH = 1e-10  # relative error at which no smaller step is tried
_EPSILON = float(np.finfo(np.float64).eps)
# First step, over the smallest at which rounding is below ACCURACY: it leaves four steps where a number is tiny.
_LEAST_FIRST = _RATIO**3
# Beside a kink, as at a smooth place, a quarter of the step makes the gap a quarter; at a kink the gap stays.
_STAYS = 0.7
_KINK = 1e-5  # gaps below this are rounding, relative to the scale


@dataclass(frozen=True, slots=True)
class NumericalSlope:
    """A slope by differences.

    Attributes:
        slope: The extrapolated central difference.
        error: Its estimated error: truncation, rounding, and half of the jump between the one-sided slopes.
        kink: Whether the one-sided slopes disagree, without falling, down to the smallest step.
    """

    slope: float
    error: float
    kink: bool


@dataclass(frozen=True, slots=True)
class _Difference:
    """The central difference over one step, by how much the slope above exceeds that below, and the rounding of it."""

    slope: float
    gap: float
    rounding: float


class _Table:
    """Extrapolates differences over ever smaller steps, and keeps the entry whose estimated error is least."""

    def __init__(self) -> None:
        self.slopes: list[float] = []
        self.jumps: list[float] = []
        self.slope, self.error = math.nan, math.inf

    def restart(self) -> None:
        """Forget the last rows: the next step is not a quarter of theirs."""
        self.slopes, self.jumps = [], []

    def add(self, difference: _Difference) -> None:
        """Add a row, whose entry j is free of the first j terms of the error."""
        slopes = _extrapolated(difference.slope, self.slopes, _RATIO**2)
        jumps = _extrapolated(difference.gap, self.jumps, _RATIO)
        for j in range(1, len(slopes)):
            change = max(abs(slopes[j] - slopes[j - 1]), abs(slopes[j] - self.slopes[j - 1]))
            error = max(change, abs(jumps[j]) / 2) + difference.rounding
            if error < self.error:
                self.slope, self.error = slopes[j], error
        if not math.isfinite(self.error):
            self.slope = difference.slope
        self.slopes, self.jumps = slopes, jumps


def slope_at(
    value: Callable[[float], float | None], x: float, here: float, *, first_step: float, scale: float
) -> NumericalSlope | None:
    """Estimate the slope of a function at a number.

    Args:
        value: The function; None where it is not defined.
        x: The number.
        here: The function's value at the number.
        first_step: The largest step, unless rounding asks for a larger one.
        scale: Size of the slopes that matter, to which errors are relative.

    Returns:
        None if no step has a value to both sides.
    """
    step = max(first_step, _LEAST_FIRST * _EPSILON * abs(here) / (ACCURACY * scale))
    side = 1  # on which the last step had no value: the next is likely to have none there either
    table, gaps, evaluations = _Table(), [math.nan], 0
    for _ in range(_STEPS):
        near = value(x + side * step)
        far = None if near is None else value(x - side * step)
        evaluations += 1 if near is None else 2
        if near is None or far is None:
            side = side if near is None else -side
            table.restart()
        else:
            up, down = (near, far) if side == 1 else (far, near)
            difference = _difference(x, step, up, here, down)
            gaps.append(difference.gap)
            table.add(difference)
            if _is_enough(table.error, _RATIO * difference.rounding, scale):
                break
        if evaluations + 2 > EVALUATIONS:
            break
        step /= _RATIO
    if len(gaps) == 1:
        return None
    unsettled = table.error > ACCURACY * scale
    stays = abs(gaps[-1]) > max(_STAYS * abs(gaps[-2]), _KINK * scale)
    return NumericalSlope(table.slope, table.error, unsettled and stays)


def _difference(x: float, step: float, up: float, here: float, down: float) -> _Difference:
    above, below = (x + step) - x, x - (x - step)  # as they were rounded
    gap = (up - here) / above - (here - down) / below
    rounding = _EPSILON * max(abs(up), abs(here), abs(down)) / step
    return _Difference((up - down) / (above + below), gap, rounding)


def _extrapolated(first: float, before: Sequence[float], factor: float) -> list[float]:
    """Return the next row of Neville's table; entry j removes a term that falls by ``factor * 16**j`` a step."""
    row = [first]
    for j, entry in enumerate(before):
        row.append(row[j] + (row[j] - entry) / (factor * _RATIO ** (2 * j) - 1))
    return row


def _is_enough(error: float, rounding: float, scale: float) -> bool:
    """Return whether a smaller step, of this rounding, can add nothing that matters."""
    return error <= max(_ENOUGH * scale, rounding) or rounding > ACCURACY * scale
