"""Arrays in files, larger than memory, read some rows at a time.

A source is named ``PATH`` or ``PATH:MEMBER``. A path may be a pattern, whose files stand one after another in the order
of their names. Formats that do not lie in the file as they lie in memory are read by the library that defines them.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from lossd.bulk.errors import UnusableFile, naming
from lossd.bulk.indexed import Indexed, open_hdf5, open_zarr
from lossd.bulk.regions import open_npy, open_npz, open_safetensors
from lossd.bulk.tables import Table, open_table
from lossd.message import Array


class Source(Protocol):
    """An array whose first axis is read in parts."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Its type."""

    def read(self, first: int, out: Array) -> None:
        """Read the rows from ``first`` on, as many as ``out`` has."""


Fingerprint = list[list[Any]]
"""Path, size and time of the last change of each file of a source."""


class SourceName(NamedTuple):
    """What a caller names: a file or a pattern of files, and an array in it."""

    path: str
    member: str


def parse_name(text: str) -> SourceName:
    """Split ``PATH:MEMBER``; the colon counts behind a suffix that is known."""
    found = _NAME.fullmatch(text)
    return SourceName(text, "") if found is None else SourceName(found["path"], found["member"] or "")


def with_member(text: str, argument: str) -> str:
    """Return a name with the member that is called as the argument, where none is asked for and there is one."""
    name = parse_name(text)
    if name.member or Path(name.path).suffix.lower() not in _HOLD_SEVERAL:
        return text
    try:
        open_source(SourceName(name.path, argument))
    except UnusableFile:  # the only array, or all columns
        return text
    return f"{text}:{argument}"


def files_of(name: SourceName) -> list[str]:
    """Return the files that a name stands for, in order: a path that is there is no pattern.

    Raises:
        UnusableFile: There is none.
    """
    is_pattern = glob.has_magic(name.path) and not os.path.lexists(name.path)
    paths = sorted(glob.glob(name.path)) if is_pattern else [name.path]
    missing = [path for path in paths if not os.path.exists(path)]
    if missing or not paths:
        raise UnusableFile(
            missing[0] if missing else name.path, "a file, or a pattern that some file matches", "none"
        )
    return paths


def open_source(name: SourceName) -> Source:
    """Open one file, or all that match a pattern, as one array.

    Raises:
        UnusableFile: A file is of no format that can be read in parts, or does not hold what its suffix says.
    """
    opened = [_open(path, name.member) for path in files_of(name)]
    return opened[0] if len(opened) == 1 else Shards(files_of(name), opened)


def fingerprint(name: SourceName) -> Fingerprint:
    """Return what tells one state of the files from another.

    A folder, as of a Zarr array, has the size of all its files and the time of the last one.
    """
    return [[path, *_state(path)] for path in files_of(name)]


def rows_of_files(source: Source, path: str) -> list[tuple[str, int]]:
    """Return which files hold a source's rows, in order, and how many each; ``path`` is that of a single one."""
    if isinstance(source, Shards):
        return [(path, part.shape[0]) for path, part in zip(source.paths, source.parts, strict=True)]
    return [(path, source.shape[0])]


def place_of(name: SourceName, row: int) -> tuple[str, int]:
    """Return the file that holds a row, and the row's number there."""
    source = open_source(name)
    return source.place_of(row) if isinstance(source, Shards) else (files_of(name)[0], row)


