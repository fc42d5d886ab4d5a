"""Second derivatives from gradient code: Hessian-vector products, and the Hessian's diagonal from these.

The gradient code runs on a `Dual` once a product, at two to ten times the cost of the gradient. It has to compute all
that it uses from the arrays it is given: what it computed from them before, outside, does not move. Buffers that it
writes results into have to be like a result (`numpy.empty_like`), or the write raises `NoDerivative`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lossd.message import Array
from lossd.numerics.dual import Dual


def hessian_vector(
    gradient: Callable[[Mapping[str, Any]], Any], arrays: Mapping[str, Array], name: str, direction: Array
) -> Array:
    """Return the product of the Hessian with a direction: the derivative of a gradient as one array moves along it.

    Args:
        gradient: The gradient, as a function of all arrays by name.
        arrays: Where the derivative is taken.
        name: The array that moves, of a real floating dtype. The gradient may be with respect to another: then the
            product is that of the mixed second derivatives.
        direction: Where it moves to, of the same shape.

    Returns:
        The product, of the gradient's shape and dtype; NaN where the gradient is.

    Raises:
        NoDerivative: If the gradient uses an operation without a rule.
        ValueError: If the direction has another shape.
    """
    array = arrays[name]
    if direction.shape != array.shape:
        raise ValueError(f"expected a direction of the shape {array.shape}, got {direction.shape}")
    result = gradient({**arrays, name: Dual(array.copy(), direction.astype(array.dtype))})
    if not isinstance(result, Dual):  # it does not depend on the array
        return np.zeros_like(result)
    product: Array = np.where(np.isnan(result.value), result.value, result.tangent)
    return product


def hessian_diagonal(gradient: Callable[[Any], Any], array: Array) -> Array:
    """Return the diagonal of the Hessian of independent rows: one product for each core element.

    Args:
        gradient: The gradient with respect to one array, as a function of it, of its shape.
        array: Where the derivative is taken, ``(rows, *core)``; no row's gradient may depend on another row.

    Returns:
        The second derivative with respect to each number, ``(rows, *core)``.

    Raises:
        NoDerivative: If the gradient uses an operation without a rule.
    """
    diagonal = np.empty_like(array)
    for element in np.ndindex(array.shape[1:]):
        column = (slice(None), *element)
        direction = np.zeros_like(array)
        direction[column] = 1
        diagonal[column] = hessian_vector(lambda arrays: gradient(arrays[""]), {"": array}, "", direction)[
            column
        ]
    return diagonal
