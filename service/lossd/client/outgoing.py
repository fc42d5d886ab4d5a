"""This file is one call on its way: from a caller's values to bytes and headers, and from a response to a result."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import numpy as np

from lossd.client.failure import ServiceError, read_problem
from lossd.client.methods import ALIASES, ARRAYS, GENERAL_ARRAYS
from lossd.client.progress import SLICE
from lossd.client.result import Result, result_of
from lossd.errors import MalformedBody
from lossd.message import Array, Call
from lossd.wire import CODECS, Codec, Parts
from lossd.wire.query import to_query

JSON = "application/json"
FORMATS = ("application/vnd.safetensors", JSON)
"""What calls are sent as, the best first."""

Headers = Mapping[str, str] | Callable[[], Mapping[str, str]]
"""Headers of every request, or what returns those of the next, such as the trace context of the moment."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A call as it is sent, as often as it takes.

    Attributes:
        loss: Name of the loss.
        path: Where it is posted, with the options that the body has no room for.
        headers: Its headers.
        parts: The body in pieces, which are views on the caller's arrays where the format allows it.
        size: Bytes of the body.
    """

    loss: str
    path: str
    headers: Mapping[str, str]
    parts: Parts
    size: int

    def slices(self) -> Iterator[memoryview]:
        """Cut the body into pieces of at most 1 MiB."""
        for part in self.parts:
            view = memoryview(part)
            for start in range(0, len(view), SLICE):
                yield view[start : start + SLICE]


@dataclass(frozen=True, slots=True)
class Reply:
    """A response: its status, its headers and its whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytearray

    def result(self) -> Result:
        """Read the result.

        Raises:
            ServiceError: The service answered with an error.
            MalformedBody: The body is not an answer.
        """
        if self.status != 200:
            raise ServiceError(read_problem(self.status, self.headers, self.body))
        media_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type not in CODECS:
            raise MalformedBody(f"expected an answer as {' or '.join(CODECS)}, got {media_type or 'no type'}")
        return result_of(CODECS[media_type].decode_answer(self.body), self.headers.get("x-request-id", ""))


def prepare(loss: str, values: Mapping[str, Any], *, media_type: str | None, headers: Headers) -> Outgoing:
    """Write a call; values that are None are left out.

    Args:
        loss: Name or alias of the loss.
        values: Its arguments, its settings and the general options.
        media_type: The format; the best that can hold the call, if None.
        headers: Headers to send besides those of the format.

    Raises:
        InvalidCall: The format cannot hold an array of the call.
    """
    call = call_of(loss, values)
    codec = CODECS[media_type or best_format(call)]
    if codec.media_type == JSON:  # which keeps an array's type and digits as base64 alone
        call = Call(call.arrays, {"encoding": "base64", **call.options})
    parts = codec.encode_call(call)
    size = sum(map(len, parts))
    own = {
        "Content-Type": codec.media_type,
        "Content-Length": str(size),
        "Accept": codec.media_type,
        "Accept-Encoding": "identity",  # deflating arrays takes longer than sending them
        "X-Request-ID": os.urandom(16).hex(),
    }
    given = headers() if callable(headers) else headers
    return Outgoing(loss, _path(loss, call, codec), {**own, **given}, parts, size)


def call_of(loss: str, values: Mapping[str, Any]) -> Call:
    """Tell arrays from options: by the catalogue, or by their type where it does not know the loss."""
    named = frozenset((*ARRAYS.get(ALIASES.get(loss, loss), ()), *GENERAL_ARRAYS))
    known = loss in ARRAYS or loss in ALIASES
    arrays: dict[str, Array] = {}
    options: dict[str, Any] = {}
    for name, value in values.items():
        if value is None:
            continue
        if name in named or (not known and isinstance(value, np.ndarray)):
            arrays[name] = np.asarray(value)
        else:
            options[name] = _plain(value)
    return Call(arrays, options)


def best_format(call: Call) -> str:
    """Return the first format that can hold a call and its answer."""
    is_complex = str(call.options.get("dtype", "")).startswith("complex")
    if is_complex or any(array.dtype.kind == "c" for array in call.arrays.values()):
        return JSON
    return next(media_type for media_type in FORMATS if media_type in CODECS)


def _path(loss: str, call: Call, codec: Codec) -> str:
    path = f"/v1/losses/{quote(loss, safe='')}"
    if codec.holds_options or not call.options:
        return path
    return f"{path}?{to_query(call.options)}"


def _plain(value: Any) -> Any:
    """Turn NumPy's scalars and arrays, tuples, and numbers that are not finite into what JSON has."""
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
