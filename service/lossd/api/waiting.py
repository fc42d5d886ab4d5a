"""This file is how something is begun that may have to wait, so that only what does wait needs a timer.

Nearly every body has arrived with its head, and a timer costs more than to receive it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class Begun(Generic[Result]):
    """The rest of something that has come to its first wait."""

    def __init__(self, steps: Generator[Any, Any, Result], waits_for: Any) -> None:
        self._steps = steps
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, Result]:
        try:
            yield self._waits_for
        except BaseException as error:  # cancelled: so is what has begun
            self._steps.throw(error)
            raise
        return (yield from self._steps)


def begin(awaitable: Awaitable[Result]) -> Result | Begun[Result]:
    """Run something until it ends or waits; return its result, or else the rest of it, to be awaited."""
    steps = awaitable.__await__()
    try:
        return Begun(steps, next(steps))
    except StopIteration as end:
        result: Result = end.value
        return result
