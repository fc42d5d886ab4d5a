"""The .npy format: one array behind a header that is a Python literal, which is matched and never evaluated.

There is no way from a header to code: objects, which NumPy would unpickle, have no entry in `DTYPES`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from lossd.errors import invalid, malformed
from lossd.message import Array
from lossd.wire import tensor
from lossd.wire.codec import Budget
from lossd.wire.npz.archive import Content

DTYPES: Mapping[str, np.dtype[Any]] = MappingProxyType(
    {dtype.str[1:]: dtype for dtype in tensor.DTYPES.values()}
)
"""Every dtype by its code in a header, without the byte order. ``V2`` is what NumPy writes for bfloat16."""

_MAGIC = b"\x93NUMPY"
_LENGTH_BYTES = {(1, 0): 2, (2, 0): 4, (3, 0): 4}
_LONGEST_HEADER = 10_000  # what NumPy reads, too
_ALIGNMENT = 64
_MEMBER = r"""['"]%s['"]\s*:\s*%s\s*"""
_ANY_MEMBER = "|".join(
    (
        _MEMBER % ("descr", r"""(?:['"](?P<descr>[^'"]*)['"]|(?P<fields>\[.*\]|\(.*\)))"""),
        _MEMBER % ("fortran_order", r"(?P<fortran>True|False)"),
        _MEMBER % ("shape", r"\((?P<shape>[\d\s,L]*)\)"),
    )
)
_ENTRY = re.compile(rf"\s*(?:{_ANY_MEMBER})(?:,|(?=\}}))", re.DOTALL)
_REFUSED = {
    "O": "objects, which are pickled",
    "S": "byte strings",
    "U": "strings",
    "M": "dates",
    "m": "durations",
    "V": "records",
}


def read_npy(content: Content, at: str, budget: Budget) -> Array:
    """Read an array; big-endian numbers are turned round, and Fortran order is a view.

    Raises:
        InvalidCall: The header is none, or tells of an array that no wire has.
        MalformedBody: The content ends before the array does.
        BodyTooLarge: The array exceeds the budget.
    """
    text = _read_header(content, at)
    found = _members(text, at)
    dtype = _dtype(found, at)
    shape = tensor.checked_shape(_sizes(found["shape"], at), f"{at}.shape", budget)
    size = dtype.itemsize * math.prod(shape)
    array = tensor.view(content.read(size), dtype, shape, at)
    content.close()
    if found["fortran"] == "True":
        array = array.reshape(shape[::-1]).T
    return array.astype(dtype.newbyteorder("="), copy=False)


def write_header(array: Array) -> bytes:
    """Write what stands before the bytes of an array, which are little-endian and in C order."""
    code = tensor.DTYPES[array.dtype.name].str
    text = f"{{'descr': '{code}', 'fortran_order': False, 'shape': {array.shape}, }}"
    start = len(_MAGIC) + 4
    text += " " * (-(start + len(text) + 1) % _ALIGNMENT) + "\n"
    return _MAGIC + bytes((1, 0)) + len(text).to_bytes(2, "little") + text.encode("latin-1")


def _read_header(content: Content, at: str) -> str:
    magic = bytes(content.read(len(_MAGIC) + 2))
    version = (magic[-2], magic[-1])
    if not magic.startswith(_MAGIC) or version not in _LENGTH_BYTES:
        raise malformed(at, "the .npy format, of version 1, 2 or 3", "another beginning")
    length = int.from_bytes(content.read(_LENGTH_BYTES[version]), "little")
    if length > _LONGEST_HEADER:
        raise malformed(at, f"a header of at most {_LONGEST_HEADER} bytes", length)
    return bytes(content.read(length)).decode("latin-1").strip()


def _members(text: str, at: str) -> dict[str, str]:
    """Match the header's dictionary, whose three keys may come in any order."""
    found: dict[str, str] = {}
    position = 1
    while text.startswith("{") and (entry := _ENTRY.match(text, position)):
        new = {name: value for name, value in entry.groupdict().items() if value is not None}
        if new.keys() & found.keys():
            break
        found |= new
        position = entry.end()
    if text[position:].strip() != "}" or len(found) != 3:
        raise malformed(at, "a header with descr, fortran_order and shape, each once", "another header")
    return found


def _dtype(found: Mapping[str, str], at: str) -> np.dtype[Any]:
    descr = found.get("descr", "V")
    order, code = (descr[0], descr[1:]) if descr[:1] in tuple("<>|=") else ("<", descr)
    if code not in DTYPES:
        refused = _REFUSED.get(code[:1])
        got = f"{refused} ({descr[:20]})" if refused else f'"{descr[:20]}"'
        raise invalid(f"{at}.dtype", f"one of {', '.join(DTYPES)}, with a byte order", got)
    return DTYPES[code].newbyteorder(">") if order == ">" and code != "V2" else DTYPES[code]


def _sizes(text: str, at: str) -> list[int]:
    sizes = [size.strip().removesuffix("L") for size in text.split(",")]
    if not sizes[-1]:
        sizes.pop()  # behind the comma of "(3,)", or between the parentheses of "()"
    if not all(size.isdecimal() and len(size) < 20 for size in sizes):
        raise malformed(f"{at}.shape", "a tuple of sizes", "another value")
    return [int(size) for size in sizes]
