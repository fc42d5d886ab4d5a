"""Computes a block as its loss is declared, where the exponentials of the fused kernel overflow or mean nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from lossd.declaration.loss import Loss
from lossd.declaration.result import evaluated
from lossd.message import Array
from lossd.numerics.sums import total


def leave_to_kernel(declared: Loss, input: Array, target: Array, scale: Any, out: Array) -> float:
    """Compute a block whose exponentials overflow, or mean nothing, as the declaration does."""
    result = declared.kernel(input=input, target=target)
    value = total(result.value)
    np.multiply(evaluated(result.gradient["input"]), scale, out=out)
    return value
