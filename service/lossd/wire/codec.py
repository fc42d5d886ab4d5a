"""The protocol of a codec, and the limits on one call.

A codec turns bytes into a `Call` and an `Answer` into bytes, and back for clients. It does no input or output and
knows no loss and no HTTP: its caller names the arrays and their limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from lossd.errors import BodyTooLarge, ErrorDetail
from lossd.message import Answer, Call

Body = bytes | bytearray | memoryview
Parts = Sequence[bytes | bytearray | memoryview]
"""A body to send, as pieces of bytes in order, so that large arrays are not copied."""

MOST_NAMES = 256
"""Arrays and options of one call together, in every format but JSON; no loss takes a tenth of them."""

_SMALL = 1 << 14  # bytes; copying so few costs less than sending them apart


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """How much one call may hold.

    Attributes:
        max_elements: Elements of all its arrays together; the default is 512 MiB of float64.
        max_depth: Dimensions of one array, and levels of nesting in one option.
        max_bytes: Bytes that a compressed body may have once decompressed.
    """

    max_elements: int = 2**26
    max_depth: int = 8
    max_bytes: int = 2**29


DEFAULT_LIMITS = DecodeLimits()
ANSWER_LIMITS = DecodeLimits(max_elements=2**62, max_depth=64, max_bytes=2**62)
"""Limits on an answer that a client asked for: those of NumPy."""


class Codec(Protocol):
    """One wire format. A module with these names is a codec.

    Attributes:
        media_type: Its name in ``Content-Type`` and ``Accept``.
        holds_options: Whether a body carries the options of a call; if not, the query string does.
        is_text: Whether its bodies are text, which compression makes much smaller.
        is_compressed: Whether a small body may hold large arrays.
    """

    media_type: str
    holds_options: bool
    is_text: bool
    is_compressed: bool

    def decode_call(self, body: Body, array_names: frozenset[str], limits: DecodeLimits = ...) -> Call:
        """Read a request: the names in ``array_names`` as arrays, every other name as an option.

        The arrays are views on the body where the format allows it. In a format without options, every
        name is an array, and the engine refuses those that no loss knows.

        Raises:
            MalformedBody: The bytes are not what the format says.
            InvalidCall: The body is well-formed, but a name in ``array_names`` is not an array.
            BodyTooLarge: The arrays together exceed ``limits``.
        """

    def encode_call(self, call: Call) -> Parts:
        """Write a request, without its options if the format has none.

        Raises:
            InvalidCall: An array has a dtype that the format lacks.
        """

    def encode_answer(self, answer: Answer, call: Call) -> Parts:
        """Write the answer to ``call``, whose options may choose the encoding.

        Raises:
            NotAcceptable: An array has a dtype that the format lacks, or the answer is too large for it.
        """

    def decode_answer(self, body: Body) -> Answer:
        """Read an answer.

        Raises:
            MalformedBody: The bytes are not an answer.
        """


class Budget:
    """Counts down the elements that the arrays of one call may have."""

    __slots__ = ("left", "limits")

    def __init__(self, limits: DecodeLimits) -> None:
        self.limits = limits
        self.left = limits.max_elements

    def take(self, elements: int, at: str) -> None:
        """Spend ``elements`` on the array at ``at``."""
        self.check(elements, at)
        self.left -= elements

    def check(self, elements: int, at: str) -> None:
        """Refuse an array that will have at least ``elements``, before it is built."""
        if elements > self.left:
            allowed = self.limits.max_elements
            expected = f"at most {allowed} elements in all arrays of a call together (the limit max_elements)"
            raise BodyTooLarge(
                faults=[ErrorDetail(at, expected, f"{allowed - self.left + elements} or more")]
            )


def gather(pieces: Iterable[bytes | memoryview]) -> Parts:
    """Join small neighbouring pieces, so that few parts are left and no large one is copied."""
    parts: list[bytes | bytearray | memoryview] = []
    small = bytearray()
    for piece in pieces:
        if len(piece) <= _SMALL:
            small += piece
            continue
        if small:
            parts.append(small)
            small = bytearray()
        parts.append(piece)
    if small or not parts:
        parts.append(small)
    return parts
