"""Writes documents with arrays as JSON text, fast where all numbers are finite and exact where some are not.

orjson writes contiguous native arrays and NumPy's scalars by itself, float32 with its own shortest digits. It calls
back for others, refuses foreign byte orders, and writes null for NaN and infinity. So a document is first given to
orjson as it is, and its arrays are prepared one by one only where that fails or a null shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import numpy as np
import orjson

from lossd.message import Array
from lossd.wire.json.byte_search import holds_null
from lossd.wire.tensor import BFLOAT16

# Of a text in which numbers are spelled at a time.
_PART_BYTES = 1 << 18


def dumps(document: Mapping[str, Any]) -> bytes:
    """Write a document with arrays and NumPy scalars; non-finite numbers become strings."""
    try:
        text = orjson.dumps(document, _prepared, orjson.OPT_SERIALIZE_NUMPY)
    except orjson.JSONEncodeError:
        return orjson.dumps(_prepared(document))
    return orjson.dumps(_prepared(document)) if holds_null(text) else text


def _prepared(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _prepared(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_prepared(item) for item in value]
    if isinstance(value, np.ndarray | np.generic | float):
        return _array(np.asarray(value))
    return value


def _array(array: Array) -> dict[str, orjson.Fragment] | orjson.Fragment:
    if array.dtype.kind == "c":
        return {"real": _fragment(array.real), "imag": _fragment(array.imag)}
    return _fragment(array)


def _fragment(array: Array) -> orjson.Fragment:
    if array.dtype == BFLOAT16:
        array = array.astype(np.float32)
    native = np.ascontiguousarray(array, array.dtype.newbyteorder("="))  # at least 1-d
    text = orjson.dumps(native, option=orjson.OPT_SERIALIZE_NUMPY)
    if holds_null(text):
        text = _spelled(text, native)
    return orjson.Fragment(text if array.ndim else text[1:-1])


def _spelled(text: bytes, array: Array) -> bytes:
    """Replace each null by the string for the non-finite number it stands for."""
    lost = array[~np.isfinite(array)]
    written, spelled = [], 0
    for part in _parts(text):
        before, *after = part.split(b"null")
        here = lost[spelled : spelled + len(after)]
        spellings = np.where(np.isnan(here), b'"NaN"', np.where(here > 0, b'"Infinity"', b'"-Infinity"'))
        written.append(before + b"".join(chain.from_iterable(zip(spellings.tolist(), after, strict=True))))
        spelled += len(after)
    return b"".join(written)


def _parts(text: bytes) -> Iterator[bytes]:
    """Cut a text behind commas: each part is small beside the text, and its pieces are few."""
    start = 0
    while start < len(text):
        comma = text.find(b",", start + _PART_BYTES)
        end = comma + 1 if comma >= 0 else len(text)
        yield text[start:end]
        start = end
