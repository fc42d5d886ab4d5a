"""Families of losses: what many losses share is written once, and each declares its own formula alone.

residual_loss   rho(r), r = input - target: regression and robust losses
margin_loss     phi(m), m = target * input with labels of -1 and 1
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from lossd.declaration.alias import Alias
from lossd.declaration.loss import AS_DERIVED, Boosting, Example, Loss, loss
from lossd.declaration.result import Derivative, Result, Thunk, evaluated
from lossd.declaration.roles import Real, Sign
from lossd.message import Array
from lossd.numerics.polar import polar
from lossd.numerics.stable import times


@dataclass(frozen=True)
class Curve:
    """A function of one variable, and its derivatives.

    Attributes:
        value: The function.
        slope: Its first derivative.
        curvature: Its second derivative.
        settings: Differentiable setting to the derivative with respect to it.
    """

    value: Array
    slope: Thunk
    curvature: Thunk
    settings: Mapping[str, Thunk] = field(default_factory=dict)


Declare = Callable[[Callable[..., Curve]], Loss]


def residual_loss(
    *,
    formula: str,
    source: str,
    example: Example,
    aliases: tuple[Alias, ...] = (),
    weight: Literal["sum", "count"] | None = None,
    boosting: Boosting = AS_DERIVED,
) -> Declare:
    """Declare a loss of the residual ``r = input - target`` by its function of r, which is even.

    Complex residuals enter by their absolute value, and gradients follow PyTorch's convention: that of a real loss with
    respect to ``z = x + iy`` is ``dL/dx + i dL/dy``. The arguments are those of `loss`.
    """

    def declare(rho: Callable[..., Curve]) -> Loss:
        def kernel(input: Array, target: Array, **settings: Any) -> Result:
            residual = input - target
            if residual.dtype.kind == "c":
                size, direction = polar(residual)
                real = {name: x.real if isinstance(x, np.ndarray) else x for name, x in settings.items()}
                return _turned(rho(size, **real), direction)
            curve = rho(residual, **settings)
            slope, second = curve.slope, curve.curvature
            gradient: dict[str, Derivative] = {"input": slope, "target": lambda: -evaluated(slope)}
            return Result(curve.value, {**gradient, **curve.settings}, {"input": second, "target": second})

        declaration = loss(
            formula=formula,
            source=source,
            example=example,
            aliases=aliases,
            weight=weight,
            boosting=boosting,
            of_residual=True,
        )
        return declaration(_signed(kernel, rho, input=Real, target=Real))

    return declare


def margin_loss(
    *,
    formula: str,
    source: str,
    example: Example,
    aliases: tuple[Alias, ...] = (),
    boosting: Boosting = AS_DERIVED,
) -> Declare:
    """Declare a loss of the margin ``m = target * input`` by its function of m; the arguments are those of `loss`."""

    def declare(phi: Callable[..., Curve]) -> Loss:
        def kernel(input: Array, target: Array, **settings: Any) -> Result:
            curve = phi(target * input, **settings)
            slope, second = curve.slope, curve.curvature
            return Result(
                curve.value,
                {
                    "input": lambda: times(target, evaluated(slope)),
                    "target": lambda: times(evaluated(slope), input),
                    **curve.settings,
                },
                {
                    "input": lambda: times(target * target, evaluated(second)),
                    "target": lambda: times(evaluated(second), input * input),
                },
            )

        declaration = loss(
            formula=formula, source=source, example=example, aliases=aliases, boosting=boosting
        )
        return declaration(_signed(kernel, phi, input=Real, target=Sign))

    return declare


def _turned(curve: Curve, direction: Array) -> Result:
    """Return the result for complex residuals in these directions, from that for their absolute values."""

    def turned(sign: float) -> Array:
        slope = sign * evaluated(curve.slope)
        gradient = np.empty_like(direction)
        gradient.real, gradient.imag = times(slope, direction.real), times(slope, direction.imag)
        return gradient

    gradient: dict[str, Derivative] = {"input": lambda: turned(1.0), "target": lambda: turned(-1.0)}
    return Result(curve.value, {**gradient, **curve.settings})


def _signed(kernel: Callable[..., Result], own: Callable[..., Any], **arrays: Any) -> Callable[..., Result]:
    """Give a family's kernel the name, docstring and settings of one of its losses, and the family's arrays."""
    settings = [p for p in inspect.signature(own).parameters.values() if p.kind is p.KEYWORD_ONLY]
    given = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in arrays]
    hints = inspect.get_annotations(own, eval_str=True)
    kernel.__signature__ = inspect.Signature([*given, *settings])  # type: ignore[attr-defined]
    kernel.__annotations__ = arrays | {setting.name: hints[setting.name] for setting in settings}
    kernel.__name__, kernel.__qualname__, kernel.__doc__ = own.__name__, own.__qualname__, own.__doc__
    kernel.__module__, kernel.__wrapped__ = own.__module__, own  # type: ignore[attr-defined]
    return kernel
