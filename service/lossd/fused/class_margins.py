"""Fused kernels of the losses of margins between classes."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np

from lossd.fused.binary import bce_with_logits_block
from lossd.fused.table import fused
from lossd.losses.classification.class_margins import multi_margin, multilabel_margin, multilabel_soft_margin
from lossd.message import Array
from lossd.numerics.scratch import Scratch
from lossd.numerics.sums import dot, total

# True classes of a row, up to which all pairs with others cost less than sorting.
_MOST_TRUE = 100
_PAIRS_AT_A_TIME = 1 << 15


@fused(multi_margin)
def multi_margin_block(
    input: Array, target: Array, *, p: int, margin: float, scale: Any, out: Array, scratch: Scratch
) -> float:
    """Set the true class apart, as if it lacked nothing."""
    classes = input.shape[1]
    true = scratch.starts(input) + target
    own = input.reshape(-1)[true]
    own -= margin
    lacking = np.subtract(input, own[:, None], out=scratch.empty("lacking", input))
    np.maximum(lacking, scratch.full(0.0, lacking), out=lacking)
    flat = lacking.reshape(-1)
    flat[true] = 0
    value: float = total(flat) if p == 1 else dot(flat, flat)
    if not value < inf:
        raise FloatingPointError
    if p == 1:
        active = np.greater(lacking, 0, out=scratch.empty("active", input, bool)).view(np.int8)
        np.multiply(active, scale / classes, out=out)
    else:
        np.multiply(lacking, 2 * scale / classes, out=out)
    out.reshape(-1)[true] = np.negative(out @ scratch.full(1.0, out[0]))
    return float(value / classes)


@fused(multilabel_margin)
def multilabel_margin_block(
    input: Array, target: Array, *, scale: Any, out: Array, scratch: Scratch
) -> float:
    """Compare all pairs of a few rows at a time, rows last; where true classes are many, the kernel sorts."""
    rows, classes = input.shape
    if classes > _MOST_TRUE and (target[:, _MOST_TRUE] >= 0).any():
        raise FloatingPointError
    target = target.T.copy()
    listed = np.logical_and.accumulate(target >= 0, axis=0)
    most = int(np.count_nonzero(listed.any(axis=1)))
    if most > _MOST_TRUE:
        raise FloatingPointError
    few = max(_PAIRS_AT_A_TIME // max(classes * most, 1), 16)
    parts = [slice(first, first + few) for first in range(0, rows, few)]
    found = [_all_pairs(input[part], target[:most, part], listed[:most, part], scratch) for part in parts]
    value = sum((pairs for pairs, _ in found), 0.0)
    for part, (_, slopes) in zip(parts, found, strict=True):
        np.multiply(slopes.T, scale / classes, out=out[part])
    return float(value / classes)


def _all_pairs(input: Array, target: Array, listed: Array, scratch: Scratch) -> tuple[float, Array]:
    """Return the sum of a few rows' losses and its slopes, times the classes.

    Args:
        input: Scores, ``(rows, C)``.
        target: Classes, ``(T, rows)``.
        listed: Which of these are true classes.
        scratch: Memory to work in.

    Raises:
        FloatingPointError: A number is not finite, or a class is listed twice.
    """
    (rows, classes), most = input.shape, len(target)
    score = np.full((classes + 1, rows), inf, input.dtype)  # the last for what is not listed
    score[:-1] = input.T
    place = np.where(listed, target, classes) * rows + np.arange(rows)
    shift = 1 - score.reshape(-1)[place]
    true = np.zeros(score.shape, bool)
    true.reshape(-1)[place] = True
    if np.count_nonzero(true[:-1]) != np.count_nonzero(listed):
        raise FloatingPointError
    np.copyto(score, -inf, where=true)
    lacking = scratch.empty("pairs", np.broadcast_to(shift, (classes, most, rows)))
    np.add(score[:-1, None], shift, out=lacking)
    np.maximum(lacking, scratch.full(0.0, lacking), out=lacking)
    value = total(lacking.reshape(-1))
    if not value < inf:
        raise FloatingPointError
    active = np.greater(lacking, 0, out=scratch.empty("active", lacking, bool)).view(np.int8)
    kind = np.int8 if max(classes, most) < 128 else np.int32
    slopes = np.zeros((classes + 1, rows), kind)
    np.add.reduce(active, axis=1, dtype=kind, out=slopes[:-1])
    slopes.reshape(-1)[place] -= np.add.reduce(active, axis=0, dtype=kind)
    return value, slopes[:-1]


@fused(multilabel_soft_margin)
def multilabel_soft_margin_block(
    input: Array, target: Array, *, scale: Any, out: Array, scratch: Scratch
) -> float:
    """Sum the binary cross entropy of all numbers alike."""
    flat, classes = out.reshape(-1), input.shape[1]
    by_class = scale / scale.dtype.type(classes)
    value = bce_with_logits_block(
        input.reshape(-1), target.reshape(-1), scale=by_class, out=flat, scratch=scratch
    )
    return float(value / classes)
