"""What every wire format must offer, and how much of it a call may hold.

A codec turns bytes into a `Call` and an `Answer` into bytes, and back for clients. It does no input or
output and knows no loss and no HTTP: which names are arrays, and how large they may be, is told to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from lossd.errors import BodyTooLarge, Fault
from lossd.message import Answer, Call

Body = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one call may hold.

    Attributes:
        max_elements: Elements of all its arrays together; the default is 512 MiB of float64.
        max_depth: Dimensions of one array, and levels of nesting in one option.
    """

    max_elements: int = 2**26
    max_depth: int = 8


class Codec(Protocol):
    """One wire format. A module with these names is a codec."""

    media_type: str

    def decode_call(self, body: Body, tensors: frozenset[str], limits: Limits = ...) -> Call:
        """Read a request: the names in ``tensors`` as arrays, every other name as an option.

        Raises:
            MalformedBody: The bytes are not what the format says.
            InvalidCall: The format is kept, but a name in ``tensors`` does not hold an array.
            BodyTooLarge: The arrays together exceed ``limits.max_elements``.
        """

    def encode_call(self, call: Call) -> bytes:
        """Write a request."""

    def encode_answer(self, answer: Answer, call: Call) -> bytes:
        """Write the answer to ``call``, whose options may say how."""

    def decode_answer(self, body: Body) -> Answer:
        """Read an answer.

        Raises:
            MalformedBody: The bytes are not an answer.
        """


class Budget:
    """The elements that the arrays of one call may still hold."""

    __slots__ = ("limits", "taken")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.taken = 0

    def take(self, elements: int, at: str) -> None:
        """Spend ``elements`` on the array at ``at``."""
        self.check(elements, at)
        self.taken += elements

    def check(self, elements: int, at: str) -> None:
        """Refuse an array that will have at least ``elements``, before it is built."""
        allowed = self.limits.max_elements
        if self.taken + elements > allowed:
            expected = f"at most {allowed} elements in all arrays of a call together (the limit max_elements)"
            raise BodyTooLarge(faults=[Fault(at, expected, f"{self.taken + elements} or more")])
