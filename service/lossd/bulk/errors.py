"""What is wrong with a file, in the form of every other error."""

from __future__ import annotations

import csv
import errno
import lzma
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from lossd.errors import ErrorDetail

MALFORMED: tuple[type[Exception], ...] = (
    *(ValueError, TypeError, LookupError, ArithmeticError, AttributeError, AssertionError, SyntaxError),
    *(EOFError, MemoryError, RuntimeError, StopIteration, Warning),
    *(csv.Error, lzma.LZMAError, struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)
"""What NumPy, zipfile, pyarrow, h5py and Zarr raise for bytes that are not of their formats, besides OSError."""
_OF_CONTENT = (
    None,
    errno.EINVAL,
)  # h5py and pyarrow give no number; a seek to a place that a file states may be wrong


class UnusableFile(Exception):
    """A file is not what its suffix says, or cannot be read or written in parts; ``place`` is where in it."""

    def __init__(self, path: str, expected: str, got: str, place: str = "") -> None:
        super().__init__(_printable(f"{ErrorDetail(path, expected, got).bounded()}{place}"))
        self.parts = (path, expected, got, place)

    def __reduce__(self) -> tuple[type[UnusableFile], tuple[str, str, str, str]]:
        """Let a worker's error cross to where the job was begun."""
        return type(self), self.parts


class NoScheduler(Exception):
    """No cluster can be reached, or started, at the address that was given."""


@contextmanager
def naming(path: str, expected: str, *also: type[Exception]) -> Iterator[None]:
    """Name the file in whatever a library raises for its content, or the system for reading or writing it.

    Args:
        path: The file.
        expected: What it should be.
        also: Further classes of errors that its content causes.

    Raises:
        UnusableFile: In place of an error of `MALFORMED`, or of one that a library calls an OSError.
        OSError: The system's, such as a full disk, with the path where it had none.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _OF_CONTENT:
            raise UnusableFile(path, expected, one_line(error)) from None
        raise OSError(error.errno, one_line(error), error.filename or path) from None
    except (*MALFORMED, *also) as error:
        raise UnusableFile(path, expected, one_line(error)) from None


def one_line(error: Exception) -> str:
    """Return the first line of what an error says, or its class where it says nothing."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.partition("\n")[0] or type(error).__name__


def _printable(text: str) -> str:
    """Return a text in one line: names within a file may hold any character."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
