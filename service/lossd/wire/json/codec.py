"""The JSON codec: one flat object of arrays and options in, one object keyed by reduction out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lossd.message import Answer, Array, Call
from lossd.wire import tensor
from lossd.wire.answer_document import from_document, to_document
from lossd.wire.codec import ANSWER_LIMITS, DEFAULT_LIMITS, Body, Budget, DecodeLimits, Parts
from lossd.wire.json.document import read_object
from lossd.wire.json.text import dumps
from lossd.wire.numbers import read_array
from lossd.wire.option import checked_option

media_type: str = "application/json"
holds_options: bool = True
is_text: bool = True
is_compressed: bool = False


def decode_call(body: Body, array_names: frozenset[str], limits: DecodeLimits = DEFAULT_LIMITS) -> Call:
    """Read a request: the names in ``array_names`` as arrays unless null, every other name as an option.

    Raises:
        MalformedBody: The body is not one JSON object, or nests too deeply.
        InvalidCall: A name in ``array_names`` does not hold an array.
        BodyTooLarge: The arrays together exceed ``limits.max_elements``.
    """
    budget = Budget(limits)
    arrays: dict[str, Array] = {}
    options: dict[str, Any] = {}
    for name, value in read_object(body, array_names, limits).items():
        if name not in array_names:
            options[name] = checked_option(value, name, limits.max_depth)
        elif value is not None:
            arrays[name] = read_array(value, name, budget)
    return Call(arrays, options)


def encode_call(call: Call) -> Parts:
    """Write a request, its arrays as base64 tensors if its option ``encoding`` says so, else as lists.

    An array of no dimensions is a tensor, too: a plain number would be computed in float64 whatever its dtype.
    """
    write = tensor.to_base64 if _wants_base64(call) else _lossless
    return [dumps({**call.options, **{name: write(array) for name, array in call.arrays.items()}})]


def encode_answer(answer: Answer, call: Call) -> Parts:
    """Write an answer, its arrays as base64 tensors if the option ``encoding`` says so, else as lists."""
    document = to_document(answer)
    return [dumps(_tensors(document) if _wants_base64(call) else document)]


def decode_answer(body: Body) -> Answer:
    """Read an answer; numbers come as 0-d arrays, lists as float64.

    Raises:
        MalformedBody: The body is not an answer.
    """
    budget = Budget(ANSWER_LIMITS)
    document = read_object(body, frozenset(), ANSWER_LIMITS)
    return from_document(document, lambda value, at: read_array(value, at, budget))


def _wants_base64(call: Call) -> bool:
    return call.options.get("encoding") == "base64"


def _lossless(value: Array) -> Any:
    # [] has no shape and no dtype.
    return value if value.size else tensor.to_base64(value)


def _tensors(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _tensors(item) for name, item in value.items()}
    return tensor.to_base64(value) if isinstance(value, np.ndarray) and value.ndim else value
