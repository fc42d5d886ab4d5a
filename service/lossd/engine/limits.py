"""The limits on what one call may cost, and the error of a call that would exceed one."""

from __future__ import annotations

from dataclasses import dataclass

from lossd.engine.cost import Estimate
from lossd.errors import TooExpensive

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


@dataclass(frozen=True, slots=True)
class CostLimits:
    """The most that one call may cost.

    Attributes:
        work: Elementary operations on numbers.
        workspace_bytes: Memory that it works in, beside its own arrays and its answer.
        answer_bytes: Arrays of its answer.
    """

    work: int
    workspace_bytes: int
    answer_bytes: int


def refuse_excess(estimate: Estimate, limits: CostLimits) -> None:
    """Refuse a call that would cost more than it may.

    Raises:
        TooExpensive: The message says what it would cost, what is allowed, and which axis to make smaller.
    """
    excesses = (
        (estimate.work, limits.work, "work", f"{estimate.work:.3g} operations", f"{limits.work:.3g}"),
        _bytes("workspace", estimate.workspace, limits.workspace_bytes),
        _bytes("answer", estimate.answer, limits.answer_bytes),
    )
    for cost, most, name, needed, allowed in excesses:
        if cost > most:
            raise TooExpensive(
                f"the call is too expensive: its {name} would be {needed}, and this server allows {allowed}; "
                f"make {estimate.largest} smaller, or send it in parts"
            )


def _bytes(name: str, cost: int, most: int) -> tuple[int, int, str, str, str]:
    return cost, most, name, bytes_text(cost), bytes_text(most)


def bytes_text(count: int) -> str:
    """Write a number of bytes in a unit that leaves it below 1024."""
    place = min(max(count.bit_length() - 1, 0) // 10, len(_UNITS) - 1)
    return f"{count / 1024**place:.3g} {_UNITS[place]}"
