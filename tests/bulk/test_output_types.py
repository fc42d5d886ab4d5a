"""Outputs hold types that readers of their formats know; what a format cannot hold is refused before work begins."""

from __future__ import annotations

import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from lossd.bulk import local
from lossd.bulk.errors import UnusableFile
from lossd.bulk.journal import Journal
from lossd.bulk.plan import plan
from lossd.bulk.sources import open_source, parse_name
from lossd.message import Array

LIBRARIES = {"npy": "numpy", "zarr": "zarr", "parquet": "pyarrow"}
INPUT = np.array([[1.0, 2.0], [4.0, 0.1]])
TARGET = np.array([[1.0, 0.0], [1.0, 0.0]])


def _run(folder: Path, output: str, **options: object) -> None:
    files = {}
    for name, array in {"input": INPUT, "target": TARGET}.items():
        kept = array.astype(np.complex64) if options.get("dtype") == "complex64" else array
        np.save(folder / f"{name}.npy", kept)
        files[name] = str(folder / f"{name}.npy")
    job = plan("mse", files, {"reduction": "sum", **options}, {"gradient.input": output})
    with Journal("", job.identity()) as journal:
        local.run(job, journal)


def _read(path: str) -> Array:
    name = f"{path}/*.parquet:value" if path.endswith("parquet") else path
    source = open_source(parse_name(name))
    out = np.empty(source.shape, source.dtype)
    source.read(0, out)
    return out


@pytest.mark.parametrize("suffix", LIBRARIES)
@pytest.mark.parametrize(
    ("asked", "held"),
    [("float16", "float16"), ("bfloat16", "float32"), ("float32", "float32"), ("float64", "float64")],
)
def test_numbers_are_held_exactly_in_a_type_that_readers_know(
    tmp_path: Path, suffix: str, asked: str, held: str
) -> None:
    pytest.importorskip(LIBRARIES[suffix])
    path = str(tmp_path / f"g.{suffix}")
    _run(tmp_path, path, dtype=asked)
    rounded = (2 * (INPUT - TARGET)).astype(ml_dtypes.bfloat16 if asked == "bfloat16" else asked)
    np.testing.assert_array_equal(_read(path), rounded.astype(held), strict=True)


@pytest.mark.parametrize("suffix", ["npy", "zarr"])
def test_complex_numbers_are_held_where_the_format_has_them(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip(LIBRARIES[suffix])
    path = str(tmp_path / f"g.{suffix}")
    _run(tmp_path, path, dtype="complex64")
    assert _read(path).dtype == np.complex64


def test_complex_numbers_in_parquet_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    message = r"expected a format that holds complex64 \(\.npy, \.zarr\), got \.parquet - at `.*/g\.parquet`"
    with pytest.raises(UnusableFile, match=message):
        _run(tmp_path, str(tmp_path / "g.parquet"), dtype="complex64")
    assert not [*tmp_path.glob("g*")]


def test_an_output_of_bfloat16_is_replaced_by_another_run(tmp_path: Path) -> None:
    for _ in range(2):
        _run(tmp_path, str(tmp_path / "g.npy"), dtype="bfloat16")
    assert np.load(tmp_path / "g.npy").dtype == np.float32


@pytest.mark.parametrize("suffix", ["zarr", "parquet"])
def test_a_format_says_what_to_install_before_anything_is_made(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, LIBRARIES[suffix], None)  # as if it were not installed
    with pytest.raises(UnusableFile, match=f"pip install {LIBRARIES[suffix]}"):
        _run(tmp_path, str(tmp_path / f"g.{suffix}"))
    assert not [*tmp_path.glob("g*")]


def test_an_archive_under_the_name_of_an_output_is_kept(tmp_path: Path) -> None:
    np.savez(tmp_path / "g.npz", x=INPUT)
    (tmp_path / "g.npz").rename(tmp_path / "g.npy")
    with pytest.raises(UnusableFile, match="got a file of another kind"):
        _run(tmp_path, str(tmp_path / "g.npy"))
    assert (tmp_path / "g.npy").read_bytes()[:2] == b"PK"
