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


@pytest.mark.parametrize("suffix", ["csv", "parquet", "feather"])
@pytest.mark.parametrize("member", ["", ":[ab]"])
def test_shards_whose_columns_stand_in_another_order_are_refused(
    tmp_path: Path, suffix: str, member: str
) -> None:
    """Their columns were taken by their places, so that b of one file stood below a of another."""
    arrow, csv = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.csv")
    parquet, feather = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow.feather")
    for place, names in enumerate(("ab", "ba")):
        table = arrow.table({name: [1.0, 2.0] for name in names})
        write = {"csv": csv.write_csv, "parquet": parquet.write_table, "feather": feather.write_feather}
        write[suffix](table, str(tmp_path / f"p{place}.{suffix}"))
    with pytest.raises(UnusableFile, match=r"the columns a, b, as in .*p0.*, got b, a - at `.*p1"):
        open_source(parse_name(f"{tmp_path}/p*.{suffix}{member}"))


def test_shards_with_other_names_or_none_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "p0.csv").write_text("price\n1\n")
    for text in ("cost\n2\n", "2\n"):
        (tmp_path / "p1.csv").write_text(text)
        with pytest.raises(
            UnusableFile, match=r"the columns price, as in .*p0\.csv, got (cost|1) - at `.*p1"
        ):
            open_source(parse_name(f"{tmp_path}/p*.csv"))


def test_a_column_is_found_by_its_name_wherever_it_stands_in_a_shard(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "p0.csv").write_text("a,b\n1,2\n")
    (tmp_path / "p1.csv").write_text("b,a\n3,4\n")
    source = open_source(parse_name(f"{tmp_path}/p*.csv:a"))
    out = np.empty(source.shape, source.dtype)
    source.read(0, out)
    assert out.tolist() == [1, 4]


def test_a_large_row_group_is_read_in_pieces(tmp_path: Path) -> None:
    """Its memory is counted by pyarrow: 39 MB of numbers in one row group took four times as many."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rows, width = 75_000, 65
    numbers = np.random.default_rng(2).standard_normal((rows, width))
    column = arrow.FixedSizeListArray.from_arrays(arrow.array(numbers.reshape(-1)), width)
    path = str(tmp_path / "one.parquet")
    parquet.write_table(arrow.table({"x": column, "y": numbers[:, 0]}), path, row_group_size=rows)
    del column
    source, held, most = open_source(parse_name(f"{path}:x")), arrow.total_allocated_bytes(), 0
    out = np.empty((1000, width))
    for first in range(0, rows, 1000):
        source.read(first, out)
        np.testing.assert_array_equal(out, numbers[first : first + 1000])
        most = max(most, arrow.total_allocated_bytes() - held)
    assert most < 8 << 20
