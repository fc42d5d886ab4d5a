"""Fused kernels of the losses of margins."""

from __future__ import annotations

from math import inf, isfinite
from typing import Any

import numpy as np

from lossd.fused.fallback import leave_to_kernel
from lossd.fused.table import fused
from lossd.losses.classification.margins import hinge_embedding, soft_margin
from lossd.losses.ranking.margin import margin_ranking
from lossd.message import Array
from lossd.numerics.scratch import Scratch
from lossd.numerics.stable import held
from lossd.numerics.sums import dot, total


@fused(soft_margin)
def soft_margin_block(input: Array, target: Array, *, scale: Any, out: Array, scratch: Scratch) -> float:
    """Share one exponential between loss and gradient."""
    sign = np.negative(target, out=scratch.empty("sign", input))
    odds = np.multiply(sign, input, out=scratch.empty("odds", input))
    np.exp(odds, out=odds)
    whole = scratch.empty("whole", input)
    value = total(np.log1p(odds, out=whole))
    if not value < inf:
        return leave_to_kernel(soft_margin, input, target, scale, out)
    np.add(odds, 1, out=whole)
    np.divide(odds, whole, out=odds)
    np.multiply(sign, scale, out=sign)
    np.multiply(odds, sign, out=out)
    return value


@fused(hinge_embedding)
def hinge_embedding_block(
    input: Array, target: Array, *, margin: float, scale: Any, out: Array, scratch: Scratch
) -> float:
    """Find the slopes by comparisons: their product with the input, less the margin where they are -1."""
    if held(margin, input.dtype) is not margin or dot(target, target) != target.size:
        raise FloatingPointError  # for a label that is NaN
    like = np.greater(target, 0, out=scratch.empty("like", input, bool))
    near = np.less_equal(input, margin, out=scratch.empty("near", input, bool))
    active = np.greater(near, like, out=near)  # and not alike
    steps = np.subtract(like.view(np.int8), active.view(np.int8), out=scratch.empty("steps", input, np.int8))
    slope = scratch.empty("slope", input)
    np.copyto(slope, steps)
    # Each difference is rounded once: a sum of inputs and a sum of margins would cancel.
    beyond = np.multiply(active, input.dtype.type(margin), out=scratch.empty("beyond", input))
    value: float = dot(slope, np.subtract(input, beyond, out=beyond))
    if not isfinite(value):
        raise FloatingPointError
    np.multiply(slope, scale, out=out)
    return value


@fused(margin_ranking)
def margin_ranking_block(
    input1: Array,
    input2: Array,
    target: Array,
    *,
    margin: float,
    scale: Any,
    out: tuple[Array, Array],
    scratch: Scratch,
) -> float:
    """Take the difference of the scores once."""
    if held(margin, input1.dtype) is not margin:
        raise FloatingPointError
    gap = np.subtract(input2, input1, out=scratch.empty("gap", input1))
    np.multiply(gap, target, out=gap)
    if margin:
        np.add(gap, margin, out=gap)
    active = np.greater_equal(gap, 0, out=scratch.empty("active", input1, bool))
    value = total(np.maximum(gap, scratch.full(0.0, gap), out=gap))
    if not value < inf:
        raise FloatingPointError
    slope = np.multiply(target, active, out=gap)  # now of the second score
    np.multiply(slope, scale, out=slope)
    np.negative(slope, out=out[0])
    np.copyto(out[1], slope)
    return value
