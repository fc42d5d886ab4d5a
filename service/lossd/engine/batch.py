"""What several calls cost together, held to the limits on one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from lossd.engine.cost import OPERATIONS_PER_SECOND, Estimate
from lossd.engine.limits import CostLimits, excesses
from lossd.errors import LossdError, TooExpensive

REFUSED_WORK, DETAIL_WORK = 60_000, 10_000
"""Operations that take as long as it does to read a call and find out that it is wrong, and to say one thing of why."""


def refused_work(error: LossdError) -> int:
    """Return how many operations take as long as a call took that is refused."""
    return REFUSED_WORK + DETAIL_WORK * len(error.errors)


@dataclass(frozen=True, slots=True)
class Total:
    """What several calls cost together: the sums of their estimates.

    Attributes:
        work: Elementary operations on numbers.
        workspace: Bytes beside their arrays and their answers.
        answer: Bytes of the arrays of their answers.
        inner_lists: Lists inside the outermost ones, where these arrays are written as nested lists.
        seconds: About how long they take with one thread.
    """

    work: int = 0
    workspace: int = 0
    answer: int = 0
    inner_lists: int = 0
    seconds: float = 0.0


def total_of(
    estimates: Iterable[Estimate], limits: CostLimits, *, refused: Iterable[LossdError] = ()
) -> Total:
    """Sum up what calls cost, and what others did that are refused with these errors.

    Raises:
        TooExpensive: Together they cost more than one call may.
    """
    work = workspace = answer = inner_lists = 0
    seconds = 0.0
    for each in estimates:
        work += each.work
        workspace += each.workspace
        answer += each.answer
        inner_lists += each.inner_lists
        seconds += each.seconds
    total = Total(work, workspace, answer, inner_lists, seconds)
    for name, needed, allowed in excesses(total, limits):
        raise TooExpensive(
            f"the calls are too expensive together: their {name} would be {needed}, and this server allows {allowed}; "
            "send them in several batches"
        )
    wasted = sum(map(refused_work, refused))
    return replace(total, work=work + wasted, seconds=seconds + wasted / OPERATIONS_PER_SECOND)
