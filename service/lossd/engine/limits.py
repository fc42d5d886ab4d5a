"""The limits on what one call may cost, and the error of a call that would exceed one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from lossd.engine.cost import Estimate
from lossd.errors import TooExpensive

LIST_BYTES = 2
"""Brackets of a list inside another, in an answer that is written as nested lists."""

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


class CallCost(Protocol):
    """What a call costs, or several together, by its estimate."""

    @property
    def work(self) -> int:
        """Elementary operations on numbers."""

    @property
    def workspace(self) -> int:
        """Bytes that it works in, beside its own arrays and its answer."""

    @property
    def answer(self) -> int:
        """Bytes of the arrays of its answer."""

    @property
    def inner_lists(self) -> int:
        """Lists inside the outermost ones, where the arrays of its answer are written as nested lists."""

    @property
    def seconds(self) -> float:
        """About how long it takes with one thread, until its answer is written."""


@dataclass(frozen=True, slots=True)
class CostLimits:
    """The most that one call may cost.

    Attributes:
        work: Elementary operations on numbers.
        workspace_bytes: Memory that it works in, beside its own arrays and its answer.
        answer_bytes: Arrays of its answer, and the brackets inside them where it is written as nested lists.
    """

    work: int
    workspace_bytes: int
    answer_bytes: int


def refuse_excess(estimate: Estimate, limits: CostLimits) -> None:
    """Refuse a call that would cost more than it may.

    Raises:
        TooExpensive: The message says what it would cost, what is allowed, and which axis to make smaller.
    """
    for name, needed, allowed in excesses(estimate, limits):
        raise TooExpensive(
            f"the call is too expensive: its {name} would be {needed}, and this server allows {allowed}; "
            f"make {estimate.largest} smaller, or send it in parts"
        )


def refuse_long_text(cost: CallCost, limits: CostLimits) -> None:
    """Refuse a job whose answer has more bytes than it may, the brackets of nested lists counted.

    Raises:
        TooExpensive: The message says how many, what is allowed, and how to have the answer without brackets.
    """
    needed = cost.answer + LIST_BYTES * cost.inner_lists
    if cost.inner_lists and needed > limits.answer_bytes:
        raise TooExpensive(
            f"the answer is too long: its arrays and the brackets of nested lists would be {bytes_text(needed)}, "
            f"and this server allows {bytes_text(limits.answer_bytes)}; ask for arrays as bytes, or leave out axes of "
            "length 1"
        )


def excesses(cost: CallCost, limits: CostLimits) -> Iterator[tuple[str, str, str]]:
    """Yield what exceeds its limit: its name, how much it would be, and how much is allowed."""
    costs = (
        (cost.work, limits.work, "work", f"{cost.work:.3g} operations", f"{limits.work:.3g}"),
        _bytes("workspace", cost.workspace, limits.workspace_bytes),
        _bytes("answer", cost.answer, limits.answer_bytes),
    )
    for needed, most, name, needed_text, allowed_text in costs:
        if needed > most:
            yield name, needed_text, allowed_text


def _bytes(name: str, cost: int, most: int) -> tuple[int, int, str, str, str]:
    return cost, most, name, bytes_text(cost), bytes_text(most)


def bytes_text(count: int) -> str:
    """Write a number of bytes in a unit that leaves it below 1024."""
    place = min(max(count.bit_length() - 1, 0) // 10, len(_UNITS) - 1)
    return f"{count / 1024**place:.3g} {_UNITS[place]}"
