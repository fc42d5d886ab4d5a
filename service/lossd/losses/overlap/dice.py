"""Dice: how well a predicted region covers the true one."""

from __future__ import annotations

from math import inf
from typing import Annotated, NamedTuple

import numpy as np

from lossd.declaration.alias import Alias
from lossd.declaration.edge import Edge
from lossd.declaration.example import Example
from lossd.declaration.loss import loss
from lossd.declaration.picture import Slider, bars
from lossd.declaration.result import Result, once
from lossd.declaration.roles import NonNegative, Pixels
from lossd.declaration.signature import Differentiable
from lossd.message import Array
from lossd.numerics.scratch import Scratch
from lossd.numerics.sums import row_dots

# Pixels that are worked on at a time, whole runs of `row_dots`: a long region goes through the cache once.
_PIXELS = 1 << 17
# What a sum of as many products as there are pixels is to exceed: above it, underflow costs less than rounding does.
_LEAST = {"f": 2.0**-124, "d": 2.0**-1020}
# The share of a region's extent from which on one pixel in it costs digits: those left are a bit or two fewer.
_HEAVY = 0.75


@loss(
    aliases=(
        Alias(
            "Dice",
            "Keras",
            "The default of `smooth` is 0: Keras' 1e-7 below the fraction is not copied, so an empty region is NaN.",
            defaults={"smooth": 0.0},
        ),
    ),
    formula=r"\ell = 1 - \frac{2I + \sigma}{S + \sigma}",
    where=(
        r"I = \textstyle\sum_i x_i t_i",
        r"S = \textstyle\sum_i (x_i + t_i)",
    ),
    source="Milletari, Navab and Ahmadi (2016), V-Net; Keras, losses.Dice",
    example=Example(
        input=[1.0, 0.75, 0.5, 0.25, 0.125, 0.0], target=[1.0, 1.0, 1.0, 0.0, 0.0, 0.0], smooth=0.0, value=0.2
    ),
    symbols={"smooth": r"\sigma"},
    picture=bars(low=0.0, high=1.0, at=(0,)),
    edges=(Edge("degenerate", "both regions are empty", 0.0, {"input": [0.0] * 6, "target": [0.0] * 6}),),
)
def dice(
    input: Pixels,
    target: Pixels,
    *,
    smooth: Annotated[NonNegative, Differentiable, Slider(0.0, 2.0)] = 1e-7,
) -> Result:
    """One minus the Dice coefficient of the pixels along ``axis``, all of them if it is absent.

    The axes that ``axis`` leaves are the unreduced loss.

    Use: Segmentation of small regions, which a mean over pixels would drown.
    Avoid: Images without the region: with ``smooth`` near 0 one wrong pixel costs as much as all. Add bce there.

    Settings:
        smooth: Added to both sides of the fraction; with 0 an empty region is NaN.
    """
    found = regions(
        input, target, smooth, region_difference(input, target, Scratch()), row_dots(input, target)
    )

    @once
    def slopes_of_input() -> Array:
        return _slopes(found, found.input, found.target, smooth)

    @once
    def slopes_of_target() -> Array:
        return _slopes(found, found.target, found.input, smooth)

    def curved(slopes: Array) -> Array:
        """Return the Hessian's diagonal with respect to one array, whose slopes are known."""
        diagonal: Array = -found.step * slopes * found.shrink
        return diagonal

    return Result(
        found.loss[:, 0],
        {
            "input": slopes_of_input,
            "target": slopes_of_target,
            "smooth": lambda: (-found.loss * found.step / 2 * found.shrink)[:, 0],
        },
        {
            "input": lambda: curved(slopes_of_input()),
            "target": lambda: curved(slopes_of_target()),
        },
        {
            "input": lambda direction: _product(found, found.input, found.target, smooth, direction),
            "target": lambda direction: _product(found, found.target, found.input, smooth, direction),
        },
    )


class _Regions(NamedTuple):
    """The losses of regions, and the parts of their derivatives, in float64 of shape ``(rows, 1)``.

    With D the region's extent ``S + smooth`` and F its loss, the slope of F with respect to a pixel of one array is
    ``(1 - F - 2 y) / D``, where y is the other array's pixel, and its second derivative is that times ``-2 / D``.

    Attributes:
        loss: F.
        base: ``(1 - F) / D``.
        step: 2 over D times ``shrink``.
        steepest: The largest of the steps.
        shrink: The power of two by which `input` and `target` are scaled, so that sums and products stay in range.
        input: Pixels, ``(rows, n)``.
        target: Pixels, ``(rows, n)``.
    """

    loss: Array
    base: Array
    step: Array
    steepest: float
    shrink: Array | float
    input: Array
    target: Array


def regions(input: Array, target: Array, smooth: float, difference: Array, both: Array) -> _Regions:
    """Return each region's parts from its sums of ``x + t - 2 x t`` and of ``x t``, ``(rows,)`` each."""
    overlap = 2 * both + smooth
    extent = difference + overlap
    least = input.shape[1] * _LEAST[input.dtype.char]
    lowest, highest = np.minimum.reduce(np.minimum(difference, overlap)), np.maximum.reduce(extent)
    if not (lowest > least and highest < inf) or 0 < smooth <= least:
        return _regions_of_any_size(input, target, smooth)
    loss, base, step = difference / extent, overlap / extent / extent, 2 / extent
    steepest = np.maximum.reduce(step)
    return _Regions(loss[:, None], base[:, None], step[:, None], steepest, 1.0, input, target)


