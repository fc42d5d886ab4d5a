"""What the script of a loss's page needs to draw its picture, as JSON; and the sliders beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import log10
from typing import Any

from lossd.declaration.domain import Boolean, Distribution, Interval
from lossd.declaration.index_domain import Index
from lossd.declaration.loss import Loss
from lossd.declaration.picture import Slider
from lossd.engine import request_model, sliders_of
from lossd.page.numbers import depth, flat, plain
from lossd.page.samples import held_arrays, is_wrapped

_NOT_SHOWN = frozenset({"class_axis", "zero_infinity", "stop_target_gradients"})


@dataclass(frozen=True)
class Control:
    """A slider, a choice or a box of a loss's page.

    Attributes:
        name: The setting, or the array that is held at a number.
        value: Where it starts.
        default: What a thin line stands for.
        low, high, step: Ends and step of a range input; of one in decades, powers of ten times ``value``.
        log: Whether it is one in decades.
        choices: What can be chosen, in place of a slider; none for a slider.
    """

    name: str
    value: Any
    low: float = 0.0
    high: float = 1.0
    step: float = 0.01
    log: bool = False
    choices: tuple[Any, ...] = ()

    @property
    def position(self) -> float:
        """Where the input stands at first."""
        return 0.0 if self.log else float(self.value)


def controls(loss: Loss) -> list[Control]:
    """Return what moves a picture besides its numbers: held arrays, sliders of settings, switches."""
    found = []
    if loss.picture.kind == "curve":
        found += [
            _slider(name, held.number, held.slider) for name, held in held_arrays(loss).items() if held.slider
        ]
    start = {} if loss.picture.kind == "curve" else loss.example.call
    sliders = sliders_of(loss)
    schema = request_model(loss).model_json_schema()["properties"]
    for name, (_, default) in loss.settings.items():
        value = start.get(name, default)
        if name in sliders:
            found.append(_slider(name, value, sliders[name]))
        elif name not in _NOT_SHOWN and schema[name].get("type") == "boolean":
            found.append(Control(name, value, choices=(False, True)))
        elif "enum" in schema[name]:
            found.append(Control(name, value, choices=tuple(schema[name]["enum"])))
    return found


def _slider(name: str, value: float, slider: Slider) -> Control:
    if slider.scale == "log":
        return Control(
            name, value, round(log10(slider.low / value), 2), round(log10(slider.high / value), 2), log=True
        )
    if (slider.low, slider.high) == (-1, 1) and value == 1:
        return Control(name, value, -1, 1, 2)
    span = slider.high - slider.low
    return Control(name, value, slider.low, slider.high, 0.01 if span <= 5 else 0.05)


def specification(loss: Loss) -> str:
    """Return the picture of a loss as JSON."""
    picture = loss.picture
    common = {
        "loss": loss.name,
        "kind": picture.kind,
        "argument": picture.argument,
        "low": picture.low,
        "high": picture.high,
        "label": picture.label,
        "symbol": picture.symbol.replace("_", ""),
        "start": {
            name: plain(value) for name, value in loss.example.call.items() if name not in loss.settings
        },
    }
    return json.dumps({**common, **_OF_KIND[picture.kind](loss)})


def _of_curve(loss: Loss) -> Mapping[str, Any]:
    held = {name: {"value": held.number, "shared": held.shared} for name, held in held_arrays(loss).items()}
    return {"wrapped": is_wrapped(loss), "held": held}


def _of_bars(loss: Loss) -> Mapping[str, Any]:
    moved = loss.example.call[loss.picture.argument]
    columns = [
        {"name": name, "control": _column(loss, name, value)}
        for name, value in loss.example.call.items()
        if name in loss.by_name and name != loss.picture.argument and _fits(loss, name, value, moved)
    ]
    return {"columns": columns, "ranked": loss.picture.ranked, "each": str(loss.value) not in ("(...)", "()")}


def _fits(loss: Loss, name: str, value: Any, moved: Any) -> bool:
    """Return whether an array has a number for each of the moved ones, or says which of them is meant."""
    row = value[0] if depth(moved) == 2 and isinstance(value, list) else value
    length = len(moved[0] if depth(moved) == 2 else moved)
    role = loss.by_name[name].role.forms[0]
    if isinstance(role.domain, Index):
        return True
    if len(role.pattern.core) != len(loss.by_name[loss.picture.argument].role.forms[0].pattern.core):
        return False
    return isinstance(row, list) and len(row) == length and depth(value) == depth(moved)


def _column(loss: Loss, name: str, value: Any) -> str:
    """Return how a column is changed: which one is meant, a list of those meant, yes or no, or a number."""
    domain = loss.by_name[name].role.domain
    if isinstance(domain, Index):
        return "set" if domain.padding is not None else "one"
    if isinstance(domain, Boolean):
        return "yes"
    binary = isinstance(domain, Interval) and domain.high == 1 and set(flat(value)) <= {0.0, 1.0}
    return "yes" if binary and not isinstance(domain, Distribution) else "number"


def _of_plane(loss: Loss) -> Mapping[str, Any]:
    vectors = [
        argument.name
        for argument in loss.arguments
        if argument.name in loss.example.call and isinstance(loss.example.call[argument.name][0], list)
    ]
    labels = next((a.name for a in loss.arguments if a.role.domain.kind == "whole"), None)
    return {"vectors": vectors, "labels": labels, "rays": loss.picture.rays}


def _of_lattice(loss: Loss) -> Mapping[str, Any]:
    labels = next(
        a.name for a in loss.arguments if a.name in loss.example.call and isinstance(a.role.domain, Index)
    )
    return {"labels": labels, "aligned": len(flat(loss.example.call[labels])) == _steps(loss)}


def _steps(loss: Loss) -> int:
    scores = loss.example.call[loss.picture.argument]
    return len(scores[0] if depth(scores) == 3 else scores)


_OF_KIND: Mapping[str, Callable[[Loss], Mapping[str, Any]]] = {
    "curve": _of_curve,
    "bars": _of_bars,
    "plane": _of_plane,
    "boxes": lambda loss: {},
    "lattice": _of_lattice,
}
