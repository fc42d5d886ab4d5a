"""Rows come out of files of every format as they lie in them, and go into every format."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from lossd.bulk.errors import UnusableFile
from lossd.bulk.sinks import create_sink, open_sink, unfinished
from lossd.bulk.sources import open_source, parse_name, with_member
from lossd.commands.files import Wanted, read_file
from lossd.message import Array


def _npz(path: Path, x: Array) -> None:
    np.savez(path, x=x, other=np.zeros(3))


def _packed(path: Path, x: Array) -> None:
    np.savez_compressed(path, x=x)


def _safetensors(path: Path, x: Array) -> None:
    from safetensors.numpy import save_file

    save_file({"x": x, "other": np.zeros(3)}, path)


def _hdf5(path: Path, x: Array) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file.create_dataset("model/x", data=x, chunks=(1000, x.shape[1]), compression="gzip")


def _zarr(path: Path, x: Array) -> None:
    pytest.importorskip("zarr").create_array(str(path), data=x, chunks=(999, x.shape[1]))


def _lists(path: Path, x: Array) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    lists = arrow.FixedSizeListArray.from_arrays(arrow.array(x.reshape(-1)), x.shape[1])
    parquet.write_table(arrow.table({"x": lists, "y": np.zeros(len(x))}), path, row_group_size=3001)


def _lists_of_any_length(path: Path, x: Array) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    starts = np.arange(len(x) + 1, dtype=np.int32) * x.shape[1]
    parquet.write_table(
        arrow.table({"x": arrow.ListArray.from_arrays(starts, arrow.array(x.reshape(-1)))}), path
    )


def _columns(path: Path, x: Array) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = {f"f{place:02}": x[:, place] for place in range(x.shape[1])}
    parquet.write_table(arrow.table(table), path, row_group_size=3001)


def _nested(path: Path, x: Array) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    starts = np.arange(len(x) + 1, dtype=np.int32) * x.shape[1]
    lists = arrow.ListArray.from_arrays(starts, arrow.array(x.reshape(-1)))
    parquet.write_table(arrow.table({"model": arrow.StructArray.from_arrays([lists], ["x"])}), path)


def _feather(path: Path, x: Array) -> None:
    arrow, feather = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.feather")
    lists = arrow.FixedSizeListArray.from_arrays(arrow.array(x.reshape(-1)), x.shape[1])
    feather.write_feather(arrow.table({"x": lists}), str(path), compression="uncompressed")


def _csv(path: Path, x: Array) -> None:
    pytest.importorskip("pyarrow")
    header = ",".join(f"f{place}" for place in range(x.shape[1]))
    np.savetxt(path, x.astype(np.float64), delimiter=",", header=header, comments="", fmt="%.17g")


WRITERS: Mapping[str, tuple[Callable[[Path, Array], None], str]] = {
    "x.npy": (np.save, ""),
    "fortran.npy": (lambda path, x: np.save(path, np.asfortranarray(x)), ""),
    "x.npz": (_npz, ":x"),
    "packed.npz": (_packed, ""),
    "x.safetensors": (_safetensors, ":x"),
    "x.h5": (_hdf5, ":model/x"),
    "x.zarr": (_zarr, ""),
    "x.parquet": (_lists, ":x"),
    "columns.parquet": (_columns, ":f*"),
    "nested.parquet": (_nested, ":model.x"),
    "x.feather": (_feather, ":x"),
    "x.csv": (_csv, ""),
}


@pytest.mark.parametrize("name", WRITERS)
def test_rows_are_read_in_parts_forwards_and_backwards(tmp_path: Path, logits: Array, name: str) -> None:
    write, member = WRITERS[name]
    write(tmp_path / name, logits)
    source = open_source(parse_name(f"{tmp_path / name}{member}"))
    assert source.shape == logits.shape
    for first, stop in ((0, 5000), (5000, 5001), (5001, 12_345), (19_000, len(logits)), (100, 7000)):
        out = np.empty((stop - first, logits.shape[1]), source.dtype)
        source.read(first, out)
        np.testing.assert_array_equal(out.astype(logits.dtype), logits[first:stop], err_msg=f"{first}")


@pytest.mark.parametrize("name", ["g.npy", "g.zarr", "g.parquet"])
def test_rows_are_written_in_parts_in_any_order_and_twice(tmp_path: Path, logits: Array, name: str) -> None:
    if name != "g.npy":
        pytest.importorskip({"g.zarr": "zarr", "g.parquet": "pyarrow"}[name])
    path = str(tmp_path / name)
    create_sink(path, "token", shape=logits.shape, dtype=logits.dtype, part_rows=4096)
    sink = open_sink(path, "token")
    firsts = list(range(0, len(logits), 4096))
    for first in [*reversed(firsts), firsts[1]]:
        sink.write(first, logits[first : first + 4096])
    Path(unfinished(path, "token")).rename(path)
    pattern = f"{path}/*.parquet:value" if name == "g.parquet" else path
    source = open_source(parse_name(pattern))
    out = np.empty(logits.shape, source.dtype)
    source.read(0, out)
    np.testing.assert_array_equal(out, logits)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.npy", b"text", "expected an array in .npy format"),
        ("a.npy", b"", "expected an array in .npy format"),
        ("a.npz", b"text", "expected an array in .npz format"),
        ("a.safetensors", b"\xff" * 30, "a header that is longer"),
        ("a.safetensors", b"\x02" + b"\0" * 7 + b"{]", "expected a header in JSON"),
        ("a.txt", b"1", "expected a file of one of the formats"),
        ("a.parquet", b"text", "expected columns of numbers"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_named(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnusableFile, match=message) as raised:
        open_source(parse_name(str(tmp_path / name)))
    assert name in str(raised.value)


def test_a_file_that_was_cut_off_is_refused_when_opened(tmp_path: Path, logits: Array) -> None:
    path = tmp_path / "x.npy"
    np.save(path, logits)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UnusableFile, match="as its header says"):
        open_source(parse_name(str(path)))


def test_an_archive_without_an_array_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "empty.npz")
    with pytest.raises(UnusableFile, match="one of the arrays"):
        open_source(parse_name(str(tmp_path / "empty.npz")))


def test_a_missing_file_and_a_pattern_without_files_are_named(tmp_path: Path) -> None:
    for name in ("none.npy", "none*.npy"):
        with pytest.raises(UnusableFile, match="got none"):
            open_source(parse_name(str(tmp_path / name)))


def test_a_file_that_is_there_is_no_pattern(tmp_path: Path) -> None:
    for name, value in {"a[1].npy": 1.0, "a1.npy": 2.0}.items():
        np.save(tmp_path / name, np.array([value]))
    for name, value in {"a[1].npy": 1.0, "a[[]1].npy": 1.0, "a[0-9].npy": 2.0}.items():
        source = open_source(parse_name(str(tmp_path / name)))
        out = np.empty(source.shape, source.dtype)
        source.read(0, out)
        assert out.tolist() == [value], name


def test_shards_without_rows_say_nothing_of_the_others(tmp_path: Path, logits: Array) -> None:
    pytest.importorskip("pyarrow")
    for name, write in {"lists.parquet": _lists_of_any_length, "text.csv": _csv}.items():
        for place, stop in enumerate((0, 300, 300, 700)):
            start = (0, 0, 300, 300)[place]
            write(tmp_path / f"{place}-{name}", logits[start:stop])
        source = open_source(parse_name(str(tmp_path / f"*-{name}")))
        out = np.empty(source.shape, source.dtype)
        source.read(0, out)
        np.testing.assert_array_equal(out.astype(logits.dtype), logits[:700], err_msg=name)


def test_whole_numbers_in_one_shard_of_text_may_be_fractions_in_another(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    for place, numbers in enumerate(("1\n2", "1.5\n3", "4\n5")):
        (tmp_path / f"{place}.csv").write_text(f"x\n{numbers}\n")
    source = open_source(parse_name(str(tmp_path / "*.csv")))
    out = np.empty(source.shape, source.dtype)
    source.read(0, out)
    np.testing.assert_array_equal(out, [1, 2, 1.5, 3, 4, 5], strict=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,x,y\n1,2,3\n", 'each name once, got "x" twice - at `x.csv`, row 1'),
        ('\nx, y,"x"\n1,2,3\n', 'each name once, got "x" twice - at `x.csv`, row 2'),
        ("y\n1_0\n", 'a number, got "1_0" - at `x.csv`, row 2, column y'),
        ("y\n1\n1_0\n", 'a number, got "1_0" - at `x.csv`, row 3, column y'),
        ("y\n1.5\n1_0\n", 'a number, got "1_0" - at `x.csv`, row 3, column y'),
        ("y\n1.5\n1_0.5\n", 'a number, got "1_0.5" - at `x.csv`, row 3, column y'),
        ("1\n1_0\n", 'a number, got "1_0" - at `x.csv`, row 2, column 1'),
        ("1_0,2\n3,4\n", 'a number, got "1_0" - at `x.csv`, row 1, column 1'),
        ("y\n\u0663\n", 'a number, got "\u0663" - at `x.csv`, row 2, column y'),
        ("y\n\u00a05\n", "a number, got"),
        ("y\n5\f\n", "a number, got"),
    ],
)
def test_text_is_refused_in_parts_as_it_is_refused_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.chdir(tmp_path)
    Path("x.csv").write_text(text, encoding="utf-8")

    def read_in_parts() -> None:
        source = open_source(parse_name("x.csv"))
        source.read(0, np.empty(source.shape, source.dtype))

    messages = []
    for read in (read_in_parts, lambda: read_file(Wanted(Path("x.csv"), None, "input"))):
        with pytest.raises(UnusableFile) as raised:
            read()
        messages.append(str(raised.value))
    assert messages[0] == messages[1]
    assert f"expected {message}" in messages[0]


FAR = "1,2\n" * 400_000  # beyond the first blocks, which open_source reads


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("1,2\n5,word\n", 'expected a number, got "word" - at `x.csv`, row 3, column y'),
        ("1,2\n\n5,\n", 'expected a number, got "" - at `x.csv`, row 4, column y'),
        ("1,2020-01-01\n", 'expected a number, got "2020-01-01" - at `x.csv`, row 2, column y'),
        ("1,2\n3,4,5\n", "expected 2 columns, got 3 - at `x.csv`, row 3"),
        (f"{FAR}5,word\n", 'expected a number, got "word" - at `x.csv`, row 400002, column y'),
        (f"{FAR}5,\n", 'expected a number, got "" - at `x.csv`, row 400002, column y'),
        (f"{FAR}5\n", "expected 2 columns, got 1 - at `x.csv`, row 400002"),
        (
            f"{FAR}5,1.5\n",
            'expected a whole number, as the column begins with, got "1.5" - at `x.csv`, row 400002, column y',
        ),
    ],
)
def test_a_cell_that_is_no_number_is_named_by_its_row_and_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: str, message: str
) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.chdir(tmp_path)
    Path("x.csv").write_text(f"x,y\n{rows}")

    def read() -> None:
        source = open_source(parse_name("x.csv:y"))
        source.read(0, np.empty(source.shape, source.dtype))

    with pytest.raises(UnusableFile) as raised:
        read()
    assert str(raised.value) == message
    assert str(pickle.loads(pickle.dumps(raised.value))) == message  # as from a worker


@pytest.mark.parametrize(
    "text", ["1,2\n3,4\n", "x, y\n1,2\n3,4\n", "\ufeffx,y\n1, 2\n3,4\n", "1.5,2\nnan,-inf\n", "\nx,y\n1,2\n"]
)
def test_text_is_read_in_parts_as_it_is_read_whole(tmp_path: Path, text: str) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "x.csv"
    path.write_text(text)
    source = open_source(parse_name(str(path)))
    out = np.empty(source.shape, source.dtype)
    source.read(0, out)
    np.testing.assert_array_equal(out, read_file(Wanted(path, None, "input")))


@pytest.mark.parametrize("name", ["x.npz", "x.safetensors", "x.parquet", "x.npy"])
def test_an_array_that_is_named_as_the_argument_needs_no_name(
    tmp_path: Path, logits: Array, name: str
) -> None:
    WRITERS[name][0](tmp_path / name, logits)
    text = str(tmp_path / name)
    assert with_member(text, "x") == (text if name == "x.npy" else f"{text}:x")
    assert with_member(text, "input") == text
    assert with_member(f"{text}:other", "x") == f"{text}:other"


def test_a_group_of_zarr_has_arrays_by_name_and_an_array_has_none(tmp_path: Path, logits: Array) -> None:
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(tmp_path / "g.zarr", mode="w")
    group.create_array("x", data=logits)
    group.create_array("y", data=logits + 1)
    group.create_group("a")  # no array
    zarr.create_array(str(tmp_path / "a.zarr"), data=logits)
    text = str(tmp_path / "g.zarr")
    assert with_member(text, "x") == f"{text}:x"
    assert with_member(str(tmp_path / "a.zarr"), "x") == str(tmp_path / "a.zarr")
    source = open_source(parse_name(f"{text}:y"))
    out = np.empty(source.shape, source.dtype)
    source.read(0, out)
    np.testing.assert_array_equal(out, logits + 1)
    with pytest.raises(UnusableFile, match=r"one of the arrays x, y, as in .*:x, got no name"):
        open_source(parse_name(text))
    with pytest.raises(UnusableFile, match=r"no name, since the file holds one array, got x"):
        open_source(parse_name(f"{tmp_path / 'a.zarr'}:x"))
