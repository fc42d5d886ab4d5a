"""A request whose body has come: the formats that its headers name, and how its answer is packed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from starlette.types import Receive

from lossd.api.body import read_arrays, read_text
from lossd.api.encoding import Unpack, answer_encoding, unpacking
from lossd.api.exchange import Exchange
from lossd.api.forecast import FIRST_SECONDS
from lossd.api.negotiation import FORMATS, Formats
from lossd.engine import Checkpoint
from lossd.engine.cost import Estimate
from lossd.errors import LossdError
from lossd.message import Call
from lossd.settings import Settings
from lossd.wire import Body, DecodeLimits, Parts
from lossd.wire.content_encoding import compress
from lossd.wire.pieces import PIECE_BYTES
from lossd.wire.unpacked_size import inflated_size


class Format(Protocol):
    """What codecs say about their format, whatever they read and write."""

    media_type: str
    is_text: bool
    is_compressed: bool


C = TypeVar("C", bound=Format)


@dataclass(slots=True)
class Incoming(Generic[C]):
    """The body of a request, and how it is read and answered.

    Attributes:
        exchange: The request.
        body: Its body as it came.
        reads, writes: The codecs of the body and of the answer.
        unpack: Unpacks the body, if it is packed.
        decode_limits: How much the body may hold.
        compress_from_bytes: Size of text from which it is worth being compressed.
    """

    exchange: Exchange
    body: Body
    reads: C
    writes: C
    unpack: Unpack | None
    decode_limits: DecodeLimits
    compress_from_bytes: int

    @property
    def body_bytes(self) -> int | None:
        """Size of the body; None if it is compressed."""
        return None if self.unpack or self.reads.is_compressed else len(self.body)

    @property
    def unpacked_bytes(self) -> int:
        """Size of the body once it is unpacked, or more, up to the limit."""
        return unpacked_bytes(self.body, self.unpack, self.decode_limits)

    @property
    def hidden_seconds(self) -> float:
        """About how long it takes to unpack and read what the size of the body does not show."""
        inflated = 0 if self.unpack else self._inflated_bytes(self.body)
        return hidden_seconds(self.body, self.unpack, self.decode_limits) + inflated * FIRST_SECONDS

    def unpacked(self) -> Body:
        """Return the body as its format has it; what is deflated within it is counted before it is inflated.

        Raises:
            Overloaded: There is no room for it.
        """
        body = self.body
        if self.unpack is not None:
            body = self.unpack(body, self.decode_limits.max_bytes, self.exchange.reserve)
        self.exchange.reserve(self._inflated_bytes(body))
        return body

    @property
    def reserving_limits(self) -> DecodeLimits:
        """How much the body may hold, with what its lists take counted among the bytes in flight."""
        if self.unpack is None and len(self.body) <= PIECE_BYTES:  # which are few
            return self.decode_limits
        return replace(self.decode_limits, reserve=self.exchange.reserve_estimate)

    def _inflated_bytes(self, body: Body) -> int:
        """Return what the deflated arrays of a body have, up to the limit: beyond it none is inflated."""
        return min(inflated_size(body), self.decode_limits.max_bytes) if self.reads.is_compressed else 0

    def packed(self, parts: Parts, checkpoint: Checkpoint) -> tuple[Parts, str | None]:
        """Return the body of the answer, and its content encoding: it is compressed where that pays."""
        if not self.writes.is_text or sum(map(len, parts)) < self.compress_from_bytes:
            return parts, None
        encoding = answer_encoding(self.exchange.headers.get(b"accept-encoding", b""))
        return (parts, None) if encoding is None else (compress(parts, encoding, checkpoint), encoding)


@dataclass(slots=True)
class IncomingJob(Generic[C]):
    """What the dispatcher asks of a job that follows from how its request came."""

    incoming: Incoming[C]

    @property
    def exchange(self) -> Exchange:
        """The request."""
        return self.incoming.exchange

    @property
    def reads_text(self) -> bool:
        """Whether the body is text."""
        return self.incoming.reads.is_text

    @property
    def answers_in_text(self) -> bool:
        """Whether the answer is text."""
        return self.incoming.writes.is_text

    @property
    def body_bytes(self) -> int | None:
        """Size of the body; None if it is compressed."""
        return self.incoming.body_bytes

    @property
    def hidden_seconds(self) -> float:
        """About how long it takes to read what the size of the body does not show."""
        return self.incoming.hidden_seconds


def as_written(estimate: Estimate, writes: Format, call: Call | LossdError) -> Estimate:
    """Return what a call costs whose answer is written so: only text has nested lists, and not as base64."""
    if not estimate.inner_lists:
        return estimate
    nests = writes.is_text and isinstance(call, Call) and call.options.get("encoding") != "base64"
    return estimate if nests else replace(estimate, inner_lists=0)


def unpacked_bytes(body: Body, unpack: Unpack | None, limits: DecodeLimits) -> int:
    """Return the size of a body once it is unpacked, or more, up to the limit."""
    return len(body) if unpack is None else min(unpack.size(body), limits.max_bytes)


def hidden_seconds(body: Body, unpack: Unpack | None, limits: DecodeLimits) -> float:
    """Return about how long it takes to unpack and read what the size of a body does not show."""
    return max(unpacked_bytes(body, unpack, limits) - len(body), 0) * FIRST_SECONDS


def decode_limits(settings: Settings) -> DecodeLimits:
    """Return how much a body may hold."""
    return DecodeLimits(
        max_elements=settings.max_elements,
        max_depth=settings.max_depth,
        max_bytes=settings.max_body_bytes,
    )


async def receive_body(
    exchange: Exchange, receive: Receive, formats: Formats[C], limits: DecodeLimits, settings: Settings
) -> Incoming[C]:
    """Choose the formats of a request, and receive its body."""
    headers = exchange.headers
    reads = formats.of_request(headers.get(b"content-type", b""))
    exchange.format = FORMATS[reads.media_type]
    packed = headers.get(b"content-encoding")
    unpack = unpacking(packed) if packed else None
    writes = formats.of_answer(headers.get(b"accept", b""), reads.media_type)
    exchange.set_deadline(settings.request_timeout_seconds)
    claimed = headers.get(b"content-length")
    read = read_text if reads.is_text else read_arrays
    body = await read(receive, int(claimed) if claimed is not None else None)
    return Incoming(exchange, body, reads, writes, unpack, limits, settings.compress_from_bytes)
