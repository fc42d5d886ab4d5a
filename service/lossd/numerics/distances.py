"""The p-norm of each row and its derivatives, over the whole range of floats.

Norms are taken of shares of the row's largest element, whose powers neither overflow nor vanish; of a Euclidean norm,
where the squares are safe.
"""

from __future__ import annotations

import numpy as np

from lossd.message import Array

# Norms whose square is neither infinite nor subnormal.
_SAFE_NORM = {"f": (1e-15, 1e18), "d": (1e-140, 1e150), "g": (1e-140, 1e150)}


def distance(difference: Array, p: float) -> tuple[Array, Array]:
    """Return the p-norm of each row ``(rows, D)``, and its gradient with respect to the row; 0 at the origin."""
    size = np.abs(difference)
    if p == 1:
        return size.sum(axis=1), np.sign(difference)
    if p == 2:
        return _length(difference, size)
    return _norm_of_shares(difference, size, p)


def _length(difference: Array, size: Array) -> tuple[Array, Array]:
    """Return the length of each row and its gradient, from squares in the rows whose squares are safe."""
    norm = np.sqrt(np.vecdot(difference, difference))
    rows = () if squares_are_exact(norm) else np.flatnonzero(~exact_squares(norm))
    if len(rows) == len(norm):
        return _norm_of_shares(difference, size, 2)
    gradient = difference / norm[:, None]
    if len(rows):
        norm[rows], gradient[rows] = _norm_of_shares(difference[rows], size[rows], 2)
    return norm, gradient


def _norm_of_shares(difference: Array, size: Array, p: float) -> tuple[Array, Array]:
    top, share = _shares(size)
    total = _total(share**p)
    norm = np.where(np.isinf(top), top, top * total ** (1 / p))
    return norm[:, 0], np.copysign(_slopes(size, top, share, total, p), difference)


def curvature(difference: Array, p: float) -> Array:
    """Return the second derivative of the p-norm of each row with respect to each element; NaN at the origin.

    With s an element's share of the largest and T the sum of all ``s^p``, it is
    ``(p - 1) s^(p-2) T^((2-p)/p) (T - s^p) / T`` over the norm. ``T - s^p`` of the largest is the sum of the others,
    from which nothing is subtracted: they may be small. Below p = 2 the power of s may overflow where the slope over
    the element does not.
    """
    if p == 1:
        return np.where(np.isnan(difference), difference, 0)
    size = np.abs(difference.astype(np.result_type(difference, np.float64)))
    top, share = _shares(size)
    powers = share**p
    total, is_top = _total(powers), share == 1
    # A number of its own: adding 1 to the others first would lose them.
    ties = is_top.sum(axis=1, keepdims=True) - 1
    others = np.where(is_top, 0, powers).sum(axis=1, keepdims=True) + ties
    rest = np.where(is_top, others, total - powers) / total
    if p < 2:
        rising = (p - 1) * rest * _slopes(size, top, share, total, p) / size
        curved = np.where(size == 0, (p - 1) * np.inf, rising)
    else:
        half = share ** ((p - 2) / 2)  # the power itself may vanish where it does not over a tiny norm
        # A share of 0 of the others first: over a subnormal norm 1 is infinite.
        curved = (p - 1) * total ** ((2 - p) / p) * (rest * half / (top * total ** (1 / p)) * half)
    second: Array = np.where(top == 0, np.nan, curved)
    return second


def turning(difference: Array, direction: Array, p: float) -> Array:
    """Return the Hessian of the p-norm of each row times a direction, ``(rows, D)``; NaN at the origin.

    With r the row, n its norm and g the norm's gradient, it is ``(p - 1) (|r| / n)^(p-2) (w - g w r / n) / n``. As the
    Hessian times r is 0, w is the direction less the multiple of r that leaves it 0 at the largest element: nothing
    else cancels there, and no other element has more than half of the rest.
    """
    if p == 1:
        return np.where(np.isnan(difference), difference, 0)
    kind = np.result_type(difference, np.float64)
    row, moved = difference.astype(kind), direction.astype(kind)
    size = np.abs(row)
    top, share = _shares(size)
    total, signed = _total(share**p), np.copysign(share, row)
    largest = size.argmax(axis=1)[:, None] if size.shape[1] else np.zeros((len(size), 0), np.intp)
    along = np.take_along_axis(moved, largest, axis=1) * np.take_along_axis(signed, largest, axis=1)
    rest = moved - signed * along
    slopes, root = _slopes(size, top, share, total, p), total ** (1 / p)
    across = rest - signed / root * np.vecdot(np.copysign(slopes, row), rest)[:, None]
    if p < 2:
        turned = (p - 1) * slopes * across / size
    else:
        half = share ** ((p - 2) / 2)
        turned = (p - 1) * total ** ((2 - p) / p) * (half * across / (top * root) * half)
    turned = np.where(across == 0, 0, np.where((size == 0) & (p < 2), np.copysign(np.inf, across), turned))
    return np.where(top == 0, np.nan, turned)


def squares_are_exact(norm: Array) -> bool:
    """Return whether no square under these Euclidean norms overflowed or vanished."""
    least, most = _SAFE_NORM[norm.dtype.char]
    if not norm.size:
        return True
    return bool(np.minimum.reduce(norm, axis=None) > least and np.maximum.reduce(norm, axis=None) < most)


def exact_squares(norm: Array) -> Array:
    """Return which of these Euclidean norms have a square that neither overflowed nor vanished."""
    least, most = _SAFE_NORM[norm.dtype.char]
    return (norm > least) & (norm < most)


def _shares(size: Array) -> tuple[Array, Array]:
    """Return the largest element of each row, ``(rows, 1)``, and each element's share of it; 0 at the origin."""
    top = size.max(axis=1, keepdims=True, initial=0)
    return top, np.divide(size, top, out=np.zeros_like(size), where=top != 0)


def _total(powers: Array) -> Array:
    """Return the sum of the shares' powers, ``(rows, 1)``, which is 1 or more, as the largest's is; 1 at the origin.

    Not the maximum of it and 1: on dual numbers a tie, as where other powers vanish beside 1, has half its slope.
    """
    total = powers.sum(axis=1, keepdims=True)
    return np.where(total == 0, 1, total).astype(total.dtype, copy=False)


def _slopes(size: Array, top: Array, share: Array, total: Array, p: float) -> Array:
    """Return the size of the norm's slope with each element, ``s^(p-1) T^((1-p)/p)``; 0 where the element is.

    A power of s over the norm would make p times the norm's rounding error of it. Where s is subnormal and p small, the
    power is that of the element over that of the largest.
    """
    power = np.power(share, p - 1, out=np.zeros_like(share), where=size != 0)
    vanishing = (share < np.finfo(share.dtype).tiny) & (size != 0)
    if p < 2 and vanishing.any():
        power = np.where(vanishing, size ** (p - 1) / top ** (p - 1), power)
    slopes: Array = power * total ** ((1 - p) / p)
    return slopes
