"""CSV files: where their numbers begin, and which cell is none."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any, NamedTuple

from lossd.bulk.errors import UnusableFile
from lossd.bulk.members import check_names
from lossd.wording import quoted


class Header(NamedTuple):
    """What stands before the numbers.

    Attributes:
        names: Those of the columns, or their numbers if the first line has numbers already.
        lines: How many lines it has.
    """

    names: list[str]
    lines: int


def read_header(path: str) -> Header:
    """Read the names of the columns: a first line that is not all numbers, as where a file is read whole.

    Raises:
        UnusableFile: Two columns have one name.
        ValueError: The file is no text in UTF-8.
        csv.Error: It is no CSV.
    """
    with _reading(path) as lines:
        first: list[str] = next(filter(None, lines), [])
        if all(_is_read(float, cell) for cell in first):
            return Header([str(number) for number in range(1, len(first) + 1)], 0)
        names = [cell.strip() for cell in first]
        check_names(path, names, f", row {lines.line_num}")
        return Header(names, lines.line_num)


def read_number(cell: str) -> float:
    """Read a cell as pyarrow does: without the underscores, white space and digits that Python takes besides.

    Raises:
        ValueError: It is no number.
    """
    return float(_plain(cell))


def read_whole_number(cell: str) -> int:
    """Read a cell of a column of whole numbers.

    Raises:
        ValueError: It is no whole number.
    """
    return int(_plain(cell))


def wrong_cell(
    path: str, header: Header, readers: Mapping[str, Callable[[str], float]], first: int
) -> UnusableFile | None:
    """Return the error that names the first cell from a row on that is no number; None if each is one.

    Args:
        path: The file.
        header: Its header.
        readers: Columns to what reads a cell there: `read_whole_number` or `read_number`.
        first: How many rows are known to be well.
    """
    columns = [(name, header.names.index(name), read) for name, read in readers.items()]
    with _reading(path) as lines:
        rows = filter(None, lines)
        for row in islice(rows, first + bool(header.lines), None):
            at = f", row {lines.line_num}"
            if len(row) != len(header.names):
                return UnusableFile(path, f"{len(header.names)} columns", str(len(row)), at)
            for name, place, read in columns:
                if not _is_read(read, row[place]):
                    whole = read is read_whole_number and _is_read(read_number, row[place])
                    expected = "a whole number, as the column begins with" if whole else "a number"
                    return UnusableFile(path, expected, quoted(row[place]), f"{at}, column {name}")
    return None


def _plain(cell: str) -> str:
    if "_" in cell or not cell.isascii() or cell.strip() != cell.strip(" \t"):
        raise ValueError(
            "expected a number in ASCII, with no underscore and no white space but blanks and tabs"
        )
    return cell


@contextmanager
def _reading(path: str) -> Iterator[Any]:
    with open(path, encoding="utf-8-sig", newline="") as text:
        yield csv.reader(text, skipinitialspace=True)


def _is_read(read: Callable[[str], float], cell: str) -> bool:
    try:
        read(cell)
    except ValueError:
        return False
    return True
