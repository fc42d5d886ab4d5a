"""What NaN and infinity in one place of a call must come to, by exact arithmetic alone.

A result that depends on a number is NaN where that number is, and any other is as if it were not there. At infinity
a result is its limit. A loss may say in its `Oracle` that NaN may stand in place of either; a third number never may.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from lossd.declaration.domain import WEIGHT, Interval
from lossd.losses import LOSSES
from tests.oracle.case import Case
from tests.oracle.condition import Exact, Results, exact_inputs
from tests.oracle.exact import MP, Number
from tests.oracle.records import ORACLES
from tests.oracle.truth import WHOLE_BATCH, shared_in, weighs

_FAR = MP.mpf(10) ** 500
# That numbers as small as 1 count beside the square of what stands for infinity.
FAR_DIGITS = 1400


class Expected(NamedTuple):
    """What a result must be.

    Attributes:
        value: The number, NaN too; None where exact arithmetic does not tell.
        or_nan: Whether it may be NaN instead.
        near_by: Whether it belongs to the row of the number that is not finite, or to all rows.
    """

    value: Number | None
    or_nan: bool
    near_by: bool


def corrupt(name: str, case: Case, rng: np.random.Generator) -> tuple[Case, str, tuple[int, ...]] | None:
    """Put NaN or an infinity in one place of one argument, if any may hold it."""
    arguments = {a.name: a.role for a in LOSSES[name].arguments}
    # Infinite parts of both signs have a limit together where their weights differ, and no sum in floats.
    if any(arguments[key].domain == WEIGHT and (array < 0).any() for key, array in case.arrays.items()):
        return None
    open_to = [
        key
        for key, array in case.arrays.items()
        # A weight that is no number, times nothing, is nothing by the limit and NaN by IEEE.
        if array.dtype.kind == "f"
        and array.size
        and _may(arguments[key])
        and not weighs(name, key)
        and key not in ORACLES[name].orders
    ]
    if not open_to:
        return None
    key = open_to[rng.integers(len(open_to))]
    array = case.arrays[key].copy()
    place = tuple(int(rng.integers(size)) for size in array.shape)
    if array.shape[-1] == 1 and arguments[key].forms[0].pattern.letters[-1:] in (("C",), ("L",)):
        return None  # of one class the loss is 0 whatever its logit, but NaN for NaN
    only_nan = not ORACLES[name].has_limits(case) or LOSSES[name].constraints  # which infinity may break
    array[place] = np.nan if only_nan else rng.choice([np.nan, np.inf, -np.inf])
    return case._replace(arrays={**case.arrays, key: array}), key, place


def standing_in(name: str, case: Case, key: str, place: tuple[int, ...]) -> tuple[Any, Any]:
    """Return the exact inputs of a case with a large number in place of an infinity, or 0 in place of NaN."""
    at = case.arrays[key][place]
    arrays, settings = exact_inputs(
        case._replace(arrays={**case.arrays, key: _with(case.arrays[key], place, 0)})
    )
    if np.isinf(at):
        arrays[key][place] = ORACLES[name].far(case, key) * (1 if at > 0 else -1)
    return arrays, settings


def expected(
    name: str, exact: Exact, case: Case, key: str, place: tuple[int, ...]
) -> dict[str, list[Expected]]:
    """Return what every result must be, where one number of a call is not finite."""
    arrays, settings = standing_in(name, case, key, place)
    far = arrays[key][place]

    def results(value: Any) -> Results:
        moved = arrays[key].copy()
        moved[place] = MP.mpf(value)
        return exact({**arrays, key: moved}, settings)

    oracle, near_by = ORACLES[name], partial(_is_in_row, name, case, key, place)
    if np.isnan(case.arrays[key][place]):
        others = [x for array in arrays.values() for x in array.reshape(-1) if isinstance(x, MP.mpf)]
        found = [results(value) for value in (0, 1, -1, 3, 1e5, -1e5, _FAR, -_FAR, *others)]
        return _each(found, near_by, partial(_at_nan, oracle.spreads_nan))
    with MP.workdps(FAR_DIGITS):
        found = [results(far), results(far * abs(far))]
    or_nan = oracle.limits is not None and key not in oracle.limits
    return _each(found, near_by, lambda values, near: Expected(_limit(*values), or_nan and near, near))


def _at_nan(or_nan: bool, values: tuple[Number, ...], near: bool) -> Expected:
    same = len(set(values)) == 1
    return Expected(values[0] if same else MP.nan, or_nan and near and same, near)


def _is_in_row(
    name: str, case: Case, key: str, place: tuple[int, ...], result: str, at: int, count: int
) -> bool:
    """Return whether a result belongs to the row of a number, or either of them to all rows."""
    shared = shared_in(name, case.arrays)
    rows = next((len(array) for other, array in case.arrays.items() if other not in shared), 1)
    by_row = result not in shared and (result in case.arrays or (result == "value" and count >= rows))
    if name in WHOLE_BATCH or key in shared or not by_row:
        return True
    return at // (count // rows) == place[0]


def _limit(near: Number, far: Number) -> Number | None:
    """Return the limit of a result from its values far out and farther; None where they do not tell."""
    change, small = abs(near - far), MP.mpf(10) ** -300
    if change <= small * abs(far):  # it does not depend on the number; it may be beyond the range by itself
        return far
    if abs(near) > MP.mpf(10) ** 400:
        return MP.inf * MP.sign(far) if MP.sign(far) == MP.sign(near) else None
    return far if change <= small and abs(far) <= abs(near) else None


def _each(
    found: list[Results], near_by: Callable[[str, int, int], bool], of: Callable[[Any, bool], Expected]
) -> dict[str, list[Expected]]:
    return {
        key: [
            of(values, near_by(key, at, len(found[0][key])))
            for at, values in enumerate(zip(*(results[key] for results in found), strict=True))
        ]
        for key in found[0]
    }


def _may(role: Any) -> bool:
    return isinstance(role.domain, Interval) and role.domain.unbounded


def _with(array: np.ndarray, place: tuple[int, ...], value: float) -> np.ndarray:
    array = array.copy()
    array[place] = value
    return array
