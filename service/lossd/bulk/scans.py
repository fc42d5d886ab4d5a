"""Batches of rows of the files that pyarrow reads, from any row on.

pyarrow's dataset takes a row group of Parquet as a whole, 1.3 GiB for 300 MB; `ParquetScan` reads it page by page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

_THREADS = False  # those of pyarrow outlive a scan that is given up, and read on in what is freed (26.0)
_BATCH_ROWS = 4096
_PARQUET_BATCH_ROWS = 1024  # each of which is copied from its pages
_BUFFER_BYTES = 1 << 20


class Scan(Protocol):
    """Columns of one file.

    Attributes:
        schema: Names and types of all columns.
    """

    schema: Any

    def count_rows(self) -> int:
        """Return how many rows the file has."""

    def first_row(self, columns: Any) -> Any:
        """Return a table or batch of the first row, or of none."""

    def batches(self, columns: Any, row: int) -> tuple[int, Iterator[Any]]:
        """Return batches from a row at or before ``row`` on, and which row that is."""


class DatasetScan:
    """Columns of a file of any format, and nested ones; a row group is read at once."""

    def __init__(self, path: str, format: Any) -> None:
        self.data = import_module("pyarrow.dataset").dataset(path, format=format)
        self.schema = self.data.schema

    def count_rows(self) -> int:
        """Return how many rows the file has."""
        return int(self.data.count_rows())

    def first_row(self, columns: Any) -> Any:
        """Return a table of the first row, or of none."""
        return self.data.head(1, columns=columns, use_threads=_THREADS)

    def batches(self, columns: Any, row: int) -> tuple[int, Iterator[Any]]:
        """Return batches from a row on; formats without row groups are read from the beginning."""
        groups = [
            group
            for fragment in self.data.get_fragments()
            for group in (fragment.split_by_row_group() if hasattr(fragment, "row_groups") else [fragment])
        ]
        start = 0
        while row and groups and start + (length := groups[0].count_rows()) <= row:
            start += length
            del groups[0]
        dataset = import_module("pyarrow.dataset")
        rest = dataset.FileSystemDataset(groups, self.schema, self.data.format, self.data.filesystem)
        found = rest.to_batches(
            columns=columns,
            batch_size=_BATCH_ROWS,
            batch_readahead=1,
            fragment_readahead=0,
            use_threads=_THREADS,
        )
        return start, iter(found)


class ParquetScan:
    """Columns of one Parquet file, in memory that does not grow with its row groups."""

    def __init__(self, path: str) -> None:
        self.file = import_module("pyarrow.parquet").ParquetFile(
            path, pre_buffer=False, buffer_size=_BUFFER_BYTES
        )
        self.schema = self.file.schema_arrow

    def count_rows(self) -> int:
        """Return how many rows the file has."""
        return int(self.file.metadata.num_rows)

    def first_row(self, columns: Sequence[str]) -> Any:
        """Return a batch of the first row, or a table of none."""
        first = next(self._read(columns, 0, 1), None)
        return self.schema.empty_table().select(list(columns)) if first is None else first

    def batches(self, columns: Sequence[str], row: int) -> tuple[int, Iterator[Any]]:
        """Return batches from the row group on that holds a row."""
        groups, group, start = self.file.metadata, 0, 0
        while group < groups.num_row_groups and start + (length := groups.row_group(group).num_rows) <= row:
            start += length
            group += 1
        return start, self._read(columns, group, _PARQUET_BATCH_ROWS)

    def _read(self, columns: Sequence[str], group: int, rows: int) -> Iterator[Any]:
        groups = range(group, self.file.metadata.num_row_groups)
        found = self.file.iter_batches(rows, row_groups=groups, columns=list(columns), use_threads=_THREADS)
        return (batch.select(list(columns)) for batch in found)  # which come in the order of the file


def scan_of(path: str, format: Any, member: str) -> Scan:
    """Open a file; ``member`` is a column, or the path to a nested one."""
    if format == "parquet" and Path(path).is_file():
        scan = ParquetScan(path)
        if "." not in member or member in scan.schema.names:
            return scan
    return DatasetScan(path, format)
