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
    sides = []
    for signed in (step, -step, step / 2):  # at a jump the last is twice the first
        try:
            moved = exact({**arrays, name: arrays[name] + direction * signed}, settings)[name]
        except TypeError:  # past the end of the domain, where a logarithm is complex
            return [None] * len(numbers)
        sides.append([(moved[i] - here[i]) / signed for i in numbers])
    return [
        a if max(abs(a - b), abs(a - c)) <= _SAME * abs(a) + step else None
        for a, b, c in zip(*sides, strict=True)
    ]


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
