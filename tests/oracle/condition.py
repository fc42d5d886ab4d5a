"""How far an answer may be from the exact one: units in the last place, times the condition of the problem.

An input is known to half a unit in its last place, so no method can be held to more digits than such a change leaves
in the result: with F the exact result, ``|F| + sum_i |x_i dF/dx_i|`` units. A formula may not cancel where the
problem does not; but of a result that its oracle gives as several addends, each may be rounded. The derivatives are
differences of the exact result, in arithmetic long enough for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from lossd.losses import LOSSES
from tests.oracle.cases import Case
from tests.oracle.exact import MP, Number, numbers
from tests.oracle.truth import SHARED, WHOLE_BATCH, oracle_rows

# Steps of a relative difference, and how much more than in proportion a jump grows from one to the other.
_STEPS = (MP.mpf(2) ** -90, MP.mpf(2) ** -110)
# What rounding may do to an input that a comparison looks at, in units of the type.
_WIDE = 8

Numbers = Mapping[str, Any]
Results = dict[str, list[Number]]
Exact = Callable[[Numbers, Numbers], Results]


def exact_inputs(case: Case) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a case's arrays as object arrays of exact numbers, and its settings with real ones exact."""
    arrays = {name: np.array(numbers(array), dtype=object) for name, array in case.arrays.items()}
    settings = {name: MP.mpf(v) if type(v) is float else v for name, v in case.settings.items()}
    return arrays, settings


def rows_and_gradients(name: str, rowwise: bool, absolute: bool = False) -> Exact:
    """Return the function of exact inputs that gives every row's value or their sum, and the sum's gradients.

    With ``absolute`` it gives the sizes of their addends: where an oracle has several, each is rounded.
    """

    def added(addends: Any) -> Number:
        return MP.fsum(addends, absolute=absolute)

    def exact(arrays: Numbers, settings: Numbers) -> Results:
        given = {key: array.tolist() for key, array in arrays.items()}
        rows = oracle_rows(name, given, settings)
        values = [added(row.value) for row in rows]
        found = {"value": values if rowwise else [added(values)]}
        for key in rows[0].gradient:
            if key in LOSSES[name].differentiable_settings or (key in arrays and _is_real(arrays[key])):
                parts = [[added(addends) for addends in _leaves(row.gradient[key])] for row in rows]
                by_row = name not in WHOLE_BATCH and key in arrays and key not in SHARED.get(name, set())
                found[key] = (
                    [number for part in parts for number in part]
                    if by_row
                    else [added(column) for column in zip(*parts, strict=True)]
                )
        return found

    return exact


def allowance(
    exact: Exact, arrays: Numbers, settings: Numbers, limits: Any
) -> tuple[Results, Callable[[str, int, Any], bool]]:
    """Return the condition of every result, and whether rounding may turn a result into another by a comparison."""
    eps, least = MP.mpf(float(limits.eps)), 16 * MP.mpf(float(limits.smallest_subnormal))
    middle = exact(arrays, settings)
    condition = {key: [MP.mpf(0)] * len(values) for key, values in middle.items()}
    reached = {key: [[value] for value in values] for key, values in middle.items()}
    for move in _moves(arrays, settings):
        sides = []
        for sign in (1, -1):
            try:
                sides.append(_slopes(exact, middle, move, sign))
                moved = exact(*move(sign * _WIDE * eps))
            except TypeError:  # past the end of the domain, where a logarithm is complex
                continue
            _reach(reached, moved)
        for key, sums in condition.items():
            for place in range(len(sums)):
                sums[place] += min((side[key][place] for side in sides), default=0)
    for shift in _shifts(arrays, settings):
        for sign in (1, -1):
            _reach(reached, exact(*shift(sign * _WIDE * eps)))

    def is_reached(key: str, place: int, got: Any) -> bool:
        values = reached[key][place]
        if not np.isfinite(got):
            return False
        slack = 16 * eps * max(abs(value) for value in values) + least
        return bool(min(values) - slack <= MP.mpf(float(got)) <= max(values) + slack)

    return condition, is_reached


def _reach(reached: dict[str, list[list[Number]]], moved: Results) -> None:
    for key, values in moved.items():
        for place, value in enumerate(values):
            reached[key][place].append(value)


def _slopes(exact: Exact, middle: Results, move: Any, sign: int) -> Results:
    """Return ``|x dF/dx|`` of every result on one side of x, and 0 where it jumps there."""
    near, far = (exact(*move(sign * step)) for step in _STEPS)
    found: Results = {}
    for key, values in middle.items():
        slopes = []
        for place, value in enumerate(values):
            first = abs(near[key][place] - value) / _STEPS[0]
            second = abs(far[key][place] - value) / _STEPS[1]
            slopes.append(first if second <= 2 * first + MP.mpf(2) ** -1000 else MP.mpf(0))
        found[key] = slopes
    return found


def _moves(arrays: Numbers, settings: Numbers) -> Iterator[Any]:
    """Yield functions of a relative step that return the inputs with one real number moved by it."""
    for name, array in arrays.items():
        if not _is_real(array):
            continue
        for place in np.ndindex(array.shape):
            if array[place] != 0:
                yield lambda step, name=name, place=place: (
                    {**arrays, name: _moved(arrays[name], place, step)},
                    settings,
                )
    for name, value in settings.items():
        if isinstance(value, MP.mpf) and value != 0:
            yield lambda step, name=name: (arrays, {**settings, name: settings[name] * (1 + step)})


def _shifts(arrays: Numbers, settings: Numbers) -> Iterator[Any]:
    """Yield functions as `_moves` does, of steps as large as all that a margin or a tie is compared with."""
    if "margin" not in settings:
        return
    real = {name: array for name, array in arrays.items() if _is_real(array)}
    sizes = [abs(x) for array in real.values() for x in array.reshape(-1)] + [abs(settings.get("eps", 0))]
    size = MP.fsum(sizes)
    yield lambda step: (arrays, {**settings, "margin": settings["margin"] + step * size})
    for name, array in real.items():
        for place in np.ndindex(array.shape):

            def shifted(step: Number, name: str = name, place: tuple[int, ...] = place) -> Any:
                moved = arrays[name].copy()
                moved[place] += step * size
                return {**arrays, name: moved}, settings

            yield shifted


def _moved(array: Any, place: tuple[int, ...], step: Number) -> Any:
    moved = array.copy()
    moved[place] = moved[place] * (1 + step)
    return moved


def _is_real(array: Any) -> bool:
    return array.size > 0 and isinstance(array.reshape(-1)[0], MP.mpf)


def _leaves(nested: Any) -> Iterator[Any]:
    if isinstance(nested, tuple):
        yield nested
        return
    for part in nested:
        yield from _leaves(part)
