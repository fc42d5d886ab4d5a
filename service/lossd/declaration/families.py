"""Families of losses: what many losses share is written once, and each declares its own formula alone.

residual_loss   rho(r), r = input - target: regression and robust losses
margin_loss     phi(m), m = target * input with labels of -1 and 1
pair_loss       each item of a batch against all others, from its row of cosines
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np

from lossd.declaration.alias import Alias
from lossd.declaration.boosting import AS_DERIVED, Boosting
from lossd.declaration.cost import BY_PATTERNS, Cost
from lossd.declaration.denominator import Denominator
from lossd.declaration.edge import Edge
from lossd.declaration.example import Example
from lossd.declaration.loss import Loss, loss
from lossd.declaration.picture import MARGIN, RESIDUAL, Picture
from lossd.declaration.result import Derivative, Normalizer, Pullback, Result, Thunk, evaluated
from lossd.declaration.roles import ItemLabels, Items, Real, Score, Sign
from lossd.message import Array
from lossd.numerics.directions import directions
from lossd.numerics.pair_cosines import pair_cosines
from lossd.numerics.polar import polar
from lossd.numerics.stable import times
from lossd.numerics.tiles import tile_rows, tiles


@dataclass(frozen=True)
class Curve:
    """A function of one variable, and its derivatives: each ``(rows,)`` and of the variable's dtype.

    Attributes:
        value: The function.
        slope: Its first derivative.
        curvature: Its second derivative.
        settings: Differentiable setting to the derivative with respect to it.
        slope_times: The slope times a factor, where the slope may underflow and the product not.
        curvature_times: The curvature times a factor, likewise.
    """

    value: Array
    slope: Thunk
    curvature: Thunk
    settings: Mapping[str, Thunk] = field(default_factory=dict)
    slope_times: Callable[[Array], Array] | None = None
    curvature_times: Callable[[Array], Array] | None = None


@dataclass(frozen=True)
class RowLoss:
    """The losses of some items of a batch, each a function of a row of numbers, and their derivatives.

    All are of the dtype of the row.

    Attributes:
        value: The loss of each item, ``(rows,)``.
        slope: Its derivative with respect to each number of its row, ``(rows, N)``.
        settings: Differentiable setting to the derivative with respect to it, ``(rows,)``.
    """

    value: Array
    slope: Thunk
    settings: Mapping[str, Thunk] = field(default_factory=dict)


Declare = Callable[[Callable[..., Curve]], Loss]


def residual_loss(
    *,
    formula: str,
    source: str,
    example: Example,
    aliases: tuple[Alias, ...] = (),
    where: tuple[str, ...] = (),
    symbols: Mapping[str, str] | None = None,
    weight: Literal["sum", "count"] | None = None,
    boosting: Boosting = AS_DERIVED,
    edges: tuple[Edge, ...] = (),
    cost: Cost = BY_PATTERNS,
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
            picture=RESIDUAL,
            where=(*where, "r = x - t"),
            symbols=symbols,
            weight=weight,
            boosting=boosting,
            edges=edges,
            cost=cost,
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
    edges: tuple[Edge, ...] = (),
    cost: Cost = BY_PATTERNS,
) -> Declare:
    """Declare a loss of the margin ``m = target * input`` by its function of m; the arguments are those of `loss`."""

    def declare(phi: Callable[..., Curve]) -> Loss:
        def kernel(input: Array, target: Array, **settings: Any) -> Result:
            curve = phi(target * input, **settings)

            def slope(factor: Array) -> Array:
                if curve.slope_times is not None:
                    return curve.slope_times(factor)
                return times(evaluated(curve.slope), factor)

            def second(factor: Array) -> Array:
                if curve.curvature_times is not None:
                    return curve.curvature_times(factor * factor)
                return times(evaluated(curve.curvature), factor * factor)

            def of_label(derivative: Array) -> Array:
                return np.where(target == 0, 0, derivative)  # whatever the input

            return Result(
                curve.value,
                {"input": lambda: of_label(slope(target)), "target": lambda: slope(input), **curve.settings},
                {"input": lambda: of_label(second(target)), "target": lambda: second(input)},
            )

        declaration = loss(
            formula=formula,
            source=source,
            example=example,
            aliases=aliases,
            picture=MARGIN,
            where=("m = t x",),
            long_double=True,
            boosting=boosting,
            edges=edges,
            cost=cost,
        )
        return declaration(_signed(kernel, phi, input=Score, target=Sign))

    return declare


def pair_loss(
    *,
    formula: str,
    source: str,
    example: Example,
    picture: Picture | None = None,
    where: tuple[str, ...] = (),
    aliases: tuple[Alias, ...] = (),
    normalizer: Callable[..., Normalizer | None] | None = None,
    denominator: Denominator | None = None,
    edges: tuple[Edge, ...] = (),
) -> Callable[[Callable[..., RowLoss]], Loss]:
    """Declare a loss of each item of a batch against the others by its function of a row of cosines.

    The function takes some rows of three matrices ``(N, N)``, and returns their `RowLoss`: the cosines, each row less
    its largest, as what is compared are the cosines of one item; whether two items have the same label, where
    no item is its own other; and whether they have different ones. The rows come tile by tile, so that memory grows
    with N times a tile, and are computed again for gradients where they are more than one tile. The arguments are
    those of `loss`.
    """

    def declare(term: Callable[..., RowLoss]) -> Loss:
        def kernel(embeddings: Array, labels: Array, **settings: Any) -> Result:
            count, found = len(labels), directions(embeddings)
            cosines = pair_cosines(found)

            def by_tiles() -> Iterator[tuple[slice, RowLoss]]:
                for here in tiles(count, count):
                    same = labels[here, None] == labels
                    other = ~same
                    same[np.arange(len(same)), np.arange(here.start, here.stop)] = False
                    yield here, term(cosines.rows(here, same | other), same, other, **settings)

            kept = [*by_tiles()] if count <= tile_rows(count) else None

            def of_embeddings(upstream: Array) -> Array:
                turned = np.zeros_like(found.unit)
                for here, rows in kept or by_tiles():
                    weight = upstream[here, None].astype(turned.dtype)
                    slope = times(weight, evaluated(rows.slope))
                    turned[here] += slope @ found.unit
                    turned += slope.T @ found.unit[here]
                return found.vjp(turned, dtype=upstream.dtype)

            def of_setting(name: str) -> Array:
                parts = [evaluated(rows.settings[name]) for _, rows in kept or by_tiles()]
                return np.concatenate(parts) if parts else np.zeros(0, embeddings.dtype)

            value = np.empty_like(cosines.half)
            names: set[str] = set()
            for here, rows in kept or by_tiles():
                value[here] = rows.value
                names |= rows.settings.keys()
            by_setting = {name: partial(of_setting, name) for name in names}
            return Result(value, {"embeddings": Pullback(of_embeddings), **by_setting})

        declaration = loss(
            formula=formula,
            source=source,
            example=example,
            picture=picture,
            where=where,
            aliases=aliases,
            gradient=("embeddings",),
            value="(N)",
            normalizer=normalizer,
            denominator=denominator,
            edges=edges,
            cost=Cost(workspace="(8, N, D)", tile="(8, N)", work="(5, N, N)", products="(N, N, D)"),
        )
        return declaration(_signed(kernel, term, embeddings=Items, labels=ItemLabels))

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
