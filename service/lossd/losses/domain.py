"""This file is what values an argument may hold.

A domain answers three questions in one place, so that validation, sample data and the published
description can never disagree: which value is forbidden, what a typical array looks like, and
what the set is called. NaN is in every real domain: it propagates by the rules of IEEE 754.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import ClassVar, Protocol

import numpy as np

from lossd.message import Array

Shape = tuple[int, ...]
Sizes = Mapping[str, int]


# The types of most indices; a view by name takes as long as the check of a few.
_UNSIGNED = {np.dtype(f"i{size}"): np.dtype(f"u{size}") for size in (4, 8)}


class Domain(Protocol):
    """The set an argument's values are drawn from; ``str()`` of it completes "expected ..."."""

    @property
    def integer(self) -> bool:
        """Whether the values are whole numbers."""

    def forbidden(self, array: Array, sizes: Sizes) -> Array | None:
        """Mark the values outside the set, or return None where there is none.

        Args:
            array: Values of any shape.
            sizes: Length of every named dimension, for example ``{"C": 10}``.
        """

    def sample(self, rng: np.random.Generator, shape: Shape, sizes: Sizes) -> Array:
        """Draw a typical array of float64 or int64, away from the edges of the set."""


@dataclass(frozen=True)
class Interval:
    """Real numbers between ``low`` and ``high``; the ends belong to it unless ``open``.

    Samples are normal, or from the middle of a bounded interval, unless ``typical`` says between what.
    """

    low: float = -inf
    high: float = inf
    open: bool = False
    typical: tuple[float, float] | None = None

    integer: ClassVar[bool] = False

    @property
    def unbounded(self) -> bool:
        """Whether every number belongs to it."""
        return self.low == -inf and self.high == inf

    def forbidden(self, array: Array, sizes: Sizes) -> Array | None:
        """Mark numbers outside the interval."""
        if self.unbounded or not array.size:
            return None
        least, most = np.minimum.reduce(array, axis=None), np.maximum.reduce(array, axis=None)
        if (self.low < least and most < self.high) or (
            not self.open and least >= self.low and most <= self.high
        ):
            return None
        outside = (
            (array <= self.low) | (array >= self.high)
            if self.open
            else (array < self.low) | (array > self.high)
        )
        return outside if outside.any() else None

    def sample(self, rng: np.random.Generator, shape: Shape, sizes: Sizes) -> Array:
        """Draw normal numbers, or uniform ones from where they are typical."""
        if self.typical is not None:
            return rng.uniform(*self.typical, shape)
        if self.unbounded:
            return rng.standard_normal(shape)
        if self.high == inf:
            return self.low + rng.uniform(0.5, 1.5, shape)
        margin = (self.high - self.low) / 20
        return rng.uniform(self.low + margin, self.high - margin, shape)

    def __str__(self) -> str:
        if self.high == inf:
            return "numbers" if self.low == -inf else f"numbers {'>' if self.open else '>='} {self.low:g}"
        ends = "()" if self.open else "[]"
        return f"numbers in {ends[0]}{self.low:g}, {self.high:g}{ends[1]}"


@dataclass(frozen=True)
class Distribution(Interval):
    """Probabilities of all classes, the last axis; that they sum to one is for the caller to demand."""

    low: float = 0.0
    high: float = 1.0

    def sample(self, rng: np.random.Generator, shape: Shape, sizes: Sizes) -> Array:
        """Draw probabilities that sum to one."""
        parts = rng.uniform(0.5, 1.5, shape)
        return np.asarray(parts / parts.sum(axis=-1, keepdims=True))


@dataclass(frozen=True)
class Index:
    """Whole numbers that select along the named dimension ``of``: 0 <= value < its size."""

    of: str

    integer: ClassVar[bool] = True

    def forbidden(self, array: Array, sizes: Sizes) -> Array | None:
        """Mark indices that select nothing."""
        # Seen as unsigned a negative index is huge, so one comparison finds both ends.
        unsigned = array.view(_UNSIGNED.get(array.dtype) or array.dtype.str.replace("i", "u"))
        if not array.size or np.maximum.reduce(unsigned, axis=None) < sizes[self.of]:
            return None
        return np.asarray(unsigned >= sizes[self.of])

    def sample(self, rng: np.random.Generator, shape: Shape, sizes: Sizes) -> Array:
        """Draw every index equally often."""
        return rng.integers(0, sizes[self.of], shape)

    def __str__(self) -> str:
        return f"whole numbers in [0, {self.of})"


@dataclass(frozen=True)
class Length:
    """How many elements along the named dimension ``of`` belong to a row: 0 <= value <= its size."""

    of: str

    integer: ClassVar[bool] = True

    def forbidden(self, array: Array, sizes: Sizes) -> Array | None:
        """Mark lengths below zero or beyond the dimension's size."""
        wrong = (array < 0) | (array > sizes[self.of])
        return np.asarray(wrong) if wrong.any() else None

    def sample(self, rng: np.random.Generator, shape: Shape, sizes: Sizes) -> Array:
        """Draw lengths of at least half the size."""
        return rng.integers((sizes[self.of] + 1) // 2, sizes[self.of] + 1, shape)

    def __str__(self) -> str:
        return f"whole numbers in [0, {self.of}]"


@dataclass(frozen=True)
class Whole:
    """Any whole numbers, such as labels; samples lie in ``typical``, its end excluded."""

    typical: tuple[int, int] = (0, 3)

    integer: ClassVar[bool] = True

    def forbidden(self, array: Array, sizes: Sizes) -> Array | None:
        """Mark nothing."""
        return None

    def sample(self, rng: np.random.Generator, shape: Shape, sizes: Sizes) -> Array:
        """Draw small numbers, each several times."""
        return rng.integers(*self.typical, shape)

    def __str__(self) -> str:
        return "whole numbers"


REAL = Interval()
WEIGHT = Interval(typical=(0.5, 1.5))
PROBABILITY = Interval(0.0, 1.0)
