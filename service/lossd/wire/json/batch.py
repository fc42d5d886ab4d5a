"""The JSON codec of batches: the calls and the answers are those of the codec of calls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from lossd.errors import invalid
from lossd.message import Call, Checkpoint
from lossd.wire import batch
from lossd.wire.batch import ArrayNames, Entry, Outcome
from lossd.wire.budget import Budget
from lossd.wire.codec import DEFAULT_LIMITS, Body, DecodeLimits, Parts, never_end
from lossd.wire.garbage import without_collections
from lossd.wire.json.codec import answer_document, is_compressed, is_long, is_text, media_type, read_call
from lossd.wire.json.document import read_entries
from lossd.wire.json.text import dumps
from lossd.wire.option import check_values
from lossd.wording import type_name

__all__ = ["decode_batch", "encode_outcomes", "is_compressed", "is_text", "media_type"]

_LISTS = frozenset([batch.CALLS])


def decode_batch(
    body: Body,
    names: ArrayNames,
    limits: DecodeLimits = DEFAULT_LIMITS,
    checkpoint: Checkpoint = never_end,
) -> list[Entry]:
    """Read the calls of a batch; one that cannot be read has its error in its place.

    Raises:
        MalformedBody: The body is not one JSON object, or an object in it repeats a key.
        InvalidCall: It is no batch.
        BodyTooLarge: There are too many calls, or the arrays of all together exceed ``limits.max_elements``.
    """
    if is_long(body):
        return without_collections(lambda: _decode_batch(body, names, limits, checkpoint))
    return _decode_batch(body, names, limits, checkpoint)


def _decode_batch(body: Body, names: ArrayNames, limits: DecodeLimits, checkpoint: Checkpoint) -> list[Entry]:
    entries = batch.checked_calls(read_entries(body, _LISTS, names.any, limits))
    if type(entries) is not list:
        raise invalid(batch.CALLS, "a list of calls", type_name(entries))
    batch.check_count(len(entries))
    budget, freed = Budget(limits), is_long(body)

    def read(members: Mapping[str, Any], arrays: frozenset[str]) -> Call:
        for name in members.keys() - arrays:
            # A name that holds an array in another loss may be read as one already.
            if type(value := members[name]) is np.ndarray:
                check_values(value.size, name)
                members = {**members, name: value.tolist()}
        return read_call(members, arrays, budget, is_long=freed)

    return batch.read_entries(entries, _split, read, names, checkpoint)


def encode_outcomes(outcomes: Iterable[Outcome], checkpoint: Checkpoint = never_end) -> Parts:
    """Write what each call came to, its answer as the codec of calls writes it."""
    return dumps(batch.results(outcomes, answer_document), checkpoint)


def _split(entry: Any) -> tuple[Any, Mapping[str, Any]]:
    if type(entry) is not dict:
        raise invalid("", "an object with the name of a loss and its arguments", type_name(entry))
    return entry.pop(batch.LOSS, None), entry
