"""What is left of a function after the first terms of its series, where their difference would cancel."""

from __future__ import annotations

from math import ceil, log
from typing import Any

import numpy as np

from lossd.message import Array


def log1p_remainder(values: Array) -> Array:
    """Return ``(x - log1p(x)) / x^2``, which is 1/2 at 0, for x in [-1/2, 1].

    With ``s = x / (2 + x)``, ``log1p(x) = 2 atanh(s)`` and ``x - 2 s = s x``, so that the remainder is
    ``(1 - 2 x S(s^2) / (2 + x)^2) / (2 + x)`` with S of `atanh_tail`: no digits are lost to cancellation.
    """
    whole = 2 + values
    share = values / whole
    remainder: Array = (1 - 2 * share * atanh_tail(share * share) / whole) / whole
    return remainder


def atanh_tail(squares: Array) -> Array:
    """Return ``S(y) = (atanh(s) / s - 1) / y = 1/3 + y/5 + y^2/7 + ...`` at ``y = s^2``, for y in [0, 1/9]."""
    terms = ceil(log(float(np.finfo(squares.dtype).eps)) / log(1 / 9)) + 1
    tail: Array = squares * 0 + 1 / squares.dtype.type(2 * terms + 3)
    for k in range(terms - 1, -1, -1):
        tail = tail * squares + 1 / squares.dtype.type(2 * k + 3)
    return tail


def expm1_remainder(values: Array) -> Array:
    """Return ``exp(x) - 1 - x = x^2/2 (1 + x/3 (1 + x/4 (...)))``, for x in [-1, 1]."""
    series: Array = values * 0 + 1
    for k in range(_exponential_terms(values.dtype), 2, -1):
        series = 1 + series * values / k
    series = series * values * values / 2
    return series


def _exponential_terms(dtype: np.dtype[Any]) -> int:
    """Return how many terms of the series of the exponential count."""
    eps, term, k = float(np.finfo(dtype).eps), 1.0, 2
    while term > eps:
        k += 1
        term /= k
    return k
