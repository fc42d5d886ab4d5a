"""The values that an array may hold.

A domain answers three questions in one place, so that validation, sample data and the published
description can never disagree: which values are wrong, what a typical array looks like, and
what the set is called. NaN is in every real domain: it propagates by the rules of IEEE 754.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import ClassVar, Literal, Protocol

import numpy as np

from lossd.declaration.pattern import Shape, Sizes
from lossd.message import Array

Kind = Literal["real", "whole", "boolean"]
Ends = Literal["both", "left", "right", "neither"]


class Domain(Protocol):
    """The set an argument's values are drawn from; ``str()`` of it completes "expected ..."."""

    @property
    def kind(self) -> Kind:
        """What the values are."""

    def forbidden(self, array: Array, sizes: Sizes) -> Array | None:
        """Mark the values outside the set, or return None where there is none.

        Args:
            array: Values of any shape.
            sizes: Length of every letter of the patterns, and whole settings.
        """

    def sample(self, rng: np.random.Generator, shape: Shape, sizes: Sizes) -> Array:
        """Draw a typical array of float64 or int64, away from the edges of the set."""


def unless_empty(marked: Array) -> Array | None:
    """Return the marks, or None where there is none.

    To count is as fast as `any` where there are many, and takes a fifth of its time where there are few.
    """
    return np.asarray(marked) if np.count_nonzero(marked) else None


@dataclass(frozen=True)
class Interval:
    """Real numbers between ``low`` and ``high``; ``closed`` says which of the ends belong to it.

    Samples are normal, or from the middle of a bounded interval, unless ``typical`` says between what.
    """

    low: float = -inf
    high: float = inf
    closed: Ends = "both"
    typical: tuple[float, float] | None = None

    kind: ClassVar[Kind] = "real"

    @property
    def unbounded(self) -> bool:
        """Whether every number belongs to it."""
        return self.low == -inf and self.high == inf

    def forbidden(self, array: Array, sizes: Sizes) -> Array | None:
        """Mark numbers outside the interval."""
        if self.unbounded or not array.size:
            return None
        with_low, with_high = self.closed in ("both", "left"), self.closed in ("both", "right")
        least, most = np.minimum.reduce(array, axis=None), np.maximum.reduce(array, axis=None)
        # Labels of 0 and 1 are at both ends of the probabilities.
        if (least > self.low or (with_low and least == self.low)) and (
            most < self.high or (with_high and most == self.high)
        ):
            return None
        below = array < self.low if with_low else array <= self.low
        above = array > self.high if with_high else array >= self.high
        return unless_empty(below | above)

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
        left, right = self.closed in ("both", "left"), self.closed in ("both", "right")
        if self.high == inf:
            return "numbers" if self.low == -inf else f"numbers {'>=' if left else '>'} {self.low:g}"
        return f"numbers in {'[' if left else '('}{self.low:g}, {self.high:g}{']' if right else ')'}"


@dataclass(frozen=True)
class Distribution(Interval):
    """Probabilities of all classes, the last axis; whether they sum to one is checked apart, as the caller asks."""

    low: float = 0.0
    high: float = 1.0

    def sample(self, rng: np.random.Generator, shape: Shape, sizes: Sizes) -> Array:
        """Draw probabilities that sum to one."""
        parts = rng.uniform(0.5, 1.5, shape)
        return np.asarray(parts / parts.sum(axis=-1, keepdims=True))


@dataclass(frozen=True)
class Whole:
    """Whole numbers, such as labels, from ``low`` to ``high``; samples lie in ``typical``, its end excluded."""

    typical: tuple[int, int] = (0, 3)
    low: float = -inf
    high: float = inf

    kind: ClassVar[Kind] = "whole"

    def forbidden(self, array: Array, sizes: Sizes) -> Array | None:
        """Mark numbers beyond either end."""
        if self.low == -inf and self.high == inf:
            return None
        return unless_empty((array < self.low) | (array > self.high))

    def sample(self, rng: np.random.Generator, shape: Shape, sizes: Sizes) -> Array:
        """Draw small numbers, each several times."""
        return rng.integers(*self.typical, shape)

    def __str__(self) -> str:
        if self.low == -inf and self.high == inf:
            return "whole numbers"
        return f"whole numbers in [{self.low:g}, {self.high:g}]"


@dataclass(frozen=True)
class OneOf:
    """A few numbers, such as labels of -1 and 1."""

    values: tuple[int, ...]

    kind: ClassVar[Kind] = "real"

    def forbidden(self, array: Array, sizes: Sizes) -> Array | None:
        """Mark every other number."""
        known = array == self.values[0]
        for value in self.values[1:]:  # of a few, in a third of the time of ``np.isin``
            known |= array == value
        if np.count_nonzero(known) == known.size:
            return None
        return unless_empty(~known & ~np.isnan(array))

    def sample(self, rng: np.random.Generator, shape: Shape, sizes: Sizes) -> Array:
        """Draw each of them equally often."""
        return rng.choice(self.values, shape).astype(np.float64)

    def __str__(self) -> str:
        return "numbers that are " + " or ".join(map(str, self.values))


@dataclass(frozen=True)
class Boolean:
    """True and false, or 1 and 0."""

    kind: ClassVar[Kind] = "boolean"

    def forbidden(self, array: Array, sizes: Sizes) -> Array | None:
        """Mark numbers that are neither 0 nor 1."""
        if array.dtype.kind == "b":
            return None
        return unless_empty((array != 0) & (array != 1))

    def sample(self, rng: np.random.Generator, shape: Shape, sizes: Sizes) -> Array:
        """Draw both equally often."""
        return rng.random(shape) < 0.5

    def __str__(self) -> str:
        return "true and false, or 1 and 0"


def domain_text(domain: Domain, sizes: Sizes) -> str:
    """Describe a domain with the lengths and settings of a call in place of, or beside, their names."""
    text = str(domain)
    for name, size in sizes.items():
        text = text.replace(f", {name}", f", {size}").replace(f" than {name}", f" than {name}, {size}")
    return text


REAL = Interval()
POSITIVE = Interval(0.0, closed="right", typical=(0.5, 1.5))
WEIGHT = Interval(typical=(0.5, 1.5))
PROBABILITY = Interval(0.0, 1.0)
SIGN = OneOf((-1, 1))
BOOLEAN = Boolean()