def _regions_of_any_size(input: Array, target: Array, smooth: float) -> _Regions:
    """Return the same from scaled pixels in float64, where a product or a sum may leave the range of floats."""
    x, t = input.astype(np.float64), target.astype(np.float64)
    largest = np.maximum(np.abs(x), np.abs(t)).max(axis=1, keepdims=True, initial=smooth)
    shrink = np.ldexp(1.0, np.clip(-np.frexp(largest)[1], -1000, 1000))
    small_x, small_t = x * shrink, t * shrink
    difference = np.add.reduce(small_x * (1 - t) + small_t * (1 - x), axis=1, keepdims=True)
    both = np.add.reduce(small_x * small_t, axis=1, keepdims=True)
    extent = np.add.reduce(small_x + small_t, axis=1, keepdims=True) + smooth * shrink
    base = 2 * both / extent / extent + smooth * shrink * shrink / extent / extent
    step = 2 / extent
    return _Regions(difference / extent, base, step, step.max(), shrink, small_x, small_t)


class _Heavy(NamedTuple):
    """Pixels of one array that are most of their region's extent, one of a row, and F's slopes there."""

    rows: Array
    places: Array
    slopes: Array


def _slopes(found: _Regions, own: Array, other: Array, smooth: float) -> Array:
    """Return F's slope with respect to every pixel of one of the arrays, ``(rows, n)``."""
    return _slopes_beside(found, other, heavy_pixels(found, own, other, smooth))


def _slopes_beside(found: _Regions, other: Array, heavy: _Heavy | None) -> Array:
    slopes: Array = found.base - found.step * other
    if heavy:
        slopes[heavy.rows, heavy.places] = heavy.slopes
    return slopes


def _product(found: _Regions, own: Array, other: Array, smooth: float, direction: Array) -> Array:
    """Return the Hessian with respect to one array times a direction.

    Its element i, j is the mean of those at i, i and at j, j, which are F's slopes times ``-2 / D``. The slope at j is
    that of any one pixel r less ``2 (y_j - y_r) / D``, in which small y keep their digits where the direction's numbers
    add up to 0: of a heavy pixel, whose own slope is exact, else of one with y = 0.
    """
    v, heavy = direction.astype(np.float64), heavy_pixels(found, own, other, smooth)
    total, slope, rest = np.add.reduce(v, axis=1), found.base.copy(), np.vecdot(other, v)
    if heavy:
        at = heavy.rows, heavy.places
        slope[heavy.rows, 0] = heavy.slopes
        others = v[heavy.rows]
        others[np.arange(len(others)), heavy.places] = 0
        rest[heavy.rows] = np.vecdot(other[heavy.rows], others) - other[at] * np.add.reduce(others, axis=1)
    slopes = _slopes_beside(found, other, heavy) + slope
    product: Array = (found.step * rest[:, None] - slopes * total[:, None]) * (found.step / 2 * found.shrink)
    return product


def heavy_pixels(found: _Regions, own: Array, other: Array, smooth: float) -> _Heavy | None:
    """Return the slopes that ``base - step y`` loses digits of: both hold the pixel x, which cancels if it is large.

    Such a slope is ``(2 I + smooth - 2 y D) / D^2``, and its numerator does not depend on x: it is taken with x = 0.
    No pixel is more than 1, so none is most of an extent that is more than ``1 / _HEAVY``.
    """
    if found.steepest <= 2 * _HEAVY or not own.size:
        return None
    rows = np.flatnonzero(found.step[:, 0] > 2 * _HEAVY)
    # One region alone may be all of the call, and is not copied.
    places = (own if len(rows) == len(own) else own[rows]).argmax(axis=1)
    is_heavy = own[rows, places] * found.step[rows, 0] > 2 * _HEAVY
    if not is_heavy.any():
        return None
    rows, places = rows[is_heavy], places[is_heavy]
    over, extent = found.step[rows] / 2, (smooth * found.shrink * found.step / 2)[rows, 0]
    both = (smooth * found.shrink * found.shrink * found.step * found.step / 8)[rows, 0]
    for first in range(0, own.shape[1], _PIXELS):
        x, y = own[rows, first : first + _PIXELS] * over, other[rows, first : first + _PIXELS] * over
        x[np.arange(first, first + x.shape[1]) == places[:, None]] = 0
        both += np.add.reduce(x * y, axis=1)
        extent += np.add.reduce(x + y, axis=1)
    beside = other[rows, places] * over[:, 0]
    return _Heavy(rows, places, 2 * (both - beside * extent))


def region_difference(input: Array, target: Array, scratch: Scratch) -> Array:
    """Return each row's sum of ``x + t - 2 x t`` as that of ``x (1 - t) + t (1 - x)``, of which nothing cancels.

    Where prediction and truth agree, ``S - 2 I`` holds rounding errors only.
    """
    found = np.zeros(len(input))
    for first in range(0, input.shape[1], _PIXELS):
        x, t = input[:, first : first + _PIXELS], target[:, first : first + _PIXELS]
        rest = scratch.empty("rest", x)
        found += row_dots(x, np.subtract(1, t, out=rest))
        found += row_dots(t, np.subtract(1, x, out=rest))
    return found
