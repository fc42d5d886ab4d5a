"""This file is how derivatives take the shape and type of what they are derivatives of.

A broadcast argument's are summed back to its own shape; those with respect to weights that a mean divides by
also owe something to the denominator.
"""

from __future__ import annotations

import math

import numpy as np

from lossd.engine.arrange import Arranged, Placed
from lossd.engine.plan import Plan, whole_arguments
from lossd.engine.precision import Number, rounded
from lossd.engine.reduce import REDUCTIONS, Weights, of_selected
from lossd.losses.domain import Shape
from lossd.losses.spec import Loss
from lossd.losses.stable import times
from lossd.message import Array


def whole_shape(placed: Placed, arranged: Arranged) -> tuple[Shape, tuple[int, ...]]:
    """Return an argument's shape with the whole batch, and where its core axes stand in it."""
    if placed.spread is None:
        return placed.array.shape, placed.core
    first = len(arranged.batch)
    return placed.spread, tuple(range(first, len(placed.spread)))


def in_own_shape(array: Array, name: str, arranged: Arranged) -> Array:
    """Sum a derivative over the axes that a broadcast made."""
    placed = arranged.placed.get(name)
    return array if placed is None or placed.spread is None else _sum_to(array, placed)


def in_own_type(array: Array, name: str, arranged: Arranged) -> Array:
    """Give a derivative the answer's type.

    That is complex for a complex argument, and real for all else: the real part, as PyTorch has it.
    """
    storage = arranged.storage if name in arranged.complex else arranged.real
    if array.dtype.kind == "c" and storage.kind != "c":
        array = array.real.copy(order="C")
    return rounded(array, storage)


def through_denominator(
    array: Array, loss: Loss, arranged: Arranged, plan: Plan, reduction: str, value: float | Array
) -> Array:
    """Return the gradient of a mean N(w)/D(w) with respect to w, which is ``(dN/dw - L dD/dw) / D``.

    Args:
        array: ``dN/dw / D``, in the shape of the weights w.
        loss: The loss; its mass says what D depends on.
        arranged: The call's arrays.
        plan: The call's plan.
        reduction: Which mean.
        value: The mean L itself.
    """
    weighs = REDUCTIONS[reduction].weighs_mass
    if loss.mass is None or weighs is None or plan.weights.denominator is not None:
        return array
    weights, divisor = plan.weights, plan.scales[reduction].divisor
    # Over nothing the value is what the caller made of it, 0 or NaN, and so is this.
    divided_by = np.where(np.equal(divisor, 0), 1, divisor)
    sample = weighs(weights)
    share = np.broadcast_to(1.0, math.prod(weights.batch)) if sample is None else sample
    placed = arranged.placed[loss.mass.of]
    if weights.axes is None:
        rate = _of_weights(share, loss, arranged, plan)
        owed = rate * (value / divided_by)
        if not np.isfinite(value / divided_by):  # an infinite mean is nothing to those that take no part
            owed = times(rate / divided_by, np.asarray(value))
        slope = array - owed
    else:
        owed_by_row = _per_row(np.asarray(value), weights) * (share / _per_row(divided_by, weights))
        slope = array - _of_weights(owed_by_row, loss, arranged, plan)
        if placed.rows is None or placed.spread is not None:
            return slope  # a weight has a part in several results
        rate = of_selected(share, weights).reshape(array.shape)
    _correct_heaviest(slope, array, rate, placed.array, weights, divisor)
    return slope


def _of_weights(of_rows: Array, loss: Loss, arranged: Arranged, plan: Plan) -> Array:
    """Return the gradient with respect to the weights of the sum of the rows' masses, each times its factor."""
    assert loss.mass is not None
    placed = arranged.placed[loss.mass.of]
    of_taken = of_selected(of_rows, plan.weights)
    found = loss.mass.transpose(of_taken, whole_arguments(arranged), plan.settings)
    return in_own_shape(found.reshape(placed.spread or placed.array.shape), loss.mass.of, arranged)


def _correct_heaviest(
    slope: Array, array: Array, rate: Array, weight: Array, weights: Weights, divisor: Number | Array
) -> None:
    """Compute the slope of a weight that makes most of its mean's denominator from the other weights alone.

    Its own loss is nearly the mean, so the difference of the two has few digits. With G = dN/dw / D and r = dD/dw,
    ``G_t - L r_t / D = (G_t sum_k w_k r_k - r_t sum_k w_k G_k) / D``, where the terms of k = t cancel.
    """
    masses = rate * weight
    least_divisor = divisor.min(initial=np.inf) if isinstance(divisor, np.ndarray) else divisor
    if not slope.size or np.maximum.reduce(masses, axis=None) <= least_divisor / 2:  # as in most calls
        return
    masses, divisors = _by_result(masses, weights), np.reshape(divisor, -1)
    np.copyto(masses, 0, where=np.isnan(masses))  # perhaps of one that takes no part
    heaviest = masses.argmax(axis=1)
    most = np.flatnonzero(np.maximum.reduce(masses, axis=1) > divisors / 2)
    top = np.arange(len(most)), heaviest[most]
    slopes, rates, others = (_by_result(of, weights)[most] for of in (array, rate, weight))
    others = others.astype(array.dtype)
    others[top] = 0
    others[(rates == 0) & (slopes == 0)] = 0  # those that take no part, whatever they hold
    exact = slopes[top] * np.add.reduce(times(others, rates), axis=1)
    exact -= rates[top] * np.add.reduce(times(others, slopes), axis=1)
    exact /= divisors[most]
    place = _by_result(np.arange(slope.size).reshape(slope.shape), weights)[most, heaviest[most]]
    flat = slope.reshape(-1)
    flat[place] = np.where(np.isfinite(exact), exact, flat[place])


def _by_result(values: Array, weights: Weights) -> Array:
    """Return one row of values for each number that a reduction comes to."""
    if weights.axes is None:
        return values.reshape(1, -1)
    axes = weights.axes
    kept_first = np.moveaxis(values.reshape(weights.batch), axes, range(-len(axes), 0))
    return kept_first.reshape(-1, math.prod(weights.batch[axis] for axis in axes))


def _per_row(result: Array, weights: Weights) -> Array:
    """Return for each row the number of the result that it belongs to, ``(rows,)``."""
    if weights.axes is not None:
        result = np.expand_dims(result, weights.axes)
    return np.broadcast_to(result, weights.batch).reshape(-1)


def _sum_to(array: Array, placed: Placed) -> Array:
    """Sum an array of the broadcast shape over the axes that the broadcast made."""
    core_count = len(placed.core)
    shape = list(placed.array.shape)
    moved = [shape[axis] for axis in range(len(shape)) if axis not in placed.core]
    moved += [shape[axis] for axis in placed.core]
    lead = array.ndim - len(moved)
    accumulate = np.result_type(array, np.float64)
    array = np.add.reduce(array, axis=tuple(range(lead)), dtype=accumulate)
    stretched = tuple(a for a, size in enumerate(moved) if size == 1 and array.shape[a] != 1)
    array = np.add.reduce(array, axis=stretched, keepdims=True) if stretched else array
    return np.moveaxis(array, range(-core_count, 0), placed.core) if core_count else array
