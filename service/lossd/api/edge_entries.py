"""What the catalogue says of means and of edges: data, with calls that give the same numbers."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from lossd.declaration.denominator import Denominator, Unit
from lossd.declaration.edge import Kind as EdgeKind
from lossd.declaration.loss import Loss
from lossd.page.edges import EdgeCall, edge_calls

Number = float | Literal["NaN", "Infinity", "-Infinity"]


class IgnoredEntry(BaseModel):
    """A value of a setting in an argument, by which a sample takes no part."""

    argument: str
    setting: str


class DenominatorEntry(BaseModel):
    """What a mean divides by, where a call does not say it."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    counts: Unit
    """What is counted; nothing where the loss of a batch is one number."""
    weight: str | None
    """The argument of which each adds its number in place of one, if the argument is given."""
    indexed_by: str | None
    """The argument of class indices by which the weights are looked up; with probabilities in it each adds one."""
    scaled_by: str | None
    """The argument by which each loss is divided before it is summed, where that is more than one."""
    ignored: IgnoredEntry | None
    """What leaves a sample out."""


class EdgeEntry(BaseModel):
    """A place at which a loss is worth knowing, and the loss there."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    kind: EdgeKind
    """What is there. At a tie, branches of the formula meet; with a setting it compares; where it is degenerate, the
    formula taken literally would divide zero by zero, or find nothing to compare."""
    label: str
    """The place, for people."""
    place: list[int]
    """Where in the picture's argument the number stands that the place is about."""
    setting: str | None
    """The setting whose value the number has, if it has one's."""
    request: dict[str, Any]
    """The call that gives the numbers here; NaN and infinities are strings, as in any request."""
    refused: bool
    """Whether the call is refused."""
    loss: Number | None
    """The sum of the losses."""
    gradient: Number | None
    """Its derivative with respect to the number."""
    curvature: Number | None
    """The second derivative, of a loss of one number per row."""


def denominator_entry(denominator: Denominator) -> DenominatorEntry:
    """Return what a mean divides by, as the catalogue says it."""
    ignored = denominator.ignored
    return DenominatorEntry(
        counts=denominator.counts,
        weight=denominator.weight,
        indexed_by=denominator.indexed_by,
        scaled_by=denominator.scaled_by,
        ignored=None if ignored is None else IgnoredEntry(argument=ignored[0], setting=ignored[1]),
    )


def edge_entries(loss: Loss) -> list[EdgeEntry]:
    """Return the edges of a loss, as the catalogue says them."""
    return [_edge(call) for call in edge_calls(loss)]


def _edge(call: EdgeCall) -> EdgeEntry:
    value, gradient, curvature = map(_as_json, call.samples or (None, None, None))
    return EdgeEntry(
        kind=call.edge.kind,
        label=call.edge.label,
        place=list(call.place),
        setting=call.edge.at if isinstance(call.edge.at, str) else None,
        request={name: _as_json(value) for name, value in call.request.items()},
        refused=call.samples is None,
        loss=value,
        gradient=gradient,
        curvature=curvature,
    )


def _as_json(value: Any) -> Any:
    """Write NaN and infinities as the strings that stand for them in JSON, in lists too."""
    if isinstance(value, list):
        return [_as_json(each) for each in value]
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
