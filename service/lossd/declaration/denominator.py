"""What a mean divides by, as data; the normalizer of a loss computes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Unit = Literal["value", "sample", "event", "item with a positive", "positive pair", "nothing"]
"""What is counted; nothing where the loss of a batch is one number."""

_COUNTED: dict[Unit, str] = {
    "value": "the number of values",
    "sample": "the number of samples",
    "event": "the number of events",
    "item with a positive": "the number of items that have a positive",
    "positive pair": "the number of pairs of an item and its positive",
    "nothing": "nothing: the loss is one number",
}


@dataclass(frozen=True)
class Denominator:
    """What a mean divides by, where a call does not say it.

    Attributes:
        counts: What is counted.
        weight: The argument of which each adds its number in place of one, if the argument is given.
        indexed_by: The argument of class indices by which the weights are looked up; where it holds probabilities
            instead, each adds one.
        scaled_by: The argument by which each value is divided before.
        ignored: The argument and the setting whose value in it leaves a sample out.
    """

    counts: Unit = "value"
    weight: str | None = None
    indexed_by: str | None = None
    scaled_by: str | None = None
    ignored: tuple[str, str] | None = None

    def __str__(self) -> str:
        counted = _COUNTED[self.counts]
        if self.weight is not None and self.indexed_by is not None:
            counted = f"the sum of the samples' class weights if there are such, else {counted}"
        elif self.weight is not None:
            counted = f"the sum of `{self.weight}`, or {counted} without it"
        if self.scaled_by is not None:
            counted += f", the loss of each divided by its `{self.scaled_by}` first"
        return counted if self.ignored is None else f"{counted}; what is ignored does not count"


def usual(value: str, *, weighs: bool) -> Denominator:
    """Return what a mean divides by without a normalizer.

    Args:
        value: The pattern of the unreduced loss.
        weighs: Whether each value adds its `weight`.
    """
    return Denominator("nothing") if value == "()" else Denominator(weight="weight" if weighs else None)
