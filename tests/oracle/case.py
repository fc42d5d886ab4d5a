"""One call that a loss is held against its oracle on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from tests.oracle.exact import MP, Number


class Case(NamedTuple):
    """Arguments and settings of one call, and what is special about it.

    Attributes:
        name: What a failure calls it.
        arrays: Its arguments: one row per first index, but of those that all rows share.
        settings: Its settings; those left out have their defaults.
        kink: Whether its first rows may lie at a kink, where differences of the oracle's values say nothing of slopes.
        factor: How many times the loss's bound it may be off, as its arguments have fewer digits than their type.
    """

    name: str
    arrays: Mapping[str, Any]
    settings: Mapping[str, Any] = {}
    kink: bool = False
    factor: float = 1.0

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of its real arrays."""
        return next(array.dtype for array in self.arrays.values() if array.dtype.kind == "f")

    def largest(self, *names: str) -> float:
        """Return the sum of the largest absolute finite values of some arguments, as far as they are given."""
        sizes = [np.abs(np.asarray(self.arrays[name], float)) for name in names if name in self.arrays]
        return sum(float(size[np.isfinite(size)].max(initial=0)) for size in sizes)

    def shortest(self, *names: str) -> Number:
        """Return the product of the lengths of the shortest vector of each of some arguments, each at most 1."""
        product = MP.mpf(1)
        for name in names:
            lengths = np.abs(self.arrays[name]).max(axis=1)
            product *= MP.mpf(float(lengths[lengths > 0].min(initial=1)))
        return product


Drawn = Iterator[Case]
