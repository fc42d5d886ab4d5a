"""The MessagePack codec: the same object as JSON's, with the bytes of an array as they are.

An array is ``{"dtype", "shape", "data": bin}`` and becomes a view of the body, or it is a nested list, or
``{"real", "imag"}`` of either. NaN and infinity need no strings here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from msgspec import Raw

from lossd.errors import InvalidCall, NotAcceptable
from lossd.message import DERIVATIVES, Answer, Array, Call, Checkpoint
from lossd.wire.answer_document import from_document, to_document
from lossd.wire.budget import Budget
from lossd.wire.codec import ANSWER_LIMITS, DEFAULT_LIMITS, Body, DecodeLimits, Parts, never_end
from lossd.wire.gathering import gather
from lossd.wire.msgpack.array import Whole, read_raw_array, whole_of
from lossd.wire.msgpack.document import members, nested, option
from lossd.wire.msgpack.part import split_part
from lossd.wire.msgpack.writer import Large, numbers, written, written_small

media_type: str = "application/vnd.msgpack"
holds_options: bool = True
is_text: bool = False
is_compressed: bool = False

_NIL = b"\xc0"


def decode_call(body: Body, array_names: frozenset[str], limits: DecodeLimits = DEFAULT_LIMITS) -> Call:
    """Read a request: the names in ``array_names`` as arrays unless nil, every other name as an option.

    Raises:
        MalformedBody: The body is not one map of MessagePack, or nests too deeply.
        InvalidCall: A name in ``array_names`` does not hold an array.
        BodyTooLarge: The arrays together exceed ``limits.max_elements``.
    """
    whole = whole_of(body)
    return read_call(members(whole.view, ""), array_names, whole, Budget(limits))


def read_call(values: Mapping[str, Raw], array_names: frozenset[str], whole: Whole, budget: Budget) -> Call:
    """Read the members of a map as those of a call; arrays given by their bytes are views of the ``whole`` body.

    Raises:
        MalformedBody: An array or an option nests too deeply.
        InvalidCall: A name in ``array_names`` does not hold an array.
        BodyTooLarge: The arrays exceed the budget.
    """
    arrays: dict[str, Array] = {}
    options: dict[str, Any] = {}
    for name, raw in values.items():
        if name not in array_names:
            options[name] = option(raw, name, budget.limits.max_depth, budget)
        elif memoryview(raw) != _NIL:
            arrays[name] = read_raw_array(raw, name, whole, budget)
    return Call(arrays, options)


def encode_call(call: Call) -> Parts:
    """Write a request, each array as its bytes.

    Raises:
        InvalidCall: An array is of a dtype that the wire lacks, or 4 GiB large.
    """
    return gather(written({**call.options, **call.arrays}, ""))


def encode_answer(answer: Answer, call: Call, checkpoint: Checkpoint = never_end) -> Parts:
    """Write an answer, each array as its bytes, and a value of no dimensions as a number: views, which take no time.

    Raises:
        NotAcceptable: An array is 4 GiB large.
    """
    return encode_document(answer_document(answer, call))


def answer_document(answer: Answer, call: Call) -> dict[str, Any]:
    """Return an answer as the map that `encode_answer` writes; no option of the call changes it."""
    return to_document(answer)


def encode_document(document: Mapping[str, Any]) -> Parts:
    """Write a map with arrays, each as its bytes, and a value of no dimensions as a number.

    Raises:
        NotAcceptable: An array is 4 GiB large.
    """
    try:
        return [written_small(document)]
    except Large:
        pass
    try:
        return gather(written(numbers(document), ""))
    except InvalidCall as error:
        raise NotAcceptable(errors=error.errors) from None


def decode_answer(body: Body, limits: DecodeLimits = ANSWER_LIMITS) -> Answer:
    """Read an answer; numbers come as 0-d arrays.

    Raises:
        MalformedBody: The body is not an answer.
        BodyTooLarge: Its arrays together exceed ``limits``.
    """
    whole = whole_of(body)
    return read_answer(members(whole.view, ""), whole, Budget(limits))


def read_answer(values: Mapping[str, Raw], whole: Whole, budget: Budget) -> Answer:
    """Read the members of a map as those of an answer; its arrays are views of the ``whole`` body.

    Raises:
        MalformedBody: They are not those of an answer.
        BodyTooLarge: The arrays exceed the budget.
    """

    def read(raw: Raw | None, at: str) -> Array:
        return read_raw_array(Raw(_NIL) if raw is None else raw, at, whole, budget)

    document = {
        name: _READERS[name](raw, name, budget) if name in _READERS else option(raw, name, 1, budget)
        for name, raw in values.items()
    }
    return from_document(document, read)


def _nested(raw: Raw, at: str, budget: Budget, levels: int) -> Any:
    return nested(raw, at, levels)


# What splits the members of an answer as far as their values.
_READERS: Mapping[str, Callable[[Raw, str, Budget], Any]] = {
    "loss": partial(_nested, levels=1),
    "denominator": partial(_nested, levels=0),
    **dict.fromkeys(DERIVATIVES, partial(_nested, levels=2)),
    "part": split_part,
}
