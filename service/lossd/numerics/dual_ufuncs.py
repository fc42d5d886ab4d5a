"""Applies the rules of `dual_rules`: values and tangents of a ufunc's operands in, value and tangent out.

Operands are a list of values and a list of tangents, in which None stands for a plain operand. A result whose tangent
is None holds truth values, which have none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from lossd.message import Array
from lossd.numerics.dual_rules import (
    ASSOCIATIVE,
    EXTREMES,
    PARTIALS,
    PRODUCTS,
    STEPS,
    NoDerivative,
    Quotient,
)

Options = Mapping[str, Any]
Pair = tuple[Any, Any]


def call(ufunc: np.ufunc, values: Sequence[Any], tangents: Sequence[Any], options: Options) -> Pair:
    """Call a ufunc; ``out`` among the options is a plain array that holds numbers where ``where`` is false."""
    name = ufunc.__name__
    if name in STEPS:
        value = ufunc(*values, **options)
        return value, np.zeros_like(value)
    if name in PRODUCTS and not options.keys() & {"where", "out"}:
        return product(ufunc, values, tangents, options)
    if name not in PARTIALS or options.keys() - {"dtype", "casting", "where", "out"}:
        raise _no_rule(name, options)
    value = np.asarray(ufunc(*values, **options))
    return value, _tangent(name, values, tangents, value)


def product(function: Any, values: Sequence[Any], tangents: Sequence[Any], options: Options) -> Pair:
    """Call a function that is linear in each operand: its derivative has each in turn replaced by the tangent."""
    value = function(*values, **options)
    with np.errstate(all="ignore"):  # the values themselves have warned
        parts = [
            function(*values[:place], tangent, *values[place + 1 :], **options)
            for place, tangent in enumerate(tangents)
            if tangent is not None
        ]
        return value, sum(parts[1:], start=parts[0]) if parts else np.zeros_like(value)


def reduce(ufunc: np.ufunc, value: Array, tangent: Array, options: Options) -> Pair:
    """Reduce axes; ``initial`` among the options is plain."""
    name = ufunc.__name__
    if name == "add":
        unmoved = {"initial": 0} if "initial" in options else {}
        return ufunc.reduce(value, **options), _quietly(ufunc.reduce, tangent, **{**options, **unmoved})
    if name not in ASSOCIATIVE or options.keys() - {"axis", "keepdims", "initial"}:
        raise _no_rule(f"{name}.reduce", options)
    result = np.asarray(ufunc.reduce(value, **options))
    axis = options.get("axis", 0)
    axes = normalize_axis_tuple(range(value.ndim) if axis is None else axis, value.ndim)
    if name in EXTREMES:
        kept = [1 if axis in axes else length for axis, length in enumerate(value.shape)]
        moved = _quietly(_tangent_of_extreme, value, tangent, result.reshape(kept), axes)
    else:
        moved = _quietly(_reduce_pairs, ufunc, _leading(value, axes), _leading(tangent, axes), options)
    return result, moved.reshape(result.shape)


def accumulate(ufunc: np.ufunc, value: Array, tangent: Array, options: Options) -> Pair:
    """Accumulate along an axis."""
    name = ufunc.__name__
    if name == "add":
        return ufunc.accumulate(value, **options), _quietly(ufunc.accumulate, tangent, **options)
    if name not in ASSOCIATIVE or options.keys() - {"axis"}:
        raise _no_rule(f"{name}.accumulate", options)
    axis = options.get("axis", 0)
    moved = _quietly(_accumulate_pairs, ufunc, np.moveaxis(value, axis, 0), np.moveaxis(tangent, axis, 0))
    return ufunc.accumulate(value, axis), np.moveaxis(moved, 0, axis)


def _no_rule(name: str, options: Options) -> NoDerivative:
    return NoDerivative(f"no rule for the derivative of {name}({', '.join(['...', *options])})")


def _quietly(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Compute tangents without floating-point warnings."""
    with np.errstate(all="ignore"):
        return function(*arguments, **options)


def _tangent(name: str, values: Sequence[Any], tangents: Sequence[Any], result: Array) -> Array:
    """Return the sum over the operands of partial derivative times tangent."""
    dtype = result.dtype
    operands = [np.asarray(value).astype(dtype, copy=False) for value in values]
    with np.errstate(all="ignore"):
        contributions = [
            _contribution(partial(*operands, result), tangent.astype(dtype, copy=False))
            for partial, tangent in zip(PARTIALS[name], tangents, strict=True)
            if tangent is not None
        ]
        return sum(contributions[1:], start=contributions[0]) if contributions else np.zeros_like(result)


def _contribution(derivative: Any, tangent: Array) -> Array:
    """Return derivative times tangent; 0 where the tangent is 0, since what does not move contributes nothing."""
    contribution: Array
    if isinstance(derivative, Quotient):
        contribution = np.divide(tangent, derivative.denominator)
        if type(derivative.numerator) is not int:  # 1
            contribution = np.multiply(contribution, derivative.numerator)
    else:
        contribution = np.multiply(derivative, tangent)
    if type(derivative) is not int and not np.isfinite(contribution).all():
        contribution = np.where(tangent == 0, 0, contribution)
    return contribution


def _tangent_of_extreme(value: Array, tangent: Array, extreme: Array, axes: tuple[int, ...]) -> Array:
    """Return the tangent of the number taken; of several that tie, their mean."""
    taken = (value == extreme) | (np.isnan(value) & np.isnan(extreme))
    count = np.maximum(np.add.reduce(taken, axis=axes), 1)
    mean: Array = np.add.reduce(np.where(taken, tangent, 0), axis=axes) / count
    return mean


def _leading(numbers: Array, axes: tuple[int, ...]) -> Array:
    """Move axes to the front and flatten them to one."""
    moved = np.moveaxis(numbers, axes, range(len(axes)))
    rest = moved.shape[len(axes) :]
    return moved.reshape(prod(moved.shape[: len(axes)]), *rest)


def _reduce_pairs(ufunc: np.ufunc, value: Array, tangent: Array, options: Options) -> Array:
    """Return the tangent of the first axis' reduction, by halves: log2(n) calls."""
    if not len(value):
        return np.zeros(value.shape[1:], value.dtype)
    while len(value) > 1:
        half = len(value) // 2
        low, high, odd = slice(half), slice(half, 2 * half), slice(2 * half, None)
        pair = call(ufunc, [value[low], value[high]], [tangent[low], tangent[high]], {})
        value, tangent = (
            np.concatenate([new, old[odd]]) for new, old in zip(pair, (value, tangent), strict=True)
        )
    if "initial" in options:
        return call(ufunc, [options["initial"], value], [None, tangent], {})[1][0]  # type: ignore[no-any-return]
    return tangent[0]  # type: ignore[no-any-return]


def _accumulate_pairs(ufunc: np.ufunc, value: Array, tangent: Array) -> Array:
    """Return the tangent of accumulating along the first axis, by doubling: log2(n) calls (Hillis and Steele 1986)."""
    reach = 1
    while reach < len(value):
        first, before, after = slice(reach), slice(-reach), slice(reach, None)
        pair = call(ufunc, [value[before], value[after]], [tangent[before], tangent[after]], {})
        value, tangent = (
            np.concatenate([old[first], new]) for new, old in zip(pair, (value, tangent), strict=True)
        )
        reach *= 2
    return tangent
