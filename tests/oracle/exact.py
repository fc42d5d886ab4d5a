"""Compares an answer with the exact one: in units in the last place.

An exact result is given as its addends, so that the error allowed is known too: a few units in the last
place of what is added up. Where nothing cancels there is one addend, and the bound is relative.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from mpmath import MPContext

# 1 + exp(-745), the smallest that float64 knows of a softmax's tail, takes 324 digits more than the answer's.
MP = MPContext()
MP.dps = 360
Number = Any  # an mpf
Addends = tuple[Number, ...]
ZERO = MP.mpf(0)
ZERO_ADDENDS: Addends = (ZERO,)


def numbers(array: Any) -> Any:
    """Return an array as nested lists of exact numbers."""
    if isinstance(array, list | tuple):
        return [numbers(part) for part in array]
    array = np.asarray(array)
    if array.ndim:
        return [numbers(part) for part in array]
    return int(array) if array.dtype.kind in "iu" else MP.mpf(float(array))


def times(factor: Number, value: Number) -> Number:
    """Return a product in which nothing times infinity is nothing."""
    return MP.mpf(0) if factor == 0 else factor * value


def exp(value: Number) -> Number:
    """Return the exponential, as 0 where no floating-point type can tell it from 0."""
    return MP.mpf(0) if value < -20_000 else exp_of_any(value)


def exp_of_any(value: Number) -> Number:
    """Return the exponential, of numbers of any size."""
    return MP.mpf(0) if value == MP.ninf else _exp(value, MP.prec)


@lru_cache(maxsize=1024)
def _exp(value: Number, precision: int) -> Number:
    """Return the exponential, which is asked for again for all inputs but the one that has changed."""
    return MP.exp(value)


def ulps_off(got: Any, addends: Addends) -> float:
    """Return how far ``got`` is from the addends' sum, in its type's spacing at the sum of their sizes."""
    got = np.asarray(got)
    exact, size = MP.fsum(addends), MP.fsum(addends, absolute=True)
    if MP.isnan(exact):
        return 0.0 if np.isnan(got) else np.inf
    limit = np.finfo(got.dtype)
    if abs(exact) > MP.mpf(float(limit.max)) * (1 + 8 * MP.mpf(float(limit.eps))):
        return 0.0 if np.isinf(got) and (got > 0) == (exact > 0) else np.inf
    if not np.isfinite(got):
        return np.inf
    scale = got.dtype.type(min(size, MP.mpf(float(limit.max) / 2)))
    return float(abs(MP.mpf(float(got)) - exact) / MP.mpf(float(np.spacing(scale))))


def worst(got: Any, truth: Any) -> tuple[float, tuple[int, ...], str]:
    """Return the largest error of an array in ulps, its place, and a sentence that shows it."""
    got = np.asarray(got)
    pairs = list(_pairs(got, truth, ()))
    assert len(pairs) == got.size, f"the answer has shape {got.shape}, the truth {len(pairs)} numbers"
    errors = [(ulps_off(value, addends), where, value, addends) for where, value, addends in pairs]
    if not errors:
        return 0.0, (), ""
    error, where, value, addends = max(errors, key=lambda entry: entry[0])
    exact = MP.nstr(MP.fsum(addends), 20)
    return error, where, f"{error:.3g} ulp off at {list(where)}: got {value!r}, expected {exact}"


def summed(parts: Sequence[Any]) -> Any:
    """Add nested addends of equal shape: the gradient of what several rows share."""
    if isinstance(parts[0], tuple):
        return tuple(addend for part in parts for addend in part)
    return [summed(column) for column in zip(*parts, strict=True)]


def scaled(truth: Any, factor: Number) -> Any:
    """Multiply nested addends."""
    if isinstance(truth, tuple):
        return tuple(times(factor, addend) for addend in truth)
    return [scaled(part, factor) for part in truth]


def _pairs(got: Any, truth: Any, where: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], Any, Addends]]:
    if isinstance(truth, tuple):
        assert got.ndim == 0, f"the answer has {got.ndim} axes more than the truth"
        yield where, got, truth
        return
    assert len(got) == len(truth)
    for i, (value, part) in enumerate(zip(got, truth, strict=True)):
        yield from _pairs(value, part, (*where, i))
