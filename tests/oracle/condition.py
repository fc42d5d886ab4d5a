"""How far an answer may be from the exact one: units in the last place, times the condition of the problem.

An input is known to half a unit in its last place, so no method can be held to more digits than such a change leaves
in the result: with F the exact result, ``|F| + sum_i |x_i dF/dx_i|`` units. A formula may not cancel where the
problem does not; but of a result that its oracle gives as several addends, each may be rounded. The derivatives are
differences of the exact result, in arithmetic long enough for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lossd.losses import LOSSES
from tests.oracle.case import Case
from tests.oracle.exact import MP, Number, numbers
from tests.oracle.record import Comparison
from tests.oracle.records import ORACLES
from tests.oracle.truth import WHOLE_BATCH, shared_in, split_rows

# Steps of a relative difference, and how much more than in proportion a jump grows from one to the other.
_STEPS = (MP.mpf(2) ** -90, MP.mpf(2) ** -110)
# What rounding may do to an input that a comparison looks at, in units of the type.
_WIDE = 8
# From how many times the largest number on one stands for infinity: a sum of a row's numbers is less.
_INFINITE = 2**20
# Rows that are kept of one call: more than it has, so that those that stay as they are need not be computed again.
_MOST_KNOWN = 32

Numbers = Mapping[str, Any]
Results = dict[str, list[Number]]
Exact = Callable[[Numbers, Numbers], Results]
Place = tuple[str, int]
Answers = Mapping[Place, Any]
Comparisons = Sequence[Comparison]
# Whether the answer at a place is close enough to the exact result if its condition is as given.
IsClose = Callable[[Place, Number], bool]


def exact_inputs(case: Case) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a case's arrays as object arrays of exact numbers, and its settings with real ones exact."""
    arrays = {name: np.array(numbers(array), dtype=object) for name, array in case.arrays.items()}
    settings = {name: MP.mpf(v) if type(v) is float else v for name, v in case.settings.items()}
    return arrays, settings


def rows_and_gradients(name: str, rowwise: bool, absolute: bool = False) -> Exact:
    """Return the function of exact inputs that gives every row's value or their sum, and the sum's gradients.

    With ``absolute`` it gives the sizes of their addends: where an oracle has several, each is rounded. What it finds
    for a row it keeps, as most are asked for again with another row changed.
    """
    oracle = ORACLES[name].formula
    if not absolute:
        oracle = ORACLES[name].plain or oracle
    known: dict[Any, list[_Row]] = {}

    def added(addends: Any) -> Number:
        if len(addends) == 1:
            return abs(addends[0]) if absolute else addends[0]
        return MP.fsum(addends, absolute=absolute)

    def rows_of(given: Mapping[str, Any], settings: Numbers) -> list[_Row]:
        key = MP.prec, _signature([*given.values(), *settings.values()])
        if key not in known:
            if len(known) > _MOST_KNOWN:
                known.clear()
            found = oracle(**given, **settings)
            known[key] = [_row(truth, added) for truth in (found if name in WHOLE_BATCH else [found])]
        return known[key]

    def exact(arrays: Numbers, settings: Numbers) -> Results:
        parts = split_rows(name, {key: array.tolist() for key, array in arrays.items()})
        rows = [row for part in parts for row in rows_of(part, settings)]
        values = [value for row in rows for value in row.values]
        shared = shared_in(name, arrays)
        found = {"value": values if rowwise else [MP.fsum(values)]}
        for key in rows[0].gradient:
            if key in LOSSES[name].differentiable_settings or (key in arrays and _is_real(arrays[key])):
                by_row = name not in WHOLE_BATCH and key in arrays and key not in shared
                slopes = [row.gradient[key] for row in rows]
                found[key] = (
                    [number for part in slopes for number in part]
                    if by_row
                    else [MP.fsum(column) for column in zip(*slopes, strict=True)]
                )
        return found

    return exact


class _Row(NamedTuple):
    """What an oracle says of a row, its addends added up."""

    values: list[Number]
    gradient: Mapping[str, list[Number]]


def _row(truth: Any, added: Callable[[Any], Number]) -> _Row:
    gradient = {key: [added(addends) for addends in leaves(nested)] for key, nested in truth.gradient.items()}
    return _Row([added(addends) for addends in leaves(truth.value)], gradient)


