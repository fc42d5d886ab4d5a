"""Fused kernels of the losses of one class of many."""

from __future__ import annotations

from typing import Any

import numpy as np

from lossd.fused.fallback import leave_to_kernel
from lossd.fused.table import fused
from lossd.losses.classification.multiclass import cross_entropy, nll
from lossd.message import Array
from lossd.numerics.scratch import Scratch
from lossd.numerics.stable import EXP_RANGE
from lossd.numerics.sums import total, total_of_any_sign

# Sums of exponentials, and what one is to another, whose products below are all normal numbers.
_SUM_RANGE = {"f": (1e-18, 1e18), "d": (1e-150, 1e150)}
# Factors on the gradient that leave it normal when they are divided by such a sum.
_LEAST_SCALE = {"f": 1e-10, "d": 1e-100}


@fused(cross_entropy, speed=6)
def cross_entropy_block(input: Array, target: Array, *, scale: Any, out: Array, scratch: Scratch) -> float:
    """Set the true class apart, and no row's maximum is needed.

    With e the true class's exponential and o the sum of the others', the loss is log1p(o / e), the true slope
    -o / (o + e): nothing cancels, however sure the row is. The ranges of e and o are looked at afterwards, once a row.
    """
    true = scratch.starts(input) + target
    power = np.exp(input, out=scratch.empty("power", input))
    own, others, normaliser = _split(power, true, scratch)
    odds = others / own
    kind = input.dtype.char
    least, most = _SUM_RANGE[kind]
    if not (
        normaliser @ normaliser < most**2
        and odds @ odds < most**2
        and np.minimum.reduce(others) > least
        and _LEAST_SCALE[kind] < abs(scale) <= 1
        # What of a subnormal power is rounded off stays below what the smallest numbers round off.
        and (np.minimum.reduce(normaliser) > 0.25 or np.minimum.reduce(input, axis=None) > -EXP_RANGE[kind])
    ):
        return _cross_entropy_below_top(input, target, scale, out, scratch)
    _slopes(power, true, others, normaliser, scale, out)
    return total(np.log1p(odds, out=odds))


def _cross_entropy_below_top(input: Array, target: Array, scale: Any, out: Array, scratch: Scratch) -> float:
    """Do the same with exponentials of how far each logit is below the row's largest, which cannot overflow.

    Where e vanishes, the loss is log(o + e) less how far the true class is below: two terms that are not negative.
    """
    true = scratch.starts(input) + target
    top = np.maximum.reduce(input, axis=1)
    if not top @ top < np.inf:
        return leave_to_kernel(cross_entropy, input, target, scale, out)  # a certain or a meaningless logit
    power = np.subtract(input, top[:, None], out=scratch.empty("power", input))
    below = power.reshape(-1)[true]
    np.exp(power, out=power)
    own, others, normaliser = _split(power, true, scratch)
    seen = own > _SUM_RANGE[input.dtype.char][0]
    value = np.where(seen, np.log1p(others / own), np.log(normaliser) - below)
    _slopes(power, true, others, normaliser, scale, out)
    return total(value)


def _split(power: Array, true: Array, scratch: Scratch) -> tuple[Array, Array, Array]:
    """Return each row's exponential of the true class, the sum of the others', and both; clear the first."""
    flat = power.reshape(-1)
    own = flat[true]
    flat[true] = 0
    others = power @ scratch.full(1.0, power[0])
    return own, others, others + own


def _slopes(power: Array, true: Array, others: Array, normaliser: Array, scale: Any, out: Array) -> None:
    """Write the scaled probabilities, and for the true class minus that of the others together."""
    power.reshape(-1)[true] = np.negative(others)
    np.multiply(power, (scale / normaliser)[:, None], out=out)


@fused(nll)
def nll_block(input: Array, target: Array, *, scale: Any, out: Array, scratch: Scratch) -> float:
    """Read one number a row, and write one into a block that was cleared while it is in cache."""
    true = scratch.starts(input) + target
    value = -total_of_any_sign(input.reshape(-1).take(true))
    out.fill(0)
    out.reshape(-1)[true] = -scale
    return value
