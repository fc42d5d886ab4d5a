"""How NumPy's functions, other than ufuncs, act on dual numbers: four tables.

A function that is linear in some of its parameters is applied to the values, and then to the tangents in their place,
where a plain array has a tangent of 0. The tables name the parameters that may be given by position, so that an
``out`` cannot hide among them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from lossd.numerics.dual_rules import NoDerivative


class Linear(NamedTuple):
    """A function that is linear in some parameters together.

    Attributes:
        positional: Parameters that may be given by position.
        data: Those in which it is linear.
    """

    positional: tuple[str, ...]
    data: tuple[str, ...]


def _linear(positional: str, data: str) -> Linear:
    return Linear(tuple(positional.split()), tuple(data.split()))


LINEAR: Mapping[Any, Linear] = {
    # Sums.
    np.sum: _linear("a axis dtype", "a initial"),
    np.mean: _linear("a axis dtype", "a"),
    np.cumsum: _linear("a axis dtype", "a"),
    np.trace: _linear("a offset axis1 axis2", "a"),
    np.diff: _linear("a n axis prepend append", "a prepend append"),
    np.bincount: _linear("x weights minlength", "weights"),
    # Choices.
    np.where: _linear("condition x y", "x y"),
    np.select: _linear("condlist choicelist default", "choicelist default"),
    np.take: _linear("a indices axis", "a"),
    np.take_along_axis: _linear("arr indices axis", "arr"),
    np.diagonal: _linear("a offset axis1 axis2", "a"),
    np.tril: _linear("m k", "m"),
    np.triu: _linear("m k", "m"),
    # Copies.
    np.copy: _linear("a order", "a"),
    np.concatenate: _linear("arrays axis", "arrays"),
    np.stack: _linear("arrays axis", "arrays"),
    np.vstack: _linear("tup", "tup"),
    np.hstack: _linear("tup", "tup"),
    np.append: _linear("arr values axis", "arr values"),
    np.repeat: _linear("a repeats axis", "a"),
    np.tile: _linear("A reps", "A"),
    np.roll: _linear("a shift axis", "a"),
    # Views.
    np.reshape: _linear("a shape order", "a"),
    np.ravel: _linear("a order", "a"),
    np.transpose: _linear("a axes", "a"),
    np.swapaxes: _linear("a axis1 axis2", "a"),
    np.moveaxis: _linear("a source destination", "a"),
    np.squeeze: _linear("a axis", "a"),
    np.expand_dims: _linear("a axis", "a"),
    np.broadcast_to: _linear("array shape", "array"),
    np.flip: _linear("m axis", "m"),
    np.real: _linear("val", "val"),
}
"""Functions whose result is linear in their data."""

ASSIGNMENTS: Mapping[Any, Linear] = {
    np.copyto: _linear("dst src casting where", "dst src"),
    np.put_along_axis: _linear("arr indices values axis", "arr values"),
    np.put: _linear("a ind v mode", "a v"),
    np.putmask: _linear("a mask values", "a values"),
    np.fill_diagonal: _linear("a val wrap", "a val"),
}
"""Functions that write into their first parameter, which has to be dual."""

PRODUCTS: Mapping[Any, int] = {
    np.dot: 2,
    np.vdot: 2,
    np.inner: 2,
    np.outer: 2,
    np.tensordot: 3,
    np.einsum: 99,  # its ``out`` has no position
}
"""Functions linear in each operand, and how many arguments they may be given by position."""

FLAT: frozenset[Any] = frozenset(
    getattr(np, name)
    for name in (
        *(
            "shape",
            "ndim",
            "size",
            "result_type",
            "iscomplexobj",
            "isrealobj",
            "may_share_memory",
            "shares_memory",
        ),
        *("argmax", "argmin", "argsort", "argpartition", "lexsort", "searchsorted", "digitize"),
        *("nonzero", "flatnonzero", "argwhere", "count_nonzero"),
        *("any", "all", "isposinf", "isneginf", "isclose", "allclose", "array_equal"),
    )
)
"""Functions whose results are no real numbers: they change in steps, if at all, and are plain."""

LIKE: frozenset[Any] = frozenset(getattr(np, name) for name in ("empty_like", "zeros_like", "ones_like"))
"""Functions that make an array of constants of the shape and type of their first parameter."""


def full_like(a: Any, fill_value: Any, **options: Any) -> Any:
    """Fill a new dual array."""
    filled = np.empty_like(a, **options)
    filled[...] = fill_value
    return filled


def clip(
    a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None, out: Any = None
) -> Any:
    """Clip as the minimum of a maximum, with the derivative of these."""
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    above = a if low is None else np.maximum(a, low)
    return np.positive(above, out=out) if high is None else np.minimum(above, high, out=out)


def sort(a: Any, axis: int | None = -1, **_: Any) -> Any:
    """Sort stably by the value."""
    return np.take_along_axis(a, np.argsort(a, axis=axis, stable=True), axis)


def cumprod(a: Any, axis: int | None = None) -> Any:
    """Accumulate products, of the flattened array without an axis."""
    return np.multiply.accumulate(np.ravel(a) if axis is None else a, axis=axis or 0)


def pad(array: Any, pad_width: Any, mode: str = "constant", constant_values: float = 0) -> Any:
    """Pad with a constant, or gather what the mode repeats."""
    widths = np.broadcast_to(np.asarray(pad_width), (array.ndim, 2)).tolist()
    if mode == "constant":
        shape = [low + length + high for length, (low, high) in zip(array.shape, widths, strict=True)]
        padded = full_like(array, constant_values, shape=shape)
        padded[tuple(slice(low, low + n) for n, (low, _) in zip(array.shape, widths, strict=True))] = array
        return padded
    if mode not in {"edge", "reflect", "symmetric", "wrap"}:
        raise NoDerivative(f"no rule for pad with the mode {mode!r}")
    for axis, width in enumerate(widths):
        array = np.take(array, np.pad(np.arange(array.shape[axis]), width, mode=mode), axis=axis)  # type: ignore[call-overload]  # the mode is one of four
    return array


def _reduction(ufunc: np.ufunc) -> Callable[..., Any]:
    return lambda a, axis=None, **options: ufunc.reduce(a, axis=axis, **options)


COMPOSED: Mapping[Any, Callable[..., Any]] = {
    np.full_like: full_like,
    np.clip: clip,
    np.sort: sort,
    np.prod: _reduction(np.multiply),
    np.max: _reduction(np.maximum),
    np.amax: _reduction(np.maximum),
    np.min: _reduction(np.minimum),
    np.amin: _reduction(np.minimum),
    np.cumprod: cumprod,
    np.pad: pad,
}
"""Functions made of others that have rules."""
