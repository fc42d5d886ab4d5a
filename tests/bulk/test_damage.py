"""A damaged file is refused, whether it is read whole or in parts, in order or not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lossd.bulk.errors import UnusableFile
from lossd.bulk.sources import open_source, parse_name
from lossd.commands.files import find_file, read_file
from lossd.message import Array

ROWS = 5000


def _archive(path: Path, save: Callable[..., None], array: Array) -> None:
    """Write an archive in which one bit of the numbers is wrong."""
    save(path, x=array)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def _read_in(path: Path, bounds: list[tuple[int, int]]) -> None:
    source = open_source(parse_name(f"{path}:x"))
    for first, stop in bounds:
        source.read(first, np.empty((stop - first, *source.shape[1:]), source.dtype))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    "bounds",
    [
        [(0, 2000), (2000, ROWS)],
        [(2000, ROWS)],
        [(4000, 4500), (0, 2000), (3000, 4000), (2000, 3000), (4500, ROWS)],
    ],
)
def test_a_damaged_archive_is_refused_by_whoever_reads_its_last_row(
    tmp_path: Path, save: Callable[..., None], order: str, bounds: list[tuple[int, int]]
) -> None:
    noise = np.random.default_rng(5).integers(0, 256, (ROWS, 3 * 8), np.uint8).view(np.float64)
    _archive(tmp_path / "a.npz", save, np.asarray(noise, order=order))
    with pytest.raises(UnusableFile, match=r"a\.npz"):
        _read_in(tmp_path / "a.npz", bounds)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("rows", [ROWS, 0])
def test_a_sound_archive_is_read_in_any_order(tmp_path: Path, order: str, rows: int) -> None:
    np.savez(tmp_path / "a.npz", x=np.ones((rows, 3), order=order))
    half = rows // 2
    for bounds in ([(0, half), (half, rows)], [(half, rows), (0, half), (0, rows)]):
        _read_in(tmp_path / "a.npz", bounds)


@pytest.mark.parametrize("row", [0, 4321])
def test_a_null_is_named_by_file_and_row_read_whole_and_in_parts(tmp_path: Path, row: int) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "t.parquet"
    values = [None if place == row else 1.0 for place in range(ROWS)]
    parquet.write_table(arrow.table({"x": values}), path)
    wanted = find_file(f"{path}:x", "input")
    assert wanted is not None
    for read in (lambda: read_file(wanted), lambda: _read_in(path, [(0, ROWS)])):
        with pytest.raises(
            UnusableFile, match=rf"number in every row, got nulls? - at `.*t\.parquet`, row {row} from 0"
        ):
            read()
