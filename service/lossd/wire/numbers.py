"""Reads one JSON value as the array it means: numbers, nested lists, base64 tensors and complex pairs.

A list is read level by level, each level one list of everything on it, so that the checks are calls over
whole levels and nothing recurses however deep a body nests. Only a level that is wrong is searched for its
first wrong item, whose index path the error names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from lossd.errors import LossdError, invalid, malformed
from lossd.message import Array
from lossd.wire import tensor
from lossd.wire.budget import Budget
from lossd.wire.pieces import PIECE_ITEMS, joined, slices
from lossd.wording import described

NON_FINITE: Mapping[str, float] = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}
_SPELLINGS = {
    "nan": "NaN",
    **dict.fromkeys(("inf", "infinity"), "Infinity"),
    **dict.fromkeys(("-inf", "-infinity"), "-Infinity"),
}
"""How JSON, which has no tokens for them, spells the numbers that are not finite."""

COMPLEX_PARTS = frozenset({"real", "imag"})
"""The members of an object that is an array of complex numbers."""

T = TypeVar("T")
_Shape = tuple[int, ...]


def read_array(value: Any, at: str, budget: Budget) -> Array:
    """Read the array that a JSON value means, at the place ``at`` of the body.

    Integers become int64 (uint64, then float64, where they do not fit), other numbers float64, booleans bool;
    an empty list is float64. A value that is an array already has been checked and is only counted.

    Raises:
        InvalidCall: It means no array: ragged, mixed, not of numbers, or a wrong tensor object.
        MalformedBody: It is nested deeper than the limit.
        BodyTooLarge: It exceeds the budget.
    """
    if type(value) is np.ndarray:
        budget.take(value.size, at)
        return value
    if type(value) is not dict:
        return _from_lists(value, at, budget)
    if value.keys() == COMPLEX_PARTS:
        return _from_parts(value, at, budget)
    if "real" in value or "imag" in value:
        raise invalid(at, "an object with real and imag", ", ".join(sorted(value))[:60])
    return tensor.from_base64(value, at, budget)


def _from_parts(value: Mapping[str, Any], at: str, budget: Budget) -> Array:
    real, imag = (_real_array(value[part], f"{at}.{part}", budget) for part in ("real", "imag"))
    if real.shape != imag.shape:
        raise invalid(
            f"{at}.imag", f"shape {list(real.shape)} as at `{at}.real`", f"shape {list(imag.shape)}"
        )
    joined = np.empty(real.shape, np.result_type(real.dtype, imag.dtype, np.complex64))
    joined.real, joined.imag = real, imag
    return joined


def _real_array(value: Any, at: str, budget: Budget) -> Array:
    if type(value) is dict and "real" in value:
        raise invalid(at, "real numbers", "complex numbers")
    part = read_array(value, at, budget)
    if part.dtype.kind in "bc":
        raise invalid(at, "real numbers", "booleans" if part.dtype.kind == "b" else "complex numbers")
    return part.astype(np.float32) if part.dtype == tensor.BFLOAT16 else part


def _from_lists(value: Any, at: str, budget: Budget) -> Array:
    shape: _Shape = (len(value),) if type(value) is list else ()
    level = value if shape else [value]
    while (types := types_in(level)) == _LISTS:
        if len(shape) == budget.limits.max_depth:
            raise malformed(at, f"at most {len(shape)} dimensions", "deeper nesting")
        budget.check(len(level), at)
        lengths = _distinct(len, level)
        if len(lengths) > 1:
            raise _uneven(level, at, shape)
        shape += (lengths.pop(),)
        level = joined(level, shape[-1])
    if list in types:
        raise _uneven(level, at, shape)
    budget.take(len(level), at)
    return read_numbers(level, types, at, shape)


def types_in(level: list[Any]) -> frozenset[type]:
    """Return the types of a list's items."""
    return frozenset(_distinct(type, level))


def _distinct(of: Callable[[Any], T], items: list[Any]) -> set[T]:
    if len(items) <= PIECE_ITEMS:
        return {*map(of, items)}
    return {each for part in slices(items) for each in {*map(of, part)}}


def read_numbers(level: list[Any], types: frozenset[type], at: str, shape: _Shape) -> Array:
    """Read a flat list of numbers, which has items of ``types``, as an array of that shape.

    Raises:
        InvalidCall: An item is not a number, or not a boolean although the first is one.
    """
    return read_piece(level, types, at, shape).reshape(shape)


