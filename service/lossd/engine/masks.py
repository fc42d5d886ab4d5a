"""Arrays that go with the unreduced loss: masks, and weights that broadcast against it."""

from __future__ import annotations

import numpy as np

from lossd.declaration.domain import BOOLEAN
from lossd.declaration.pattern import Shape
from lossd.errors import invalid
from lossd.message import Array


def per_value(array: Array, shape: Shape, name: str) -> Array:
    """Broadcast a general array against a shape, and return it flat.

    Raises:
        InvalidCall: It does not broadcast.
    """
    if array.shape == shape:
        return array.reshape(-1)
    try:
        return np.broadcast_to(array, shape).reshape(-1)
    except ValueError:
        raise invalid(name, f"a shape that broadcasts to the unreduced loss's {shape}", array.shape) from None


def truths(mask: Array) -> Array:
    """Return a mask as booleans.

    Raises:
        InvalidCall: It holds anything but true and false, or 1 and 0.
    """
    if mask.size and mask.dtype.kind not in "biuf":
        raise invalid("mask", str(BOOLEAN), f"{mask.dtype} values")
    wrong = BOOLEAN.forbidden(mask, {})
    if wrong is not None:
        where = tuple(np.argwhere(wrong)[0])
        raise invalid("mask" + "".join(f"[{index}]" for index in where), str(BOOLEAN), mask[where])
    return mask.astype(bool)
