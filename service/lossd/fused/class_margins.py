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
from lossd.numerics.sums import dot, row_totals, total

# True classes of a row, up to which all pairs with others cost less than sorting, by 40 to 1,000 classes.
_MOST_TRUE = 20
# Pairs whose numbers stay in a second-level cache: 1.3 to 1.8 times as fast as half of them, by 1,000 rows.
_PAIRS_AT_A_TIME = 1 << 16


@fused(multi_margin, speed=6)
def multi_margin_block(
    input: Array, target: Array, *, p: int, margin: float, scale: Any, out: Array, scratch: Scratch
) -> float:
    """Set the true class apart, as if it lacked nothing."""
    classes, scores = input.shape[1], input.reshape(-1)
    true = scratch.starts(input) + target
    lacking = scratch.empty("lacking", scores)
    # Repeated, as NumPy takes its time over each short row of a broadcast.
    np.subtract(scores, (scores[true] - margin).repeat(classes), out=lacking)
    lacking[true] = 0
    zeros = scratch.full(0.0, lacking)
    np.maximum(lacking, zeros, out=lacking)
    value: float = total(lacking) if p == 1 else dot(lacking, lacking)
    if not value < inf:
        raise FloatingPointError
    slopes, of_class = out.reshape(-1), scale / classes
    if p == 1:
        np.greater(lacking, zeros, out=slopes)
        own = out.dot(scratch.full(-1.0, out[0]))  # counted before they are scaled, which is exact
        slopes *= of_class
        own *= of_class
    else:
        np.multiply(lacking, 2 * of_class, out=slopes)
        own = 0 - row_totals(out)
    slopes[true] = own
    return float(value / classes)


@fused(multilabel_margin, speed=5)
def multilabel_margin_block(
    input: Array, target: Array, *, scale: Any, out: Array, scratch: Scratch
) -> float:
    """Compare all pairs of a few rows at a time, rows last; where true classes are many, the kernel sorts."""
    rows, classes = input.shape
    if classes > _MOST_TRUE and (target[:, _MOST_TRUE] >= 0).any():
        raise FloatingPointError
    lists = _lists_of_true(target)
    few = max(_PAIRS_AT_A_TIME // max(classes * len(lists), 1), 16)
    parts = [slice(first, first + few) for first in range(0, rows, few)]
    found = [_all_pairs(input[part], lists[:, part], scratch) for part in parts]
    of_classes = scale / classes
    for part, (_, slopes) in zip(parts, found, strict=True):
        np.multiply(slopes.T, of_classes, out=out[part])
    return float(sum([value for value, _ in found]) / classes)


def _lists_of_true(target: Array) -> Array:
    """Return the true classes of each row, ``(T, rows)``, padded with -1; T is the most that a row has.

    Raises:
        FloatingPointError: T is too large.
    """
    lists = target.T.copy()
    listed = lists >= 0
    if np.count_nonzero(listed[1:] > listed[:-1]):  # after the first -1
        np.logical_and.accumulate(listed, axis=0, out=listed)
        lists[~listed] = -1
    most = listed.tobytes().rfind(1) // len(target) + 1
    if most > _MOST_TRUE:
        raise FloatingPointError
    return lists[:most]


def _all_pairs(input: Array, lists: Array, scratch: Scratch) -> tuple[float, Array]:
    """Return the sum of a few rows' losses and its slopes, ``(C, rows)``, times the classes.

    Args:
        input: Scores, ``(rows, C)``.
        lists: True classes, ``(T, rows)``, padded with -1.
        scratch: Memory to work in.

    Raises:
        FloatingPointError: A number is not finite, or a class is listed twice.
    """
    (rows, classes), most = input.shape, len(lists)
    score = np.empty((classes + 1, rows), input.dtype)
    others, flat = score[:-1], score.reshape(-1)
    others[...] = input.T
    score[-1] = inf  # where the index -1 leads
    place = lists * rows
    place += np.arange(rows)
    shift = 1 - flat[place]
    flat[place] = -inf
    if np.count_nonzero(others == -inf) != np.count_nonzero(lists >= 0):
        raise FloatingPointError
    lacking = scratch.of_shape("pairs", (classes, most, rows), input.dtype)
    np.add(others[:, None], shift, out=lacking)
    pairs = lacking.reshape(-1)
    zeros = scratch.full(0.0, pairs)
    np.maximum(pairs, zeros, out=pairs)
    value = total(pairs)
    if not value < inf:
        raise FloatingPointError
    active = scratch.of_shape("active", lacking.shape, np.bool_)
    np.greater(lacking, zeros.reshape(lacking.shape), out=active)
    counted, kind = active.view(np.int8), np.int8 if max(classes, most) < 128 else np.int32
    slopes = np.empty(score.shape, kind)
    np.add.reduce(counted, axis=1, dtype=kind, out=slopes[:-1])
    slopes.reshape(-1)[place] = np.negative(np.add.reduce(counted, axis=0, dtype=kind))
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
