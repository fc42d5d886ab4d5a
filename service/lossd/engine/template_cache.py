"""Keeps the templates of calls by their signature: loss, names, shapes and types of the arrays, and options.

Most calls of a training loop have the signature of the one before. What follows from it is made once, of arrays of
these shapes and types that hold only zeros and take no memory, and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np

from lossd.declaration.loss import Loss
from lossd.declaration.pattern import Shape
from lossd.engine.limits import CostLimits
from lossd.errors import InvalidCall, TooExpensive
from lossd.message import Array, Call

T = TypeVar("T")
Make = Callable[[Loss, Call, int, CostLimits | None], T]
# An option's value as a key: equal values of different types, as 1 and True, are different calls.
_Key = tuple[type, Any]
_Option = tuple[str, type, Any]
_ArraySpec = tuple[str, Shape, np.dtype[Any]]
# Types of options that are kept, and how many options and items of a list: a caller must not fill the memory.
# Nor can text do so: what is kept has passed the checks, so it is a name that the loss knows.
_SCALARS = frozenset([bool, int, float, str, type(None)])
_LONGEST = 32

MOST_TEMPLATES, LARGEST_TEMPLATE = 512, 16 << 10
"""Templates that are kept, and the bytes that one of them may have: 7 KiB for most, 10 with many reductions."""


class _NotKept(Exception):
    """An option is not of a type that is kept."""


def cached_template(make: Make[T], loss: Loss, call: Call, block_bytes: int, limits: CostLimits | None) -> T:
    """Return the template of calls of this one's signature.

    Args:
        make: Makes a template of a call; the arguments below are its own.
        loss: What to evaluate.
        call: A call of that signature.
        block_bytes: About the size of the widest argument's block.
        limits: What such a call may cost.

    Raises:
        InvalidCall: ``make`` refuses the call.
    """
    if loss.ragged and (
        "group" in call.arrays or "mask" in call.arrays
    ):  # the shapes do not say how long lists are
        return make(loss, call, block_bytes, limits)
    try:
        specs, options = _array_specs(call.arrays), _option_keys(call.options)
        template: T = _template_of_zeros(make, loss, specs, options, block_bytes, limits)
    except TooExpensive:  # to bind the call's own arrays might copy what is refused
        raise
    except InvalidCall as error:
        if error.of_signature:
            raise
        return make(loss, call, block_bytes, limits)  # errors are to show the call's own values
    except _NotKept:
        return make(loss, call, block_bytes, limits)
    return template


@lru_cache(maxsize=MOST_TEMPLATES)
def _template_of_zeros(
    make: Make[Any],
    loss: Loss,
    specs: tuple[_ArraySpec, ...],
    options: tuple[_Option, ...],
    block_bytes: int,
    limits: CostLimits | None,
) -> Any:
    """Make the template of a signature, of a call whose arrays hold zeros; errors are not kept."""
    zeros = {name: np.broadcast_to(np.zeros((), dtype), shape) for name, shape, dtype in specs}
    call = Call(zeros, {name: _value((kind, key)) for name, kind, key in options})
    return make(loss, call, block_bytes, limits)


def _array_specs(arrays: Mapping[str, Array]) -> tuple[_ArraySpec, ...]:
    return tuple([(name, array.shape, array.dtype) for name, array in arrays.items()])


def _option_keys(options: Mapping[str, Any]) -> tuple[_Option, ...]:
    """Return options as a key of the cache.

    Raises:
        _NotKept: There are too many, or one is not of a type that is kept.
    """
    if len(options) > _LONGEST:
        raise _NotKept
    return tuple(
        [
            (name, value.__class__, value) if value.__class__ in _SCALARS else (name, *_key(value))
            for name, value in options.items()
        ]
    )


def _key(value: Any) -> _Key:
    """Return an option's type, and its value as something that can be hashed."""
    kind = value.__class__
    if kind is list:
        if len(value) > _LONGEST:
            raise _NotKept
        return kind, tuple(map(_key, value))
    if kind not in _SCALARS:
        raise _NotKept
    return kind, value


def _value(key: _Key) -> Any:
    """Return the value that `_key` made a key of."""
    kind, value = key
    return list(map(_value, value)) if kind is list else value
