"""The edges of a declaration: usual ones, its own, and mistakes in them."""

from __future__ import annotations

from math import isnan

import pytest

from lossd.declaration.domain import PROBABILITY, REAL
from lossd.declaration.edge import Edge, with_usual
from lossd.declaration.example import Example
from lossd.declaration.loss import loss
from lossd.declaration.picture import RESIDUAL, bars
from lossd.declaration.result import Normalizer, Result
from lossd.declaration.roles import Real
from lossd.message import Array


def test_an_edge_that_is_declared_replaces_the_usual_one_of_its_place() -> None:
    edges = with_usual((Edge("tie", "exactly `delta`", "delta"),), RESIDUAL, REAL, ("delta",))
    assert [(edge.kind, edge.at) for edge in edges[:-1]] == [
        ("zero", 0.0),
        ("tie", "delta"),
        ("far", 1e6),
        ("infinity", float("inf")),
    ]
    assert isnan(edges[-1].at)


def test_what_differs_in_more_than_its_number_is_another_place() -> None:
    other = Edge("bound", "zero, for a target of 0", 0.0, {"target": 0.0})
    edges = with_usual((other,), bars(), PROBABILITY)
    assert [edge.at for edge in edges[:2]] == [0.0, 0.0]


def per_row(target: Array) -> Normalizer:
    """Count something."""
    return Normalizer(target)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"edges": (Edge("tie", "nowhere", "margin"),)}, "got `margin`"),
        ({"edges": (Edge("tie", "nowhere", 0.0, {"labels": 0.0}),)}, "got `labels`"),
        ({"normalizer": per_row}, "`denominator` to say what `normalizer` counts"),
    ],
)
def test_a_declaration_that_names_what_there_is_not_is_refused(fields: dict, said: str) -> None:
    def strange(input: Real, target: Real) -> Result:
        """Have edges of another loss.

        Use: Nothing.
        Avoid: Anything.
        """

    example = Example(input=[1.0], target=[0.0], value=[1.0])
    with pytest.raises(TypeError, match=said):
        loss(formula="x", source="", example=example, **fields)(strange)
