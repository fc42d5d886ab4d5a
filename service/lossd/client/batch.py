"""Many calls in one request, and what each of them came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossd.client.arrays import call_of, result_dtype
from lossd.client.failure import AnswerTooLarge, ServiceError, problem_of
from lossd.client.outgoing import Headers, Outgoing, Reply, own_headers
from lossd.client.result import Result, result_of
from lossd.errors import BodyTooLarge, LossdError, MalformedBody
from lossd.message import Answer, Call
from lossd.wire.batch import LOSS, OF_ONE_CALL, place_of
from lossd.wire.codec import DecodeLimits, Parts
from lossd.wire.msgpack import batch as codec

PATH = "/v1/batch"


@dataclass(frozen=True, slots=True)
class Entry:
    """One call as it is sent.

    Attributes:
        parts: The call, or something in its place that the server refuses: places are to stay the same.
        dtype: Type of the numbers of its answer.
        error: Why it cannot be sent.
    """

    parts: Parts
    dtype: np.dtype[Any] | None = None
    error: LossdError | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as it is sent, and how its answer is read."""

    outgoing: Outgoing
    entries: Sequence[Entry]

    def results(self, reply: Reply, limits: DecodeLimits) -> list[Result | LossdError]:
        """Read what each call came to.

        Raises:
            ServiceError: The service refused the batch as a whole.
            MalformedBody: The body has no result for each call.
            AnswerTooLarge: Its arrays together are more than ``limits`` allow.
        """
        reply.check_type([codec.media_type])
        try:
            outcomes = codec.decode_outcomes(reply.body, limits)
        except BodyTooLarge as error:
            raise AnswerTooLarge(str(error)) from None
        except MalformedBody as error:
            raise reply.foreign(str(error), error.errors) from None
        if len(outcomes) != len(self.entries):
            raise reply.foreign(f"expected {len(self.entries)} results, got {len(outcomes)}")
        request_id = reply.headers.get("x-request-id", "")
        return [
            entry.error or _result(outcome, entry.dtype, request_id)
            for entry, outcome in zip(self.entries, outcomes, strict=True)
        ]


def prepare_batch(calls: Sequence[Mapping[str, Any]], *, headers: Headers) -> Batch:
    """Write a batch, in MessagePack; values that are None are left out.

    Args:
        calls: The calls, each with the name of its loss as ``loss``.
        headers: Headers to send besides those of the format.
    """
    entries = [_entry(index, call) for index, call in enumerate(calls)]
    parts = codec.encode_batch([entry.parts for entry in entries])
    size = sum(map(len, parts))
    sent = own_headers(codec.media_type, size, headers)
    return Batch(Outgoing("batch", "POST", PATH, sent, parts, size), entries)


def _entry(index: int, values: Mapping[str, Any]) -> Entry:
    if not isinstance(values, Mapping) or not isinstance(values.get(LOSS), str):
        raise TypeError(f"expected a mapping with the name of a `{LOSS}` - at `{place_of(index)}`")
    loss = values[LOSS]
    try:
        call = call_of(loss, {name: value for name, value in values.items() if name != LOSS})
        return Entry(codec.encode_entry(loss, call), result_dtype(call, loss))
    except OF_ONE_CALL as error:
        return Entry(codec.encode_entry("", Call({})), error=error.within(place_of(index)))


def _result(
    outcome: Answer | Mapping[str, Any], dtype: np.dtype[Any] | None, request_id: str
) -> Result | LossdError:
    if isinstance(outcome, Answer):
        return result_of(outcome, request_id, dtype)
    status = outcome.get("status")
    return ServiceError(problem_of(status if type(status) is int else 0, outcome, request_id))
