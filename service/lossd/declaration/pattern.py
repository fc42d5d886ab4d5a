"""Shape patterns: how a declaration states the shapes of arrays, in the grammar of NumPy's generalised ufuncs.

    (...)          one number per row             (..., C)       one number per class of each row
    (..., 4)       a box per row                  (T, ..., C)    time first, classes last
    (..., U+1, V)  one more than there are labels (C, D)         shared by all rows
    (N, D)         without ``...`` in any argument of a loss: the whole batch at once

``...`` is the batch: any number of axes, whose elements are the rows. The other axes are the core. A kernel sees a
batched array as ``(rows, *core)``, its core axes in the order written, and any other array as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

Shape = tuple[int, ...]
Sizes = Mapping[str, int]


@dataclass(frozen=True)
class Axis:
    """What a letter means in every pattern.

    Attributes:
        meaning: The axis, for people.
        sample: Its length in samples, unequal where two letters stand in one loss.
        least: The smallest length that it may have.
        ragged: Whether rows may differ in their lengths along it.
    """

    meaning: str
    sample: int = 3
    least: int = 0
    ragged: bool = False


AXES: Mapping[str, Axis] = {
    "N": Axis("items of the batch"),
    "M": Axis("items of a second batch", sample=7),
    "L": Axis("items of a list", sample=5, ragged=True),
    "P": Axis("pixels: all elements along the chosen axes", sample=5),
    "T": Axis("time steps", sample=6),
    "S": Axis("symbols of the target", sample=2),
    "C": Axis("classes", sample=4, least=1),
    "D": Axis("dimensions"),
    "K": Axis("states", least=1),
    "B": Axis("bins", sample=4, least=1),
    "Q": Axis("quantiles", least=1),
}

_DIMENSION = re.compile(r"([A-Z])?(?:\+?(\d+))?")


@dataclass(frozen=True)
class Dimension:
    """One core axis: a letter of `AXES` plus a number; no letter for a fixed length."""

    letter: str
    more: int = 0

    def length(self, sizes: Sizes) -> int:
        """Return its length where the letters have these."""
        return (sizes[self.letter] if self.letter else 0) + self.more


@dataclass(frozen=True)
class Pattern:
    """A parsed shape pattern.

    Attributes:
        text: The pattern as written.
        before: Core axes in front of the batch.
        after: Core axes behind it, or all of them if there is no batch.
        batched: Whether there is a batch.
    """

    text: str
    before: tuple[Dimension, ...]
    after: tuple[Dimension, ...]
    batched: bool

    @property
    def core(self) -> tuple[Dimension, ...]:
        """All core axes, in the order written."""
        return self.before + self.after

    @property
    def letters(self) -> tuple[str, ...]:
        """The letters of the core axes, in the order written."""
        return tuple(dimension.letter for dimension in self.core if dimension.letter)

    @property
    def ragged(self) -> str:
        """The letter of the axis along which rows may differ in length; "" if there is none."""
        return next((letter for letter in self.letters if AXES[letter].ragged), "")

    @property
    def by_item(self) -> bool:
        """Whether its first axis is the items of a whole batch."""
        return not self.batched and self.letters[:1] == ("N",)

    def core_shape(self, sizes: Sizes) -> Shape:
        """Return the lengths of the core axes where the letters have these."""
        return tuple(dimension.length(sizes) for dimension in self.core)

    def __str__(self) -> str:
        return self.text


@cache
def parse(text: str) -> Pattern:
    """Parse a pattern such as ``"(..., C)"``.

    Raises:
        TypeError: It is none, or has a letter that `AXES` lacks.
    """
    if not (text.startswith("(") and text.endswith(")")):
        raise TypeError(f"expected a pattern such as (..., C), got {text!r}")
    parts = [part.strip() for part in text[1:-1].split(",") if part.strip()]
    dimensions = tuple(_dimension(part, text) for part in parts if part != "...")
    batch = parts.index("...") if "..." in parts else 0
    return Pattern(text, dimensions[:batch], dimensions[batch:], "..." in parts)


def _dimension(part: str, text: str) -> Dimension:
    found = _DIMENSION.fullmatch(part)
    letter = (found and found[1]) or ""
    if found is None or (letter and letter not in AXES):
        raise TypeError(
            f"expected the letters {', '.join(AXES)} and numbers in a pattern, got {part!r} in {text!r}"
        )
    return Dimension(letter, int(found[2] or 0))
