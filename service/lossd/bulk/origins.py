"""Which files the rows of a part come from, and in what state these are."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import Any

from lossd.bulk.sources import Fingerprint, Source, rows_of_files


class Origins:
    """The files of an argument's rows, with their sizes and the times of their last change.

    Attributes:
        files: Paths and numbers of rows, in order, without files that have none.
    """

    def __init__(self, source: Source, fingerprint: Fingerprint) -> None:
        states = {found[0]: found for found in fingerprint}
        self.files = [each for each in rows_of_files(source, fingerprint[0][0]) if each[1]]
        # A shard that appeared between fingerprint and opening has no state: its parts are computed again.
        self.states = [states.get(path, [path]) for path, _ in self.files]
        self.stops = [*accumulate(rows for _, rows in self.files)]

    def between(self, first: int, stop: int) -> list[list[Any]]:
        """Return path, size and time of each file that holds some of these rows."""
        return self.states[
            bisect_right(self.stops, first) : bisect_right(self.stops, max(stop - 1, first)) + 1
        ]
