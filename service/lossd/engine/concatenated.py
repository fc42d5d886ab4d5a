"""Rows that come one after the other in one flat array, with an argument that says how long each is.

They are padded to ``(rows, longest)`` before the call is bound; a kernel sees no difference.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lossd.declaration.loss import Loss
from lossd.declaration.signature import Argument
from lossd.errors import invalid
from lossd.message import Array, Call

# Elements of padded rows, which are made before the call's cost is known: 32 MiB.
_MOST = 1 << 22

Starts = Mapping[str, Array]
_NO_STARTS: Starts = {}


def padded(loss: Loss, call: Call) -> tuple[Call, Starts]:
    """Return a call with its concatenated rows padded, and where in the caller's array each row starts.

    Raises:
        InvalidCall: Lengths and array do not fit.
    """
    if not loss.concatenated:
        return call, _NO_STARTS
    arrays: dict[str, Array] = {}
    starts: dict[str, Array] = {}
    for argument in loss.concatenated:
        of = argument.role.lengths or ""
        array, lengths = call.arrays.get(argument.name), call.arrays.get(of)
        if array is None or lengths is None or array.ndim != 1 or lengths.ndim != 1:
            continue
        for name, given in ((of, lengths), (argument.name, array)):
            if given.dtype.kind not in "iu" and given.size:
                expected = "whole numbers of an integer type (1, not 1.0)"
                raise invalid(name, expected, f"{given.dtype} values of shape ({given.size},)")
        _check_lengths(of, lengths, argument.name, array)
        width = max(_width(loss, call, argument), int(lengths.max(initial=0)))
        if lengths.size * width > _MOST:
            raise invalid(of, f"at most {_MOST} symbols once padded", lengths.size * width)
        arrays[argument.name] = _pad(array, lengths, width)
        starts[argument.name] = np.cumsum(lengths) - lengths
    if not arrays:
        return call, _NO_STARTS
    return Call({**call.arrays, **arrays}, call.options, call.owned), starts


def _width(loss: Loss, call: Call, argument: Argument) -> int:
    """Return the length of the padded axis that another array of the call has, 0 if none says it."""
    letter = argument.role.pattern.letters[-1]
    for other in loss.arguments:
        array, pattern = call.arrays.get(other.name), other.role.forms[0].pattern
        behind = [dimension.letter for dimension in reversed(pattern.after)]
        if (
            other is not argument
            and array is not None
            and letter in behind
            and array.ndim >= len(pattern.core)
        ):
            return int(array.shape[-1 - behind.index(letter)])
    return 0


def _check_lengths(of: str, lengths: Array, name: str, array: Array) -> None:
    wrong = (lengths < 0) | (lengths > array.size)
    if wrong.any():
        place = int(np.flatnonzero(wrong)[0])
        raise invalid(f"{of}[{place}]", f"whole numbers in [0, {array.size}]", lengths[place])
    if lengths.sum() != array.size:
        raise invalid(name, f"{int(lengths.sum())} symbols, the sum of {of}", array.size)


def _pad(array: Array, lengths: Array, width: int) -> Array:
    # Beyond the range of the padding's type is no valid index either.
    kept = np.minimum(array, np.uint64(np.iinfo(np.int64).max)) if array.dtype == np.uint64 else array
    rows = np.full((lengths.size, width), -1, np.int64)
    rows[np.arange(width) < lengths[:, None]] = kept
    return rows
