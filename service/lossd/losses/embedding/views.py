"""Losses of two views of the same items: what one says of an item the other should say too, and nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

import numpy as np

from lossd.declaration.cost import Cost
from lossd.declaration.example import Example
from lossd.declaration.loss import loss
from lossd.declaration.result import Pullback, Result
from lossd.declaration.roles import Items, NonNegative
from lossd.declaration.signature import Differentiable
from lossd.message import Array
from lossd.numerics.directions import Directions, directions, half_square
from lossd.numerics.stable import times
from lossd.numerics.tiles import tiles


@loss(
    formula=(
        r"\ell = \sum_i (1 - c_{ii})^2 + \lambda \sum_i \sum_{j \ne i} c_{ij}^2,\quad "
        r"c_{ij} = \mathrm{corr}(z^1_{\cdot i}, z^2_{\cdot j})"
    ),
    source="Zbontar et al. (2021), Barlow Twins: Self-Supervised Learning via Redundancy Reduction",
    example=Example(
        z1=[[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]],
        z2=[[1.0, -1.0], [1.0, 1.0], [-1.0, -1.0], [-1.0, 1.0]],
        lambd=0.5,
        value=3.0,
    ),
    gradient=("z1", "z2"),
    value="()",
    cost=Cost(workspace="(8, N, D)", tile="(4, D)", work="(D, D) + (4, N, D)", products="(N, D, D)"),
)
def barlow_twins(z1: Items, z2: Items, *, lambd: Annotated[NonNegative, Differentiable] = 0.0051) -> Result:
    """Each dimension of one view should correlate with the same dimension of the other, and with none else.

    It is one number of the whole batch. A dimension in which all items are equal correlates with nothing: its
    correlations are 0, and so are their gradients.

    Settings:
        lambd: The weight of the correlations between different dimensions.
    """
    one, other = _dimensions(z1), _dimensions(z2)
    directed = (one.found.norm * other.found.norm != 0)[:, 0]
    lacking = np.where(directed, half_square(one.found.unit, other.found.unit), 1)  # 1 - c_ii
    kind = np.result_type(lacking, np.float64)
    between = sum((_squares(cross, kind) for _, cross in _between(one, other)), start=kind.type(0))

    def pulled(upstream: Array, first: _Dimensions, second: _Dimensions) -> Array:
        others, turned = second.found.unit, np.zeros_like(first.found.unit)
        for here, cross in _between(first, second):
            turned[here] = lambd * (cross @ others) - lacking[here, None] * others[here]
        return times(2 * upstream.astype(turned.dtype), first.vjp(turned))

    return Result(
        _squares(lacking, kind) + lambd * between,
        {
            "z1": Pullback(lambda upstream: pulled(upstream, one, other)),
            "z2": Pullback(lambda upstream: pulled(upstream, other, one)),
            "lambd": lambda: between,
        },
    )


class _Dimensions(NamedTuple):
    """The dimensions of a view.

    Attributes:
        found: What they are less their means, as directions, ``(D, N)``.
        exponent: The powers of two that they were divided by before, ``(D, 1)``.
    """

    found: Directions
    exponent: Array

    def vjp(self, slope: Array) -> Array:
        """Return the gradient with respect to the view, ``(N, D)``, of what has this one with respect to ``found``.

        Both slopes and directions are of dimensions less their means, so those of the means are 0.
        """
        return np.ldexp(self.found.vjp(slope), -self.exponent).T


def _dimensions(view: Array) -> _Dimensions:
    """Return the dimensions of ``(N, D)``, each scaled to about 1 first; where all items are equal exactly 0."""
    rows = view.T.copy()
    exponent = np.frexp(np.abs(rows).max(axis=1, keepdims=True, initial=0))[1]
    scaled = np.ldexp(rows, -exponent)
    constant = (rows == rows[:, :1]).all(axis=1)[:, None]
    count = max(len(view), 1)
    centred = np.where(constant, 0, scaled - scaled.sum(axis=1, keepdims=True) / count)
    centred = centred - centred.sum(axis=1, keepdims=True) / count  # what rounding left of the mean
    return _Dimensions(directions(centred), np.asarray(exponent))


def _between(first: _Dimensions, second: _Dimensions) -> Iterator[tuple[slice, Array]]:
    """Yield the correlations of some dimensions of one view with all others of the other, ``(rows, D)``."""
    one, other = first.found.unit, second.found.unit
    for here in tiles(len(one), len(other)):
        cross = one[here] @ other.T
        cross[np.arange(len(cross)), np.arange(here.start, here.stop)] = 0
        yield here, cross


def _squares(numbers: Array, kind: np.dtype[Any]) -> Array:
    """Return the sum of the squares of all numbers, in the type given."""
    total: Array = np.add.reduce(numbers * numbers, axis=None, dtype=kind)
    return total
