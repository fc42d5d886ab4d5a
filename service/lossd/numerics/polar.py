"""The polar form of complex numbers, over the whole range of floats."""

from __future__ import annotations

import numpy as np

from lossd.message import Array


def polar(values: Array) -> tuple[Array, Array]:
    """Return ``|z|`` and ``z / |z|``, which is 0 where z is.

    Both are of z times a power of 2 that brings its larger part to [1/2, 1), so subnormal parts lose no digits and
    squares do not overflow. An infinite part outweighs a finite one; beside a NaN, the absolute value is infinite by
    the hypot of IEEE 754 and the direction NaN.
    """
    parts = np.stack([values.real, values.imag])
    infinite = np.isinf(parts)
    limit = np.where(infinite, 1, np.where(np.isnan(parts), np.nan, 0))
    exponent = np.frexp(np.abs(parts).max(axis=0))[1]
    scaled = np.where(infinite.any(axis=0), np.copysign(limit, parts), np.ldexp(parts, -exponent))
    length = np.hypot(*scaled)
    direction = np.empty_like(values)
    divisor = np.where(length == 0, 1, length)
    direction.real, direction.imag = scaled / divisor
    return np.where(infinite.any(axis=0), np.inf, np.ldexp(length, exponent)), direction
