"""How far a training loop has come: one rewritten line on a terminal, plain lines anywhere else."""

from __future__ import annotations

import sys

PLAIN_LINES = 10


def show_progress(step: int, steps: int, text: str) -> None:
    """Report on standard error that ``step`` of ``steps`` is done, and what came of it.

    Args:
        step: The step just done, counted from 1.
        steps: How many there will be.
        text: What to say about this step.
    """
    line = f"{step:>{len(str(steps))}}/{steps}  {text}"
    last = step == steps
    if sys.stderr.isatty():
        # Back to the first column, and erase what a longer line before this one left behind.
        print(f"\r{line}\033[K", end="\n" if last else "", file=sys.stderr, flush=True)
    elif last or step % max(1, steps // PLAIN_LINES) == 0:
        print(line, file=sys.stderr, flush=True)
