"""Columns of Parquet, Arrow and CSV files, read by pyarrow in batches of rows.

A member names a column, a nested one with dots, or a pattern such as ``f*`` for several that make a row.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from lossd.bulk.errors import UnusableFile, one_line
from lossd.bulk.scans import scan_of
from lossd.bulk.text import Header, read_header, read_number, read_whole_number, wrong_cell
from lossd.message import Array

_KINDS = {".parquet": "parquet", ".arrow": "ipc", ".feather": "ipc", ".csv": "csv"}
_READ_ERRORS = (ValueError, TypeError, OSError, csv.Error)  # pyarrow's own are of the first three classes


class Table:
    """Columns of a file, of which the last batch that was read is kept."""

    def __init__(self, path: str, member: str) -> None:
        kind = _KINDS[Path(path).suffix.lower()]
        self.path = path
        self.header = read_header(path) if kind == "csv" else None
        self.columns: Any = []
        with self._naming_cells(0):
            self.data = scan_of(path, _csv_format(self.header) if self.header else kind, member)
        self.columns = _columns(self.data.schema, member, path)
        with self._naming_cells(0):
            head = self._first_row()
            self.shape = (self.data.count_rows(), *head.shape[1:])
        self.dtype = head.dtype
        self._held: Array = head[:0]
        self._at, self._batches = self.data.batches(self.columns, 0)

    def read(self, first: int, out: Array) -> None:
        """Read rows: forwards, or from the row group that holds the first of them."""
        if not self._at <= first <= self._at + len(self._held):
            self._skip_to(first)
        filled = 0
        while filled < len(out):
            behind = first + filled - self._at
            if behind >= len(self._held):
                self._at += len(self._held)
                with self._naming_cells(self._at):
                    self._held = self._rows(next(self._batches))
                continue
            taken = self._held[behind : behind + len(out) - filled]
            out[filled : filled + len(taken)] = taken
            filled += len(taken)

    @contextmanager
    def _naming_cells(self, first: int) -> Iterator[None]:
        """Say which cell of a text, from a row on, is no number."""
        try:
            yield
        except (*_READ_ERRORS, UnusableFile) as error:
            found = self.header and wrong_cell(self.path, self.header, self._readers(), first)
            if found is None and isinstance(error, UnusableFile):
                raise
            raise found or _unusable(self.path, error) from None

    def _readers(self) -> dict[str, Any]:
        """Return what reads a cell of each column of a text; no cell of logical values is read."""
        types = import_module("pyarrow").types
        kinds = {name: self.data.schema.field(name).type for name in self.columns}
        return {
            name: read_whole_number if types.is_integer(kind) else read_number
            for name, kind in kinds.items()
            if not types.is_boolean(kind)
        }

    def _skip_to(self, row: int) -> None:
        self._at, self._batches = self.data.batches(self.columns, row)
        self._held = self._held[:0]

    def _first_row(self) -> Array:
        try:
            return self._matrix(self.data.first_row(self.columns))
        except UnusableFile as error:
            raise UnusableFile(*error.parts[:3], ", row 0 from 0") from None

    def _rows(self, batch: Any) -> Array:
        """Return the rows of a batch, of the shape of the first row: each row group may have lists of its own length.

        Raises:
            UnusableFile: A row is of another shape.
        """
        try:
            rows = self._matrix(batch)
        except UnusableFile:
            self._check_each(batch)
            raise
        if len(rows) and rows.shape[1:] != self.shape[1:]:
            self._check_each(batch)
        return rows

    def _check_each(self, batch: Any) -> None:
        """Refuse the first row of a batch that has no numbers or another shape."""
        for place in range(batch.num_rows):
            at = f", row {self._at + place} from 0"
            try:
                shape = self._matrix(batch.slice(place, 1)).shape[1:]
            except UnusableFile as error:
                raise UnusableFile(*error.parts[:3], at) from None
            if shape != self.shape[1:]:
                expected = f"a row of shape {self.shape[1:]}, as the first one"
                raise UnusableFile(self.path, expected, f"one of shape {shape}", at)

    def _matrix(self, table: Any) -> Array:
        """Return columns as ``(rows, ...)``: one as it is, several side by side."""
        columns = [_numbers(column, self.path) for column in table.columns]
        return columns[0] if len(columns) == 1 else np.stack(columns, axis=1)


def open_table(path: str, member: str) -> Table:
    """Open columns of a file."""
    try:
        import_module("pyarrow.dataset")
    except ImportError:
        raise UnusableFile(path, "pyarrow, which reads it: pip install pyarrow", "none") from None
    try:
        return Table(path, member)
    except _READ_ERRORS as error:
        raise _unusable(path, error) from None


def _csv_format(header: Header) -> Any:
    """Return how a text is read: as numbers below its header, of which NaN is one and an empty cell none."""
    text = import_module("pyarrow.csv")
    return import_module("pyarrow.dataset").CsvFileFormat(
        read_options=text.ReadOptions(column_names=header.names, skip_rows=header.lines),
        convert_options=text.ConvertOptions(null_values=[""]),
    )


def _unusable(path: str, error: Exception) -> UnusableFile:
    return UnusableFile(path, "columns of numbers, each of the type that it begins with", one_line(error))


def _columns(schema: Any, member: str, path: str) -> Any:
    """Return what to read: names, or the path to a nested column."""
    if not member:
        return schema.names
    if member in schema.names:
        return [member]
    found = [name for name in schema.names if fnmatchcase(name, member)]
    if found:
        return found
    if member.partition(".")[0] not in schema.names:
        raise UnusableFile(path, f"one of the columns {', '.join(schema.names)}", member)
    return {member: import_module("pyarrow.dataset").field(*member.split("."))}


def _numbers(column: Any, path: str) -> Array:
    """Return numbers, or lists of equal length at any depth, as an array."""
    arrow = import_module("pyarrow")
    if isinstance(column, arrow.ChunkedArray):
        column = column.combine_chunks()
    if column.null_count:
        raise UnusableFile(path, "a number in every row", "nulls")
    kind = column.type
    if not (
        arrow.types.is_list(kind) or arrow.types.is_large_list(kind) or arrow.types.is_fixed_size_list(kind)
    ):
        if not len(column) and arrow.types.is_null(kind):
            return np.empty(0, bool)  # a CSV file without rows does not say its types
        numbers: Array = column.to_numpy(zero_copy_only=False)
        if numbers.dtype.kind not in "biuf":
            raise UnusableFile(path, "columns of numbers", str(kind))
        return numbers
    inner = _numbers(column.flatten(), path)
    if arrow.types.is_fixed_size_list(kind):
        return inner.reshape(len(column), kind.list_size, *inner.shape[1:])
    lengths = import_module("pyarrow.compute").list_value_length(column).to_numpy(zero_copy_only=False)
    if not len(lengths):
        return inner.reshape(0, 0, *inner.shape[1:])
    if lengths.min() != lengths.max():
        raise UnusableFile(path, "lists of one length", f"{lengths.min()} to {lengths.max()}")
    return inner.reshape(len(column), int(lengths[0]), *inner.shape[1:])
