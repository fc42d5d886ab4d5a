"""This file is what a call came to, as the caller of the client sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lossd.message import Answer, Array

ByName = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Reduced:
    """The results under one reduction.

    Attributes:
        value: The loss; 0-d unless the reduction leaves axes.
        gradient: Argument to the gradient, in the argument's own shape.
        hessian: Argument to the diagonal of the Hessian, in the argument's own shape.
        hvp: Argument to the Hessian times the direction that was asked for.
    """

    value: Array
    gradient: ByName = field(default_factory=dict)
    hessian: ByName = field(default_factory=dict)
    hvp: ByName = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """What a call came to: ``result["mean"].value``, or ``result.value`` where one reduction was asked for.

    Attributes:
        reductions: Reduction to its results.
        count: How many elements or samples took part.
        denominator: What the averaging reduction divided by; an array where ``axis`` leaves axes.
        warnings: What the caller should know although the call succeeded.
        request_id: The name of the call in the server's log.
    """

    reductions: Mapping[str, Reduced]
    count: int
    denominator: float | Array
    warnings: tuple[str, ...] = ()
    request_id: str = ""

    def __getitem__(self, reduction: str) -> Reduced:
        return self.reductions[reduction]

    @property
    def only(self) -> Reduced:
        """The results under the one reduction that was asked for.

        Raises:
            ValueError: Several were asked for.
        """
        if len(self.reductions) > 1:
            first, names = next(iter(self.reductions)), ", ".join(self.reductions)
            raise ValueError(f'expected one reduction, got {names}: write result["{first}"].value')
        return next(iter(self.reductions.values()))

    @property
    def value(self) -> Array:
        """The loss under the one reduction that was asked for."""
        return self.only.value

    @property
    def gradient(self) -> ByName:
        """Argument to gradient, under the one reduction that was asked for."""
        return self.only.gradient

    @property
    def hessian(self) -> ByName:
        """Argument to the Hessian's diagonal, under the one reduction that was asked for."""
        return self.only.hessian

    @property
    def hvp(self) -> ByName:
        """Argument to the Hessian-vector product, under the one reduction that was asked for."""
        return self.only.hvp


def result_of(answer: Answer, request_id: str) -> Result:
    """Turn an answer, which is keyed by what was computed, into a result, which is keyed by reduction."""
    reductions = {
        name: Reduced(
            value,
            answer.gradient.get(name, {}),
            answer.hessian.get(name, {}),
            answer.hvp.get(name, {}),
        )
        for name, value in answer.loss.items()
    }
    return Result(reductions, answer.count, answer.denominator, answer.warnings, request_id)
