"""Reads the arrays that ``lossd eval`` is given as files: one reader for each suffix.

A file may hold several arrays. ``file.npz:NAME`` chooses one; without a name it is the one that is named as the
argument, or the only one. The columns of a table are arrays in this sense; without a name, and where none is
named as the argument, all of them are the last axis of one array.
"""

from __future__ import annotations

import csv
import importlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from lossd.bulk.errors import UnusableFile, naming
from lossd.bulk.members import check_names, each_key_once
from lossd.bulk.text import read_number, read_whole_number
from lossd.errors import ErrorDetail, LossdError
from lossd.message import Array
from lossd.wire.budget import Budget
from lossd.wire.codec import ANSWER_LIMITS
from lossd.wire.numbers import read_array
from lossd.wording import quoted


class Wanted(NamedTuple):
    """An array that is looked for in a file.

    Attributes:
        path: The file.
        name: Which of the file's arrays the caller chose; None if it was left open.
        argument: What the array is for.
    """

    path: Path
    name: str | None
    argument: str

    def error(self, expected: str, got: str, place: str = "") -> UnusableFile:
        """Return the error for this file; ``place`` is where in it."""
        return UnusableFile(str(self.path), expected, got, place)


def find_file(word: str, argument: str) -> Wanted | None:
    """Return the file that a word of the command line names, or None if its suffix is not one of a format."""
    found = _FILE.fullmatch(word)
    return Wanted(Path(found["path"]), found["name"], argument) if found else None


def read_file(wanted: Wanted) -> Array:
    """Read one array.

    Raises:
        OSError: The file cannot be opened.
        UnusableFile: Its content is wrong, or it has no such array.
    """
    reader = READERS[wanted.path.suffix.lower()]
    with wanted.path.open("rb") as file, naming(str(wanted.path), reader.expected):
        return reader.read(wanted, file)


def _read_npy(wanted: Wanted, file: BinaryIO) -> Array:
    if wanted.name is not None:
        raise wanted.error("no name, since the file holds one array", wanted.name)
    array: Array = np.lib.format.read_array(file, allow_pickle=False)
    return array


def _read_npz(wanted: Wanted, file: BinaryIO) -> Array:
    with zipfile.ZipFile(file) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
        check_names(str(wanted.path), names)
        name = _choose(wanted, names)
        if name is None:
            example = next(iter(names), "NAME")
            expected = f"one of the arrays {', '.join(names)}, as in {wanted.path}:{example}"
            raise wanted.error(expected, wanted.name or "no name")
        with archive.open(f"{name}.npy") as member:
            array: Array = np.lib.format.read_array(member, allow_pickle=False)
    return array


def _read_json(wanted: Wanted, file: BinaryIO) -> Array:
    value = json.loads(file.read(), object_pairs_hook=each_key_once)
    if wanted.name is not None and not isinstance(value, dict):
        raise wanted.error(f"an object with the member {wanted.name}", "a JSON value of another type")
    if isinstance(value, dict) and (wanted.name is not None or wanted.argument in value):
        name = _choose(wanted, list(value))
        if name is None:
            raise wanted.error(f"one of the members {', '.join(value)}", str(wanted.name))
        value = value[name]
    try:
        return read_array(value, str(wanted.path), Budget(ANSWER_LIMITS))
    except LossdError as error:
        detail = next(iter(error.errors), ErrorDetail(str(wanted.path), "an array", str(error)))
        raise UnusableFile(*detail) from None


def _read_csv(wanted: Wanted, file: BinaryIO) -> Array:
    with io.TextIOWrapper(file, "utf-8-sig", newline="") as text:
        lines = csv.reader(text, skipinitialspace=True)
        rows = [(lines.line_num, row) for row in lines if row]
    for mark, separator in _OTHER_SEPARATORS.items():
        if rows and all(any(mark in cell for cell in row) for _, row in rows):
            raise wanted.error("columns separated by commas", separator)
    heading, header = rows.pop(0) if rows and not all(map(_is_number, rows[0][1])) else (0, [])
    check_names(str(wanted.path), [name.strip() for name in header], f", row {heading}")
    if not rows:
        raise wanted.error("numbers", "none")
    width = len(header) or len(rows[0][1])
    for line, row in rows:
        if len(row) != width:
            raise wanted.error(f"{width} columns", str(len(row)), f", row {line}")
    columns = {name.strip(): place for place, name in enumerate(header)}
    places = _columns(wanted, columns, range(width))
    table = [
        [_number(wanted, row[p], line, header[p] if header else p + 1) for p in places] for line, row in rows
    ]
    return _table(np.array(table))


def _read_parquet(wanted: Wanted, file: BinaryIO) -> Array:
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise wanted.error("pyarrow, which reads .parquet: pip install pyarrow", "none") from None
    reader = parquet.ParquetFile(file)
    names = reader.schema_arrow.names
    check_names(str(wanted.path), names)
    chosen = _columns(wanted, {name: name for name in names}, names)
    columns = reader.read(columns=chosen).columns
    for name, column in zip(chosen, columns, strict=True):
        if column.null_count:
            row = column.is_null().to_pylist().index(True)
            raise wanted.error("a number in every row", "null", f", row {row} from 0, column {name}")
    return _table(np.stack([column.to_numpy() for column in columns], axis=1))


class Reader(NamedTuple):
    """What reads the files of a suffix, and what these should be."""

    expected: str
    read: Callable[[Wanted, BinaryIO], Array]


READERS: Mapping[str, Reader] = {
    ".npy": Reader("an array in .npy format", _read_npy),
    ".npz": Reader("arrays in .npz format", _read_npz),
    ".csv": Reader("text in UTF-8, its columns separated by commas", _read_csv),
    ".json": Reader("JSON", _read_json),
    ".parquet": Reader("columns of numbers in .parquet format", _read_parquet),
}
_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs"}
_FILE = re.compile(rf"(?is)(?P<path>.*(?:{'|'.join(map(re.escape, READERS))}))(?::(?P<name>.+))?")


def _choose(wanted: Wanted, names: Sequence[str]) -> str | None:
    """Return the name that is asked for, the argument's, or the only one; None if there is none of these."""
    if wanted.name is not None:
        return wanted.name if wanted.name in names else None
    if wanted.argument in names:
        return wanted.argument
    return names[0] if len(names) == 1 else None


def _columns(wanted: Wanted, named: Mapping[str, Any], every: Iterable[Any]) -> list[Any]:
    """Return the columns of a table that are asked for: one by its name, or all."""
    name = wanted.name or (wanted.argument if wanted.argument in named else None)
    if name is None:
        return list(every)
    if name in named:
        return [named[name]]
    if not named:
        raise wanted.error(f"a header with the column {name}", "numbers")
    raise wanted.error(f"one of the columns {', '.join(named)}", name)


def _table(table: Array) -> Array:
    """Return a table as an array of numbers, which is a vector if there is one column."""
    numbers = table.astype(np.float64) if table.dtype == object else table  # integers beyond int64
    return numbers[:, 0] if numbers.shape[1] == 1 else numbers


def _number(wanted: Wanted, text: str, line: int, column: object) -> float:
    try:
        return read_whole_number(text)
    except ValueError:
        pass
    try:
        return read_number(text)
    except ValueError:
        raise wanted.error("a number", quoted(text), f", row {line}, column {column}") from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
