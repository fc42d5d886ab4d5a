"""Evaluates a loss where its declaration says that it is worth knowing: each place is a call that anyone can repeat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from lossd.declaration.edge import Edge
from lossd.declaration.loss import Loss
from lossd.engine import evaluate
from lossd.errors import InvalidCall
from lossd.message import Array
from lossd.page.samples import call_of, held_arrays, is_wrapped


@dataclass(frozen=True)
class EdgeCall:
    """A call of a loss at one of its edges.

    Attributes:
        edge: The edge.
        place: Where in the moved array its number stands.
        x: The number.
        request: The call.
        samples: The sum of its losses, the gradient and the curvature of that with respect to the number; None where
            the call is refused.
    """

    edge: Edge
    place: tuple[int, ...]
    x: float
    request: Mapping[str, Any]
    samples: tuple[float, float, float | None] | None


@cache
def edge_calls(loss: Loss) -> tuple[EdgeCall, ...]:
    """Evaluate a loss at its edges."""
    return tuple(_evaluated(loss, edge) for edge in loss.edges)


def _evaluated(loss: Loss, edge: Edge) -> EdgeCall:
    drawn = loss.picture.kind == "curve"
    name = loss.picture.argument
    place: tuple[int, ...] = loss.picture.at or ((0, 0) if is_wrapped(loss) else (0,))
    members = {**(_alone(loss, place) if drawn else loss.example.call), **_given(loss, edge)}
    moved = np.array(members[name], np.float64)
    if edge.at is not None:
        moved[place] = loss.settings[edge.at][1] if isinstance(edge.at, str) else edge.at
    asked = {"reduction": "sum", "gradient": [name], **({"hessian": [name]} if drawn else {})}
    request = {**members, name: moved.tolist(), **asked}
    return EdgeCall(edge, place, float(moved[place]), request, _samples(loss, request, place))


def _alone(loss: Loss, place: tuple[int, ...]) -> dict[str, Any]:
    """Return a call with one row of one number, as a curve is made of."""
    held = {name: [held.number] for name, held in held_arrays(loss).items()}
    return {loss.picture.argument: np.zeros((1,) * len(place)).tolist(), **held}


def _given(loss: Loss, edge: Edge) -> dict[str, Any]:
    """Return what an edge changes of the call; of a curve, numbers in place of arrays."""
    one = loss.picture.kind == "curve"
    return {name: [value] if one and name in loss.by_name else value for name, value in edge.given.items()}


def _samples(
    loss: Loss, request: Mapping[str, Any], place: tuple[int, ...]
) -> tuple[float, float, float | None] | None:
    try:
        answer = evaluate(loss, call_of(loss, request))
    except InvalidCall:
        return None
    name = loss.picture.argument
    gradient: Array = answer.gradient["sum"][name]
    curvature = float(answer.hessian["sum"][name][place]) if "hessian" in request else None
    return float(answer.loss["sum"]), float(gradient[place]), curvature
