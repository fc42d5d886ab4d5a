"""Takes differences of a call's loss: one number of an array, or a setting, is moved to either side."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from lossd.declaration.loss import Loss
from lossd.engine.evaluate import compute, prepare
from lossd.errors import InvalidCall
from lossd.message import Array, Call, Checkpoint
from lossd.numerics.ridders import NumericalSlope, slope_at

_FIRST_STEP = 0.1  # of a number's size


class Differences:
    """Takes differences of a call's loss, and counts how often it is evaluated."""

    def __init__(
        self, loss: Loss, reduction: str, call: Call, *, checkpoint: Checkpoint | None = None
    ) -> None:
        self.call = call
        self.evaluations = 1
        self._checkpoint = checkpoint
        self._value = _value_of(loss, reduction, checkpoint)
        self._here = self._value(call)
        self._steps_from_0: dict[str, float] = {}

    def slope(self, name: str, place: tuple[int, ...], scale: float) -> NumericalSlope | None:
        """Estimate the derivative along a number, to an error relative to ``scale``.

        Returns:
            None where the number cannot be moved to both sides: the loss takes no other, or is not finite there.
        """
        x = float(self._numbers(name)[place])
        if not (math.isfinite(x) and math.isfinite(self._here)):
            return None
        step = _FIRST_STEP * abs(x) or self._step_from_0(name)
        return slope_at(
            lambda moved: self._value_at(name, place, moved), x, self._here, first_step=step, scale=scale
        )

    def typical_slope(self, name: str) -> float:
        """Return the loss over the largest number of an argument, which a gradient of zeros is measured against."""
        largest = largest_size(self._numbers(name))
        typical = abs(self._here) / largest if largest else 0.0
        return typical if 0 < typical < math.inf else 1.0

    def _numbers(self, name: str) -> Array:
        return self.call.arrays[name] if name in self.call.arrays else np.asarray(self.call.options[name])

    def _step_from_0(self, name: str) -> float:
        """Return the first step of a number that is 0: its size follows from the other numbers of its array."""
        if name not in self._steps_from_0:
            sizes = np.abs(self._numbers(name))
            others = sizes[(sizes > 0) & (sizes < math.inf)]
            typical = float(np.median(others, overwrite_input=True)) if others.size else 1.0
            self._steps_from_0[name] = _FIRST_STEP * typical
        return self._steps_from_0[name]

    def _value_at(self, name: str, place: tuple[int, ...], x: float) -> float | None:
        """Return the loss with a number in place of another; None where it is refused or not finite."""
        if self._checkpoint is not None:
            self._checkpoint()
        self.evaluations += 1
        try:
            value = self._value(self._moved(name, place, x))
        except InvalidCall:
            return None
        return value if math.isfinite(value) else None

    def _moved(self, name: str, place: tuple[int, ...], x: float) -> Call:
        if name not in self.call.arrays:
            return replace(self.call, options={**self.call.options, name: x})
        moved = self.call.arrays[name].copy()
        moved[place] = x
        return replace(self.call, arrays={**self.call.arrays, name: moved})


def largest_size(numbers: Array) -> float:
    """Return the largest absolute value that is finite; 0 if there is none."""
    return float(np.max(np.abs(numbers), initial=0, where=np.isfinite(numbers)))


def _value_of(loss: Loss, reduction: str, checkpoint: Checkpoint | None) -> Callable[[Call], float]:
    """Return the function that is differentiated: a reduction's result, or the losses times ``upstream``."""

    def value(call: Call) -> float:
        upstream = call.arrays.get("upstream")
        arrays = {name: array for name, array in call.arrays.items() if name != "upstream"}
        options = {name: option for name, option in call.options.items() if name != "gradient"}
        answer = compute(prepare(loss, Call(arrays, options)), checkpoint=checkpoint)
        result = np.asarray(answer.loss[reduction], np.float64)
        with np.errstate(all="ignore"):
            total = np.sum(result if upstream is None else result * upstream, dtype=np.longdouble)
        return float(total)

    return value
