"""The part of the ZIP format that .npz needs, with every length doubted.

Only the central directory at the end is believed, and only as far as it agrees with the body: members lie
apart from each other, and unfold to the size that it claims, no further. A stored member is viewed where it
lies, a deflated one is inflated straight into its array.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from lossd.errors import Fault, NotAcceptable, malformed
from lossd.wire.codec import Parts, gather
from lossd.wire.decompression import RAW_DEFLATE, Inflating, crc32

_END = struct.Struct("<4s4H2LH")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_METHODS = {0: "stored", 8: "deflated"}
_ENCRYPTED = 0x2041
_LONGEST_COMMENT = 2**16 - 1
_MOST_MEMBERS = 256
_TOO_LARGE = 2**32 - 1  # as a size it means that a longer one stands elsewhere
_STEP = 1 << 20
_JANUARY_1980 = 0x21  # the first date the format has, so that equal answers are equal bytes
_VERSION = 20


class Member(NamedTuple):
    """One file of an archive, not yet unfolded: ``begin`` and ``end`` are its place with its local header."""

    name: str
    method: int
    crc: int
    size: int
    data: memoryview
    begin: int
    end: int


class Content:
    """The content of one member, in order, unfolded no further than it is read."""

    def __init__(self, member: Member) -> None:
        self._member = member
        self._stored = member.data
        self._stream = Inflating(member.data, member.name, RAW_DEFLATE) if member.method else None
        self._left = member.size
        self._crc = 0

    def read(self, size: int) -> memoryview:
        """Return the next ``size`` bytes; of a stored member they are a view.

        Raises:
            MalformedBody: The member ends before, or its compressed bytes are damaged.
        """
        if size > self._left:
            raise malformed(self._member.name, f"{size} more bytes", self._left)
        content = self._inflate(size) if self._stream else self._stored[:size]
        self._stored = self._stored[size:]
        self._left -= size
        self._crc = crc32(content, self._crc)
        return content

    def close(self) -> None:
        """Check that nothing is left, and that the content has its checksum.

        Raises:
            MalformedBody: It is not so.
        """
        if self._left or (self._stream and self._stream.step(1)):
            raise malformed(self._member.name, "no bytes after those of its array", "more")
        if self._crc != self._member.crc:
            raise malformed(
                self._member.name, f"content of checksum {self._member.crc:08x}", f"{self._crc:08x}"
            )

    def _inflate(self, size: int) -> memoryview:
        assert self._stream is not None
        content = np.empty(size, np.uint8).data  # not zeroed: pages appear as bytes are unfolded
        position = 0
        while position < size:
            step = self._stream.step(min(_STEP, size - position))
            if not step:
                raise malformed(self._member.name, f"{size - position} more bytes", "the end of the stream")
            content[position : position + len(step)] = step
            position += len(step)
        return content


def read_archive(body: memoryview) -> list[Member]:
    """Find the members of an archive.

    Raises:
        MalformedBody: It is not one archive, or has members of a kind that .npz does not need.
    """
    entries, start, stop = _find_directory(body)
    members: list[Member] = []
    position = start
    for _ in range(entries):
        member, position = _entry(body, position, start, stop)
        members.append(member)
    if position != stop:
        raise malformed(f"byte {position}", "the end of the central directory", "more bytes")
    _refuse_doubles(members)
    return members


def write_archive(files: Mapping[str, Parts]) -> Parts:
    """Write an archive of stored files.

    Raises:
        NotAcceptable: It would be 4 GiB large, for which the format needs an extension.
    """
    pieces: list[bytes | memoryview] = []
    directory: list[bytes] = []
    position = 0
    for name, parts in files.items():
        crc, size, text = 0, sum(map(len, parts)), name.encode()
        for part in parts:
            crc = crc32(part, crc)
        common = (
            _VERSION,
            0x800,
            0,
            0,
            _JANUARY_1980,
            crc,
            size,
            size,
            len(text),
        )  # 0x800: the name is UTF-8
        if position + size > _TOO_LARGE - _STEP:
            raise NotAcceptable(faults=[Fault(name, "an answer of less than 4 GiB in npz", "more")])
        directory.append(_ENTRY.pack(b"PK\1\2", _VERSION, *common, 0, 0, 0, 0, 0, position) + text)
        pieces += [_LOCAL.pack(b"PK\3\4", *common, 0) + text, *(memoryview(part) for part in parts)]
        position += _LOCAL.size + len(text) + size
    listed = b"".join(directory)
    end = _END.pack(b"PK\5\6", 0, 0, len(directory), len(directory), len(listed), position, 0)
    return gather([*pieces, listed + end])


def _find_directory(body: memoryview) -> tuple[int, int, int]:
    """Return how many entries the central directory has, where it starts and where it stops."""
    tail = bytes(body[-_END.size - _LONGEST_COMMENT :])
    found = tail.rfind(b"PK\5\6")
    if found < 0 or found + _END.size > len(tail):
        raise malformed("", "a ZIP archive", "no end of a central directory")
    _, disk, disk_of_directory, here, entries, size, start, comment = _END.unpack_from(tail, found)
    stop = len(body) - len(tail) + found
    if found + _END.size + comment != len(tail):
        raise malformed(
            f"byte {stop}", "an archive that ends with its directory", "bytes after it or too few"
        )
    if disk or disk_of_directory or here != entries:
        raise malformed(f"byte {stop}", "an archive of one part", "one of several")
    if entries > _MOST_MEMBERS:
        raise malformed(f"byte {stop}", f"at most {_MOST_MEMBERS} members", entries)
    if start + size != stop:
        raise malformed(
            f"byte {stop}", f"a central directory of {size} bytes from byte {start}", "another place"
        )
    return entries, start, stop


def _entry(body: memoryview, position: int, start: int, stop: int) -> tuple[Member, int]:
    """Read the entry of the central directory at ``position``, and find the member that it tells of."""
    if position + _ENTRY.size > stop:
        raise malformed(f"byte {position}", "another entry of the central directory", "its end")
    signature, _, _, flags, method, _, _, crc, packed, size, *lengths, _, _, _, begin = _ENTRY.unpack_from(
        body, position
    )
    after = position + _ENTRY.size + sum(lengths)
    if signature != b"PK\1\2" or after > stop:
        raise malformed(f"byte {position}", "an entry of the central directory", "something else")
    raw_name = bytes(body[position + _ENTRY.size :][: lengths[0]])
    name = _name(raw_name, position)
    if flags & _ENCRYPTED:
        raise malformed(name, "a member that is not encrypted", "an encrypted one")
    if method not in _METHODS:
        raise malformed(name, "a member that is stored or deflated", f"compression method {method}")
    if _TOO_LARGE in (packed, size, begin):
        raise malformed(name, "a member of less than 4 GiB", "one with the sizes of ZIP64")
    if not method and packed != size:
        raise malformed(name, f"{size} bytes stored as they are", f"{packed} bytes")
    data = _data_start(body, begin, start, raw_name, method)
    if data + packed > start:
        raise malformed(name, f"{packed} bytes of data before the central directory", f"{start - data}")
    return Member(name, method, crc, size, body[data : data + packed], begin, data + packed), after


def _name(raw: bytes, position: int) -> str:
    try:
        name = raw.decode()
    except UnicodeDecodeError:
        raise malformed(f"byte {position}", "a member's name in UTF-8", "other bytes") from None
    if not name.isprintable() or len(name) > 80 or "/" in name or "\\" in name:
        raise malformed(
            f"byte {position}", "a printable name of at most 80 characters without a path", "another"
        )
    return name


def _data_start(body: memoryview, begin: int, stop: int, name: bytes, method: int) -> int:
    if begin + _LOCAL.size > stop:
        raise malformed(f"byte {begin}", "a local header", "the central directory")
    signature, _, _, its_method, _, _, _, _, _, *lengths = _LOCAL.unpack_from(body, begin)
    its_name = bytes(body[begin + _LOCAL.size :][: lengths[0]])
    if (signature, its_method, its_name) != (b"PK\3\4", method, name):
        raise malformed(f"byte {begin}", "the local header that the central directory tells of", "another")
    return int(begin + _LOCAL.size + sum(lengths))


def _refuse_doubles(members: list[Member]) -> None:
    """Refuse members of the same name, and members that share bytes, as small archives that unfold hugely do."""
    names: set[str] = set()
    for member in members:
        if member.name in names:
            raise malformed(member.name, "each name once in an archive", "it again")
        names.add(member.name)
    in_order = sorted(members, key=lambda member: member.begin)
    for member, following in pairwise(in_order):
        if following.begin < member.end:
            raise malformed(following.name, "a member with bytes of its own", f"bytes of {member.name} too")
