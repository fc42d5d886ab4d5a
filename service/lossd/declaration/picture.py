"""How a loss is drawn: which of its numbers a picture varies, and over which range.

A picture starts at the worked example. ``curve`` draws value, gradient and curvature of one row of plain numbers,
``bars`` a row of numbers beside their gradients, ``plane`` vectors of two coordinates, ``boxes`` two boxes, and
``lattice`` the scores of symbols over time. Whatever its kind, the loss along one of the numbers is a curve too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lossd.declaration.domain import Domain, Interval, OneOf

Kind = Literal["curve", "bars", "plane", "boxes", "lattice"]
Scale = Literal["linear", "log"]

_GUARD = 1e-3  # a default below this guards a division: no slider shows what it does
_DECADES = (20.0, 5.0)  # how far a slider in decades goes below and above its default
_TIMES = 4.0  # how far a linear one goes, in defaults


@dataclass(frozen=True)
class Slider:
    """The range over which a number is varied; marks a setting whose bounds do not say it."""

    low: float
    high: float
    scale: Scale = "linear"


@dataclass(frozen=True)
class Picture:
    """How a loss is drawn.

    Attributes:
        kind: What is drawn.
        argument: The array whose numbers are moved.
        low: The least of them.
        high: The largest.
        label: What such a number is, for the axis of a curve.
        symbol: Its symbol in the formula, for a curve.
        at: Where in the worked example the number stands along which the loss is drawn; of a curve, nowhere.
        held: Argument to the number that it holds while a curve is drawn; without, one that its domain suggests.
        rays: Whether directions matter: each vector is drawn from the origin.
        ranked: Whether the order of the numbers matters: each is shown with its rank.
    """

    kind: Kind
    argument: str = "input"
    low: float = -4.0
    high: float = 4.0
    label: str = ""
    symbol: str = "x"
    at: tuple[int, ...] = ()
    held: Mapping[str, float] = field(default_factory=dict)
    rays: bool = False
    ranked: bool = False


def curve(low: float, high: float, label: str, **fields: Any) -> Picture:
    """Return the picture of a loss of one number per row between these ends."""
    return Picture("curve", low=low, high=high, label=label, **fields)


def bars(argument: str = "input", low: float = -4.0, high: float = 4.0, **fields: Any) -> Picture:
    """Return the picture of a row of numbers; the loss is drawn along the first of them."""
    return Picture("bars", argument, low, high, **{"at": (0, 0), **fields})


def plane(argument: str, at: tuple[int, ...] = (0, 0), **fields: Any) -> Picture:
    """Return the picture of vectors of two coordinates; the loss is drawn along the one at ``at``."""
    return Picture("plane", argument, at=at, **fields)


RESIDUAL = curve(-4, 4, "residual = input − target", symbol="r")
MARGIN = curve(-3, 4, "margin = target × input", symbol="m")


def held_number(domain: Domain) -> float:
    """Return what an array holds while a curve is drawn along another."""
    if isinstance(domain, OneOf):
        return float(domain.values[-1])
    if isinstance(domain, Interval) and domain.low >= 0:
        return 1.0
    return 0.0


def held_slider(domain: Domain, held: float) -> Slider | None:
    """Return the slider of an array that is held at a number; None where any number would do as well."""
    if isinstance(domain, OneOf):
        return Slider(min(domain.values), max(domain.values))
    if not isinstance(domain, Interval) or (domain.unbounded and domain.typical is None):
        return None
    if domain.unbounded and domain.typical is not None:
        return Slider(*domain.typical)
    if domain.high == float("inf"):
        most = max(_TIMES * held, *(domain.typical or (0.0,)))
        return Slider(domain.low + most / 40, most)
    inset = 0.0 if domain.closed == "both" else (domain.high - domain.low) / 20
    return Slider(domain.low + inset, domain.high - inset)


def setting_slider(schema: Mapping[str, Any], default: Any) -> Slider | None:
    """Return the slider of a setting from the bounds and the default of its schema; None if it is no number to move."""
    if schema.get("type") != "number" or not isinstance(default, float):
        return None
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is not None and high is not None:
        return Slider(low, high)
    if 0 < abs(default) < _GUARD:
        return None
    if "exclusiveMinimum" in schema and low == 0:
        below, above = _DECADES
        return Slider(default / below, default * above, "log")
    return Slider(0.0, _TIMES * default) if default > 0 else Slider(-1.0, 1.0)
