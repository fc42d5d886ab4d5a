"""Random calls' values, gradients, and what they are of numbers that are not finite, against the exact ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from lossd.engine import evaluate
from lossd.losses import LOSSES
from tests.oracle.case import Case
from tests.oracle.condition import Place, exact_inputs, rows_and_gradients, turned, unexplained
from tests.oracle.exact import MP, Number
from tests.oracle.nonfinite import FAR_DIGITS, Expected, corrupt, expected, standing_in
from tests.oracle.random_draw import Draw, Finding, is_close, shown
from tests.oracle.truth import FRAMES, call_of

# Enough for most calls; what is small or not as expected is looked at with all digits.
FEW_DIGITS = 60
# Enough for how much a result changes with its inputs.
DIGITS = 150


def check_values(draw: Draw) -> Finding | None:
    """Hold values and gradients against the exact ones: the kernel row by row, or its fused form in a sum."""
    options: dict[str, Any] = {
        "reduction": "none" if draw.rowwise else "sum",
        "gradient": draw.differentiable if draw.rowwise else True,
    }
    got = _asked(draw.name, draw.case, options)
    return unless_turned(draw, partial(_hold_values, draw, got, options))


def unless_turned(draw: Draw, hold: Callable[[Any, Any], Finding | None]) -> Finding | None:
    """Return what is found, if it is also where rounding turns a comparison: there all conditions are others."""
    inputs = exact_inputs(draw.case)
    found = hold(*inputs)
    if found and any(
        hold(*others) is None for others in turned(*inputs, draw.limits, draw.oracle.comparisons)
    ):
        return None
    return found


def _hold_values(
    draw: Draw, got: Mapping[str, np.ndarray], options: Mapping[str, Any], arrays: Any, settings: Any
) -> Finding | None:
    with MP.workdps(FEW_DIGITS):
        if not list(_suspects(got, draw.exact(arrays, settings), least=MP.mpf(10) ** (-FEW_DIGITS / 2))):
            return None
    truth = draw.exact(arrays, settings)
    suspects = list(_suspects(got, truth))
    if not suspects:
        return None
    addends = rows_and_gradients(draw.name, draw.rowwise, absolute=True)(arrays, settings)
    factor, sharpness = draw.largest_factor, draw.oracle.sharpness(draw.case)

    def is_explained(at: Place, condition: Any) -> bool:
        (key, place), right = at, truth[at[0]][at[1]]
        size = condition + addends[key][place] + (sharpness - 1) * abs(right)
        return is_close(got[key][place], right, size, factor)

    given = arrays, settings, draw.limits
    condition = {at: MP.mpf(0) for at in suspects if not is_explained(at, 0)}
    for precision in (DIGITS, MP.dps):
        if not condition:
            return None
        answers = {(key, place): got[key][place] for key, place in condition}
        with MP.workdps(precision):
            condition = unexplained(draw.exact, *given, answers, is_explained, draw.oracle.comparisons)
    for (key, place), size in condition.items():
        where = draw.shown_place(key, place)
        text = f"{where} is {got[key][place]!r}, not {shown(truth[key][place])}"
        return Finding(*draw[:3], options, f"{text} (condition {MP.nstr(size, 3)})")
    return None


def check_nonfinite(draw: Draw) -> Finding | None:
    """Hold a call with NaN or infinity in one place against what exact arithmetic says of it."""
    corrupted = corrupt(draw.name, draw.case, draw.rng)
    if corrupted is None:
        return None
    case, key, place = corrupted
    options: dict[str, Any] = {"reduction": "none" if draw.rowwise else "sum", "gradient": True}
    truth = expected(draw.name, draw.exact, case, key, place)
    got = _asked(draw.name, case, options)
    wrong = [
        (result, at)
        for result in got
        for at in _unexpected(draw, options, result, got[result], truth[result])
    ]
    if all(np.isfinite(got[result][at]) and MP.isfinite(truth[result][at].value) for result, at in wrong):
        wrong = _well_conditioned(draw, got, truth, wrong, standing_in(draw.name, case, key, place))
    for result, at in wrong:
        text = f"{draw.shown_place(result, at)} is {got[result][at]!r}, not {shown(truth[result][at].value)}"
        given = case.arrays[key][place]
        allowing = "spreads_nan" if np.isnan(given) else "limits"
        text += (
            f", with {draw.shown_place(key, place)} = {given} (`{allowing}` of an oracle says what may be)"
        )
        return Finding(draw.name, draw.seed, case, options, text)
    return None


def _unexpected(
    draw: Draw, options: Mapping[str, Any], result: str, array: np.ndarray, truth: list[Expected]
) -> Iterator[int]:
    """Yield the places of a result that hold something else than they must."""
    for at, (found, (right, or_nan, near_by)) in enumerate(zip(array, truth, strict=True)):
        if right is None or _is_limit(found, right) or (or_nan and np.isnan(found)):
            continue
        # In other rows rounding may turn a comparison: digits are the other checks' business.
        if near_by or np.isnan(found) != np.isnan(_asked(draw.name, draw.case, options)[result][at]):
            yield at


def _well_conditioned(
    draw: Draw, got: Mapping[str, np.ndarray], truth: Any, wrong: list[Place], inputs: tuple[Any, Any]
) -> list[Place]:
    """Return which of some wrong numbers rounding does not explain."""

    def is_explained(at: Place, condition: Any) -> bool:
        return is_close(got[at[0]][at[1]], truth[at[0]][at[1]].value, condition, draw.largest_factor)

    answers = {(result, at): got[result][at] for result, at in wrong}
    with MP.workdps(FAR_DIGITS):
        known = draw.limits, answers, is_explained, draw.oracle.comparisons
        return list(unexplained(draw.exact, *inputs, *known))


def _is_limit(found: Any, right: Number) -> bool:
    """Return whether a number is what one in place of infinity gives: its digits are the other checks' business."""
    if MP.isinf(right):
        return bool(found == (np.inf if right > 0 else -np.inf))
    return is_close(found, right, abs(right) * 1e6 + 1 if MP.isfinite(right) else 0)


def _suspects(got: Any, truth: Any, least: Any = 0) -> Iterator[tuple[str, int]]:
    """Yield the places where an answer is not the exact one, or where that is below ``least``."""
    for key, array in got.items():
        for place, right in enumerate(truth[key]):
            if abs(right) < least or not is_close(array[place], right):
                yield key, place


def _asked(name: str, case: Case, options: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return an answer's value and gradients, each flat."""
    answer = evaluate(LOSSES[name], call_of(case, **options))
    reduction = options["reduction"]
    got = {"value": np.asarray(answer.loss[reduction]).reshape(-1)}
    for key, array in answer.gradient.get(reduction, {}).items():
        got[key] = (np.moveaxis(array, 1, 0) if key in FRAMES else array).reshape(-1)
    return got
