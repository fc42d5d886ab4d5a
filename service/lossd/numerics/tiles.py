"""Tiles: how a kernel over a whole batch works on some rows of a large matrix at a time, and may be stopped between.

Memory then grows with the length of the batch times a tile, not with its square, and what a tile holds stays in cache.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar

# Elements of a tile: 2 MiB of float64.
TILE_ELEMENTS = 1 << 18

_checkpoint: ContextVar[Callable[[], None] | None] = ContextVar("checkpoint", default=None)


def tiles(length: int, width: int) -> Iterator[slice]:
    """Cut ``length`` rows of ``width`` elements into tiles; between them the checkpoint of this thread is called."""
    rows = tile_rows(width)
    for start in range(0, length, rows):
        pause()
        yield slice(start, min(start + rows, length))


def pause() -> None:
    """Call the checkpoint of this thread, if `checkpoints` was given one."""
    checkpoint = _checkpoint.get()
    if checkpoint is not None:
        checkpoint()


def with_pauses(steps: Iterable[int]) -> Iterable[int]:
    """Return the steps of a recursion, with a `pause` before each; without a checkpoint they cost nothing."""
    return steps if _checkpoint.get() is None else _paused(steps)


def _paused(steps: Iterable[int]) -> Iterator[int]:
    for step in steps:
        pause()
        yield step


def tile_rows(width: int) -> int:
    """Return how many rows of ``width`` elements make a tile."""
    return max(1, TILE_ELEMENTS // max(width, 1))


@contextlib.contextmanager
def checkpoints(checkpoint: Callable[[], None] | None) -> Iterator[None]:
    """Call ``checkpoint`` between the tiles of this thread; what it raises ends the work."""
    token = _checkpoint.set(checkpoint)
    try:
        yield
    finally:
        _checkpoint.reset(token)
