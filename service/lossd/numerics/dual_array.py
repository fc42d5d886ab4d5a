"""The container of dual numbers: an array and its tangent, indexed, viewed and assigned to together.

A tangent has the shape, dtype and strides of its value, so that a view of one is a view of the other, and a number
written through a view reaches both. Nothing here becomes a plain array: every conversion raises `NoDerivative`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NoReturn, Self

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from lossd.message import Array
from lossd.numerics.dual_rules import NoDerivative

_DESCRIPTION = frozenset({"shape", "ndim", "size", "dtype", "itemsize", "nbytes", "strides", "flags"})
# Methods that are a function of NumPy whose first argument is the array.
_METHODS = frozenset(
    {
        *("sum", "mean", "prod", "max", "min", "cumsum", "cumprod", "dot", "trace", "clip"),
        *("all", "any", "argmax", "argmin", "argsort", "nonzero", "searchsorted"),
        *("copy", "diagonal", "ravel", "repeat", "squeeze", "swapaxes", "take"),
    }
)
# What an array's own ** computes for these exponents.
_POWERS = {2: np.square, 1: np.positive, 0.5: np.sqrt, -1: np.reciprocal}


class DualArray(NDArrayOperatorsMixin):
    """A real array and its derivative along one direction; `lossd.numerics.dual.Dual` adds NumPy's functions.

    Attributes:
        value: The numbers, of a real floating dtype.
        tangent: Their derivative, of the same shape, dtype and strides.
    """

    __slots__ = ("tangent", "value")
    __hash__ = None  # type: ignore[assignment]  # an array is not hashable
    value: Array
    tangent: Array

    def __init__(self, value: Array, tangent: Array) -> None:
        if value.dtype.kind != "f":
            raise NoDerivative(f"expected real floating-point numbers, got {value.dtype}")
        if (tangent.shape, tangent.strides, tangent.dtype) != (value.shape, value.strides, value.dtype):
            copied = np.empty_like(value)
            copied[...] = tangent
            if copied.strides != value.strides:  # a view with gaps, whose strides no new array has
                value = value.copy("K")
            tangent = copied
        self.value, self.tangent = value, tangent

    def __repr__(self) -> str:
        return f"Dual({self.value!r}, {self.tangent!r})"

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse to become a plain array."""
        raise NoDerivative("a dual array cannot become a plain one, which would lose its tangent")

    def __float__(self) -> NoReturn:
        raise NoDerivative("a dual number cannot become a float, which would lose its tangent")

    __int__ = __complex__ = __float__

    def __bool__(self) -> bool:
        return bool(self.value)

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[Self]:
        return (self[row] for row in range(len(self)))

    def __getitem__(self, index: Any) -> Self:
        return type(self)(np.asarray(self.value[index]), np.asarray(self.tangent[index]))

    def __setitem__(self, index: Any, numbers: Any) -> None:
        value, tangent = value_of(numbers), tangent_of(numbers)
        self.value[index] = value
        self.tangent[index] = tangent

    def __pow__(self, exponent: Any) -> Any:
        power = _POWERS.get(exponent) if isinstance(exponent, int | float) else None
        return power(self) if power else np.power(self, exponent)

    def __getattr__(self, name: str) -> Any:
        if name in _DESCRIPTION:
            return getattr(self.value, name)
        if name in _METHODS:
            return partial(getattr(np, name), self)
        if hasattr(np.ndarray, name) and not name.startswith("__"):
            raise NoDerivative(f"no rule for an array's {name}")
        raise AttributeError(f"a dual array has no {name}")

    @property
    def T(self) -> Self:
        """The array with its axes reversed."""
        return self.transpose()

    @property
    def real(self) -> Self:
        """The array itself."""
        return self

    def transpose(self, *axes: Any) -> Self:
        """Return a view with the axes in another order."""
        return type(self)(self.value.transpose(*axes), self.tangent.transpose(*axes))

    def reshape(self, *shape: Any, **options: Any) -> Self:
        """Return a view of another shape; a copy where an array's own method returns one."""
        return type(self)(self.value.reshape(*shape, **options), self.tangent.reshape(*shape, **options))

    def flatten(self) -> Self:
        """Return a flat copy."""
        return type(self)(self.value.flatten(), self.tangent.flatten())

    def fill(self, number: Any) -> None:
        """Assign one number to all places."""
        self[...] = number

    def astype(self, dtype: Any, **options: Any) -> Any:
        """Return a copy of another precision; whole numbers and truth values change in steps and are plain."""
        value = self.value.astype(dtype, **options)
        return (
            value if value.dtype.kind in "biu" else type(self)(value, self.tangent.astype(dtype, **options))
        )


def value_of(operand: Any) -> Any:
    """Return the value of a dual array, also within lists and tuples, and anything else as it is."""
    if isinstance(operand, DualArray):
        return operand.value
    return _each(value_of, operand)


def tangent_of(operand: Any) -> Any:
    """Return the tangent of a dual array, also within lists and tuples, 0 for other numbers, and all else as it is."""
    if isinstance(operand, DualArray):
        return operand.tangent
    if isinstance(operand, np.ndarray | np.generic):
        return np.zeros_like(operand)
    return 0 if isinstance(operand, int | float) else _each(tangent_of, operand)


def is_dual(operand: Any) -> bool:
    """Return whether a dual array is somewhere in an operand."""
    return isinstance(operand, DualArray) or (
        isinstance(operand, list | tuple) and any(map(is_dual, operand))
    )


def _each(part: Callable[[Any], Any], operand: Any) -> Any:
    if isinstance(operand, list):
        return [part(item) for item in operand]
    return tuple(map(part, operand)) if isinstance(operand, tuple) else operand
