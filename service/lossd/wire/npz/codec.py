"""The .npz codec: what `numpy.savez` writes and `numpy.load` reads, and never a pickle."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import orjson

from lossd.errors import BodyTooLarge, InvalidCall, MalformedBody, NotAcceptable, malformed
from lossd.message import Answer, Array, Call, Checkpoint
from lossd.wire import tensor
from lossd.wire.answer_arrays import from_arrays, to_arrays
from lossd.wire.budget import Budget
from lossd.wire.codec import ANSWER_LIMITS, DEFAULT_LIMITS, Body, DecodeLimits, Parts, never_end
from lossd.wire.npz.archive import Member, read_archive, read_member, write_archive
from lossd.wire.npz.npy import read_npy, write_header

media_type: str = "application/x-npz"
holds_options: bool = False
is_text: bool = False
is_compressed: bool = True

_SUFFIX = ".npy"
_WARNINGS = "warnings"


def decode_call(body: Body, array_names: frozenset[str], limits: DecodeLimits = DEFAULT_LIMITS) -> Call:
    """Read a request, which is all arrays.

    Raises:
        MalformedBody: The body is not .npz, or an array in it has a dtype that the wire lacks.
        BodyTooLarge: The arrays together exceed ``limits``.
    """
    return Call(_read(body, limits))


def encode_call(call: Call) -> Parts:
    """Write the arrays of a request.

    Raises:
        InvalidCall: An array is of a dtype that the wire lacks.
    """
    return _write(call.arrays)


def encode_answer(answer: Answer, call: Call, checkpoint: Checkpoint = never_end) -> Parts:
    """Write an answer as named arrays; its warnings are the bytes of a JSON list.

    Raises:
        NotAcceptable: It would be 2 GiB large.
    """
    arrays = to_arrays(answer)
    if answer.warnings:
        arrays[_WARNINGS] = np.frombuffer(orjson.dumps(answer.warnings), np.uint8)
    try:
        return _write(arrays, checkpoint)
    except InvalidCall as error:
        raise NotAcceptable(errors=error.errors) from None


def decode_answer(body: Body, limits: DecodeLimits = ANSWER_LIMITS) -> Answer:
    """Read an answer.

    Raises:
        MalformedBody: The body is not an answer.
        BodyTooLarge: Its arrays together exceed ``limits``.
    """
    arrays = _read(body, limits)
    warnings = arrays.pop(_WARNINGS, np.empty(0, np.uint8))
    return from_arrays(arrays, warnings.tobytes())


def _write(arrays: Mapping[str, Array], checkpoint: Checkpoint = never_end) -> Parts:
    return write_archive(
        {
            f"{name}{_SUFFIX}": [write_header(array), raw]
            for name, array in arrays.items()
            for raw in [tensor.raw_bytes(array, name)]
        },
        checkpoint,
    )


def _read(body: Body, limits: DecodeLimits) -> dict[str, Array]:
    members = read_archive(memoryview(body))
    if sum(member.size for member in members) > limits.max_bytes:
        raise BodyTooLarge(f"expected arrays of at most {limits.max_bytes} bytes once decompressed, got more")
    budget = Budget(limits)
    try:
        return {_array_name(member): _array(member, budget) for member in members}
    except InvalidCall as error:
        raise MalformedBody(errors=error.errors) from None


def _array(member: Member, budget: Budget) -> Array:
    return read_npy(read_member(member), _array_name(member), budget)


def _array_name(member: Member) -> str:
    if not member.name.endswith(_SUFFIX):
        raise malformed(member.name, f"a member whose name ends in {_SUFFIX}", "another name")
    return member.name.removesuffix(_SUFFIX)
