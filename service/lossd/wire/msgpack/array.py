"""Reads one value of MessagePack as the array it means: numbers, nested lists, bytes or complex pairs.

The bytes of an array become a view of the body.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta, Raw

from lossd.errors import invalid
from lossd.message import Array
from lossd.wire import tensor
from lossd.wire.budget import Budget
from lossd.wire.codec import LONGEST_STRING, Body
from lossd.wire.msgpack.document import members, option
from lossd.wire.msgpack.extent import UNREADABLE
from lossd.wire.msgpack.headers import is_map
from lossd.wire.msgpack.lists import read_lists
from lossd.wire.numbers import read_array

_MAP_OF_THREE = 0x83
_BIN_32 = b"\xc6"
_BEFORE_DATA = 256  # bytes, as writers have them who write the data last
_MOST_DIMENSIONS = 64  # of NumPy
# Bytes of an array that is copied, to where it is aligned: a kernel takes longer to read it from anywhere else.
_COPIED = 1 << 12


class _Fields(msgspec.Struct, forbid_unknown_fields=True):
    """The fields of an array given by its bytes; a map of three entries with all of them repeats none."""

    dtype: str
    shape: Annotated[list[int], Meta(max_length=_MOST_DIMENSIONS)]  # of a longer one, no list is built
    data: memoryview


class Whole(NamedTuple):
    """A body, and the address of its first byte; 0 where nobody may write to it."""

    view: memoryview
    address: int


_decode_bytes = msgspec.msgpack.Decoder(memoryview).decode
_decode_fields = msgspec.msgpack.Decoder(_Fields).decode


def whole_of(body: Body) -> Whole:
    """Return a body, of which arrays can become views."""
    view = memoryview(body)
    return Whole(view, 0 if view.readonly or not view.nbytes else _address(view))


def read_raw_array(raw: Raw, at: str, body: Whole, budget: Budget) -> Array:
    """Read the array that a value means; arrays given by their bytes are views of ``body``, of which ``raw`` is a part.

    Raises:
        InvalidCall: It means no array: ragged, mixed, not of numbers, or a wrong tensor object.
        MalformedBody: It is nested deeper than the limit, or text in it is not UTF-8.
        BodyTooLarge: It exceeds the budget, which is checked before anything is built.
    """
    if (array := _from_fields(raw, at, body, budget)) is not None:
        return read_array(array, at, budget)
    if not is_map(raw):
        return read_array(read_lists(raw, at, budget), at, budget)
    fields = members(raw, at)
    if fields.keys() != {"real", "imag"}:
        return read_array(_from_bytes(fields, at, body, budget), at, budget)
    parts = {name: _part(fields[name], f"{at}.{name}", body, budget) for name in fields}
    return read_array(parts, at, budget)


def _part(raw: Raw, at: str, body: Whole, budget: Budget) -> Array:
    return _from_bytes(members(raw, at), at, body, budget) if is_map(raw) else read_lists(raw, at, budget)


def _from_fields(raw: Raw, at: str, body: Whole, budget: Budget) -> Array | None:
    """Read an array given by its bytes, decoded in one go; None for what is not exactly that."""
    view = memoryview(raw)
    if view[0] != _MAP_OF_THREE or (view.nbytes > LONGEST_STRING and not _is_short_but_for_data(view)):
        return None
    try:
        fields = _decode_fields(raw)
    except UNREADABLE:
        return None
    dtype = tensor.dtype_named(fields.dtype, f"{at}.dtype")
    shape = tensor.checked_sizes(fields.shape, f"{at}.shape", budget)
    if len(fields.data) <= _COPIED:
        return tensor.view(fields.data, dtype, shape, f"{at}.data").copy()
    return tensor.view(_within(fields.data, body), dtype, shape, f"{at}.data")


def _is_short_but_for_data(view: memoryview) -> bool:
    """Tell whether a bin is nearly all of a map, so that no name or dtype in it is a long string."""
    beginning = bytes(view[:_BEFORE_DATA])
    at = beginning.find(_BIN_32)
    return at > 0 and at + 5 + int.from_bytes(beginning[at + 1 : at + 5], "big") == view.nbytes


def _from_bytes(fields: Mapping[str, Raw], at: str, body: Whole, budget: Budget) -> Array:
    tensor.check_fields(fields, at)
    dtype = tensor.dtype_named(option(fields["dtype"], f"{at}.dtype", 0, budget), f"{at}.dtype")
    sizes = option(fields["shape"], f"{at}.shape", 1, budget)
    shape = tensor.checked_sizes(sizes, f"{at}.shape", budget)  # `read_array` takes them from the budget
    data = _within(_bin(fields["data"], f"{at}.data"), body)
    return tensor.view(data, dtype, shape, f"{at}.data")


def _bin(raw: Raw, at: str) -> memoryview:
    try:
        return _decode_bytes(raw)
    except msgspec.ValidationError:
        raise invalid(at, "a bin with the bytes of the array", "another type") from None


def _within(data: memoryview, body: Whole) -> memoryview:
    """View bytes of a body; writable where the body is, which a `Raw` and its views never are."""
    if not body.address or not data:
        return data
    start = _address(data) - body.address
    return body.view[start : start + len(data)]


def _address(data: memoryview) -> int:
    address: int = np.frombuffer(data, np.uint8).__array_interface__["data"][0]
    return address
