"""What is wrong with a file, in the form of every other error."""

from __future__ import annotations

from lossd.errors import ErrorDetail


class UnusableFile(Exception):
    """A file is not what its suffix says, or cannot be read or written in parts; ``place`` is where in it."""

    def __init__(self, path: str, expected: str, got: str, place: str = "") -> None:
        super().__init__(f"{ErrorDetail(path, expected, got)}{place}")
        self.parts = (path, expected, got, place)

    def __reduce__(self) -> tuple[type[UnusableFile], tuple[str, str, str, str]]:
        """Let a worker's error cross to where the job was begun."""
        return type(self), self.parts


class NoScheduler(Exception):
    """No cluster can be reached, or started, at the address that was given."""
