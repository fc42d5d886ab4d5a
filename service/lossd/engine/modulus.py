"""Complex arguments: the loss of the residual's modulus.

For a loss that depends on ``r = input - target`` through ``|r|`` alone, the real kernel is evaluated at
``|r|`` against zero, and its slope is turned into the direction ``r / |r|``. That is PyTorch's convention: the
gradient of a real loss with respect to ``z = x + iy`` is ``dL/dx + i dL/dy``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lossd.losses.spec import Kernel, Lazy, Terms, forced
from lossd.losses.stable import times
from lossd.message import Array

# The arguments that may be complex; weights and settings beside them stay real.
COMPLEX = frozenset(["input", "target"])


def on_modulus(kernel: Kernel) -> Kernel:
    """Return the kernel for complex arguments of a kernel for real ones."""

    def complex_kernel(*, input: Array, target: Array, **rest: Any) -> Terms:
        modulus, direction = _polar(input - target)
        real = {name: x.real if isinstance(x, np.ndarray) else x for name, x in rest.items()}
        terms = kernel(input=modulus, target=np.zeros_like(modulus), **real)

        def turned(sign: float) -> Array:
            slope = sign * forced(terms.gradient["input"])
            gradient = np.empty_like(direction)
            gradient.real, gradient.imag = times(slope, direction.real), times(slope, direction.imag)
            return gradient

        opposed: dict[str, Lazy] = {"input": lambda: turned(1.0), "target": lambda: turned(-1.0)}
        return Terms(terms.value, {**terms.gradient, **opposed})

    return complex_kernel


def _polar(residual: Array) -> tuple[Array, Array]:
    """Return ``|r|`` and ``r / |r|``, which is 0 where r is.

    Both are of r times a power of 2 that brings its larger part to [1/2, 1), so subnormal parts lose no digits and
    squares do not overflow. An infinite part outweighs a finite one; beside a NaN, the modulus is infinite by the
    hypot of IEEE 754 and the direction NaN.
    """
    parts = np.stack([residual.real, residual.imag])
    infinite = np.isinf(parts)
    limit = np.where(infinite, 1, np.where(np.isnan(parts), np.nan, 0))
    exponent = np.frexp(np.abs(parts).max(axis=0))[1]
    scaled = np.where(infinite.any(axis=0), np.copysign(limit, parts), np.ldexp(parts, -exponent))
    length = np.hypot(*scaled)
    direction = np.empty_like(residual)
    divisor = np.where(length == 0, 1, length)
    direction.real, direction.imag = scaled / divisor
    return np.where(infinite.any(axis=0), np.inf, np.ldexp(length, exponent)), direction
