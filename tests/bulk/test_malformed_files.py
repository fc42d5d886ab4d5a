"""Whatever bytes a file holds, the error is one line that names it; no library's exception gets through."""

from __future__ import annotations

import io
import json
import struct
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from lossd.bulk.errors import UnusableFile
from lossd.bulk.kept import whole
from lossd.bulk.sources import FORMATS
from lossd.commands.files import READERS, Wanted, read_file
from lossd.message import Array

X = np.linspace(0, 1, 60).reshape(20, 3)
MUTATIONS = 60
STATES = count()  # each damaged file is opened anew


def _read_in_parts(path: Path) -> Array:
    return whole(str(path), str(next(STATES)))


def _read_whole(path: Path) -> Array:
    return read_file(Wanted(path, None, "input"))


def _safetensors(header: object) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + X.tobytes()


def _npy(header: str) -> bytes:
    text = header.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + X.tobytes()


def _saved(save: Callable[..., None], **arrays: Array) -> bytes:
    stream = io.BytesIO()
    save(stream, **arrays)
    return stream.getvalue()


def _packed_wrongly() -> bytes:
    """Return an archive whose deflated member is no deflated stream."""
    content = bytearray(_saved(np.savez_compressed, x=X))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        start = archive.infolist()[0].header_offset + 30 + len("x.npy") + 20  # NumPy writes sizes of 64 bits
    content[start : start + 40] = b"\xff" * 40
    return bytes(content)


def _of_another_name() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("x.txt", "text")
    return stream.getvalue()


def _archive(names: Sequence[str]) -> bytes:
    stream, array = io.BytesIO(), io.BytesIO()
    np.save(array, X)
    with zipfile.ZipFile(stream, "w") as archive, warnings.catch_warnings(action="ignore"):  # of the name
        for name in names:
            archive.writestr(name, array.getvalue())
    return stream.getvalue()


ENTRY = {"dtype": "F64", "shape": [20, 3], "data_offsets": [0, X.nbytes]}
TWICE = f'{{"x": {json.dumps(ENTRY)}, "x": {json.dumps(ENTRY)}}}'.encode()
NPY = "{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"
CASES: Mapping[str, tuple[str, bytes]] = {
    "a header that is a list": (".safetensors", _safetensors([1])),
    "a tensor that is a number": (".safetensors", _safetensors({"x": 5})),
    "a tensor without a place": (".safetensors", _safetensors({"x": {"dtype": "F64", "shape": [20, 3]}})),
    "a tensor without a type": (".safetensors", _safetensors({"x": {**ENTRY, "dtype": None}})),
    "a type that is a list": (".safetensors", _safetensors({"x": {**ENTRY, "dtype": []}})),
    "a tensor before the data": (".safetensors", _safetensors({"x": {**ENTRY, "data_offsets": [-8, 472]}})),
    "a tensor of another length": (".safetensors", _safetensors({"x": {**ENTRY, "data_offsets": [0, 8]}})),
    "sizes that are fractions": (".safetensors", _safetensors({"x": {**ENTRY, "shape": [20.0, 3]}})),
    "sizes below 0": (".safetensors", _safetensors({"x": {**ENTRY, "shape": [-20, -3]}})),
    "a header of deep lists": (".safetensors", _safetensors(b"[" * 100_000)),
    "a header of a few bytes": (".safetensors", b"\x01"),
    "a size of -1": (".npy", _npy(NPY.format(descr="'<f8'", shape="(-1,)"))),
    "sizes below 0 in .npy": (".npy", _npy(NPY.format(descr="'<f8'", shape="(-20, -3)"))),
    "more than memory": (".npy", _npy(NPY.format(descr="'<f8'", shape=f"({1 << 60}, 3)"))),
    "more than 64 bits": (".npy", _npy(NPY.format(descr="'<f8'", shape=f"(0, {1 << 40}, {1 << 40})"))),
    "no type": (".npy", _npy(NPY.format(descr="'<q9'", shape="(20, 3)"))),
    "no literal": (".npy", _npy("{'descr'")),
    "a deflated stream that is none": (".npz", _packed_wrongly()),
    "an archive of text": (".npz", _of_another_name()),
    "two members of one name": (".npz", _archive(["input.npy", "input.npy"])),
    "two tensors of one name": (".safetensors", _safetensors(TWICE)),
    "two keys of one name": (".json", b'{"input": [1], "input": [2]}'),
    "an archive under another name": (".npy", _saved(np.savez, x=X)),
    "deep lists": (".json", b"[" * 100_000),
    "a null byte": (".csv", b"x\n1\n\x00\n"),
}


