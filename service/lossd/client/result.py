"""What a call returns to the caller of the client: values and derivatives by reduction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lossd.message import Answer, Array, Part

ByName = Mapping[str, Array]

_ELSEWHERE = np.zeros(0)  # values by rows, which parts do not take along


class Derivatives(dict[str, Array]):
    """Argument to derivative; a name that is not there says how to ask for it."""

    def __init__(self, option: str, by_name: ByName) -> None:
        super().__init__(by_name)
        self._option = option

    def __missing__(self, name: str) -> Array:
        has = f"that of {', '.join(self)}" if self else "none"
        raise KeyError(f"expected a {self._option} that was asked for, got {name!r}: this result has {has}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._option, dict(self))


@dataclass(frozen=True, slots=True, repr=False, eq=False)
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

    def __float__(self) -> float:
        if self.value.ndim:
            raise TypeError(f"expected a loss that is one number, got one of shape {self.value.shape}")
        return float(self.value)

    def __repr__(self) -> str:
        return f"Reduced(value={_brief(self.value)}{_derivatives_of(self)})"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Result:
    """What a call returns: ``result["mean"].value``, or ``result.value`` where one reduction was asked for.

    ``float(result)`` is the loss where it is one number.

    Attributes:
        reductions: Reduction to its results.
        count: How many elements or samples took part.
        denominator: What the averaging reduction divided by; an array where ``axis`` leaves axes.
        warnings: What the caller should know although the call succeeded.
        request_id: The name of the call in the server's log.
        part: What the rows add to the answer of a larger call, for `combine`; None unless ``partial`` was asked for.
    """

    reductions: Mapping[str, Reduced]
    count: int
    denominator: float | Array
    warnings: tuple[str, ...] = ()
    request_id: str = ""
    part: Part | None = None

    def __getitem__(self, reduction: str) -> Reduced:
        if reduction not in self.reductions:
            raise KeyError(f"expected one of {', '.join(self.reductions)}, got {reduction!r}")
        return self.reductions[reduction]

    @property
    def only(self) -> Reduced:
        """The results under the one reduction that was asked for.

        Raises:
            ValueError: Several were asked for.
        """
        return self._only("")

    @property
    def value(self) -> Array:
        """The loss under the one reduction that was asked for."""
        return self._only(".value").value

    @property
    def gradient(self) -> ByName:
        """Argument to gradient, under the one reduction that was asked for."""
        return self._only(".gradient").gradient

    @property
    def hessian(self) -> ByName:
        """Argument to the Hessian's diagonal, under the one reduction that was asked for."""
        return self._only(".hessian").hessian

    @property
    def hvp(self) -> ByName:
        """Argument to the Hessian-vector product, under the one reduction that was asked for."""
        return self._only(".hvp").hvp

    def _only(self, attribute: str) -> Reduced:
        first, *others = self.reductions
        if others:
            names = ", ".join(self.reductions)
            raise ValueError(f'expected one reduction, got {names}: write result["{first}"]{attribute}')
        return self.reductions[first]

    def __float__(self) -> float:
        return float(self.only)

    def __repr__(self) -> str:
        values = [f"{name}={_brief(each.value)}" for name, each in self.reductions.items()]
        # Every reduction has the derivatives of the same arguments.
        derivatives = "".join(_derivatives_of(each) for each in [*self.reductions.values()][:1])
        warned = f", warnings={self.warnings!r}" if self.warnings else ""
        return f"Result({', '.join(values)}, count={self.count}{derivatives}{warned})"


def result_of(answer: Answer, request_id: str, dtype: np.dtype[Any] | None = None) -> Result:
    """Turn an answer, which is keyed by what was computed, into a result, which is keyed by reduction.

    Numbers get the ``dtype`` that the format could not say.
    """
    names = dict.fromkeys([*answer.loss, *answer.gradient, *answer.hessian, *answer.hvp])
    reductions = {
        name: Reduced(
            _typed(answer.loss.get(name, _ELSEWHERE), dtype),
            **{
                option: Derivatives(
                    option, {of: _typed(each, dtype) for of, each in by_reduction.get(name, {}).items()}
                )
                for option, by_reduction in (
                    ("gradient", answer.gradient),
                    ("hessian", answer.hessian),
                    ("hvp", answer.hvp),
                )
            },
        )
        for name in names
    }
    return Result(reductions, answer.count, answer.denominator, answer.warnings, request_id, answer.part)


def _typed(array: Array, dtype: np.dtype[Any] | None) -> Array:
    if dtype is None or array.ndim:
        return array
    real = dtype.kind == "c" and array.dtype.kind != "c"
    return array.astype(np.dtype(dtype.char.lower()) if real else dtype)


def _brief(array: Array) -> str:
    return f"{array.item()!r}" if array.ndim == 0 else f"{array.dtype}{list(array.shape)}"


def _derivatives_of(reduced: Reduced) -> str:
    shown = [
        f", {option}={{{', '.join(f'{name}: {_brief(array)}' for name, array in by_name.items())}}}"
        for option in ("gradient", "hessian", "hvp")
        if (by_name := getattr(reduced, option))
    ]
    return "".join(shown)
