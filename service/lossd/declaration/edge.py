"""The places at which a loss is worth knowing: ties, zero, the ends of a domain, infinity, what is ignored.

They are places alone: what a loss is there, the engine says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf, nan
from typing import Any, Literal

from lossd.declaration.denominator import Denominator
from lossd.declaration.domain import Domain, Interval
from lossd.declaration.example import Example
from lossd.declaration.picture import Picture
from lossd.declaration.signature import Signature

Kind = Literal["zero", "setting", "tie", "bound", "far", "infinity", "nan", "ignored", "degenerate"]


@dataclass(frozen=True)
class Edge:
    """A place at which a loss is worth knowing.

    Attributes:
        kind: What is there: two branches of the formula meet at a ``tie``, a ``setting`` is a scale that the formula
            compares with, and of what is ``degenerate`` the formula taken literally would divide zero by zero, or find
            nothing to compare.
        label: The place, for people; code stands in backticks.
        at: The number that the picture moves, or the setting whose value it has; None leaves the example's.
        given: What else differs from the worked example; of a curve, the numbers that other arrays hold.
    """

    kind: Kind
    label: str
    at: float | str | None = None
    given: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """What tells the places of a loss apart."""
        return repr(self.at), repr(dict(self.given))


def edges_of(
    own: tuple[Edge, ...], picture: Picture, signature: Signature, example: Example, denominator: Denominator
) -> tuple[Edge, ...]:
    """Return where a loss is worth knowing; a picture of an argument that there is not has no such places."""
    moved = next((a.role.domain for a in signature.arguments if a.name == picture.argument), None)
    if moved is None:
        return own
    found = with_usual(own, picture, moved, signature.differentiable)
    if denominator.ignored is None:
        return found
    argument, setting = denominator.ignored
    return (*found, ignored(example, argument, signature.settings[setting][1]))


def with_usual(
    declared: Iterable[Edge], picture: Picture, domain: Domain, scales: Iterable[str] = ()
) -> tuple[Edge, ...]:
    """Return the edges that any loss of this picture has; one that is declared replaces that of its place.

    Args:
        declared: The loss's own.
        picture: How it is drawn.
        domain: What the moved numbers may be.
        scales: Settings with which the formula compares them.
    """
    own = {edge.key: edge for edge in declared}
    first, *others = _usual(picture, domain, scales)
    merged = {edge.key: own.get(edge.key, edge) for edge in (first, *own.values(), *others)}
    return tuple(merged.values())


def ignored(example: Example, argument: str, value: int) -> Edge:
    """Return the edge at which the first sample of the worked example is left out."""
    _, *others = example.call[argument]
    return Edge("ignored", "the first sample is ignored", given={argument: [value, *others]})


def _usual(picture: Picture, domain: Domain, scales: Iterable[str]) -> list[Edge]:
    zero, unknown = Edge("zero", "zero", 0.0), Edge("nan", "not a number", nan)
    if isinstance(domain, Interval) and (domain.low, domain.high) == (0, 1):
        inside = [Edge("far", "a billionth", 1e-9), Edge("far", "one half", 0.5)]
        return [Edge("bound", "zero", 0.0), *inside, Edge("bound", "one", 1.0), unknown]
    ends = [Edge("infinity", "infinity", inf), unknown]
    if picture.symbol == "r":  # even: what holds on one side holds on the other
        named = [Edge("setting", f"exactly `{name}`", name) for name in scales]
        return [zero, *named, Edge("far", "one million", 1e6), *ends]
    away = [Edge("far", "far below", -1000.0), Edge("far", "far above", 1000.0)]
    if picture.symbol == "m":
        return [zero, Edge("setting", "exactly 1", 1.0), *away, *ends]
    return [zero, *away, Edge("infinity", "minus infinity", -inf), *ends]
