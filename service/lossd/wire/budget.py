"""Counts what the arrays and options of one body hold, so that too much is refused before it is built."""

from __future__ import annotations

from lossd.errors import BodyTooLarge, ErrorDetail
from lossd.wire.codec import MOST_BRANCHES, DecodeLimits

# Reading a value by itself, as the levels below it need, takes as long as reading hundreds of a flat list.
_FLAT_AT_ONCE = 1 << 9
_NESTED_OF_A_CALL = 16  # values of options below the first level; `partial` has none


class Budget:
    """Counts down the elements that the arrays of one body may have, the values of its options, and its branches.

    Args:
        limits: The limits on the body.
        calls: How many calls it has.
    """

    __slots__ = ("branches_left", "left", "limits", "nested_left", "values_left")

    def __init__(self, limits: DecodeLimits, calls: int = 1) -> None:
        self.limits = limits
        self.left = limits.max_elements
        self.branches_left = MOST_BRANCHES
        self.values_left = limits.max_option_values
        self.nested_left = limits.max_option_values // _FLAT_AT_ONCE + calls * _NESTED_OF_A_CALL

    def take(self, elements: int, at: str) -> None:
        """Spend ``elements`` on the array at ``at``."""
        if elements > self.left:
            self.check(elements, at)
        self.left -= elements

    def check(self, elements: int, at: str) -> None:
        """Refuse an array that will have at least ``elements``, before it is built."""
        if elements > self.left:
            allowed = self.limits.max_elements
            expected = f"at most {allowed} elements in all arrays of a call together (the limit max_elements)"
            raise BodyTooLarge(
                errors=[ErrorDetail(at, expected, f"{allowed - self.left + elements} or more")]
            )

    def take_values(self, count: int, at: str) -> None:
        """Spend ``count`` on values of the option at ``at``, before they are built."""
        self.values_left -= count
        if self.values_left < 0:
            expected = f"at most {self.limits.max_option_values} values in all options of a body together"
            raise BodyTooLarge(errors=[ErrorDetail(at[:80], expected, "more")])

    def take_nested(self, count: int, at: str) -> None:
        """Spend ``count`` on values that are read by themselves, as one of them is a list or a map."""
        self.nested_left -= count
        if self.nested_left < 0:
            raise BodyTooLarge(
                errors=[ErrorDetail(at[:80], "fewer lists and maps inside of options", "more")]
            )

    def take_branches(self, count: int, at: str) -> None:
        """Spend ``count`` on the names at ``at`` of a part, before their arrays are read."""
        self.branches_left -= count
        if self.branches_left < 0:
            expected = f"at most {MOST_BRANCHES} names of branches in all parts together; put fewer together"
            raise BodyTooLarge(errors=[ErrorDetail(at[:80], expected, "more")])
