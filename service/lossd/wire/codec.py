"""The protocol of a codec, and the limits on one call.

A codec turns bytes into a `Call` and an `Answer` into bytes, and back for clients. It does no input or output and
knows no loss and no HTTP: its caller names the arrays and their limits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from lossd.errors import BodyTooLarge, ErrorDetail
from lossd.message import Answer, Call, Checkpoint, Combination

Body = bytes | bytearray | memoryview
Parts = Sequence[bytes | bytearray | memoryview]
"""A body to send, as pieces of bytes in order, so that large arrays are not copied."""

Reserve = Callable[[int], None]
"""Counts bytes that a request turns out to need; it raises where there is no room for them."""

MOST_NAMES = 256
"""Arrays and options of one call together, in every format but JSON; no loss takes a tenth of them."""

MOST_CONTAINERS = 1 << 20
"""Lists and maps in one body of JSON or MessagePack: each takes about 100 bytes and 100 ns, however little is in it."""

LONGEST_STRING = 1 << 16
"""Bytes of one string in a body of JSON or MessagePack, but for the base64 data of an array."""

LONGEST_KEY = 1 << 12
"""Bytes of one key there; no name takes a twentieth of them."""

MOST_LISTED_BYTES = 192 << 20
"""Bytes that the lists of one body of JSON or MessagePack may take: 8 for a number, more for one that is an object."""

MOST_OPTION_VALUES = 1 << 18
"""Values in the options of one body of MessagePack, on all levels: 64 for each call of the largest batch."""

MOST_BRANCHES = 1 << 14
"""Names under which the parts of one body have branches, all together: as many as the keys of a body in JSON allow."""


def reserve_nothing(size: int) -> None:
    """Count no bytes: for bodies that are read outside of a server."""


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """How much one call may hold.

    Attributes:
        max_elements: Elements of all its arrays together; the default is 512 MiB of float64.
        max_depth: Dimensions of one array, and levels of nesting in one option.
        max_bytes: Bytes that a compressed body may have once decompressed.
        max_option_values: Values of options of MessagePack on all levels, those of a batch's calls together.
        max_listed_bytes: Bytes that its lists may take once they are read.
        reserve: Called with the bytes that lists take beyond those of their text, before they are read.
    """

    max_elements: int = 2**26
    max_depth: int = 8
    max_bytes: int = 2**29
    max_option_values: int = MOST_OPTION_VALUES
    max_listed_bytes: int = MOST_LISTED_BYTES
    reserve: Reserve = reserve_nothing


def never_end() -> None:
    """Let work go on: for bodies that are read outside of a server."""


def too_many_containers(containers: str) -> BodyTooLarge:
    """Build the error for a body with more lists and maps than `MOST_CONTAINERS`."""
    expected = f"at most {MOST_CONTAINERS} {containers} in a body; send large arrays as bytes"
    return BodyTooLarge(errors=[ErrorDetail("", expected, "more")])


def reserve_lists(size: int, text_bytes: int, limits: DecodeLimits, at: str = "") -> None:
    """Reserve the bytes of lists that are written in so many bytes of text, before they are read.

    Raises:
        BodyTooLarge: They are more than a body may have.
        Overloaded: There is no room for them.
    """
    if size > limits.max_listed_bytes:
        expected = (
            f"lists that take at most {limits.max_listed_bytes} bytes once they are read: 8 for a number, about 48 "
            "where strings stand between numbers or rows are of unequal length; send large arrays as bytes"
        )
        raise BodyTooLarge(errors=[ErrorDetail(at[:80], expected, f"about {size}")])
    if size > text_bytes:
        limits.reserve(size - text_bytes)


DEFAULT_LIMITS = DecodeLimits()
ANSWER_LIMITS = DecodeLimits(
    max_elements=2**62, max_depth=64, max_bytes=2**62, max_option_values=2**62, max_listed_bytes=2**62
)
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

    def encode_answer(self, answer: Answer, call: Call, checkpoint: Checkpoint = ...) -> Parts:
        """Write the answer to ``call``, whose options may choose the encoding.

        Args:
            answer: What the call came to.
            call: The call.
            checkpoint: Called between pieces of what takes long to write; what it raises ends the writing.

        Raises:
            NotAcceptable: An array has a dtype that the format lacks, or the answer is too large for it.
        """

    def decode_answer(self, body: Body, limits: DecodeLimits = ...) -> Answer:
        """Read an answer.

        Raises:
            MalformedBody: The bytes are not an answer.
            BodyTooLarge: Its arrays together exceed ``limits``.
        """


class CombinationCodec(Protocol):
    """One wire format that holds nested objects, and so the parts of calls. A module with these names is one.

    Attributes:
        media_type: Its name in ``Content-Type`` and ``Accept``.
        is_text: Whether its bodies are text, which compression makes much smaller.
        is_compressed: Whether a small body may hold large arrays.
    """

    media_type: str
    is_text: bool
    is_compressed: bool

    def decode_combination(
        self, body: Body, limits: DecodeLimits = ..., checkpoint: Checkpoint = ...
    ) -> Combination:
        """Read a request to put parts together.

        Args:
            body: The bytes.
            limits: How much the parts may hold together.
            checkpoint: Called before each part; what it raises ends the reading.

        Raises:
            MalformedBody: The bytes are not what the format says.
            InvalidCall: The body is well-formed, but no such request.
            BodyTooLarge: The arrays together exceed ``limits``, or the names of all parts `MOST_BRANCHES`.
        """

    def encode_combination(self, combination: Combination) -> Parts:
        """Write a request to put parts together."""

    def encode_answer(self, answer: Answer, call: Call, checkpoint: Checkpoint = ...) -> Parts:
        """Write what they come to, as a codec of calls does."""
