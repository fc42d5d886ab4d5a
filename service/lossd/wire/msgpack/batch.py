"""The MessagePack codec of batches: the calls and the answers are those of the codec of calls.

Clients write batches and read their results in this format alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from lossd.errors import invalid, malformed
from lossd.message import Answer, Call, Checkpoint
from lossd.wire import batch
from lossd.wire.batch import ArrayNames, Entry, Outcome
from lossd.wire.budget import Budget
from lossd.wire.codec import (
    ANSWER_LIMITS,
    DEFAULT_LIMITS,
    Body,
    DecodeLimits,
    Parts,
    never_end,
)
from lossd.wire.gathering import gather
from lossd.wire.msgpack.array import Whole, whole_of
from lossd.wire.msgpack.codec import (
    answer_document,
    encode_call,
    encode_document,
    is_compressed,
    is_text,
    media_type,
    read_answer,
    read_call,
)
from lossd.wire.msgpack.document import items, members, option, plain
from lossd.wire.msgpack.headers import is_list, is_map, list_header, stated_length

__all__ = [
    "decode_batch",
    "decode_outcomes",
    "encode_batch",
    "encode_entry",
    "encode_outcomes",
    "is_compressed",
    "is_text",
    "media_type",
]

_NIL = Raw(b"\xc0")
_PROBLEM_LEVELS = 3  # the document, its list of errors, each of these
_encode = msgspec.msgpack.Encoder().encode


def decode_batch(
    body: Body,
    names: ArrayNames,
    limits: DecodeLimits = DEFAULT_LIMITS,
    checkpoint: Checkpoint = never_end,
) -> list[Entry]:
    """Read the calls of a batch; one that cannot be read has its error in its place.

    Raises:
        MalformedBody: The body is not one map of MessagePack.
        InvalidCall: It is no batch.
        BodyTooLarge: There are too many calls, or the arrays or options of all together exceed ``limits``.
    """
    whole = whole_of(body)
    listed = batch.checked_calls(members(whole.view, ""))
    if not is_list(listed):
        raise invalid(batch.CALLS, "a list of calls", "another type")
    count = stated_length(listed)
    batch.check_count(count)
    budget = Budget(limits, count)

    def read(values: Mapping[str, Raw], arrays: frozenset[str]) -> Call:
        return read_call(values, arrays, whole, budget)

    return batch.read_entries(items(listed, batch.CALLS), _split, read, names, checkpoint)


def encode_entry(loss: str, call: Call) -> Parts:
    """Write one call of a batch.

    Raises:
        InvalidCall: An array is of a dtype that the wire lacks, or 4 GiB large.
    """
    return encode_call(Call(call.arrays, {batch.LOSS: loss, **call.options}))


def encode_batch(entries: Sequence[Parts]) -> Parts:
    """Write a batch of calls that `encode_entry` wrote."""
    head = b"\x81" + _encode(batch.CALLS) + list_header(len(entries))
    return gather([head, *(part for parts in entries for part in parts)])


def encode_outcomes(outcomes: Iterable[Outcome], checkpoint: Checkpoint = never_end) -> Parts:
    """Write what each call came to, its answer as the codec of calls writes it.

    Raises:
        NotAcceptable: An array is 4 GiB large.
    """
    documents = batch.results(outcomes, answer_document)[batch.RESULTS]
    head = b"\x81" + _encode(batch.RESULTS) + list_header(len(documents))
    parts: list[Body] = [head]
    for document in documents:
        checkpoint()
        parts += encode_document(document)
    return gather(parts)


def decode_outcomes(body: Body, limits: DecodeLimits = ANSWER_LIMITS) -> list[Answer | Mapping[str, Any]]:
    """Read the results of a batch: an answer each, or a problem document.

    Raises:
        MalformedBody: The bytes are no results.
        BodyTooLarge: Their arrays together exceed ``limits``.
    """
    whole, budget = whole_of(body), Budget(limits)
    results = members(whole.view, "").get(batch.RESULTS, _NIL)
    if not is_list(results):
        raise malformed(batch.RESULTS, "a list", "another type")
    return [
        _outcome(raw, f"{batch.RESULTS}[{index}]", whole, budget)
        for index, raw in enumerate(items(results, batch.RESULTS))
    ]


def _split(raw: Raw) -> tuple[Any, Mapping[str, Raw]]:
    if not is_map(raw):
        raise invalid("", "a map with the name of a loss and its arguments", "another type")
    values = members(raw, "")
    return plain(values.pop(batch.LOSS, _NIL), batch.LOSS), values


def _outcome(raw: Raw, at: str, whole: Whole, budget: Budget) -> Answer | Mapping[str, Any]:
    values = members(raw, at)
    if "answer" in values:
        return read_answer(members(values["answer"], f"{at}.answer"), whole, budget)
    problem = option(values.get("problem", _NIL), f"{at}.problem", _PROBLEM_LEVELS, budget)
    if type(problem) is not dict:
        raise malformed(at, "an answer or a problem", "neither")
    return problem
