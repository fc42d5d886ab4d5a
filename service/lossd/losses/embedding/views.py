"""Losses of two views of the same items: what one says of an item the other should say too, and nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

import numpy as np

from lossd.declaration.cost import Cost
from lossd.declaration.edge import Edge
from lossd.declaration.example import Example
from lossd.declaration.loss import loss
from lossd.declaration.picture import Slider, plane
from lossd.declaration.result import Pullback, Result
from lossd.declaration.roles import Items, NonNegative
from lossd.declaration.signature import Differentiable
from lossd.message import Array
from lossd.numerics.directions import Directions, directions, half_square
from lossd.numerics.dual_array import value_of
from lossd.numerics.stable import times
from lossd.numerics.tiles import tiles

Lambda = Annotated[NonNegative, Differentiable, Slider(0.0, 1.0)]


@loss(
    formula=r"\ell = \sum_i (1 - c_{ii})^2 + \lambda \sum_i \sum_{j \ne i} c_{ij}^2",
    where=(r"c_{ij} = \mathrm{corr}(z^1_{\cdot i}, z^2_{\cdot j})",),
    source="Zbontar et al. (2021), Barlow Twins: Self-Supervised Learning via Redundancy Reduction",
    example=Example(
        z1=[[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]],
        z2=[[2.0, 0.5], [-0.5, 1.5], [1.0, -1.5], [-1.5, 0.25]],
        lambd=0.5,
        value=0.33802080630397113,
    ),
    gradient=("z1", "z2"),
    value="()",
    cost=Cost(workspace="(8, N, D)", tile="(4, D)", work="(D, D) + (4, N, D)", products="(N, D, D)"),
    symbols={"z1": "z^1", "z2": "z^2", "lambd": r"\lambda"},
    picture=plane("z1"),
    edges=(
        Edge(
            "degenerate",
            "a dimension without spread",
            1.0,
            {"z1": [[1.0, 1.0], [1.0, 1.0], [1.0, -1.0], [1.0, -1.0]]},
        ),
    ),
)
def barlow_twins(z1: Items, z2: Items, *, lambd: Lambda = 0.0051) -> Result:
    """Each dimension of one view should correlate with the same dimension of the other, and with none else.

    It is one number of the whole batch. A dimension in which all items are equal correlates with nothing: its
    correlations are 0, and so are their gradients.

    Use: Self-supervised learning without negatives, also in small batches.
    Avoid: Gradient accumulation: it is a function of the whole batch, and parts do not add up to it.

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
        return times(2 * upstream.astype(turned.dtype), first.vjp(turned, upstream.dtype))

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
        farthest: The item that is farthest from the mean, ``(D, 1)``.
        apart: The scaled items less the mean of all but that one, ``(D, N)``.
    """

    found: Directions
    exponent: Array
    farthest: Array
    apart: Array

    def vjp(self, slope: Array, dtype: np.dtype[Any]) -> Array:
        """Return the gradient with respect to the view, ``(N, D)``, of what has this one with respect to ``found``.

        Its scale is multiplied in ``dtype`` where that is the wider one.
        Both slopes and directions are of dimensions less their means, so those of the means are 0. As neither a shift
        nor a scale of a dimension changes a correlation, its slopes g add up to 0, and so do their products with the
        items. That of an item f far from all others is small, and follows from theirs: with m the others' mean,
        ``g_f = -sum_i g_i (x_i - m) / (x_f - m)``.
        """
        if _are_on_a_line(slope.T) or not slope.size:
            return np.where(np.isnan(slope), slope, 0).T
        slopes = self.found.vjp(slope)
        np.put_along_axis(slopes, self.farthest, 0, axis=1)
        across = np.vecdot(slopes, self.apart)[:, None]
        reach = np.take_along_axis(self.apart, self.farthest, axis=1)
        of_farthest = np.divide(-across, reach, out=np.zeros_like(across), where=reach != 0)
        np.put_along_axis(slopes, self.farthest, of_farthest, axis=1)
        scaled: Array = np.ldexp(slopes.astype(np.result_type(slopes, dtype), copy=False), -self.exponent)
        return scaled.T


def _are_on_a_line(view: Array) -> bool:
    """Return whether there are two items: their correlations are 1 or -1 or, if the items are equal, 0."""
    return len(view) == 2


def _dimensions(view: Array) -> _Dimensions:
    """Return the dimensions of ``(N, D)``, each scaled to about 1 first; where all items are equal exactly 0."""
    rows = view.T.copy()
    exponent = np.frexp(np.abs(rows).max(axis=1, keepdims=True, initial=0))[1]
    scaled = np.ldexp(rows, -exponent)
    constant = (rows == rows[:, :1]).all(axis=1)[:, None]
    count = max(len(view), 1)
    centred = np.where(constant, 0, scaled - scaled.sum(axis=1, keepdims=True) / count)
    centred = centred - centred.sum(axis=1, keepdims=True) / count  # what rounding left of the mean
    if _are_on_a_line(view):
        centred = np.sign(centred)
    found = directions(centred)
    _make_exact_of_two_values(found.unit, value_of(rows))
    farthest = np.abs(centred).argmax(axis=1)[:, None] if len(view) else np.zeros((len(rows), 0), np.intp)
    others = scaled.copy()
    np.put_along_axis(others, farthest, 0, axis=1)
    apart = np.where(constant, 0, scaled - others.sum(axis=1, keepdims=True) / max(count - 1, 1))
    return _Dimensions(found, np.asarray(exponent), farthest, apart)


def _make_exact_of_two_values(unit: Array, rows: Array) -> None:
    """Set the directions, ``(D, N)``, of dimensions in which items have one of two values.

    They depend on which items have the same value alone: where those of both views do, the correlation is exactly 1 or
    -1. The rounding of their means would make the gradient that of another correlation. Tangents stay as they are.
    """
    if rows.shape[1] < 3:
        return
    first, second, third = rows[:, 0], rows[:, 1], rows[:, 2]
    places = np.flatnonzero((first == second) | (first == third) | (second == third))  # few of most views
    if not len(places):
        return
    rows = rows[places]
    differs = rows != rows[:, :1]
    apart = np.take_along_axis(rows, differs.argmax(axis=1)[:, None], axis=1)
    finite = np.isfinite(rows[:, 0]) & np.isfinite(apart[:, 0])
    kept = np.flatnonzero(finite & differs.any(axis=1) & (~differs | (rows == apart)).all(axis=1))
    if len(kept):
        sign = np.where(apart[kept] > rows[kept, :1], 1, -1).astype(rows.dtype)
        pattern = differs[kept] * sign
        own = unit[places[kept]]
        exact = directions(pattern - pattern.mean(axis=1, keepdims=True)).unit
        unit[places[kept]] = own + (exact - value_of(own))


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
