"""Exact second derivatives: differences of the oracle's gradients, in arithmetic long enough for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tests.oracle.condition import Exact, Numbers
from tests.oracle.exact import MP, Number

_STEP = MP.mpf(2) ** -200  # of the smallest number of the call, or 1
_DIGITS = 400  # more than what lies between the largest number of the call and the smallest, or 1
_SAME = MP.mpf(10) ** -25
_NOISE = MP.mpf(10) ** -300  # of the largest slope: far more than what so many digits leave of it


def hessian_diagonal(
    exact: Exact, arrays: Numbers, settings: Numbers, name: str, numbers: Iterable[int]
) -> list[Number | None]:
    """Return the second derivative with respect to some elements of an argument; None where sides disagree."""
    with MP.workdps(digits(arrays, settings)):
        found = []
        for number in numbers:
            direction = _axis(arrays[name], number)
            found += _along(exact, arrays, settings, name, direction, [number])
        return found


def hessian_vector(
    exact: Exact, arrays: Numbers, settings: Numbers, name: str, direction: Any, numbers: Iterable[int]
) -> list[Number | None]:
    """Return some elements of the Hessian times a direction; None where the two sides of one disagree."""
    with MP.workdps(digits(arrays, settings)):
        return _along(exact, arrays, settings, name, direction, list(numbers))


def jumps(sizes: Exact, arrays: Numbers, settings: Numbers, name: str, number: int) -> bool:
    """Return whether the sizes of a slope's addends jump there: the slope may be smooth where the addends are not."""
    with MP.workdps(digits(arrays, settings)):
        step, direction = _STEP * _least(arrays, settings), _axis(arrays[name], number)
        here, near, far = (
            sizes({**arrays, name: arrays[name] + direction * by}, settings)[name][number]
            for by in (MP.mpf(0), step / 2, step)
        )
        # What does not jump grows to half of it.
        return bool(abs(near - here) > abs(far - here) * 3 / 4)


def digits(arrays: Numbers, settings: Numbers) -> int:
    """Return how many digits differences of a call's gradient need: at least those of the oracle."""
    sizes = [*_sizes(arrays, settings), MP.mpf(1)]
    wide = MP.log10(max(sizes)) - MP.log10(min(sizes))
    return max(MP.dps, _DIGITS + int(wide))


def _along(
    exact: Exact, arrays: Numbers, settings: Numbers, name: str, direction: Any, numbers: list[int]
) -> list[Number | None]:
    """Differentiate some elements of the gradient along a direction, from both sides."""
    step = _STEP * _least(arrays, settings)
    here = exact(arrays, settings)[name]

    def quotients(signed: Number) -> list[Number]:
        moved = exact({**arrays, name: arrays[name] + direction * signed}, settings)[name]
        if any(isinstance(moved[i], MP.mpc) for i in numbers):
            raise TypeError("a square root of a negative number")
        return [(moved[i] - here[i]) / signed for i in numbers]

    try:
        # At a jump the last is twice the first.
        sides = list(zip(*map(quotients, (step, -step, step / 2)), strict=True))
        fades = [True] * len(numbers)
        if any(_differ(*of) <= step and not _agree(*of) for of in sides):
            noise = _NOISE * max(map(abs, here), default=0) / step
            fades = [_fade(*of, last, noise) for of, last in zip(sides, quotients(-step / 2), strict=True)]
    except (TypeError, OverflowError):  # past the end of the domain, where a logarithm is complex
        return [None] * len(numbers)
    # Extrapolated, so that where the second derivative is 0 and the third jumps, as of |x|^3, it is 0.
    return [
        2 * c - a if _agree(a, b, c) or (_differ(a, b, c) <= step and fade) else None
        for (a, b, c), fade in zip(sides, fades, strict=True)
    ]


def _differ(right: Number, left: Number, nearer: Number) -> Number:
    return max(abs(right - left), abs(right - nearer))


def _agree(right: Number, left: Number, nearer: Number) -> bool:
    return bool(_differ(right, left, nearer) <= _SAME * abs(right))


def _fade(right: Number, left: Number, nearer: Number, nearer_left: Number, noise: Number) -> bool:
    """Return whether quotients shrink with the distance on both sides: those of a kink stay, those of a jump grow."""
    return bool(abs(nearer) <= abs(right) * 3 / 4 + noise and abs(nearer_left) <= abs(left) * 3 / 4 + noise)


def _axis(array: Any, number: int) -> Any:
    """Return the direction along which one element of an array grows."""
    direction = np.full(array.shape, MP.mpf(0), dtype=object)
    direction.reshape(-1)[number] = MP.mpf(1)
    return direction


def _least(arrays: Numbers, settings: Numbers) -> Number:
    """Return the smallest size of a number that is not 0, or 1, at which exponentials change."""
    return min([*_sizes(arrays, settings), MP.mpf(1)])


def _sizes(arrays: Numbers, settings: Mapping[str, Any]) -> list[Number]:
    """Return the sizes of all numbers that are not 0."""
    every = [x for array in arrays.values() for x in array.reshape(-1)] + list(settings.values())
    return [abs(x) for x in every if isinstance(x, MP.mpf) and x != 0]
