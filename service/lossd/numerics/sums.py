"""Sums of many numbers that lose no digits, at the speed of one pass.

Adding n float32 numbers one by one errs by up to n ulp, and NumPy's float64 accumulation of float32
costs three times a plain sum. So short runs are added by BLAS in the numbers' own type, where its
lanes keep the error at an ulp or two, and the runs' sums are added in float64. Where numbers are few, one
call that adds in float64 is over before the calls that runs take. Runs start at fixed places: the bits of
a sum depend on the numbers alone.

A run's error is an ulp or two of the sum of its numbers' sizes. That is an ulp or two of the whole sum where all
numbers, or all products, are of one sign, as losses are: `total`, `dot` and the sums of rows are for these.
Numbers of either sign may cancel between runs and leave the runs' errors: `total_of_any_sign` is for those.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np

from lossd.message import Array

SUM_RUN = 128
ROWS_AT_A_TIME = 16
DOT_RUN = 256  # a call a run: shorter ones cost more than they gain
_FEW = 2048
_ONES: Mapping[np.dtype[Any], Array] = {
    np.dtype(kind): np.ones(DOT_RUN, kind) for kind in (np.float32, np.float64, np.longdouble)
}


def total(values: Array) -> float:
    """Return the sum of contiguous float32 or float64 values of one sign, ``(n,)``; a long double beyond float64."""
    # The sum of a run may overflow its type where that of all is to be divided, or does not overflow float64.
    return _or_wide(_total(values), values)


def total_of_any_sign(values: Array) -> float:
    """Return the sum of contiguous float32 or float64 values, ``(n,)``, that may cancel: in float64, if any is > 0.

    As of `total`, a sum that leaves float64 on its way, or for good, is a long double's.
    """
    if values.size <= _FEW or np.maximum.reduce(values) <= 0:  # few are added in float64 anyhow
        return total(values)
    return _or_wide(float(np.add.reduce(values, dtype=np.float64)), values)


def dot(left: Array, right: Array) -> float:
    """Return the sum of products of one sign of contiguous float32 or float64 values, each ``(n,)``."""
    found = _dot(left, right)
    return found if isfinite(found) else _narrowed(np.add.reduce(left * right.astype(np.longdouble)))


def row_totals(values: Array) -> Array:
    """Return the sum of each row of contiguous ``(rows, n)``, in float64 or wider, whatever the other rows are."""
    ones = _ONES[values.dtype]
    runs, rest = _by_runs(values)
    return _added(np.vecdot(runs, ones), np.vecdot(rest, ones[: rest.shape[1]]))


def row_dots(left: Array, right: Array) -> Array:
    """Return the sum of products of each row of contiguous ``(rows, n)`` arrays, likewise."""
    (left_runs, left_rest), (right_runs, right_rest) = _by_runs(left), _by_runs(right)
    return _added(np.vecdot(left_runs, right_runs), np.vecdot(left_rest, right_rest))


def row_products(rows: Array, matrix: Array) -> Array:
    """Return ``rows @ matrix``, each row the same whatever the others are: BLAS always gets as many rows at a time."""
    count, size = rows.shape
    filling = np.zeros((-count % ROWS_AT_A_TIME, size), rows.dtype)
    whole = np.concatenate([rows, filling]).reshape(-(-count // ROWS_AT_A_TIME), ROWS_AT_A_TIME, size)
    found: Array = np.matmul(whole, matrix).reshape(len(rows) + len(filling), matrix.shape[1])[:count]
    return found


def _total(values: Array) -> float:
    size = values.size
    if size <= _FEW:
        return float(np.add.reduce(values, dtype=np.float64))
    ones, whole = _ONES[values.dtype], size - size % SUM_RUN
    runs = values[:whole].reshape(-1, SUM_RUN).dot(ones[:SUM_RUN])
    return float(np.add.reduce(runs, dtype=np.float64)) + float(values[whole:].dot(ones[: size - whole]))


def _or_wide(found: float, values: Array) -> float:
    """Return the sum that was found, or a long double's where it is not finite."""
    return found if isfinite(found) else _narrowed(np.add.reduce(values, dtype=np.longdouble))


def _narrowed(total: Any) -> Any:
    """Return a long double as a float, unless only it is finite."""
    narrow = float(total)
    return total if np.isfinite(total) and not isfinite(narrow) else narrow


def _dot(left: Array, right: Array) -> float:
    size = left.size
    if size <= DOT_RUN:
        return float(left @ right)
    if size <= _FEW:
        return float(np.vecdot(left, right, dtype=np.float64))
    whole = size - size % DOT_RUN
    runs = np.vecdot(left[:whole].reshape(-1, DOT_RUN), right[:whole].reshape(-1, DOT_RUN))
    return float(np.add.reduce(runs, dtype=np.float64)) + float(left[whole:] @ right[whole:])


def _by_runs(values: Array) -> tuple[Array, Array]:
    """Return each row's runs, ``(rows, runs, DOT_RUN)``, and what is left of it."""
    rows, size = values.shape
    whole = size - size % DOT_RUN
    return values[:, :whole].reshape(rows, whole // DOT_RUN, DOT_RUN), values[:, whole:]


def _added(runs: Array, rest: Array) -> Array:
    added: Array = np.add.reduce(runs, axis=1, dtype=np.result_type(runs, np.float64)) + rest
    return added
