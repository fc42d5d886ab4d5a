"""Samples a loss along one of its numbers, by the engine: what is drawn is what is served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossd.declaration.loss import Loss
from lossd.declaration.picture import Slider, held_number, held_slider
from lossd.engine import evaluate
from lossd.message import Array, Call


@dataclass(frozen=True)
class Samples:
    """A loss at some numbers.

    Attributes:
        xs: The numbers.
        value: The loss at each.
        gradient: Its derivative.
        curvature: Its second derivative; empty where it was not asked for.
    """

    xs: Sequence[float]
    value: Sequence[float]
    gradient: Sequence[float]
    curvature: Sequence[float]


@dataclass(frozen=True)
class Held:
    """An array that holds one number while a curve is drawn along another.

    Attributes:
        number: The number.
        shared: Whether all rows see the same array.
        slider: Between which ends it is worth moving; None if nowhere.
    """

    number: float
    shared: bool
    slider: Slider | None


def held_arrays(loss: Loss) -> Mapping[str, Held]:
    """Return what the arrays hold besides the one along which a curve is drawn."""
    found = {}
    for argument in loss.arguments:
        if argument.name == loss.picture.argument or argument.optional:
            continue
        domain = argument.role.domain
        number = loss.picture.held.get(argument.name, held_number(domain))
        found[argument.name] = Held(number, argument.role.shared, held_slider(domain, number))
    if loss.of_residual or loss.picture.symbol == "m":
        return {name: Held(held.number, held.shared, None) for name, held in found.items()}
    return found


def is_wrapped(loss: Loss) -> bool:
    """Return whether a row of the moved array is a list of one number rather than a number."""
    return bool(loss.by_name[loss.picture.argument].role.forms[0].pattern.core)


def curve(loss: Loss, xs: Sequence[float], settings: Mapping[str, Any] | None = None) -> Samples:
    """Sample a loss of one number per row, many rows in one call; ``static/js/curve.js`` asks for the same.

    Args:
        loss: The loss.
        xs: The numbers.
        settings: Settings, and numbers that other arrays hold, where they are not the usual ones.
    """
    name, chosen = loss.picture.argument, dict(settings or {})
    moved = np.asarray(xs, np.float64)
    arrays = {name: moved[:, None] if is_wrapped(loss) else moved}
    for other, held in held_arrays(loss).items():
        arrays[other] = np.full(1 if held.shared else len(moved), chosen.pop(other, held.number))
    options = {"reduction": "none", "gradient": [name], "hessian": [name]}
    answer = evaluate(loss, Call(arrays, {**options, **chosen}))
    return Samples(
        list(xs),
        _numbers(answer.loss["none"]),
        _numbers(answer.gradient["none"][name]),
        _numbers(answer.hessian["none"][name]),
    )


def example_call(loss: Loss, **options: Any) -> Call:
    """Return the call of the worked example."""
    return call_of(loss, {**loss.example.call, **options})


def call_of(loss: Loss, request: Mapping[str, Any]) -> Call:
    """Return the call of a request's members, its lists as arrays."""
    arrays = {name: np.asarray(value) for name, value in request.items() if name in loss.array_names}
    return Call(arrays, {name: value for name, value in request.items() if name not in arrays})


def along(loss: Loss, xs: Sequence[float], settings: Mapping[str, Any] | None = None) -> Samples:
    """Sample the sum of a worked example's losses while one of its numbers moves."""
    name, at = loss.picture.argument, loss.picture.at
    value, gradient = [], []
    for x in xs:
        moved = np.array(loss.example.call[name], np.float64)
        moved[at] = x
        answer = evaluate(
            loss,
            example_with(
                loss, name, moved, **(settings or {}), reduction="sum", gradient=[name], check_target="none"
            ),
        )
        value.append(float(answer.loss["sum"]))
        gradient.append(float(answer.gradient["sum"][name][at]))
    return Samples(list(xs), value, gradient, [])


def example_with(loss: Loss, name: str, array: Array, **options: Any) -> Call:
    """Return the call of the worked example with another array in the place of one."""
    call = example_call(loss, **options)
    return Call({**call.arrays, name: array}, call.options)


def sampled(loss: Loss, xs: Sequence[float], settings: Mapping[str, Any] | None = None) -> Samples:
    """Sample a loss of any kind."""
    return curve(loss, xs, settings) if loss.picture.kind == "curve" else along(loss, xs, settings)


def spaced(low: float, high: float, count: int) -> list[float]:
    """Return numbers evenly spaced between two, both included, as short as they can be written."""
    return [round(low + (high - low) * i / (count - 1), 6) for i in range(count)]


def _numbers(values: Array) -> list[float]:
    return [float(x) for x in np.asarray(values).ravel()]