@pytest.mark.parametrize(
    ("read", "name"),
    [(_read_in_parts, name) for name, (suffix, _) in CASES.items() if suffix in FORMATS]
    + [(_read_whole, name) for name, (suffix, _) in CASES.items() if suffix in READERS],
)
def test_what_a_format_does_not_allow_is_one_line(
    tmp_path: Path, name: str, read: Callable[[Path], Array]
) -> None:
    suffix, content = CASES[name]
    (tmp_path / f"a{suffix}").write_bytes(content)
    with pytest.raises(UnusableFile) as raised:
        read(tmp_path / f"a{suffix}")
    assert f"a{suffix}" in str(raised.value)
    assert "\n" not in str(raised.value)


def _zarr(path: Path) -> None:
    pytest.importorskip("zarr").create_array(str(path), data=X, chunks=(7, 3))


def _hdf5(path: Path) -> None:
    with pytest.importorskip("h5py").File(path, "w") as file:
        file.create_dataset("x", data=X, chunks=(7, 3), compression="gzip")


def _table(write: str) -> Callable[[Path], None]:
    def save(path: Path) -> None:
        arrow = pytest.importorskip("pyarrow")
        table = arrow.table({"a": X[:, 0], "b": X[:, 1]})
        if write == "parquet":
            pytest.importorskip("pyarrow.parquet").write_table(table, path, row_group_size=7)
        elif write == "feather":
            pytest.importorskip("pyarrow.feather").write_feather(table, str(path), chunksize=7)
        else:
            pytest.importorskip("pyarrow.csv").write_csv(table, path)

    return save


WHOLE: Mapping[str, Callable[[Path], object]] = {
    ".npy": lambda path: np.save(path, X),
    ".npz": lambda path: path.write_bytes(_saved(np.savez, x=X)),
    "packed.npz": lambda path: path.write_bytes(_saved(np.savez_compressed, x=X)),
    ".safetensors": lambda path: path.write_bytes(_safetensors({"x": ENTRY})),
    ".zarr": _zarr,
    ".h5": _hdf5,
    ".parquet": _table("parquet"),
    ".feather": _table("feather"),
    ".csv": _table("csv"),
    ".json": lambda path: path.write_text(json.dumps(X.tolist())),
}


def _damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Return bytes that are cut off, changed in some places, or others."""
    if (way := rng.integers(4)) == 0:
        return content[: rng.integers(len(content) + 1)]
    if way == 1:
        return rng.bytes(int(rng.integers(200)))
    changed = np.frombuffer(bytearray(content), np.uint8)
    head = len(changed) if way == 2 else min(len(changed), 200)
    for place in rng.integers(0, head, 1 + rng.integers(8)) if head else []:
        changed[place] = rng.integers(256)
    return changed.tobytes()


@pytest.mark.parametrize("suffix", WHOLE)
def test_damaged_files_are_read_or_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    WHOLE[suffix](path)
    files = [each for each in path.rglob("*") if each.is_file()] or [path]
    contents = {each: each.read_bytes() for each in files}
    readers = [_read_in_parts] * (path.suffix in FORMATS) + [_read_whole] * (path.suffix in READERS)
    rng, errors = np.random.default_rng(11), []
    for _ in range(MUTATIONS):
        damaged = files[rng.integers(len(files))]
        damaged.unlink()  # HDF5 knows an open file again by its inode
        damaged.write_bytes(_damaged(contents[damaged], rng))
        errors += [text for read in readers if (text := _error(read, path))]
        damaged.write_bytes(contents[damaged])
    assert len(errors) > MUTATIONS // 4
    assert [text for text in errors if "\n" in text or f"a{suffix}" not in text] == []


def _error(read: Callable[[Path], Array], path: Path) -> str:
    try:
        read(path)
    except UnusableFile as error:
        return str(error)
    return ""
