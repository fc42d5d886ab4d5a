"""Fused kernels of the losses of one of two classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from lossd.fused.fallback import leave_to_kernel
from lossd.fused.table import fused
from lossd.losses.classification.binary import LOG_FLOOR, SLOPE_FLOOR, bce, bce_with_logits
from lossd.message import Array
from lossd.numerics.scratch import Scratch
from lossd.numerics.stable import EXP_RANGE
from lossd.numerics.sums import dot, total


@fused(bce)
def bce_block(input: Array, target: Array, *, scale: Any, out: Array, scratch: Scratch) -> float:
    """Take one logarithm where a target is 0 or 1: log1p of wrong over right, (x - t) / (1 - t - x).

    The slope is 1 / (1 - t - x). Nothing cancels, and the bounds are out of reach of probabilities that are not
    themselves next to one.
    """
    rest = np.subtract(1, target, out=scratch.empty("rest", input))
    if not _are_labels(target, rest) or not _are_unbounded(input):
        return _soft_bce(input, target, rest, scale, out, scratch)
    right = np.subtract(rest, input, out=rest)
    odds = np.subtract(input, target, out=scratch.empty("odds", input))
    value = total(np.log1p(np.divide(odds, right, out=odds), out=odds))
    np.divide(scale, right, out=out)
    return value


def _are_unbounded(input: Array) -> bool:
    """Return whether the bounds on logarithms and on the gradient are far from all probabilities."""
    least, most = float(np.minimum.reduce(input)), float(np.maximum.reduce(input))
    return least > 2 * SLOPE_FLOOR and 1 - most > 2 * SLOPE_FLOOR


def _soft_bce(input: Array, target: Array, rest: Array, scale: Any, out: Array, scratch: Scratch) -> float:
    """Weigh the two logarithms by dot products."""
    one, floor = scratch.full(1.0, input), scratch.full(LOG_FLOOR, input)
    logarithm = np.log(input, out=scratch.empty("logarithm", input))
    value = dot(target, np.maximum(logarithm, floor, out=logarithm))
    np.log1p(np.negative(input, out=logarithm), out=logarithm)
    value += dot(rest, np.maximum(logarithm, floor, out=logarithm))
    spread = np.multiply(np.subtract(one, input, out=logarithm), input, out=logarithm)
    np.maximum(spread, scratch.full(SLOPE_FLOOR, input), out=spread)
    np.subtract(input, target, out=out)
    np.divide(out, spread, out=out)
    np.multiply(out, scale, out=out)
    return -value


@fused(bce_with_logits)
def bce_with_logits_block(input: Array, target: Array, *, scale: Any, out: Array, scratch: Scratch) -> float:
    """Share one exponential between loss and gradient.

    A target of 0 or 1 makes the loss sp(z) and the slope s(z) of z = x or -x, the logit of being wrong.
    """
    rest = np.subtract(1, target, out=scratch.empty("rest", input))
    if not _are_labels(target, rest):
        return _soft_bce_with_logits(input, target, rest, scale, out, scratch)
    sign = np.subtract(rest, target, out=rest)
    odds = np.multiply(sign, input, out=scratch.empty("odds", input))
    np.exp(odds, out=odds)
    whole = scratch.empty("whole", input)
    value = total(np.log1p(odds, out=whole))
    if not value < np.inf:
        return leave_to_kernel(bce_with_logits, input, target, scale, out)
    np.add(odds, 1, out=whole)
    np.divide(odds, whole, out=odds)
    np.multiply(sign, scale, out=sign)
    np.multiply(odds, sign, out=out)
    return value


def _soft_bce_with_logits(
    input: Array, target: Array, rest: Array, scale: Any, out: Array, scratch: Scratch
) -> float:
    """Do the same for targets between 0 and 1, and reach both tails by minima in place of branches.

    With e = exp(x): exp(-|x|) = min(e, 1/e), and s(x) = min(e, 1) / (1 + exp(-|x|)).
    """
    least, most = np.minimum.reduce(input), np.maximum.reduce(input)
    reach = EXP_RANGE[input.dtype.char]
    if not (-reach < least and most < reach):
        return leave_to_kernel(bce_with_logits, input, target, scale, out)
    one = scratch.full(1.0, input)
    positive = np.maximum(input, scratch.full(0.0, input), out=scratch.empty("positive", input))
    value = dot(rest, positive)
    negative = np.subtract(positive, input, out=positive)
    value += dot(target, negative)
    up = np.exp(input, out=scratch.empty("odds", input))
    down = np.divide(one, up, out=scratch.empty("down", input))
    small = np.minimum(up, down, out=negative)
    value += total(np.log1p(small, out=scratch.empty("whole", input)))
    np.minimum(up, one, out=up)
    np.minimum(down, one, out=down)
    np.multiply(up, rest, out=up)
    np.multiply(down, target, out=down)
    np.subtract(up, down, out=up)
    np.add(small, one, out=small)
    np.divide(up, small, out=up)
    np.multiply(up, scale, out=out)
    return value


def _are_labels(target: Array, rest: Array) -> bool:
    """Return whether every target is 0 or 1, given what it leaves of 1: in between, both are positive."""
    return dot(rest, target) == 0
