"""What every wire format must offer, and how much of it a call may hold.

A codec turns bytes into a `Call` and an `Answer` into bytes, and back for clients. It does no input or
output and knows no loss and no HTTP: which names are arrays, and how large they may be, is told to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from lossd.errors import BodyTooLarge, Fault
from lossd.message import Answer, Call

Body = bytes | bytearray | memoryview
Parts = Sequence[bytes | bytearray | memoryview]
"""A body to send: its pieces in order, each of bytes, which nobody needs to join."""

MOST_NAMES = 256
"""Arrays and options of one call together, in every format but JSON; no loss takes a tenth of them."""

_SMALL = 1 << 14  # bytes that are quicker copied than sent apart


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one call may hold.

    Attributes:
        max_elements: Elements of all its arrays together; the default is 512 MiB of float64.
        max_depth: Dimensions of one array, and levels of nesting in one option.
        max_bytes: Bytes that a compressed body may have once decompressed.
    """

    max_elements: int = 2**26
    max_depth: int = 8
    max_bytes: int = 2**29


DEFAULT_LIMITS = Limits()
ANSWER_LIMITS = Limits(max_elements=2**62, max_depth=64, max_bytes=2**62)
"""What a client allows an answer: it asked for it, and NumPy has 64 dimensions."""


class Codec(Protocol):
    """One wire format. A module with these names is a codec.

    Attributes:
        media_type: Its name in ``Content-Type`` and ``Accept``.
        holds_options: Whether a body has room for the options of a call; if not, the query string has.
        is_text: Whether its bodies are text, which compression makes much smaller.
        is_compressed: Whether a small body may hold large arrays.
    """

    media_type: str
    holds_options: bool
    is_text: bool
    is_compressed: bool

    def decode_call(self, body: Body, tensors: frozenset[str], limits: Limits = ...) -> Call:
        """Read a request: the names in ``tensors`` as arrays, every other name as an option.

        The arrays are views on the body where the format allows it. A format without room for options
        leaves it to the engine to refuse an array that no loss knows.

        Raises:
            MalformedBody: The bytes are not what the format says.
            InvalidCall: The format is kept, but a name in ``tensors`` does not hold an array.
            BodyTooLarge: The arrays together exceed ``limits``.
        """

    def encode_call(self, call: Call) -> Parts:
        """Write a request; without its options, if the format does not hold them.

        Raises:
            InvalidCall: An array has a dtype that the format lacks.
        """

    def encode_answer(self, answer: Answer, call: Call) -> Parts:
        """Write the answer to ``call``, whose options may say how.

        Raises:
            NotAcceptable: An array has a dtype that the format lacks, or the answer is too large for it.
        """

    def decode_answer(self, body: Body) -> Answer:
        """Read an answer.

        Raises:
            MalformedBody: The bytes are not an answer.
        """


class Budget:
    """The elements that the arrays of one call may still hold."""

    __slots__ = ("left", "limits")

    def __init__(self, limits: Limits) -> None:
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
            raise BodyTooLarge(faults=[Fault(at, expected, f"{allowed - self.left + elements} or more")])


def gather(pieces: Iterable[bytes | memoryview]) -> Parts:
    """Join small neighbours, so that few parts are left and no large one is copied."""
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
