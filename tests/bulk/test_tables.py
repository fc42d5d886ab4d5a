"""Columns of tables: rows of one shape, whatever batches and row groups they come in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossd.bulk.errors import UnusableFile
from lossd.bulk.sources import open_source, parse_name
from lossd.message import Array


def _read(path: Path, first: int = 0) -> Array:
    source = open_source(parse_name(f"{path}:x"))
    out = np.empty((source.shape[0] - first, *source.shape[1:]), source.dtype)
    source.read(first, out)
    return out


def _write_groups(path: Path, *groups: Sequence[Any]) -> None:
    """Write each group of rows as a row group of its own."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    kind = arrow.list_(arrow.float64())
    schema = arrow.schema([("x", kind if np.ndim(groups[0][0]) == 1 else arrow.list_(kind))])
    with parquet.ParquetWriter(path, schema) as writer:
        for rows in groups:
            writer.write_table(arrow.table({"x": rows}, schema=schema))


AS_THE_FIRST = "expected a row of shape (3,), as the first one, got one of shape"


@pytest.mark.parametrize(
    ("later", "message", "row"),
    [
        ([[10.0], [10.0]], f"{AS_THE_FIRST} (1,)", 5000),  # NumPy would repeat it
        ([[1.0, 2.0], [1.0, 2.0]], f"{AS_THE_FIRST} (2,)", 5000),
        ([[1.0, 2.0, 3.0], [1.0]], f"{AS_THE_FIRST} (1,)", 5001),
        ([[1.0, 2.0, 3.0], []], f"{AS_THE_FIRST} (0,)", 5001),
        ([[1.0, 2.0, 3.0], None], "expected a number in every row, got nulls", 5001),
        ([[1.0, 2.0, None], None], "expected a number in every row, got nulls", 5000),
    ],
)
@pytest.mark.parametrize("first", [0, 4999])
def test_a_row_of_another_shape_is_named(
    tmp_path: Path, later: list[Any], message: str, row: int, first: int
) -> None:
    _write_groups(tmp_path / "x.parquet", [[1.0, 2.0, 3.0]] * 5000, later)
    with pytest.raises(UnusableFile) as raised:
        _read(tmp_path / "x.parquet", first)
    assert str(raised.value) == f"{message} - at `{tmp_path}/x.parquet`, row {row} from 0"


def test_a_row_of_nested_lists_of_another_shape_is_named(tmp_path: Path) -> None:
    square, wide, ragged = [[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0, 3.0, 4.0]], [[1.0, 2.0, 3.0], [4.0]]
    for wrong, message in (
        (wide, "a row of shape (2, 2), as the first one, got one of shape (1, 4)"),
        (ragged, "lists of one length, got 1 to 3"),
    ):
        _write_groups(tmp_path / "x.parquet", [square] * 2, [square, wrong])
        with pytest.raises(UnusableFile) as raised:
            _read(tmp_path / "x.parquet")
        assert str(raised.value) == f"expected {message} - at `{tmp_path}/x.parquet`, row 3 from 0"


def test_row_groups_without_rows_are_passed_over(tmp_path: Path) -> None:
    _write_groups(tmp_path / "x.parquet", [[1.0, 2.0]], [], [[3.0, 4.0]])
    np.testing.assert_array_equal(_read(tmp_path / "x.parquet"), [[1, 2], [3, 4]])
