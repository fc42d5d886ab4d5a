"""Random calls' Hessians and products with them, against differences of the exact gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from lossd.engine import evaluate
from lossd.errors import InvalidCall
from lossd.losses import LOSSES
from tests.oracle.condition import Place, rows_and_gradients, unexplained
from tests.oracle.curvature import digits, hessian_diagonal, hessian_vector, jumps
from tests.oracle.exact import MP
from tests.oracle.random_draw import Draw, Finding, is_close, shown
from tests.oracle.random_values import unless_turned
from tests.oracle.truth import FRAMES, call_of

_SAME = MP.mpf(10) ** -20


def check_hessian(draw: Draw) -> Finding | None:
    """Hold the diagonal of the Hessian against differences of the exact gradient."""
    if draw.oracle.hessian_cancels:
        return None
    truth = partial(hessian_diagonal, draw.exact, name=draw.curved)
    return _check_second(draw, "hessian", {"hessian": [draw.curved]}, truth)


def check_product(draw: Draw) -> Finding | None:
    """Hold a Hessian-vector product against differences of the exact gradient."""
    given = draw.case.arrays[draw.curved]
    direction = draw.rng.integers(-2, 3, given.shape).astype(np.float64)
    exact = np.array([MP.mpf(v) for v in direction.reshape(-1)], dtype=object).reshape(given.shape)
    truth = partial(hessian_vector, draw.exact, name=draw.curved, direction=exact)

    def of_direction(arrays: Any, settings: Any, numbers: list[int]) -> list[Any]:
        """Return how much the product depends on each number of the direction, which is an input too.

        Without limit where it is no sum over them: there the slope has kinks, and no derivative even if a step along
        the direction changes it as much as one back.
        """
        total, rest = [MP.mpf(0)] * len(numbers), truth(arrays, settings, numbers=numbers)
        for place in np.argwhere(exact != 0):
            alone = np.full(exact.shape, MP.mpf(0), dtype=object)
            alone[tuple(place)] = exact[tuple(place)]
            part = hessian_vector(draw.exact, arrays, settings, draw.curved, alone, numbers)
            total = [a + (MP.inf if b is None else abs(b)) for a, b in zip(total, part, strict=True)]
            rest = [a - (b or 0) for a, b in zip(rest, part, strict=True)]
        return [MP.inf if abs(b) > _SAME * a else a for a, b in zip(total, rest, strict=True)]

    asked = np.moveaxis(direction, 0, 1) if draw.curved in FRAMES else direction
    return _check_second(draw, "hvp", {f"hvp.{draw.curved}": asked}, truth, of_direction)


def _check_second(
    draw: Draw,
    kind: str,
    asked: Mapping[str, Any],
    truth: Callable[..., list[Any]],
    of_direction: Callable[..., list[Any]] | None = None,
) -> Finding | None:
    if draw.oracle.second_swamped(draw.case):
        return None
    options = {"reduction": "sum", **asked}
    try:
        answer = evaluate(LOSSES[draw.name], call_of(draw.case, **options))
    except InvalidCall as refusal:
        if "a loss and arguments that have one" in str(refusal):
            return None
        raise
    array = getattr(answer, kind)["sum"][draw.curved]
    got = (np.moveaxis(array, 1, 0) if draw.curved in FRAMES else array).reshape(-1)
    return unless_turned(draw, partial(_hold_second, draw, got, kind, options, truth, of_direction))


def _hold_second(
    draw: Draw,
    got: np.ndarray,
    kind: str,
    options: Mapping[str, Any],
    truth: Callable[..., list[Any]],
    of_direction: Callable[..., list[Any]] | None,
    arrays: Any,
    settings: Any,
) -> Finding | None:
    right = truth(arrays, settings, numbers=range(len(got)))
    suspects = [i for i, value in enumerate(right) if value is not None and not is_close(got[i], value)]
    if not suspects:
        return None
    sizes = rows_and_gradients(draw.name, draw.rowwise, absolute=True)
    # Equal distances cancel also where both are 0 and have no derivatives, of which a difference is NaN.
    suspects = [
        i for i in suspects if not (np.isnan(got[i]) and jumps(sizes, arrays, settings, draw.curved, i))
    ]
    # Where the gradient is a difference of addends, what it is differentiated to is one too.
    slopes, addends = (of(arrays, settings)[draw.curved] for of in (draw.exact, sizes))
    known = {i: abs(right[i]) * (addends[i] / abs(slopes[i]) - 1) if slopes[i] else 0 for i in suspects}
    parts = MP.mpf(draw.oracle.curvature_addends(draw.case))
    known = {i: size + parts for i, size in known.items()}
    if draw.oracle.dual_numbers:
        most = max(abs(value) for value in right if value is not None)
        known = {i: size + most for i, size in known.items()}

    def is_explained(at: Place, condition: Any) -> bool:
        return is_close(got[at[1]], right[at[1]], condition + known[at[1]], draw.largest_second_factor)

    suspects = [i for i in suspects if not is_explained((kind, i), 0)]
    if suspects and of_direction:
        for i, more in zip(suspects, of_direction(arrays, settings, suspects), strict=True):
            known[i] += more
        suspects = [i for i in suspects if not is_explained((kind, i), 0)]
    # Of a product all elements are found at once, of a diagonal each by itself.
    given = arrays, settings, draw.limits
    groups = [suspects] if suspects and of_direction else [[i] for i in suspects]
    for group in groups:

        def second(arrays: Any, settings: Any, group: list[int] = group) -> dict[str, dict[int, Any]]:
            found = truth(arrays, settings, numbers=group)
            return {kind: {i: MP.mpf(0) if v is None else v for i, v in zip(group, found, strict=True)}}

        answers = {(kind, i): got[i] for i in group}
        with MP.workdps(digits(arrays, settings)):
            condition = unexplained(second, *given, answers, is_explained, draw.oracle.comparisons)
        for (_, i), size in condition.items():
            where = draw.shown_place(draw.curved, i)
            text = f"{kind} of {where} is {got[i]!r}, not {shown(right[i])}"
            text += f" (condition {MP.nstr(size + known[i], 3)})"
            return Finding(*draw[:3], options, text)
    return None