class Shards:
    """Arrays one after another, whose rows are numbered through.

    A file without rows may not say how long or of what type they would be. Nor does text: whole numbers in one file are
    of the type that another one's fractions have. Columns that stand side by side must be named alike in every file.
    """

    def __init__(self, paths: Sequence[str], parts: Sequence[Source]) -> None:
        found = [*zip(paths, parts, strict=True)]
        found = [(path, part) for path, part in found if part.shape[0]] or found[:1]
        (first, model), *others = found
        for path, part in others:
            of_text = _is_text(first) and _is_text(path)
            if part.shape[1:] != model.shape[1:] or (part.dtype != model.dtype and not of_text):
                expected = f"rows of shape {model.shape[1:]} and type {model.dtype}, as in {first}"
                raise UnusableFile(path, expected, f"{part.shape[1:]} and {part.dtype}")
            if _columns_of(part) != _columns_of(model):
                expected = f"the columns {', '.join(_columns_of(model))}, as in {first}"
                raise UnusableFile(path, expected, ", ".join(_columns_of(part)))
        self.paths, self.parts = [path for path, _ in found], [part for _, part in found]
        self.dtype = np.result_type(*[part.dtype for part in self.parts])
        self.starts = np.cumsum([0, *(part.shape[0] for part in self.parts)])
        self.shape = (int(self.starts[-1]), *model.shape[1:])

    def read(self, first: int, out: Array) -> None:
        """Read rows, from as many of the files as they are in."""
        stop = first + len(out)
        for place in range(self._part_of(first), len(self.parts)):
            start, end = int(self.starts[place]), int(self.starts[place + 1])
            if start >= stop:
                break
            begin, until = max(first, start), min(stop, end)
            if begin < until:
                self.parts[place].read(begin - start, out[begin - first : until - first])

    def place_of(self, row: int) -> tuple[str, int]:
        """Return the file that holds a row, and the row's number there."""
        place = self._part_of(row)
        return self.paths[place], row - int(self.starts[place])

    def _part_of(self, row: int) -> int:
        return int(np.searchsorted(self.starts, row, "right")) - 1


class Named:
    """The source of one file, which any error in reading it names."""

    def __init__(self, path: str, opened: Source) -> None:
        self.path = path
        self.opened = opened
        self.shape = opened.shape
        self.dtype = opened.dtype

    def read(self, first: int, out: Array) -> None:
        """Read rows."""
        with naming(self.path, "a file that can be read to its end"):
            self.opened.read(first, out)


def _state(path: str) -> tuple[int, int]:
    found = [os.stat(path), *(each.stat() for each in Path(path).rglob("*"))]
    return sum(each.st_size for each in found), max(each.st_mtime_ns for each in found)


def _columns_of(source: Source) -> list[str]:
    """Return the names of a table's columns; none of what is no table."""
    opened = source.opened if isinstance(source, Named) else source
    return list(opened.columns) if isinstance(opened, Table) else []


def _is_text(path: str) -> bool:
    return path.lower().endswith(".csv")


def _open(path: str, member: str) -> Source:
    suffix = Path(path.rstrip("/")).suffix.lower()
    if suffix not in FORMATS:
        raise UnusableFile(path, f"a file of one of the formats {', '.join(FORMATS)}", suffix or "no suffix")
    with naming(path, f"an array in {suffix} format"):
        opened = FORMATS[suffix](path, member)
        np.broadcast_to(np.zeros((), opened.dtype), opened.shape)  # raises where no array has this shape
    if opened.dtype.kind in _TEXT_OR_OBJECTS:
        raise UnusableFile(path, "an array of numbers", f"one of type {opened.dtype}")
    if not opened.shape:
        raise UnusableFile(path, "an array with rows", "a single number")
    return Named(path, opened)


def _open_npy(path: str, member: str) -> Source:
    if member:
        raise UnusableFile(path, "no name, since the file holds one array", member)
    return _indexed(open_npy(path))


def _open_npz(path: str, member: str) -> Source:
    return _indexed(open_npz(path, member))


def _indexed(opened: Any) -> Source:
    return Indexed(opened) if isinstance(opened, np.memmap) else opened


FORMATS: Mapping[str, Callable[[str, str], Source]] = {
    ".npy": _open_npy,
    ".npz": _open_npz,
    ".safetensors": open_safetensors,
    ".zarr": open_zarr,
    ".h5": open_hdf5,
    ".hdf5": open_hdf5,
    ".parquet": open_table,
    ".arrow": open_table,
    ".feather": open_table,
    ".csv": open_table,
}
_TEXT_OR_OBJECTS = "OT"  # kinds of types that an engine's array cannot have
_HOLD_SEVERAL = FORMATS.keys() - {".npy"}
_NAME = re.compile(rf"(?is)(?P<path>.*(?:{'|'.join(map(re.escape, FORMATS))})/?)(?::(?P<member>.+))?")
