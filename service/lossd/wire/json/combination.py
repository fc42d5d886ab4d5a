"""The JSON codec of requests to put parts together."""

from __future__ import annotations

from lossd.message import Checkpoint, Combination
from lossd.wire.budget import Budget
from lossd.wire.codec import DEFAULT_LIMITS, Body, DecodeLimits, Parts, never_end
from lossd.wire.json.codec import encode_answer, is_compressed, is_text, media_type
from lossd.wire.json.document import read_object
from lossd.wire.json.tensors import as_tensors
from lossd.wire.json.text import dumps
from lossd.wire.numbers import read_array
from lossd.wire.part_document import read_combination, write_combination

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
        MalformedBody: The body is not one JSON object, or nests too deeply.
        InvalidCall: It is no such request.
        BodyTooLarge: The arrays together exceed ``limits.max_elements``.
    """
    budget = Budget(limits)
    document = read_object(body, frozenset(), limits)
    return read_combination(document, lambda value, at: read_array(value, at, budget), checkpoint=checkpoint)


def encode_combination(combination: Combination) -> Parts:
    """Write a request to put parts together, its arrays as base64 tensors."""
    return dumps(as_tensors(write_combination(combination)))
