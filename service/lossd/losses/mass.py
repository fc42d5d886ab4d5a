"""This file is what rows weigh in a mean: the denominators of losses whose weights enter them.

Each is linear in the weights, so the gradient of a mean with respect to the weights follows from the
transpose.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from lossd.losses.spec import Arguments, Settings
from lossd.message import Array


class RowMass:
    """Each row adds its own ``weight``: PyTorch's weighted mse and l1."""

    of: ClassVar[str] = "weight"

    def __call__(self, arguments: Arguments, settings: Settings) -> Array | None:
        """Return the weights."""
        return arguments.get("weight")

    def transpose(self, upstream: Array, arguments: Arguments, settings: Settings) -> Array:
        """Return ``upstream`` as it is: a weight enters through its own row alone."""
        return upstream


class ClassMass:
    """Each row adds the weight of its target's class: PyTorch's cross entropy of class indices."""

    of: ClassVar[str] = "weight"

    def __call__(self, arguments: Arguments, settings: Settings) -> Array | None:
        """Return ``weight[target]``, or None without weights or for targets that are probabilities."""
        weight, target = arguments.get("weight"), arguments.get("target")
        if weight is None or target is None:
            return None
        # An index out of range is found and named when its block is checked.
        return np.take(weight, _indices(target), mode="clip")

    def transpose(self, upstream: Array, arguments: Arguments, settings: Settings) -> Array:
        """Return what falls on each class: the sum of ``upstream`` over the rows whose target it is."""
        weight: Any = arguments["weight"]
        target = arguments.get("target")
        if target is None:
            return np.zeros(len(weight))
        taken = np.flatnonzero(upstream)
        share = upstream[taken].astype(np.float64)
        return np.bincount(_indices(target)[taken], share, minlength=len(weight))


def _indices(target: Array) -> Array:
    """Return class indices as NumPy takes them: an empty list may have come as real numbers."""
    return target.astype(np.intp, copy=False)
