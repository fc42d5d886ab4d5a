"""The ZIP archive of .npz, read and written by zipfile, behind a guard that bounds what zipfile is given.

zipfile gets the central directory alone, and only after its size and its number of entries were checked: it makes
an object of every entry that it finds. Members may not overlap, and are decompressed to the size that the
directory states, no further. The content of a stored member is a view of the body.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping
from itertools import pairwise
from typing import IO, NamedTuple, cast

import numpy as np

from lossd.errors import ErrorDetail, NotAcceptable, malformed
from lossd.message import Checkpoint
from lossd.wire.codec import MOST_NAMES, Parts, never_end
from lossd.wire.decompression import RAW_DEFLATE, DeflateDecompressor, crc32
from lossd.wire.foreign import hint_of_format
from lossd.wire.gathering import gather

_END = struct.Struct("<4s4H2LH")
_END_SIGNATURE = b"PK\5\6"
_ZIP64_LOCATOR = struct.Struct("<4sLQL")
_ZIP64_SIGNATURE = b"PK\6\7"
_LARGEST_ENTRY = 512  # bytes: 46, a name of at most 80 characters, and what some writers add
_LOCAL = struct.Struct("<4s22x2H")
_LOCAL_SIGNATURE = b"PK\3\4"
_ENCRYPTED = 0x2041
_UTF8 = 0x800
_LONGEST_NAME = 80
_STEP = 1 << 20
_UNREADABLE = (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, struct.error)


class Member(NamedTuple):
    """One file of an archive; ``begin`` and ``end`` are its place in the body, with its local header."""

    name: str
    compressed: bool
    crc: int
    size: int
    data: memoryview
    begin: int
    end: int


def read_archive(body: memoryview) -> list[Member]:
    """Find the members of an archive.

    Raises:
        MalformedBody: It is not one archive, or has members of a kind that .npz does not need.
    """
    entries, start = _find_directory(body)
    directory = bytes(body[start : -_END.size])
    # As an archive that is nothing but its directory, so that nothing else is read.
    end = _END.pack(_END_SIGNATURE, 0, 0, entries, entries, len(directory), 0, 0)
    try:
        with zipfile.ZipFile(io.BytesIO(directory + end)) as archive:
            found = archive.infolist()
    except _UNREADABLE as error:
        raise malformed(f"byte {start}", "a central directory", str(error)[:80]) from None
    if len(found) != entries:
        raise malformed(f"byte {start}", f"a central directory of {entries} entries", len(found))
    members = [_member(entry, body, start) for entry in found]
    _refuse_overlaps(members)
    return members


def read_member(member: Member) -> memoryview:
    """Return the content of a member; that of a stored one is a view.

    Raises:
        MalformedBody: Its compressed bytes are damaged, or its content has another size or checksum.
    """
    content = _decompress(member) if member.compressed else member.data
    if (crc := crc32(content)) != member.crc:
        raise malformed(member.name, f"content of checksum {member.crc:08x}", f"{crc:08x}")
    return content


def write_archive(files: Mapping[str, Parts], checkpoint: Checkpoint = never_end) -> Parts:
    """Write an archive of stored files, each dated 1980, so that equal files are equal bytes.

    Args:
        files: Name to the content of each.
        checkpoint: Called before each part, whose checksum is taken; what it raises ends the writing.

    Raises:
        NotAcceptable: It would be 2 GiB large, for which the format needs an extension.
    """
    pieces = _Pieces()
    try:
        with zipfile.ZipFile(cast(IO[bytes], pieces), "w", allowZip64=False) as archive:
            for name, parts in files.items():
                entry = zipfile.ZipInfo(name)
                entry.create_system = 0
                entry.file_size = sum(map(len, parts))
                with archive.open(entry, "w") as file:
                    for part in parts:
                        checkpoint()
                        file.write(part)
    except zipfile.LargeZipFile:
        raise NotAcceptable(errors=[ErrorDetail("", "an answer of less than 2 GiB in npz", "more")]) from None
    return gather(pieces.in_order())


class _Pieces:
    """A file to write that keeps the pieces written to it, so that none is copied.

    zipfile comes back to write each local header again, of the same size, once it knows the checksum.
    """

    def __init__(self) -> None:
        self._by_position: dict[int, bytes | memoryview] = {}
        self._position = 0

    def in_order(self) -> list[bytes | memoryview]:
        return list(self._by_position.values())

    def write(self, piece: bytes | memoryview) -> int:
        self._by_position[self._position] = piece
        self._position += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> int:
        self._position = position
        return position

    def flush(self) -> None:
        pass


def _find_directory(body: memoryview) -> tuple[int, int]:
    """Return how many entries the central directory has, and where it starts."""
    stop = len(body) - _END.size
    if stop < 0 or body[stop : stop + 4] != _END_SIGNATURE:
        got = f"no end of a central directory in its last 22 bytes{hint_of_format(body)}"
        raise malformed("", "a ZIP archive without a comment", got)
    _, disk, disk_of_directory, here, entries, size, start, comment = _END.unpack_from(body, stop)
    if disk or disk_of_directory or here != entries or comment:
        raise malformed(f"byte {stop}", "an archive of one part, without a comment", "another")
    if entries > MOST_NAMES:
        raise malformed(f"byte {stop}", f"at most {MOST_NAMES} members", entries)
    if start + size != stop or size > entries * _LARGEST_ENTRY:
        expected = f"a central directory of at most {entries * _LARGEST_ENTRY} bytes that ends here"
        raise malformed(f"byte {stop}", expected, f"{size} bytes from byte {start}")
    if body[stop - _ZIP64_LOCATOR.size :][:4] == _ZIP64_SIGNATURE:
        raise malformed(f"byte {stop}", "an archive of less than 4 GiB", "one of ZIP64")
    return entries, start


def _member(entry: zipfile.ZipInfo, body: memoryview, directory: int) -> Member:
    name = entry.orig_filename
    if not name.isprintable() or len(name) > _LONGEST_NAME or "/" in name or "\\" in name:
        expected = f"a printable name of at most {_LONGEST_NAME} characters without a path"
        raise malformed("central directory", expected, "another")
    if entry.flag_bits & _ENCRYPTED:
        raise malformed(name, "a member that is not encrypted", "an encrypted one")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise malformed(
            name, "a member that is stored or deflated", f"compression method {entry.compress_type}"
        )
    compressed = entry.compress_type == zipfile.ZIP_DEFLATED
    if not compressed and entry.compress_size != entry.file_size:
        raise malformed(name, f"{entry.file_size} bytes stored as they are", f"{entry.compress_size} bytes")
    begin = entry.header_offset
    start = _data_start(entry, body, directory)
    end = start + entry.compress_size
    if end > directory:
        expected = f"{entry.compress_size} bytes of data before the central directory"
        raise malformed(name, expected, directory - start)
    return Member(name, compressed, entry.CRC, entry.file_size, body[start:end], begin, end)


def _data_start(entry: zipfile.ZipInfo, body: memoryview, directory: int) -> int:
    """Return where the data of a member starts: behind its local header, whose length the directory does not state."""
    begin = entry.header_offset
    if not 0 <= begin <= directory - _LOCAL.size:
        raise malformed(f"byte {begin}", "a local header", "the central directory")
    signature, name_size, extra_size = _LOCAL.unpack_from(body, begin)
    start = begin + _LOCAL.size
    name = entry.orig_filename.encode("utf-8" if entry.flag_bits & _UTF8 else "cp437")
    if signature != _LOCAL_SIGNATURE or body[start : start + name_size] != name:
        raise malformed(f"byte {begin}", f"the local header of {entry.orig_filename}", "another")
    return int(start + name_size + extra_size)


def _refuse_overlaps(members: list[Member]) -> None:
    """Refuse members of the same name, and members that share bytes, as small archives of huge content do."""
    names: set[str] = set()
    for member in members:
        if member.name in names:
            raise malformed(member.name, "each name once in an archive", "it again")
        names.add(member.name)
    in_order = sorted(members, key=lambda member: member.begin)
    for member, following in pairwise(in_order):
        if following.begin < member.end:
            raise malformed(following.name, "a member with bytes of its own", f"bytes of {member.name} too")


def _decompress(member: Member) -> memoryview:
    content = np.empty(member.size, np.uint8).data  # not zeroed: pages appear as bytes are decompressed
    stream = DeflateDecompressor(member.data, member.name, RAW_DEFLATE)
    position = 0
    # One byte more than stated is asked for, to see whether there is one.
    while step := stream.read(min(_STEP, member.size + 1 - position)):
        if position + len(step) > member.size:
            raise malformed(member.name, f"{member.size} bytes once decompressed", "more")
        content[position : position + len(step)] = step
        position += len(step)
    if position < member.size:
        raise malformed(member.name, f"{member.size} bytes once decompressed", position)
    return content
