"""The MessagePack codec of requests to put parts together."""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from lossd.errors import invalid
from lossd.message import Array, Checkpoint, Combination
from lossd.wire.budget import Budget
from lossd.wire.codec import DEFAULT_LIMITS, Body, DecodeLimits, Parts, never_end
from lossd.wire.gathering import gather
from lossd.wire.msgpack.array import read_raw_array, whole_of
from lossd.wire.msgpack.codec import encode_answer, is_compressed, is_text, media_type
from lossd.wire.msgpack.document import items, members, option
from lossd.wire.msgpack.headers import is_list, stated_length
from lossd.wire.msgpack.part import split_part
from lossd.wire.msgpack.writer import written
from lossd.wire.part_document import MOST_PARTS, read_combination, write_combination

__all__ = [
    "decode_combination",
    "encode_answer",
    "encode_combination",
    "is_compressed",
    "is_text",
    "media_type",
]


def decode_combination(
    body: Body, limits: DecodeLimits = DEFAULT_LIMITS, checkpoint: Checkpoint = never_end
) -> Combination:
    """Read a request to put parts together.

    Raises:
        MalformedBody: The body is not one map of MessagePack, or nests too deeply.
        InvalidCall: It is no such request.
        BodyTooLarge: The arrays together exceed ``limits.max_elements``, or the names of all parts `MOST_BRANCHES`.
    """
    budget, whole = Budget(limits), whole_of(body)

    def read(value: Any, at: str) -> Array:
        if not isinstance(value, Raw):
            raise invalid(at, "numbers", "a map that is none of an array")
        return read_raw_array(value, at, whole, budget)

    document = {
        name: _listed(raw, budget) if name == "parts" else option(raw, name, 1, budget)
        for name, raw in members(whole.view, "").items()
    }
    return read_combination(
        document, read, split=lambda part, at: split_part(part, at, budget), checkpoint=checkpoint
    )


def encode_combination(combination: Combination) -> Parts:
    """Write a request to put parts together, each array as its bytes."""
    return gather(written(write_combination(combination), ""))


def _listed(raw: Raw, budget: Budget) -> Any:
    """Return the parts of a list, none of them read yet; any other value as it is."""
    if not is_list(raw):
        return option(raw, "parts", 1, budget)
    if stated_length(raw) > MOST_PARTS:
        raise invalid("parts", f"at most {MOST_PARTS} parts", stated_length(raw))
    return items(raw, "parts")
