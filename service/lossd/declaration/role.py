"""The role of an array: what an array means to a loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from lossd.declaration.domain import REAL, Domain, Interval
from lossd.declaration.pattern import Pattern, parse

Quantity = Literal["number", "score", "probability", "log_probability"]


@dataclass(frozen=True, eq=False)
class Role:
    """What an array means to a loss.

    Attributes:
        shape: Its pattern. Several that mean the same are joined by " or ".
        domain: The values that it may hold.
        axes: Letter to the setting that says which axis of the caller's array it is.
        default_axis: Which axis it is if the caller does not say.
        flattened: Whether that setting may name several axes, which the kernel sees as one; without it, all of them.
        broadcasts: Whether it broadcasts against the batch.
        leading: Whether it may lack the batch's last axis, where others broadcast against the last axes.
        weighs: Whether it is a factor, as all arrays of the domain `WEIGHT` are: beside large factors, what underflows
            is computed in a wider type.
        by_order: Whether its values matter by their order alone: they are read in their own type, unrounded.
        holds: What its real numbers are, where their domain does not tell: a score is any number of which a larger one
            speaks for a class or an item, as a logit.
        ignored: The setting whose value, in this array, leaves a row out.
        lengths: The argument that says how much of its last axis each row uses; rows may then come one after the other.
        alternative: A form with another meaning, told apart by its number of axes or its kind of values.
    """

    shape: str = "(...)"
    domain: Domain = REAL
    axes: Mapping[str, str] = field(default_factory=dict)
    default_axis: int = 1
    flattened: bool = False
    broadcasts: bool = False
    leading: bool = False
    weighs: bool = False
    by_order: bool = False
    holds: Quantity = "number"
    ignored: str | None = None
    lengths: str | None = None
    alternative: Role | None = None

    def __post_init__(self) -> None:
        """Raise TypeError for a shape that is no pattern."""
        for shape in self.shape.split(" or "):
            parse(shape)

    @cached_property
    def forms(self) -> tuple[Role, ...]:
        """Every form in which the array may be given, each with one pattern."""
        own = tuple(replace(self, shape=shape, alternative=None) for shape in self.shape.split(" or "))
        return own + (self.alternative.forms if self.alternative else ())

    @cached_property
    def pattern(self) -> Pattern:
        """The pattern of a single form."""
        return parse(self.shape)

    @property
    def differentiable(self) -> bool:
        """Whether the array can have a gradient in some form."""
        return any(form.domain.kind == "real" for form in self.forms)

    @property
    def quantity(self) -> Quantity:
        """What its real numbers are."""
        of_probabilities = isinstance(self.domain, Interval) and (self.domain.low, self.domain.high) == (0, 1)
        return "probability" if of_probabilities else self.holds

    @property
    def shared(self) -> bool:
        """Whether all rows see the same array."""
        return not self.pattern.batched and not self.pattern.by_item

    def __str__(self) -> str:
        """Return the shapes as people read them."""
        return " or ".join(_shown(form) for form in self.forms)


def _shown(form: Role) -> str:
    return f"broadcast to {form.shape}" if form.broadcasts else form.shape
