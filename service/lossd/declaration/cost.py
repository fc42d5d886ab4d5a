"""The cost of a kernel, as far as it does not follow from the patterns of its arguments."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """Memory and time of a kernel, in patterns whose axes are multiplied; several are added with " + ".

    The names in them are letters of the arguments' patterns, whole settings and numbers; of names with a bar between
    them, as ``(rank|L, L)``, the least counts. What is left out follows from the arguments: the workspace is a few
    times the elements of a row, the work is one pass over them.

    Attributes:
        workspace: Elements that kernel and derivatives hold at their peak for each row, such as ``(6, L, L)``; for a
            loss over a whole batch those for the batch, beside its tiles.
        tile: Elements of a tile row, such as ``(8, N)`` where eight rows of a matrix of all pairs are held at a time;
            `numerics.tiles` cuts such rows into tiles.
        work: Operations for each row, such as ``(10, N, N)`` of a loss over a whole batch.
        products: Multiplications in products of matrices, which take far less time, such as ``(N, N, D)``.
        steps: NumPy calls that must follow one another, such as ``(T)`` of a recursion over time.
        stepped: Elements of each row that these calls work on together, where that is not the whole workspace.
        speed: How many operations of values and derivatives are done in the time of one, where they are few.
    """

    workspace: str = ""
    tile: str = ""
    work: str = ""
    products: str = ""
    steps: str = "(1)"
    stepped: str = ""
    speed: float = 1.0


BY_PATTERNS = Cost()
"""What follows from the patterns alone."""