def read_piece(
    level: list[Any],
    types: frozenset[type],
    at: str,
    shape: _Shape,
    *,
    before: int = 0,
    booleans: bool | None = None,
) -> Array:
    """Read some of the numbers of an array, which have ``types``.

    Args:
        level: The numbers.
        types: Their types.
        at: The place of the array.
        shape: The shape of the whole array.
        before: How many of its numbers come before these.
        booleans: Whether those are booleans; None if there are none.

    Raises:
        InvalidCall: An item is not a number, or not a boolean although the first of the array is one.
    """
    read = _READINGS.get(types)
    numbers = None if read is None else read(level)
    if numbers is None or booleans not in (None, numbers.dtype == np.bool_):
        first_is_boolean = type(level[0]) is bool if booleans is None else booleans
        raise _not_a_number(level, at, shape, before, booleans=first_is_boolean)
    return numbers


def _filled(level: list[Any], dtype: type[np.generic]) -> Array:
    if len(level) <= PIECE_ITEMS:
        return np.fromiter(level, dtype, len(level))
    array, end = np.empty(len(level), dtype), 0
    for part in slices(level):
        array[end : end + len(part)] = np.fromiter(part, dtype, len(part))
        end += len(part)
    return array


def _floats(level: list[Any]) -> Array:
    return _filled(level, np.float64)


def _booleans(level: list[bool]) -> Array:
    return _filled(level, np.bool_)


def _spelled_floats(level: list[float | str]) -> Array | None:
    """Read numbers of which some are spelled as strings; None where a string is no such spelling."""
    array, end = np.empty(len(level), np.float64), 0
    for part in slices(level):
        spelled: list[Any] = [NON_FINITE.get(item, item) if type(item) is str else item for item in part]
        if str in types_in(spelled):
            return None
        array[end : end + len(part)] = _floats(spelled)
        end += len(part)
    return array


def _integers(level: list[int]) -> Array:
    for dtype in (np.int64, np.uint64):
        try:
            return _filled(level, dtype)
        except OverflowError:
            continue
    return _floats(level)


_LISTS = frozenset([list])
_READINGS: Mapping[frozenset[type], Callable[[list[Any]], Array | None]] = {
    frozenset(): _floats,
    frozenset([float]): _floats,
    frozenset([int, float]): _floats,
    frozenset([int]): _integers,
    frozenset([bool]): _booleans,
    frozenset([str]): _spelled_floats,
    frozenset([str, int]): _spelled_floats,
    frozenset([str, float]): _spelled_floats,
    frozenset([str, int, float]): _spelled_floats,
}
"""Types of value that an array may hold together, to what reads them."""


def _uneven(level: list[Any], at: str, shape: _Shape) -> LossdError:
    """Build the error for a level on which not every item is a list as long as the first."""
    sizes = [len(item) if type(item) is list else None for item in level]
    wrong = next(index for index, size in enumerate(sizes) if size != sizes[0])
    expected = f"{described(level[0])} as at `{_place(at, shape, 0)}`"
    return invalid(_place(at, shape, wrong), expected, described(level[wrong]))


def _not_a_number(level: list[Any], at: str, shape: _Shape, before: int, *, booleans: bool) -> LossdError:
    if booleans:
        wrong = next(index for index, item in enumerate(level) if type(item) is not bool)
        expected = f"a boolean as at `{_place(at, shape, 0)}`"
    else:
        wrong = next(index for index, item in enumerate(level) if not _is_number(item))
        expected = "a number" if shape else "a number, nested lists of numbers, or a tensor object"
        if level[wrong] is None:  # what other writers of JSON make of NaN and infinity
            expected += ' (NaN and Infinity are written as the strings "NaN", "Infinity")'
    place = _place(at, shape, before + wrong)
    return invalid(place, expected, described(level[wrong]) + _spelling(level[wrong]))


def _spelling(item: Any) -> str:
    """Return the string of the number without digits that another spelling means."""
    meant = _SPELLINGS.get(item.casefold().removeprefix("+")) if type(item) is str else None
    return f'; did you mean "{meant}"?' if meant else ""


def _is_number(item: Any) -> bool:
    return type(item) in (int, float) or (type(item) is str and item in NON_FINITE)


def _place(at: str, shape: _Shape, index: int) -> str:
    return at + "".join(f"[{step}]" for step in np.unravel_index(index, shape)) if shape else at
