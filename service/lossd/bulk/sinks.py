"""Where rows go to: each part is written at its own place, so that writing it twice does no harm.

Sinks lie under the unfinished names of outputs, which no other run has, and are opened for each part: a worker outlives
runs, and may come to a part of one that is dead while another writes an output of the same name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import ml_dtypes
import numpy as np

from lossd.bulk.errors import UnusableFile, naming
from lossd.bulk.members import bytes_of
from lossd.message import Array

_PLACE = "a place that can be written to"


class Sink(Protocol):
    """Somewhere to write rows to, from any process."""

    def write(self, first: int, values: Array) -> None:
        """Store rows from ``first`` on: a process that is killed after it loses none of them."""


class Npy:
    """One .npy file."""

    def __init__(self, path: str) -> None:
        mapped = np.load(path, mmap_mode="r")
        self.path = path
        self.start = mapped.offset
        self.row_bytes = mapped.strides[0]

    def write(self, first: int, values: Array) -> None:
        """Store rows at their place in the file."""
        view, place = bytes_of(np.ascontiguousarray(values)), self.start + first * self.row_bytes
        file = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            while len(view):
                count = os.pwrite(file, view, place)
                view, place = view[count:], place + count
        finally:
            os.close(file)


class Zarr:
    """A Zarr array, of which a part is whole chunks: no two processes ever write to one."""

    def __init__(self, path: str) -> None:
        self.array = import_module("zarr").open_array(path, mode="r+")

    def write(self, first: int, values: Array) -> None:
        """Store rows."""
        self.array[first : first + len(values)] = values


class ParquetParts:
    """A folder of Parquet files, one for each part, as every reader of data sets takes it."""

    def __init__(self, path: str) -> None:
        self.folder = Path(path)

    def write(self, first: int, values: Array) -> None:
        """Store rows as a file of their own, which appears whole."""
        arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
        column = arrow.array(values.reshape(-1))
        for length in reversed(values.shape[1:]):
            column = arrow.FixedSizeListArray.from_arrays(column, length)
        unfinished = self.folder / f".part-{first:012d}-{os.getpid()}"
        parquet.write_table(arrow.table({"value": column}), unfinished)
        unfinished.rename(self.folder / f"part-{first:012d}.parquet")


class Format(NamedTuple):
    """A kind of sink.

    Attributes:
        create: Makes it before any process writes to it.
        open: Opens it for one part.
        holds: The kinds of the types that it has, by NumPy's letters.
        library: What writes it.
    """

    create: Callable[[str, tuple[int, ...], np.dtype[Any], int], Any]
    open: Callable[[str], Sink]
    holds: str
    library: str


def unfinished(path: str, token: str) -> str:
    """Return where a run writes an output until it is whole: beside the file that a link points to."""
    return f"{os.path.realpath(path)}.{token}.part"


def format_of(path: str) -> Format:
    """Return the format of an output.

    Raises:
        UnusableFile: It is none that takes rows at any place.
    """
    suffix = Path(path).suffix
    if suffix not in FORMATS:
        raise UnusableFile(path, f"one of the formats {', '.join(FORMATS)}", suffix or "no suffix")
    return FORMATS[suffix]


def stored_dtype(path: str, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type that rows are written in; bfloat16 is float32, since NumPy, Zarr and Parquet have no such type.

    Raises:
        UnusableFile: The format does not hold the type, or what writes it is not installed.
    """
    kept, chosen = np.dtype(np.float32) if dtype == ml_dtypes.bfloat16 else dtype, format_of(path)
    if kept.kind not in chosen.holds:
        others = ", ".join(suffix for suffix, each in FORMATS.items() if kept.kind in each.holds)
        raise UnusableFile(path, f"a format that holds {kept} ({others})", Path(path).suffix)
    try:
        import_module(chosen.library)
    except ImportError:
        expected = f"{chosen.library}, which writes it: pip install {chosen.library}"
        raise UnusableFile(path, expected, "none") from None
    return kept


def create_sink(
    path: str, token: str, *, shape: tuple[int, ...], dtype: np.dtype[Any], part_rows: int
) -> None:
    """Make the unfinished file, store or folder of an output."""
    with naming(path, _PLACE):
        format_of(path).create(unfinished(path, token), shape, dtype, part_rows)


def open_sink(path: str, token: str) -> Sink:
    """Open what `create_sink` made."""
    return format_of(path).open(unfinished(path, token))


def write_rows(path: str, token: str, first: int, values: Array) -> None:
    """Write rows to what `create_sink` made."""
    with naming(path, _PLACE):
        open_sink(path, token).write(first, values)


def _create_npy(path: str, shape: tuple[int, ...], dtype: np.dtype[Any], part_rows: int) -> None:
    np.lib.format.open_memmap(path, "w+", dtype, shape)


def _create_zarr(path: str, shape: tuple[int, ...], dtype: np.dtype[Any], part_rows: int) -> None:
    zarr = import_module("zarr")
    zarr.create_array(path, shape=shape, dtype=dtype, chunks=(part_rows, *shape[1:]), compressors=None)


def _create_folder(path: str, shape: tuple[int, ...], dtype: np.dtype[Any], part_rows: int) -> None:
    Path(path).mkdir()


FORMATS: Mapping[str, Format] = {
    ".npy": Format(_create_npy, Npy, "fc", "numpy"),
    ".zarr": Format(_create_zarr, Zarr, "fc", "zarr"),
    ".parquet": Format(_create_folder, ParquetParts, "f", "pyarrow"),
}
