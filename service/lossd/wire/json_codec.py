"""The JSON codec: one flat object of arrays and options in, one object keyed by reduction out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lossd.errors import InvalidCall, MalformedBody, malformed
from lossd.message import Answer, Array, Call
from lossd.wire import tensor
from lossd.wire.codec import Body, Budget, Limits
from lossd.wire.json_document import read_object
from lossd.wire.json_tensor import read_array
from lossd.wire.json_text import dumps

media_type: str = "application/json"

_DEFAULT_LIMITS = Limits()
_ANSWER_LIMITS = Limits(
    max_elements=2**62, max_depth=64
)  # the client asked for it, and NumPy has 64 dimensions
_DERIVATIVES = ("gradient", "hessian", "hvp")


def decode_call(body: Body, tensors: frozenset[str], limits: Limits = _DEFAULT_LIMITS) -> Call:
    """Read a request: the names in ``tensors`` as arrays unless null, every other name as an option.

    Raises:
        MalformedBody: The body is not one JSON object, or nests too deeply.
        InvalidCall: A name in ``tensors`` does not hold an array.
        BodyTooLarge: The arrays together exceed ``limits.max_elements``.
    """
    budget = Budget(limits)
    arrays: dict[str, Array] = {}
    options: dict[str, Any] = {}
    for name, value in read_object(body, tensors, limits).items():
        if name not in tensors:
            options[name] = _shallow(value, name, limits.max_depth)
        elif value is not None:
            arrays[name] = read_array(value, name, budget)
    return Call(arrays, options)


def encode_call(call: Call) -> bytes:
    """Write a request, its arrays as base64 tensors if its option ``encoding`` says so, else as lists."""
    write = _tensors if _wants_base64(call) else _lossless_lists
    return dumps({**call.options, **{name: write(array) for name, array in call.arrays.items()}})


def encode_answer(answer: Answer, call: Call) -> bytes:
    """Write an answer, its arrays as base64 tensors if the option ``encoding`` says so, else as lists."""
    write = _tensors if _wants_base64(call) else _lists
    document: dict[str, Any] = {"loss": {reduction: write(value) for reduction, value in answer.loss.items()}}
    if answer.gradient:
        document["gradient"] = write(answer.gradient)
    if answer.hessian:
        document["hessian"] = write(answer.hessian)
    if answer.hvp:
        document["hvp"] = write(answer.hvp)
    document["count"] = answer.count
    document["denominator"] = write(answer.denominator)
    if answer.warnings:
        document["warnings"] = answer.warnings
    return dumps(document)


def decode_answer(body: Body) -> Answer:
    """Read an answer; numbers come as 0-d arrays, lists as float64.

    Raises:
        MalformedBody: The body is not an answer.
    """
    document = read_object(body, frozenset(), _ANSWER_LIMITS)
    budget = Budget(_ANSWER_LIMITS)
    try:
        return _answer(document, lambda value, at: read_array(value, at, budget))
    except InvalidCall as error:
        raise MalformedBody(faults=error.faults) from None


def _answer(document: Mapping[str, Any], read: Callable[[Any, str], Array]) -> Answer:
    derivatives = {
        derivative: {
            reduction: {
                name: read(value, f"{derivative}.{reduction}.{name}")
                for name, value in _object(by_name, f"{derivative}.{reduction}").items()
            }
            for reduction, by_name in _object(document.get(derivative, {}), derivative).items()
        }
        for derivative in _DERIVATIVES
    }
    loss = _object(document.get("loss"), "loss")
    denominator = read(document.get("denominator"), "denominator")
    if denominator.dtype.kind in "bc":
        raise malformed("denominator", "real numbers", denominator.dtype.name)
    return Answer(
        loss={reduction: read(value, f"loss.{reduction}") for reduction, value in loss.items()},
        count=_count(document.get("count")),
        denominator=denominator if denominator.ndim else float(denominator),
        warnings=_warnings(document.get("warnings", [])),
        **derivatives,
    )


def _object(value: Any, at: str) -> Mapping[str, Any]:
    if type(value) is not dict:
        raise malformed(at, "an object", type(value).__name__)
    return value


def _count(value: Any) -> int:
    if type(value) is not int:
        raise malformed("count", "an integer", type(value).__name__)
    return value


def _warnings(value: Any) -> tuple[str, ...]:
    if type(value) is not list or not all(type(line) is str for line in value):
        raise malformed("warnings", "a list of strings", type(value).__name__)
    return tuple(value)


def _shallow(value: Any, name: str, depth: int) -> Any:
    """Refuse an option nested so deeply that those who read it, recursively, would fail."""
    level = [value]
    while level := [item for item in level if type(item) is list or type(item) is dict]:
        if depth == 0:
            raise malformed(name[:40], "fewer levels of nesting", "deeper nesting")
        depth -= 1
        level = [child for item in level for child in (item.values() if type(item) is dict else item)]
    return value


def _wants_base64(call: Call) -> bool:
    return call.options.get("encoding") == "base64"


def _lists(value: Any) -> Any:
    # orjson writes NumPy scalars, in their own shortest digits, but not 0-d arrays.
    return value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value


def _lossless_lists(value: Array) -> Any:
    # [] cannot say of which shape and dtype it is nothing.
    return _lists(value) if value.size else tensor.to_base64(value)


def _tensors(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _tensors(item) for name, item in value.items()}
    return tensor.to_base64(value) if isinstance(value, np.ndarray) and value.ndim else _lists(value)
