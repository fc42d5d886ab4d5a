"""This file is what complex arguments mean: the loss of the residual's modulus.

For a loss that depends on ``r = input - target`` through ``|r|`` alone, the real kernel is evaluated at
``|r|`` against zero, and its slope is turned into the direction ``r / |r|``. That is PyTorch's convention: the
gradient of a real loss with respect to ``z = x + iy`` is ``dL/dx + i dL/dy``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lossd.losses.spec import Kernel, Lazy, Terms, forced
from lossd.message import Array

# The arguments that may be complex; weights and settings beside them stay real.
COMPLEX = ("input", "target")


def on_modulus(kernel: Kernel) -> Kernel:
    """Return the kernel for complex arguments of a kernel for real ones."""

    def complex_kernel(*, input: Array, target: Array, **rest: Any) -> Terms:
        residual = input - target
        modulus = np.abs(residual)
        real = {name: x.real if isinstance(x, np.ndarray) else x for name, x in rest.items()}
        terms = kernel(input=modulus, target=np.zeros_like(modulus), **real)

        def turned(sign: float) -> Array:
            direction = np.divide(residual, modulus, out=np.zeros_like(residual), where=modulus != 0)
            gradient: Array = sign * forced(terms.gradient["input"]) * direction
            return gradient

        opposed: dict[str, Lazy] = {"input": lambda: turned(1.0), "target": lambda: turned(-1.0)}
        return Terms(terms.value, {**terms.gradient, **opposed})

    return complex_kernel
