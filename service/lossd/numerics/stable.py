"""Numerically stable primitives, each with its identity, range and source.

The plain forms overflow or lose every digit in the tails, which is where losses are small and training
is nearly done.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lossd.message import Array

# Logits whose exponential and its inverse are both normal numbers; long double may be float64.
EXP_RANGE = {"f": 80.0, "d": 700.0, "g": float(np.log(np.finfo(np.longdouble).max)) - 9}


class Softmax(NamedTuple):
    """The softmax of rows of logits ``(rows, C)``, with exact tails.

    Attributes:
        log: Logarithms of the probabilities.
        probability: The probabilities s.
        complement: 1 - s, exact also where s rounds to 1.
    """

    log: Array
    probability: Array
    complement: Array


def softmax(logits: Array) -> Softmax:
    """Return the softmax of each row.

    With m the row's maximum and o the sum of ``exp(x_c - m)`` over all classes but one at the maximum,
    ``log s_c = x_c - m - log1p(o)``. Where s rounds to 1, o is what is left of the loss: adding it to the
    maximum's own 1 would lose it. Range: all finite logits, -inf for classes ruled out, +inf for the one that is
    certain. A row in which all are ruled out, two are certain or one is NaN has no softmax: it is NaN.
    """
    place = _starts(logits) + logits.argmax(axis=1)
    top = logits.reshape(-1)[place]
    exponential = logits - _shift(top)[:, None]
    np.exp(exponential, out=exponential)
    own = np.where(np.isposinf(top), 1, exponential.reshape(-1)[place])
    exponential.reshape(-1)[place] = 0
    others = _row_sums(exponential)
    exponential.reshape(-1)[place] = own
    whole = own + others
    probability = np.divide(exponential, whole[:, None], out=exponential)
    complement = 1 - probability
    complement.reshape(-1)[place] = others / whole
    log = logits - top[:, None]
    # The maximum less itself: 0, also of infinity, but not of NaN and not where all are ruled out.
    log.reshape(-1)[place] = np.where(np.isposinf(top), 0, top - top)
    log -= np.log1p(others / own)[:, None]
    return Softmax(log, probability, complement)


def softmax_product(probability: Array, direction: Array) -> Array:
    """Return the derivative ``s (v - sum s v)`` of each row's softmax along a direction v.

    With v less that of the likeliest class, whose own share cancels nothing then.
    """
    likeliest = probability.argmax(axis=1)[:, None]
    v = direction - np.take_along_axis(direction, likeliest, axis=1)
    moved: Array = probability * (v - np.vecdot(probability, v)[:, None])
    return moved


def _shift(top: Array) -> Array:
    """Return what to subtract from rows with these maxima before the exponential, so that it does not overflow.

    No logit loses a digit by it: 0 where the exponential of the maximum is a number, and for a negative maximum
    the nearest whole number, of which a logit at least as far from 0 is a multiple of no finer step than its own.
    Only beyond the range of the exponential is it the maximum itself.
    """
    limit = 0.75 * EXP_RANGE[top.dtype.char]  # the sum over many classes is a number too
    return np.where(top > limit, top, np.minimum(np.rint(top), 0))


def sums_of_others(values: Array) -> Array:
    """Return for each number of a row ``(rows, n)`` the sum of the row's other numbers.

    The row's sum less the number cancels for the largest alone: the others of that one are added up without it.
    """
    place = _starts(values) + np.abs(values).argmax(axis=1)
    own = values.reshape(-1)[place]
    rest = values.copy()
    rest.reshape(-1)[place] = 0
    others = _row_sums(rest)
    result: Array = np.subtract((others + own)[:, None], values, out=rest)
    result.reshape(-1)[place] = others
    return result


def softplus(values: Array) -> Array:
    """Return ``log(1 + exp(x))`` as ``max(x, 0) + log1p(exp(-|x|))``: no overflow, exact for all x."""
    return np.maximum(values, 0) + np.log1p(np.exp(-np.abs(values)))


def sigmoid(values: Array) -> Array:
    """Return ``1 / (1 + exp(-x))`` from ``exp(-|x|)``: no overflow, exact for all x, also where s is tiny."""
    positive = values >= 0
    small = np.exp(np.where(positive, -values, values))  # not of -|x|, whose derivative at 0 would be another
    whole: Array = np.where(positive, 1, small) / (1 + small)
    return whole


def sigmoid_times(values: Array, factor: Array) -> Array:
    """Return ``sigmoid(x) y``, also where the sigmoid underflows and the product does not.

    There it is ``h (h y)`` with ``h = exp(x / 2)``, and ``1 + exp(x)`` is 1.
    """
    plain, tail = times(sigmoid(values), factor), values < -EXP_RANGE[values.dtype.char]
    if not tail.any():
        return plain
    half = np.exp(0.5 * np.where(tail, values, 0))
    return np.where(tail, times(half, times(half, factor)), plain)


def held(setting: float, dtype: np.dtype[Any]) -> Any:
    """Return a setting as it enters arithmetic in ``dtype``: in float64 where ``dtype`` has too few digits for it."""
    return np.float64(setting) if 0 < setting < np.finfo(dtype).tiny else setting


def times(factor: Array | float, value: Array) -> Array:
    """Return the product in which 0 times anything is 0: what has no weight adds nothing, whatever it holds."""
    product: Array = factor * value
    if np.isnan(product).any():
        product[np.broadcast_to(np.equal(factor, 0), product.shape)] = 0
    return product


def two_sum(one: Array, other: Array) -> tuple[Array, Array]:
    """Return a sum, and what it has rounded away, exactly; 0 where the sum is not finite.

    Source: Knuth, The Art of Computer Programming, volume 2, section 4.2.2.
    """
    total = one + other
    of_other = total - one
    lost = (one - (total - of_other)) + (other - of_other)
    return total, np.where(np.isfinite(lost), lost, 0)


def sums_of_products(factor: Array, value: Array) -> Array:
    """Return the sum of each row of the `times` of two arrays ``(rows, n)``, in float64 if not finite otherwise."""
    sums: Array = np.vecdot(factor, value)
    if not np.isfinite(sums).all():
        sums = times(factor.astype(np.result_type(factor, np.float64), copy=False), value).sum(axis=1)
    return sums


def _row_sums(rows: Array) -> Array:
    """Return the sum of each row of ``(rows, n)``; for short rows a dot product is twice as fast as `numpy.sum`."""
    sums: Array = np.vecdot(rows, np.ones(rows.shape[1], rows.dtype))
    return sums


def _starts(rows: Array) -> Array:
    """Return where each row of ``(rows, n)`` starts in its flat form."""
    return np.arange(0, rows.size, rows.shape[1])
