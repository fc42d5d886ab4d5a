"""Fused kernels of the losses of embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np

from lossd.declaration.result import evaluated
from lossd.fused.table import fused
from lossd.losses.embedding.cosines import cosine_embedding, no_more_than_rounding
from lossd.losses.embedding.triplets import triplet_margin, triplet_margin_with_distance
from lossd.message import Array
from lossd.numerics.distances import squares_are_exact
from lossd.numerics.scratch import Scratch
from lossd.numerics.sums import total

# A distance over the loss before the maximum, from which on the distances' difference has too few digits.
_CLOSE = 16.0
# The cosine of two differences from which on their directions differ by less than one over that.
_ALIKE = 1 - 0.5 / _CLOSE**2
# Scales that no safe norm divides to what is infinite or subnormal.
_SAFE_SCALE = {"f": (1e-18, 1e18), "d": (1e-150, 1e150)}


@fused(triplet_margin_with_distance)  # its distance is Euclidean unless a call says otherwise
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
    """Take each difference once, for Euclidean distances without swap; both sides in one call, where calls are dear."""
    sides = scratch.of_shape("sides", (2, *anchor.shape), anchor.dtype)
    near, far = sides
    np.subtract(anchor, positive, out=near)
    np.subtract(anchor, negative, out=far)
    np.add(sides, sides.dtype.type(eps), out=sides)
    norms = np.vecdot(sides, sides)
    np.sqrt(norms, out=norms)
    pull, push = norms
    if not _are_safe(scale, norms):
        result = triplet_margin.kernel(anchor, positive, negative, margin=margin, eps=eps)
        for into, name in zip(out, triplet_margin.gradient, strict=True):
            np.multiply(evaluated(result.gradient[name]), scale, out=into)
        return total(result.value)
    reach = pull - push
    # Beyond this the difference of the distances has fewer digits than the loss, and that of their directions, which is
    # the gradient whatever the margin, fewer than the type.
    plain = pull < _CLOSE * (np.abs(reach) + abs(margin))
    plain &= np.vecdot(near, far) < _ALIKE * (pull * push)
    hard, triple = None, None
    if not np.logical_and.reduce(plain):
        hard = np.flatnonzero(~plain)
        triple = anchor[hard], positive[hard], negative[hard]  # before gradients may be written over them
    reach += reach.dtype.type(margin)
    weight = np.multiply(reach >= 0, scale)
    by_near, by_far = np.divide(weight, norms, out=norms)[..., None]
    np.multiply(near, by_near, out=out[1])
    np.multiply(far, by_far, out=out[2])
    np.subtract(out[1], out[2], out=out[0])
    np.negative(out[1], out=out[1])
    value = np.maximum(reach, 0, out=reach)
    if triple is not None:
        result = triplet_margin.kernel(*triple, margin=margin, eps=eps)
        value[hard] = result.value
        for into, name in zip(out, triplet_margin.gradient, strict=True):
            into[hard] = evaluated(result.gradient[name]) * scale
    return total(value)


def _are_safe(scale: Any, norms: Array) -> bool:
    """Return whether no digit of norms' squares is lost, nor of a scale over them, though the gradient has it."""
    least, most = _SAFE_SCALE[norms.dtype.char]
    return squares_are_exact(norms) and bool(least < abs(scale) < most)


# The largest share of one coordinate in a vector's square, and the largest cosine, at which no formula below cancels.
_MOST_SHARE, _MOST_COSINE = 0.75, 0.5


@fused(cosine_embedding)
def cosine_embedding_block(
    input1: Array,
    input2: Array,
    target: Array,
    *,
    margin: float,
    scale: Any,
    out: tuple[Array, Array],
    scratch: Scratch,
) -> float:
    """Take plain sums of squares and products, and leave to the kernel the rows in which they would cancel."""
    (square1, spread1), (square2, spread2) = (_squares(each, scratch) for each in (input1, input2))
    norm1, norm2 = np.sqrt(square1), np.sqrt(square2)
    if not (_are_safe(scale, norm1) and squares_are_exact(norm2)):
        raise FloatingPointError
    product = norm1 * norm2
    products = np.multiply(input1, input2, out=scratch.empty("squares", input1))
    cosine = (products @ scratch.full(1.0, input1[0])) / product
    alike = target > 0
    excess = cosine - cosine.dtype.type(margin)
    slope = np.where(alike, -scale, np.multiply(excess >= 0, scale))  # of the vectors' type
    value = np.where(alike, 1 - cosine, np.maximum(excess, 0))
    plain = spread1 & spread2 & (np.abs(cosine) <= _MOST_COSINE) & (target == target)
    hard = np.flatnonzero(~plain | no_more_than_rounding(excess))
    exact = None
    if len(hard):
        exact = cosine_embedding.kernel(input1[hard], input2[hard], target[hard], margin=margin)
        value[hard] = exact.value
    by_product, turned = slope / product, slope * cosine
    # Gradients may be written over the vectors, which are both needed for both.
    first, second = (
        scratch.empty(name, into) if into.base is input1.base or into.base is input2.base else into
        for name, into in zip(("first", "second"), out, strict=True)
    )
    own = scratch.empty("own", input1)
    for into, near, far, square in ((first, input1, input2, square1), (second, input2, input1, square2)):
        np.multiply(far, by_product[:, None], out=into)
        np.multiply(near, (turned / square)[:, None], out=own)
        np.subtract(into, own, out=into)
    for into, found in zip(out, (first, second), strict=True):
        if into is not found:
            np.copyto(into, found)
    if exact is not None:
        for into, name in zip(out, cosine_embedding.gradient, strict=True):
            into[hard] = evaluated(exact.gradient[name]) * scale
    return total(value)


def _squares(vectors: Array, scratch: Scratch) -> tuple[Array, Array]:
    """Return the square of each row, and whether no coordinate makes most of it.

    The share of one coordinate is at most the root of the sum of the fourth powers over the square.
    """
    ones, powers = scratch.full(1.0, vectors[0]), scratch.empty("squares", vectors)
    square: Array = np.multiply(vectors, vectors, out=powers) @ ones
    fourth: Array = np.multiply(powers, powers, out=powers) @ ones
    return square, fourth < (_MOST_SHARE * square) ** 2
