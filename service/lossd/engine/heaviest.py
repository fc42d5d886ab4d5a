"""The slope of a weight that makes most of what a mean divides by, whatever its sign."""

from __future__ import annotations

import math

import numpy as np

from lossd.engine.precision import Number
from lossd.engine.reductions import ReductionInputs
from lossd.message import Array
from lossd.numerics.stable import times


def correct_heaviest(
    slope: Array, array: Array, rate: Array, weight: Array, inputs: ReductionInputs, divisor: Number | Array
) -> None:
    """Compute the slope of a weight that makes most of its mean's denominator from the other weights alone.

    Its own loss is nearly the mean, so the difference of the two has few digits. With G = dN/dw / D and r = dD/dw,
    ``G_t - L r_t / D = (G_t sum_k w_k r_k - r_t sum_k w_k G_k) / D``, where the terms of k = t cancel. Beside weights
    of both signs several may exceed half of D: the slopes of all but the heaviest are as ill-conditioned as the mean.
    """
    shares = rate * weight
    half = np.abs(divisor) / 2
    least = half.min(initial=np.inf) if isinstance(half, np.ndarray) else half
    if not slope.size or _lie_within(shares, least):  # as in most calls
        return
    sizes, divisors = _by_result(np.abs(shares), inputs), np.reshape(divisor, -1)
    np.copyto(sizes, 0, where=np.isnan(sizes))  # perhaps of one that takes no part
    heaviest = sizes.argmax(axis=1)
    most = np.flatnonzero(np.maximum.reduce(sizes, axis=1) > np.reshape(half, -1))
    top = np.arange(len(most)), heaviest[most]
    slopes, rates, others = (_by_result(of, inputs)[most] for of in (array, rate, weight))
    others = others.astype(array.dtype)
    others[top] = 0
    others[(rates == 0) & (slopes == 0)] = 0  # those that take no part, whatever they hold
    exact = slopes[top] * np.add.reduce(times(others, rates), axis=1)
    exact -= rates[top] * np.add.reduce(times(others, slopes), axis=1)
    exact /= divisors[most]
    place = _by_result(np.arange(slope.size).reshape(slope.shape), inputs)[most, heaviest[most]]
    flat = slope.reshape(-1)
    flat[place] = np.where(np.isfinite(exact), exact, flat[place])


def _lie_within(shares: Array, most: Number) -> bool:
    """Return whether no share is larger than ``most``, of either sign; not where one is NaN."""
    return bool(
        np.maximum.reduce(shares, axis=None) <= most and np.minimum.reduce(shares, axis=None) >= -most
    )


def _by_result(values: Array, inputs: ReductionInputs) -> Array:
    """Return one row of values for each number that a reduction comes to."""
    if inputs.axes is None:
        return values.reshape(1, -1)
    axes = inputs.axes
    kept_first = np.moveaxis(values.reshape(inputs.shape), axes, range(-len(axes), 0))
    return kept_first.reshape(-1, math.prod(inputs.shape[axis] for axis in axes))
