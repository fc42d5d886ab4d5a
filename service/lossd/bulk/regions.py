"""Numbers that lie in a file as they lie in memory: .npy, stored members of .npz, tensors of .safetensors.

They are read, not mapped: what is mapped counts as the process's memory, and costs a page fault every 4 KiB.
"""

from __future__ import annotations

import json
import math
import os
import struct
import zipfile
import zlib
from typing import IO, Any

import ml_dtypes
import numpy as np

from lossd.bulk.errors import MALFORMED, UnusableFile, one_line
from lossd.bulk.members import bytes_of, check_names, chosen, each_key_once
from lossd.message import Array

_LONGEST_HEADER = 100_000_000  # bytes: what the format itself allows
_PIECE = 1 << 20  # bytes that are read at a time to take a checksum
_DTYPES = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}


class Region:
    """Numbers in C order from a place of a file on."""

    def __init__(self, path: str, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.path = path
        self.offset = offset
        self.shape = shape
        self.dtype = dtype
        self.row_bytes = math.prod(shape[1:]) * dtype.itemsize
        self.file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        needed = offset + shape[0] * self.row_bytes if shape else 0
        if os.fstat(self.file).st_size < needed:
            raise UnusableFile(path, f"{needed} bytes, as its header says", str(os.fstat(self.file).st_size))

    def read(self, first: int, out: Array) -> None:
        """Read rows."""
        view, place = bytes_of(out), self.offset + first * self.row_bytes
        while len(view):
            count = os.preadv(self.file, [view], place)
            if not count:
                raise UnusableFile(self.path, "all of its array", "a file that has become shorter")
            view, place = view[count:], place + count

    def __del__(self) -> None:
        if hasattr(self, "file"):
            os.close(self.file)


class StoredMember(Region):
    """Numbers of a member of .npz that is not packed.

    Its checksum is taken of the rows as they are read in order, and compared by whoever reads the last one: that reader
    also reads what it has not had in order, so only a worker that comes out of order reads the member once more.
    """

    def __init__(
        self,
        path: str,
        info: zipfile.ZipInfo,
        start: int,
        *,
        offset: int,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
    ) -> None:
        super().__init__(path, offset, shape, dtype)
        self.stop, self.expected = start + info.file_size, info.CRC
        self.summed, self.checksum = start, 0
        self._sum_up_to(self.offset)

    def read(self, first: int, out: Array) -> None:
        """Read rows.

        Raises:
            UnusableFile: These are the last ones, and the member is damaged.
        """
        super().read(first, out)
        begin = self.offset + first * self.row_bytes
        if begin == self.summed:
            self.checksum, self.summed = zlib.crc32(bytes_of(out), self.checksum), begin + out.nbytes
        if first + len(out) == self.shape[0]:
            self.check()

    def check(self) -> None:
        """Compare the checksum, of which what is missing is read.

        Raises:
            UnusableFile: The member is damaged.
        """
        self._sum_up_to(self.stop)
        if self.checksum != self.expected:
            raise UnusableFile(self.path, "the checksum that the archive states", "another: it is damaged")

    def _sum_up_to(self, stop: int) -> None:
        while self.summed < stop:
            piece = os.pread(self.file, min(stop - self.summed, _PIECE), self.summed)
            if not piece:
                raise UnusableFile(self.path, "all of its array", "a file that has become shorter")
            self.checksum, self.summed = zlib.crc32(piece, self.checksum), self.summed + len(piece)


class PackedMember:
    """A packed member of .npz: what lies before a row is unpacked to get there."""

    def __init__(self, path: str, name: str) -> None:
        self.file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        # Read from as long as the source lives, which closes the file: so may the garbage collector, in any order.
        self.stream = zipfile.ZipFile(os.fdopen(self.file, "rb", closefd=False)).open(name)  # noqa: SIM115
        self.shape, fortran, self.dtype = _header(path, self.stream)
        if fortran and len(self.shape) > 1:
            raise UnusableFile(path, "C order in a packed member", "Fortran order")
        self.start = self.stream.tell()
        self.path = path
        self.row_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize

    def read(self, first: int, out: Array) -> None:
        """Read rows."""
        self.stream.seek(self.start + first * self.row_bytes)
        view = bytes_of(out)
        while len(view):
            count = self.stream.readinto(view)  # type: ignore[attr-defined]  # a buffered reader, as zipfile says
            if not count:
                raise UnusableFile(self.path, "all of its array", "a member that ends within it")
            view = view[count:]
        if first + len(out) == self.shape[0]:
            self.stream.read(1)  # the end of the member, where zipfile compares the checksum

    def __del__(self) -> None:
        if hasattr(self, "file"):
            os.close(self.file)


def open_npy(path: str) -> Region | Any:
    """Open a .npy file: its numbers, or a memory map of them where they are in Fortran order."""
    with open(path, "rb") as file:
        shape, fortran, dtype = _header(path, file)
        offset = file.tell()
    if fortran and len(shape) > 1:
        return np.memmap(path, dtype, "r", offset, shape, "F")
    return Region(path, offset, shape, dtype)


def open_npz(path: str, member: str) -> Any:
    """Open a member of a .npz file."""
    with zipfile.ZipFile(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
        check_names(path, names)
        info = archive.getinfo(f"{chosen(names, member, path, 'arrays')}.npy")
    if info.compress_type != zipfile.ZIP_STORED:
        return PackedMember(path, info.filename)
    with open(path, "rb") as file:
        file.seek(info.header_offset + 26)  # the lengths of the name and of what follows it
        start = info.header_offset + 30 + sum(struct.unpack("<HH", file.read(4)))
        file.seek(start)
        shape, fortran, dtype = _header(path, file)
        stored = StoredMember(path, info, start, offset=file.tell(), shape=shape, dtype=dtype)
    if fortran and len(shape) > 1:  # read in no order, so checked here: it costs a pass over the member
        stored.check()
        return np.memmap(path, dtype, "r", stored.offset, shape, "F")
    return stored


def open_safetensors(path: str, member: str) -> Region:
    """Open a tensor of a .safetensors file."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8).ljust(8, b"\xff"))
        if length > _LONGEST_HEADER:
            raise UnusableFile(
                path, "tensors in .safetensors format", "a header that is longer than the format allows"
            )
        try:
            header = json.loads(file.read(length), object_pairs_hook=each_key_once)
        except (ValueError, RecursionError) as error:
            raise UnusableFile(path, "a header in JSON", str(error)) from None
    if not isinstance(header, dict):
        raise UnusableFile(path, "a header that is a JSON object", "a JSON value of another type")
    name = chosen([name for name in header if name != "__metadata__"], member, path, "tensors")
    begin, shape, dtype = _tensor(path, name, header[name])
    return Region(path, 8 + length + begin, shape, dtype)


def _tensor(path: str, name: str, about: Any) -> tuple[int, tuple[int, ...], np.dtype[Any]]:
    """Return where a tensor begins behind the header, its shape and its type."""
    match about:
        case {"dtype": str(stated), "shape": [*shape], "data_offsets": [int(begin), int(end)]} if (
            all(isinstance(size, int) and size >= 0 for size in shape) and begin >= 0
        ):
            pass
        case _:
            expected = f"dtype, shape and data_offsets of the tensor {name}"
            raise UnusableFile(path, expected, "a header without them")
    if stated not in _DTYPES:
        raise UnusableFile(path, f"one of the types {', '.join(_DTYPES)}", stated)
    needed = math.prod(shape) * _DTYPES[stated].itemsize
    if end - begin != needed:
        expected = f"{needed} bytes of the tensor {name}, as its type and shape say"
        raise UnusableFile(path, expected, str(end - begin))
    return begin, tuple(shape), _DTYPES[stated]


def _header(path: str, file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read the header of an array in .npy format."""
    try:
        version = np.lib.format.read_magic(file)
        readers = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
        shape, fortran, dtype = readers[version[0]](file)
    except MALFORMED as error:
        raise UnusableFile(path, "an array in .npy format", one_line(error)) from None
    if any(size < 0 for size in shape):
        raise UnusableFile(path, "sizes >= 0", f"the shape {shape}")
    if dtype.hasobject:
        raise UnusableFile(path, "an array of numbers", "one of Python objects")
    return shape, fortran, dtype