def unexplained(
    exact: Exact,
    arrays: Numbers,
    settings: Numbers,
    limits: Any,
    got: Answers,
    is_close: IsClose,
    comparisons: Comparisons = (),
) -> dict[Place, Number]:
    """Return the condition of those results that differ from an answer by more than rounding explains.

    A condition is added up input by input, and only until it is enough for all places of the answer. After that a
    result may be another because rounding turns a comparison.
    """
    middle = exact(arrays, settings)
    condition = {at: MP.mpf(0) for at in got}
    for move in _moves(arrays, settings):
        slopes = [found for sign in (1, -1) for found in _slopes(exact, middle, move, sign, condition)]
        for at in condition:
            condition[at] += min((side[at] for side in slopes), default=0)
        condition = {at: size for at, size in condition.items() if not is_close(at, size)}
        if not condition:
            return {}
    moves = (*_moves(arrays, settings), *_turns(arrays, settings, limits, comparisons))
    reached = {(key, place): [middle[key][place]] for key, place in condition}
    for wide in _wide_steps(moves, limits):
        try:
            moved = exact(*wide)
        except TypeError:  # past the end of the domain, where a logarithm is complex
            continue
        for (key, place), values in reached.items():
            values.append(moved[key][place])
        reached = {at: values for at, values in reached.items() if not _is_between(got[at], values, limits)}
        if not reached:
            return {}
    return {at: condition[at] for at in reached}


def _is_between(got: Any, values: list[Number], limits: Any) -> bool:
    """Return whether an answer is among the results that rounding may lead to, or as good as one."""
    if not np.isfinite(got):
        return False
    eps, least = MP.mpf(float(limits.eps)), 16 * MP.mpf(float(limits.smallest_subnormal))
    slack = 16 * eps * max(abs(value) for value in values) + least
    return bool(min(values) - slack <= MP.mpf(float(got)) <= max(values) + slack)


def _slopes(
    exact: Exact, middle: Results, move: Any, sign: int, places: Iterable[Place]
) -> Iterator[dict[Place, Number]]:
    """Yield ``|x dF/dx|`` of some results on one side of x, and 0 where one jumps there; nothing outside the domain."""
    try:
        near, far = (exact(*move(sign * step)) for step in _STEPS)
    except TypeError:  # a logarithm is complex there
        return
    found = {}
    for key, place in places:
        value = middle[key][place]
        first = abs(near[key][place] - value) / _STEPS[0]
        second = abs(far[key][place] - value) / _STEPS[1]
        found[key, place] = first if second <= 2 * first + MP.mpf(2) ** -1000 else MP.mpf(0)
    yield found


def turned(arrays: Numbers, settings: Numbers, limits: Any, comparisons: Comparisons) -> Iterator[Any]:
    """Yield inputs with a comparison as far off as rounding may take it."""
    return _wide_steps(_turns(arrays, settings, limits, comparisons), limits)


def _wide_steps(moves: Iterable[Any], limits: Any) -> Iterator[Any]:
    """Yield inputs of which one number is as far off as rounding may take it on its way to a comparison."""
    step = _WIDE * MP.mpf(float(limits.eps))
    for move in moves:
        yield move(step)
        yield move(-step)


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


def _turns(arrays: Numbers, settings: Numbers, limits: Any, comparisons: Comparisons) -> Iterator[Any]:
    """Yield functions as `_moves` does, that move what a row compares by steps as large as all its numbers."""
    if not comparisons:
        return
    real = [array for array in arrays.values() if _is_real(array)]
    tiny = MP.mpf(float(limits.tiny))  # below it rounding does not shrink with the numbers
    for row in range(min(map(len, real))):
        numbers = [x for array in real for x in np.asarray(array[row], dtype=object).reshape(-1)]
        for setting, beside in comparisons:
            size = MP.fsum([*numbers, *(settings.get(name, 0) for name in beside), tiny], absolute=True)
            if size > _INFINITE * MP.mpf(float(limits.max)):
                continue  # infinity, which no rounding brings to the other side
            yield lambda step, size=size, setting=setting: (
                arrays,
                {**settings, setting: settings.get(setting, 0) + step * size},
            )


def _moved(array: Any, place: tuple[int, ...], step: Number) -> Any:
    moved = array.copy()
    moved[place] = moved[place] * (1 + step)
    return moved


def _is_real(array: Any) -> bool:
    return array.size > 0 and isinstance(array.reshape(-1)[0], MP.mpf)


def _signature(given: Any) -> Any:
    """Return what two inputs have in common that are the same number by number."""
    if isinstance(given, MP.mpf):
        return given._mpf_
    return tuple(map(_signature, given)) if isinstance(given, list) else given


def leaves(nested: Any) -> Iterator[Any]:
    """Yield the addends of each number of a nested list."""
    if isinstance(nested, tuple):
        yield nested
        return
    for part in nested:
        yield from leaves(part)
