"""Fused kernels of the losses of embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np

from lossd.declaration.result import evaluated
from lossd.fused.table import fused
from lossd.losses.embedding.triplets import triplet_margin
from lossd.message import Array
from lossd.numerics.distances import squares_are_exact
from lossd.numerics.scratch import Scratch
from lossd.numerics.sums import total

# A distance over the loss before the maximum, from which on the distances' difference has too few digits.
_CLOSE = 16.0
# Scales that no safe norm divides to what is infinite or subnormal.
_SAFE_SCALE = {"f": (1e-18, 1e18), "d": (1e-150, 1e150)}


@fused(triplet_margin)
def triplet_margin_block(
    anchor: Array,
    positive: Array,
    negative: Array,
    *,
    margin: float,
    eps: float,
    scale: Any,
    out: tuple[Array, Array, Array],
    scratch: Scratch,
) -> float:
    """Take each difference once, for Euclidean distances without swap."""
    near, far = scratch.empty("near", anchor), scratch.empty("far", anchor)
    np.add(np.subtract(anchor, positive, out=near), near.dtype.type(eps), out=near)
    np.add(np.subtract(anchor, negative, out=far), far.dtype.type(eps), out=far)
    pull, push = np.sqrt(np.vecdot(near, near)), np.sqrt(np.vecdot(far, far))
    # A scale beyond these over a norm may leave the range of floats although the gradient does not.
    least, most = _SAFE_SCALE[near.dtype.char]
    reach = pull - push
    if not (
        squares_are_exact(pull)
        and squares_are_exact(push)
        and least < abs(scale) < most
        # Beyond this the difference of the distances has fewer digits than the loss.
        and (pull < _CLOSE * (np.abs(reach) + abs(margin))).all()
    ):
        result = triplet_margin.kernel(anchor, positive, negative, margin=margin, eps=eps)
        for into, name in zip(out, triplet_margin.gradient, strict=True):
            np.multiply(evaluated(result.gradient[name]), scale, out=into)
        return total(result.value)
    reach += reach.dtype.type(margin)
    weight = np.multiply(reach >= 0, scale)
    near *= (weight / pull)[:, None]
    far *= (weight / push)[:, None]
    np.subtract(near, far, out=out[0])
    np.negative(near, out=out[1])
    np.copyto(out[2], far)
    return total(np.maximum(reach, 0, out=reach))
