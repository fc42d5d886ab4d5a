"""The .npy format: one array behind a header, which NumPy's own functions read and write.

NumPy evaluates the header as a Python literal, so it gets no more than `_LONGEST_HEADER` characters of it. The dtype
that it finds must be in `DTYPES`, which has none that NumPy would unpickle.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.lib import format as npy_format

from lossd.errors import invalid, malformed
from lossd.message import Array
from lossd.wire import tensor
from lossd.wire.budget import Budget

DTYPES: Mapping[str, np.dtype[Any]] = MappingProxyType(
    {dtype.str[1:]: dtype for dtype in tensor.DTYPES.values()}
)
"""Every dtype by its code in a header, without the byte order. ``V2`` is what NumPy writes for bfloat16."""

# Version to the bytes that state the header's length, and to what reads the header.
_READERS = {(1, 0): (2, npy_format.read_array_header_1_0), (2, 0): (4, npy_format.read_array_header_2_0)}
_LONGEST_HEADER = 1024  # characters; 16 sizes of 20 digits take 400
_PREFIX = 12  # bytes of magic string, version and length
# Escapes, and the integers of Python 2: evaluating them warns on stderr, each time a caller likes.
_WARNED_OF = re.compile(rb"\\|[0-9]L")
# What evaluating a literal and making a dtype of it raise; warnings, where the process makes errors of them.
_UNREADABLE = (
    *(
        ValueError,
        TypeError,
        KeyError,
        SyntaxError,
        RecursionError,
        MemoryError,
        tokenize.TokenError,
        Warning,
    ),
)
_REFUSED = {
    "O": "objects, which are pickled",
    "S": "byte strings",
    "U": "strings",
    "M": "dates",
    "m": "durations",
    "V": "records",
}


def read_npy(content: memoryview, at: str, budget: Budget) -> Array:
    """Read an array as a view of ``content``; big-endian numbers are copied into native order.

    Raises:
        InvalidCall: It has a dtype that no wire has, or another number of bytes than its header states.
        MalformedBody: It has no header that NumPy reads.
        BodyTooLarge: It exceeds the budget.
    """
    file = io.BytesIO(content[: _PREFIX + _LONGEST_HEADER])
    sizes, fortran_order, stated = _read_header(file, at)
    dtype = _dtype(stated, at)
    shape = tensor.checked_shape(sizes, f"{at}.shape", budget)
    array = tensor.view(content[file.tell() :], dtype, shape, at)
    if fortran_order:
        array = array.reshape(shape[::-1]).T
    return array.astype(dtype.newbyteorder("="), copy=False)


def write_header(array: Array) -> bytes:
    """Write what precedes the bytes of an array, which are little-endian and in C order."""
    file = io.BytesIO()
    descr = tensor.DTYPES[array.dtype.name].str
    npy_format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": array.shape})
    return file.getvalue()


def _read_header(file: io.BytesIO, at: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    try:
        version = npy_format.read_magic(file)
    except ValueError:
        raise malformed(at, "the .npy format", "another beginning") from None
    if version not in _READERS:
        raise malformed(at, "the .npy format, of version 1 or 2", f"version {version[0]}.{version[1]}")
    width, read = _READERS[version]
    length = int.from_bytes(file.getbuffer()[file.tell() :][:width], "little")
    if length > _LONGEST_HEADER:
        raise malformed(at, f"a header of at most {_LONGEST_HEADER} bytes", length)
    expected = "a header that states descr, fortran_order and shape"
    if _WARNED_OF.search(file.getbuffer()[file.tell() + width :][:length]):
        raise malformed(at, expected, "one with a backslash or an integer of Python 2")
    try:
        return read(file, max_header_size=_LONGEST_HEADER)
    except _UNREADABLE:
        raise malformed(at, expected, "another") from None


def _dtype(stated: np.dtype[Any], at: str) -> np.dtype[Any]:
    code = stated.str[1:]
    if code not in DTYPES or stated.names is not None or stated.subdtype is not None:
        refused = _REFUSED.get(stated.kind)
        got = f"{refused} ({stated.str[:20]})" if refused else f'"{stated.str[:20]}"'
        raise invalid(f"{at}.dtype", f"one of {', '.join(DTYPES)}, with a byte order", got)
    return DTYPES[code] if stated.kind == "V" else DTYPES[code].newbyteorder(stated.byteorder)
