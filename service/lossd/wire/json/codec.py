"""The JSON codec: one flat object of arrays and options in, one object keyed by reduction out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lossd.message import Answer, Array, Call, Checkpoint
from lossd.wire import tensor
from lossd.wire.answer_document import from_document, to_document
from lossd.wire.budget import Budget
from lossd.wire.codec import ANSWER_LIMITS, DEFAULT_LIMITS, Body, DecodeLimits, Parts, never_end
from lossd.wire.garbage import without_collections
from lossd.wire.json.document import read_object
from lossd.wire.json.tensors import as_tensors, with_shapes
from lossd.wire.json.text import dumps
from lossd.wire.numbers import read_array
from lossd.wire.option import checked_option
from lossd.wire.pieces import PIECE_BYTES, discard

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
    if not is_long(body):
        return read_call(read_object(body, array_names, limits), array_names, Budget(limits), is_long=False)
    return without_collections(
        lambda: read_call(read_object(body, array_names, limits), array_names, Budget(limits), is_long=True)
    )


def is_long(body: Body) -> bool:
    """Return whether to free the lists of a body at once would take long."""
    return len(body) > PIECE_BYTES


def read_call(
    members: Mapping[str, Any], array_names: frozenset[str], budget: Budget, *, is_long: bool
) -> Call:
    """Read the members of an object as those of a call; lists that are not kept are emptied if the body ``is_long``.

    Raises:
        MalformedBody: An array or an option nests too deeply.
        InvalidCall: A name in ``array_names`` does not hold an array.
        BodyTooLarge: The arrays exceed the budget.
    """
    arrays: dict[str, Array] = {}
    options: dict[str, Any] = {}
    unused: Iterable[str] = members
    try:
        for name, value in members.items():
            if name not in array_names:
                options[name] = checked_option(value, name, budget.limits.max_depth)
            elif value is not None:
                arrays[name] = read_array(value, name, budget)
        unused = array_names & members.keys()
    finally:
        if is_long:
            _discard_lists(members[name] for name in unused)
    return Call(arrays, options)


def _discard_lists(values: Iterable[Any]) -> None:
    for value in values:
        for item in value.values() if type(value) is dict else (value,):
            if type(item) is list:
                discard(item)


def encode_call(call: Call) -> Parts:
    """Write a request, its arrays as base64 tensors if its option ``encoding`` says so, else as lists.

    An array of no dimensions is a tensor, too: a plain number would be computed in float64 whatever its dtype.
    """
    write = tensor.to_fields if _wants_base64(call) else _lossless
    return dumps({**call.options, **{name: write(array) for name, array in call.arrays.items()}})


def encode_answer(answer: Answer, call: Call, checkpoint: Checkpoint = never_end) -> Parts:
    """Write an answer, its arrays as base64 tensors if the option ``encoding`` says so, else as lists."""
    return dumps(answer_document(answer, call), checkpoint)


def answer_document(answer: Answer, call: Call) -> dict[str, Any]:
    """Return an answer as the object that `encode_answer` writes."""
    document = to_document(answer)
    if _wants_base64(call):
        tensors: dict[str, Any] = as_tensors(document)
        return tensors
    return {**document, "part": with_shapes(document["part"])} if answer.part is not None else document


def decode_answer(body: Body, limits: DecodeLimits = ANSWER_LIMITS) -> Answer:
    """Read an answer; numbers come as 0-d arrays, lists as float64.

    Raises:
        MalformedBody: The body is not an answer.
        BodyTooLarge: Its arrays together exceed ``limits``.
    """
    budget = Budget(limits)
    document = read_object(body, frozenset(), limits)
    return from_document(document, lambda value, at: read_array(value, at, budget))


def _wants_base64(call: Call) -> bool:
    return call.options.get("encoding") == "base64"


def _lossless(value: Array) -> Any:
    # [] has no shape and no dtype.
    return value if value.size else tensor.to_fields(value)
