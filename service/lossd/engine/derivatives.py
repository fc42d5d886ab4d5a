"""This file is how derivatives take the shape and type of what they are derivatives of.

A broadcast argument's are summed back to its own shape; those with respect to weights that a mean divides by
also owe something to the denominator.
"""

from __future__ import annotations

import numpy as np

from lossd.engine.arrange import Arranged, Placed
from lossd.engine.plan import Plan, whole_arguments
from lossd.engine.precision import rounded
from lossd.engine.reduce import REDUCTIONS, Weights, of_selected
from lossd.losses.domain import Shape
from lossd.losses.spec import Loss
from lossd.message import Array


def whole_shape(placed: Placed, arranged: Arranged) -> tuple[Shape, tuple[int, ...]]:
    """Return an argument's shape with the whole batch, and where its core axes stand in it."""
    if placed.spread is None:
        return placed.array.shape, placed.core
    first = len(arranged.batch)
    return placed.spread, tuple(range(first, len(placed.spread)))


def in_own_shape(array: Array, name: str, arranged: Arranged) -> Array:
    """Sum a derivative over the axes that a broadcast made, and give it the answer's type.

    That is complex for a complex argument, and real for all else: the real part, as PyTorch has it.
    """
    placed = arranged.placed.get(name)
    if placed is not None and placed.spread is not None:
        array = _sum_to(array, placed)
    storage = arranged.storage if name in arranged.complex else arranged.real
    if array.dtype.kind == "c" and storage.kind != "c":
        array = array.real.copy(order="C")
    return rounded(array, storage)


def owed_to_denominator(
    loss: Loss, arranged: Arranged, plan: Plan, reduction: str, value: float | Array
) -> Array | None:
    """Return what a mean that divides by D(w) adds to the gradient with respect to w: ``-L/D dD/dw``.

    Args:
        loss: The loss; its mass says what D depends on.
        arranged: The call's arrays.
        plan: The call's plan.
        reduction: Which mean.
        value: The mean L itself.
    """
    weighs = REDUCTIONS[reduction].weighs_mass
    if loss.mass is None or weighs is None or plan.weights.denominator is not None:
        return None
    weights = plan.weights
    divisor = plan.scales[reduction].divisor
    # Over nothing the value is what the caller made of it, 0 or NaN, and so is this.
    share = 1 / _per_row(np.where(np.equal(divisor, 0), 1, divisor), weights)
    sample = weighs(weights)
    if sample is not None:
        share = sample * share
    upstream = of_selected(-_per_row(np.asarray(value), weights) * share, weights)
    placed = arranged.placed[loss.mass.of]
    owed = loss.mass.transpose(upstream, whole_arguments(arranged), plan.settings)
    return owed.reshape(placed.spread or placed.array.shape)


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
