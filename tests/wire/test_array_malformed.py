"""Every bad body of arrays is refused with the right kind of error, and the error names the place."""

from __future__ import annotations

import struct
import time
import tracemalloc
import zlib

import numpy as np
import pytest

from lossd.errors import BodyTooLarge, InvalidCall, LossdError, MalformedBody
from lossd.message import Answer, Call
from lossd.wire import CODECS, Limits
from tests.wire.array_cases import (
    FLOATS,
    GOLDEN,
    HALF,
    ONE_MINUS_TWO,
    archive,
    deflated,
    member,
    npy,
    safetensors,
)
from tests.wire.json_cases import TENSORS

LIMITS = Limits(max_elements=1000, max_depth=4, max_bytes=100_000)


def one(dtype=b'"F32"', shape=b"[2]", offsets=b"[0,8]") -> bytes:
    """Write a header of one array."""
    return b'{"input":{"dtype":%s,"shape":%s,"data_offsets":%s}}' % (dtype, shape, offsets)


def two(first: bytes, second: bytes, names=(b"a", b"b")) -> bytes:
    """Write a header of two arrays of two float32, where they are said to be."""
    entry = b'"%s":{"dtype":"F32","shape":[2],"data_offsets":%s}'
    return b"{%s,%s}" % (entry % (names[0], first), entry % (names[1], second))


# name -> body, the first fault's place, a part of its message
SAFETENSORS = {
    "empty": (b"", "byte 0", "got 0 bytes"),
    "seven bytes": (b"\0" * 7, "byte 0", "expected 8 bytes with the length of the header, got 7 bytes"),
    "no header": (safetensors(b""), "header", "got an empty body"),
    "a header longer than the body": (struct.pack("<Q", 3) + b"{}", "byte 0", "a header of at most 2 bytes, got 3"),
    "a header of 2**64 - 1 bytes": (b"\xff" * 8 + b"{}", "byte 0", "at most 2 bytes, got 18446744073709551615"),
    "a header of more than 1 MiB": (safetensors(b" " * (1 << 21)), "byte 0", "at most 1048576 bytes"),
    "no JSON": (safetensors(b"{input}"), "header, line 1, column 2", "expected JSON"),
    "a JSON array": (safetensors(b"[]"), "header", "got a JSON array"),
    "a name twice": (
        safetensors(two(b"[0,8]", b"[8,16]", (b"a", b"a")), bytes(16)), "header, byte 54", '"a" again',
    ),
    "a field twice": (safetensors(b'{"a":{"dtype":"F32","dtype":"F32"}}'), "header, byte 20", "each key once"),
    "no object": (safetensors(b'{"input":[1,2]}'), "input", "an object with dtype, shape and data_offsets"),
    "no shape": (safetensors(b'{"input":{"dtype":"F32","data_offsets":[0,0]}}'), "input", "shape and"),
    "an unknown dtype": (safetensors(one(b'"F8_E4M3"'), bytes(8)), "input.dtype", 'F64, C64, got "F8_E4M3"'),
    "a dtype that is no string": (safetensors(one(b"4"), bytes(8)), "input.dtype", "got a int"),
    "a negative size": (safetensors(one(shape=b"[-2]"), bytes(8)), "input.shape[0]", "non-negative integer, got -2"),
    "a fractional size": (safetensors(one(shape=b"[2.0]"), bytes(8)), "input.shape[0]", "got a float"),
    "a shape that is no list": (safetensors(one(shape=b"2"), bytes(8)), "input.shape", "a list of sizes"),
    "too many dimensions": (safetensors(one(shape=b"[2,1,1,1,1]"), bytes(8)), "input.shape", "at most 4 dimensions"),
    "bytes that disagree with the shape": (
        safetensors(one(shape=b"[3]"), bytes(8)), "input.data_offsets", "12 bytes for shape [3] of float32, got 8",
    ),
    "offsets beyond the data": (safetensors(one(offsets=b"[0,9]"), bytes(8)), "input.data_offsets", "within 8 bytes"),
    "offsets in reverse": (safetensors(one(offsets=b"[8,0]"), bytes(8)), "input.data_offsets", "got [8, 0]"),
    "a negative offset": (safetensors(one(offsets=b"[-8,0]"), bytes(8)), "input.data_offsets", "got [-8, 0]"),
    "an offset of 2**64 - 1": (
        safetensors(one(offsets=b"[0,18446744073709551615]"), bytes(8)), "input.data_offsets", "within 8 bytes",
    ),
    "one offset": (safetensors(one(offsets=b"[0]"), bytes(8)), "input.data_offsets", "a list of two integers"),
    "fractional offsets": (safetensors(one(offsets=b"[0,8.0]"), bytes(8)), "input.data_offsets", "two integers"),
    "overlapping arrays": (safetensors(two(b"[0,8]", b"[4,12]"), bytes(12)), "b.data_offsets", "overlaps it"),
    "the same bytes twice": (safetensors(two(b"[0,8]", b"[0,8]"), bytes(8)), "b.data_offsets", "overlaps it"),
    "a hole": (safetensors(two(b"[0,8]", b"[12,20]"), bytes(20)), "b.data_offsets", "begin at 8"),
    "a hole at the beginning": (safetensors(one(offsets=b"[4,12]"), bytes(12)), "input.data_offsets", "a hole"),
    "trailing bytes": (safetensors(one(), bytes(9)), "", "expected 8 bytes of data, as the header says, got 9"),
    "data cut short": (safetensors(one(), bytes(7)), "input.data_offsets", "within 7 bytes of data, got [0, 8]"),
    "a boolean of 2": (safetensors(one(b'"BOOL"', b"[1]", b"[0,1]"), b"\2"), "input.data_offsets", "bytes 0 and 1"),
    "metadata that is no object": (safetensors(b'{"__metadata__":[]}'), "__metadata__", "an object of strings"),
    "metadata of numbers": (safetensors(b'{"__metadata__":{"a":1}}'), "__metadata__", "an object of strings"),
}  # fmt: skip


def tensor(
    dtype=b"\xa7float32", shape=b"\x91\x02", data=b"\xc4\x08" + ONE_MINUS_TWO, name=b"\xa5input"
) -> bytes:
    """Write a map of one array."""
    return b"\x81" + name + b"\x83\xa5dtype" + dtype + b"\xa5shape" + shape + b"\xa4data" + data


MESSAGEPACK = {
    "empty": (b"", "", "a map of MessagePack, got an empty body"),
    "a list": (b"\x91\x01", "byte 0", "got Expected `object`, got `array`"),
    "a number": (b"\x01", "byte 0", "got Expected `object`, got `int`"),
    "cut off": (tensor()[:-1], "the end of the body", "truncated"),
    "trailing bytes": (tensor() + b"\x01", "byte 45", "trailing characters"),
    "a type that MessagePack has not": (b"\x81\xa5input\xc1", "byte 7", "invalid opcode"),
    "a map that claims 2**32 members": (b"\xdf\xff\xff\xff\xff\xa1a\x01", "", "at most 256 names"),
    "a map that claims 256 members": (b"\xde\x01\x00\xa1a\x01", "the end of the body", "truncated"),
    "a list that claims 2**32 items": (b"\x81\xa5input\xdd\xff\xff\xff\xff\x01", "the end of the body", "truncated"),
    "bytes that claim 2**32": (tensor(data=b"\xc6\xff\xff\xff\xff\x00"), "the end of the body", "truncated"),
    "a key that is a number": (b"\x81\x01\x01", "byte 1", "Expected `str`, got `int`"),
    "a key that is not UTF-8": (b"\x81\xa1\xff\x01", "byte 1", "text in UTF-8"),
    "a second key that is not UTF-8": (b"\xde\x00\x02\xa1a\x01\xa1\xff\x01", "byte 6", "text in UTF-8"),
    "an item that is not UTF-8": (b"\x81\xa5input\x93\x01\x02\xa1\xff", "input", "text in UTF-8"),
    "a nested item that is not UTF-8": (b"\x81\xa5input\x92\x91\x01\x91\xa1\xff", "input", "text in UTF-8"),
    "a wrong timestamp": (b"\x81\xa4axis\xd7\xff" + b"\xff" * 8, "axis", "timestamp"),
    "an option that is not UTF-8": (b"\x81\xa4axis\xa1\xff", "axis", "text in UTF-8"),
    "a name twice": (b"\x82\xa5input\x01\xa5input\x01", "byte 8", 'each key once in a map, got "input" again'),
    "a name twice in a long map": (b"\xde\x00\x02\xa4axis\x01\xa4axis\x01", "byte 9", 'got "axis" again'),
    "a field of a tensor twice": (
        b"\x81\xa5input\x84\xa5dtype\xa4int8\xa5shape\x90\xa5shape\x90\xa4data\xc4\x01\x01", "input", '"shape" again',
    ),
    "a name of an option twice, deeper": (b"\x81\xa5terms\x91\x82\xa1a\x01\xa1a\x02", "terms[0]", '"a" again'),
    "bytes as an option": (b"\x81\xa4axis\xc4\x01a", "axis", "a type that JSON has too, got bytes"),
    "bytes deep in an option": (b"\x81\xa4axis\x91\x81\xa1a\xc4\x01a", "axis[0].a", "got bytes"),
    "a timestamp": (b"\x81\xa4axis\xd6\xff\x00\x00\x00\x00", "axis", "got datetime"),
    "an extension": (b"\x81\xa4axis\xd4\x05a", "axis", "got Ext"),
    "an option of 70,000 bytes": (b"\x81\xa4axis\xda\xff\xff" + b"a" * 65535, "axis", "at most 65536 bytes"),
    "an option nested five deep": (b"\x81\xa4axis" + b"\x91" * 5 + b"\x01", "axis[0][0][0][0]", "fewer levels"),
    "nesting of 100,000": (b"\x81\xa4axis" + b"\x91" * 100_000 + b"\x01", "", "fewer levels of nesting"),
    "maps nested 100,000 deep": (b"\x81\xa1a" * 100_000 + b"\x01", "", "fewer levels of nesting"),
    "a tensor nested five deep": (b"\x81\xa5input" + b"\x91" * 5 + b"\x01", "input", "at most 4 dimensions"),
}  # fmt: skip

# Well-formed, but not arrays: the kind of error that JSON has for the same.
NOT_ARRAYS = {
    "an unknown dtype": (tensor(b"\xa8float128"), "input.dtype", 'got "float128"'),
    "a dtype that is no string": (tensor(b"\x01"), "input.dtype", "got a int"),
    "a negative size": (tensor(shape=b"\x91\xfe"), "input.shape[0]", "got -2"),
    "a fractional size": (tensor(shape=b"\x91\xca\x40\x00\x00\x00"), "input.shape[0]", "got a float"),
    "a shape that is no list": (tensor(shape=b"\x02"), "input.shape", "a list of sizes"),
    "bytes that disagree with the shape": (tensor(shape=b"\x91\x03"), "input.data", "12 bytes for shape [3] of"),
    "data as text": (tensor(data=b"\xa8AACAPwAA"), "input.data", "a bin"),
    "no data": (b"\x81\xa5input\x81\xa5dtype\xa4int8", "input", "got dtype"),
    "another field": (b"\x81\xa5input\x81\xa1x\x01", "input", "got x"),
    "a string": (b"\x81\xa5input\xa1x", "input", 'got the string "x"'),
    "bytes without a dtype": (b"\x81\xa5input\xc4\x01x", "input", "a value of type bytes"),
    "an extension in a list": (b"\x81\xa5input\x92\x01\xd4\x05a", "input[1]", "a number, got an extension type"),
    "a wrong timestamp in a list": (b"\x81\xa5input\x91\xd7\xff" + b"\xff" * 8, "input[0]", "an extension type"),
    "nil in a list": (b"\x81\xa5input\x92\x01\xc0", "input[1]", "a number, got nil"),
    "a map in a list": (b"\x81\xa5input\x92\x01\x80", "input[1]", "a number, got a map"),
    "a bin in a list": (b"\x81\xa5input\x92\x01\xc4\x01x", "input[1]", "a number, got a bin"),
    "a boolean in a list": (b"\x81\xa5input\x92\x01\xc3", "input[1]", "a number, got a boolean"),
    "a string in a list": (b"\x81\xa5input\x92\x01\xa1x", "input[1]", 'got the string "x"'),
    "a number among lists": (b"\x81\xa5input\x92\x91\x01\x02", "input[1]", "a list, got a number"),
    "a list among numbers": (b"\x81\xa5input\x92\x01\x91\x02", "input[1]", "a number, got a list"),
    "longer lists": (b"\x81\xa5input\x92\x92\x91\x01\x91\x02\x92\x91\x03\x92\x04\x05", "input[1][1]", "`input[0][0]`"),
    "ragged lists": (b"\x81\xa5input\x92\x91\x01\x92\x01\x02", "input[1]", "a list of 1 items as at `input[0]`"),
    "a boolean of 2": (tensor(b"\xa4bool", b"\x91\x01", b"\xc4\x01\x02"), "input.data", "bytes 0 and 1"),
    "parts of unequal shape": (b"\x81\xa5input\x82\xa4real\x91\x01\xa4imag\x01", "input.imag", "shape [1]"),
}  # fmt: skip

NAMED = ("input.npy", member(FLOATS))


def single(content: bytes, **said) -> bytes:
    """Write an archive of one member."""
    return archive(("input.npy", member(content, **said)))


def header(text: bytes) -> bytes:
    return single(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + ONE_MINUS_TWO)


REST = b"'descr': '<f4', 'fortran_order': False"

PK67 = "PK\6\7".ljust(20, "n")  # what the 20 bytes before the end record would be in an archive of ZIP64

STATES = "expected a header that states descr, fortran_order and shape"

NPZ = {
    "empty": (b"", "", "a ZIP archive"),
    "no archive": (b"PK\3\4" + bytes(50), "", "a ZIP archive"),
    "cut off": (archive(NAMED)[:-1], "", "a ZIP archive"),
    "trailing bytes": (archive(NAMED, behind=b"x"), "", "a ZIP archive without a comment"),
    "bytes in front": (b"x" + archive(NAMED), "byte 231", "got 55 bytes from byte 175"),
    "one entry less than there is": (archive(NAMED, NAMED, entries=1), "byte 350", "directory of 1 entries, got 2"),
    "no entry": (archive(NAMED, entries=0), "byte", "a central directory of at most 0 bytes"),
    "a large directory": (archive(("n" * 700, member(FLOATS))), "byte", "a central directory of at most 512 bytes"),
    "a comment": (archive(NAMED, comment=1) + b"x", "", "without a comment"),
    "a stated comment": (archive(NAMED, comment=1), "byte", "without a comment"),
    "one entry more than there is": (archive(NAMED, entries=2), "byte 175", "directory of 2 entries, got 1"),
    "257 members": (archive(*[NAMED] * 257), "byte", "at most 256 members, got 257"),
    "a name twice": (archive(NAMED, NAMED), "input.npy", "each name once"),
    "no suffix": (archive(("input", member(FLOATS))), "input", "ends in .npy"),
    "a path": (archive(("a/input.npy", member(FLOATS))), "central directory", "without a path"),
    "a path up": (archive(("..\\input.npy", member(FLOATS))), "central directory", "without a path"),
    "a name that does not print": (archive(("in\nput.npy", member(FLOATS))), "central directory", "a printable name"),
    "another name in the local header": (single(FLOATS, local_name=b"target.np"), "byte 0", "the local header"),
    "encrypted": (single(FLOATS, flags=0x801), "input.npy", "not encrypted"),
    "another method": (single(FLOATS, method=12), "input.npy", "compression method 12"),
    "a checksum that is wrong": (single(FLOATS, crc=1), "input.npy", "content of checksum 00000001"),
    "ZIP64": (archive((PK67, member(FLOATS))), "byte", "one of ZIP64"),
    "a size of ZIP64 without its extension": (single(FLOATS, size=2**32 - 1), "input.npy", "stored as they are"),
    "stored in another number of bytes": (single(FLOATS, size=len(FLOATS) + 1), "input.npy", "stored as they are"),
    "data beyond the directory": (
        archive(("input.npy", {**member(FLOATS), "size": 500, "packed": 500})), "input.npy", "500 bytes of data before",
    ),
    "a header elsewhere": (single(FLOATS, begin=5), "byte 5", "the local header"),
    "a header beyond the directory": (single(FLOATS, begin=160), "byte 160", "a local header"),
    "members that share bytes": (
        archive(NAMED, ("target.npy", member(FLOATS, begin=0, local_name=b"input.npy"))), "byte 0", "the local header",
    ),
    "no .npy": (single(b"\x89NUMPY\x01\x00" + FLOATS[8:]), "input", "the .npy format"),
    "version 4": (single(b"\x93NUMPY\x04\x00" + FLOATS[8:]), "input", "version 1 or 2"),
    "a member of four bytes": (single(b"\x93NUM"), "input", "the .npy format"),
    "a header of 60,000 bytes": (
        single(b"\x93NUMPY\x01\x00\x60\xea" + bytes(60_000)), "input", "a header of at most 1024 bytes, got 60000",
    ),
    "a header of parentheses": (header(b"(" * 1000), "input", STATES),
    "a header of minus signs": (header(b"-" * 1000 + b"1"), "input", STATES),
    "a header of lists as keys": (header(b"{[]: 1}"), "input", STATES),
    "a header of Python 2": (header(b"{'shape': (2L,), %s}" % REST), "input", "an integer of Python 2"),
    "a header with a backslash": (header(rb"{'shape': (2,), '\d': 1, %s}" % REST), "input", "a backslash"),
    "a header cut short": (single(b"\x93NUMPY\x01\x00\x60\x00{'shape'"), "input", STATES),
    "a dtype that is deprecated": (single(npy("'|a4'", "(2,)", bytes(8))), "input", STATES),
    "a dtype of rows": (single(npy("('<i1', (2,))", "(1,)", bytes(2))), "input.dtype", "records"),
    "a record of two bytes": (single(npy("[('a', '<i2')]", "(1,)", bytes(2))), "input.dtype", "records"),
    "a dtype that is no text": (single(npy("5", "(2,)", bytes(8))), "input", STATES),
    "a boolean as a size": (single(npy("'|i1'", "(True,)", bytes(1))), "input.shape[0]", "a non-negative integer"),
    "a header that is code": (header(b"__import__('os').abort()"), "input", STATES),
    "a header without a shape": (header(b"{'descr': '<f4', 'fortran_order': False}"), "input", STATES),

    "another key": (header(b"{'shape': (), 'x': (), %s}" % REST), "input", STATES),
    "a header behind the header": (header(b"{'shape': (), %s}{}" % REST), "input", STATES),
    "sizes that are none": (single(npy("'<f4'", "(,)", ONE_MINUS_TWO)), "input", STATES),
    "a negative size": (single(npy("'<f4'", "(-2,)", ONE_MINUS_TWO)), "input.shape[0]", "a non-negative integer"),
    "too many dimensions": (single(npy("'<f4'", "(2, 1, 1, 1, 1)", ONE_MINUS_TWO)), "input.shape", "at most 4"),
    "objects": (single(npy("'|O'", "(2,)", b"\x80\x04N.")), "input.dtype", "objects, which are pickled (|O)"),
    "strings": (single(npy("'<U2'", "(1,)", bytes(8))), "input.dtype", "strings (<U2)"),
    "byte strings": (single(npy("'|S4'", "(2,)", bytes(8))), "input.dtype", "byte strings"),
    "dates": (single(npy("'<M8[s]'", "(1,)", bytes(8))), "input.dtype", "dates (<M8[s])"),
    "records": (single(npy("[('a', '<f4')]", "(2,)", bytes(8))), "input.dtype", "records"),
    "long doubles": (single(npy("'<f16'", "(1,)", bytes(16))), "input.dtype", 'got "<f16"'),
    "no dtype": (single(npy("''", "(2,)", bytes(8))), "input", STATES),
    "more data than the shape says": (single(npy("'<f4'", "(1,)", ONE_MINUS_TWO)), "input", "4 bytes for shape [1] of"),
    "less data than the shape says": (single(npy("'<f4'", "(3,)", ONE_MINUS_TWO)), "input", "12 bytes for shape [3] of"),
    "a boolean of 2": (single(npy("'|b1'", "(1,)", b"\2")), "input", "bytes 0 and 1"),
    "no deflated stream": (single(FLOATS, packed=b"\xff" * 9), "input.npy", "an intact deflate stream"),
    "a deflated stream cut short": (single(FLOATS, packed=deflated(FLOATS)[:-3]), "input.npy", "cut short"),
    "a deflated stream with a tail": (single(FLOATS, packed=deflated(FLOATS) + b"x"), "input.npy", "1 more bytes"),
    "a deflated stream that is shorter than is said": (
        single(FLOATS, packed=deflated(FLOATS[:-4])), "input.npy", "136 bytes once decompressed, got 132",
    ),
    "a deflated stream that is longer than is said": (
        single(FLOATS, packed=deflated(FLOATS + b"x")), "input.npy", "136 bytes once decompressed, got more",
    ),
}  # fmt: skip

TABLES = {
    "application/vnd.safetensors": SAFETENSORS,
    "application/vnd.msgpack": MESSAGEPACK,
    "application/x-npz": NPZ,
}


def fault_of(error: LossdError, at: str, message: str) -> None:
    assert error.faults[0].at.startswith(at) if at == "byte" else error.faults[0].at == at
    assert message in str(error)
    assert len(str(error)) < 400


@pytest.mark.parametrize(
    ("media_type", "name"), [(kind, name) for kind, table in TABLES.items() for name in table]
)
def test_malformed_body_is_refused_at_its_place(media_type, name):
    body, at, message = TABLES[media_type][name]
    with pytest.raises(MalformedBody) as caught:
        CODECS[media_type].decode_call(body, TENSORS, LIMITS)
    fault_of(caught.value, at, message)


@pytest.mark.parametrize("name", NOT_ARRAYS)
def test_messagepack_that_holds_no_array_is_an_invalid_call(name):
    body, at, message = NOT_ARRAYS[name]
    with pytest.raises(InvalidCall) as caught:
        CODECS["application/vnd.msgpack"].decode_call(body, TENSORS, LIMITS)
    fault_of(caught.value, at, message)


HUGE = "(4294967296, 4294967296)"
SQUARE = b"\x92\xcf\x00\x00\x00\x01\x00\x00\x00\x00\xcf\x00\x00\x00\x01\x00\x00\x00\x00"
LIST_OF_600 = b"\xdc\x02\x58" + b"\x01" * 600
TOO_LARGE = {
    "safetensors: a product beyond 64 bits": (safetensors(one(shape=b"[4294967296,4294967296]"), bytes(8))),
    "safetensors: a huge size behind a zero": (safetensors(one(shape=b"[0,4611686018427387904]", offsets=b"[0,0]"))),
    "safetensors: too many in all": safetensors(
        b'{"a":{"dtype":"I8","shape":[600],"data_offsets":[0,600]},'
        b'"b":{"dtype":"I8","shape":[600],"data_offsets":[600,1200]}}',
        bytes(1200),
    ),
    "msgpack: a product beyond 64 bits": tensor(shape=SQUARE),
    "msgpack: a list": b"\x81\xa5input\xdc\x03\xe9" + b"\x01" * 1001,
    "msgpack: too many in all": b"\x82\xa5input" + LIST_OF_600 + b"\xa6target" + LIST_OF_600,
    "npz: a product beyond 64 bits": single(npy("'<f4'", HUGE, ONE_MINUS_TWO)),
    "npz: too many elements": single(npy("'|i1'", "(1001,)", bytes(1001))),
    "npz: too many bytes": single(npy("'<f8'", "(1,)", bytes(100_000))),
    "npz: a bomb": single(b"", packed=deflated(npy("'|i1'", "(100000000,)", bytes(1 << 20))), size=100_000_128),
}  # fmt: skip


@pytest.mark.parametrize("name", TOO_LARGE)
def test_arrays_beyond_the_limits_are_refused(name):
    kind = {"safetensors": "vnd.safetensors", "msgpack": "vnd.msgpack", "npz": "x-npz"}[
        name.partition(":")[0]
    ]
    with pytest.raises(BodyTooLarge):
        CODECS[f"application/{kind}"].decode_call(TOO_LARGE[name], TENSORS, LIMITS)


@pytest.mark.parametrize("claimed", [1 << 20, 900_000_000])
def test_an_archive_decompresses_no_further_than_it_states(claimed):
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    content = npy("'|i1'", f"({claimed},)", b"")
    bomb = (
        squeezer.compress(content)
        + b"".join(squeezer.compress(bytes(1 << 20)) for _ in range(100))
        + squeezer.flush()
    )
    body = single(b"", packed=bomb, size=len(content) + claimed)
    limits = Limits(max_elements=2**20, max_bytes=2**21)
    tracemalloc.start()
    try:
        with pytest.raises(LossdError):
            CODECS["application/x-npz"].decode_call(body, TENSORS, limits)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("application/vnd.msgpack", b"\x81\xa5input" + b"\x91" * (1 << 20)),
        ("application/vnd.msgpack", b"\x81\xa4axis\xdd\x00\x0f\x00\x00" + b"\x80" * (15 << 16)),
        ("application/vnd.safetensors", safetensors(b'{"a":' + b"[" * (1 << 19) + b"]" * (1 << 19) + b"}")),
        ("application/x-npz", b"PK\5\6" * (1 << 18)),
    ],
    ids=["lists in lists", "many maps", "lists in a header", "many ends"],
)
def test_a_hostile_megabyte_takes_little_time_and_memory(media_type, body):
    tracemalloc.start()
    started = time.process_time()
    try:
        with pytest.raises(MalformedBody):
            CODECS[media_type].decode_call(body, TENSORS, LIMITS)
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
    finally:
        tracemalloc.stop()
    assert time.process_time() - started < 2  # a hundredth of it, on an idle machine


NOT_ANSWERS = {
    "a name of no part": {"total": np.array(1.0)},
    "a loss without a reduction": {"loss": np.array(1.0)},
    "a gradient without an argument": {"gradient.mean": np.array(1.0)},
    "a count of two": {"count": np.array([1, 2])},
    "a count that is not whole": {"count": np.array(1.5)},
    "a complex denominator": {"denominator": np.array(1j, np.complex64)},
    "no count": {"count": None},
    "no denominator": {"denominator": None},
}


@pytest.mark.parametrize("media_type", ["application/vnd.safetensors", "application/x-npz"])
@pytest.mark.parametrize("name", NOT_ANSWERS)
def test_arrays_that_are_no_answer_are_refused(media_type, name):
    arrays = {"loss.mean": np.array(1.0), "count": np.array(1), "denominator": np.array(1.0)} | NOT_ANSWERS[
        name
    ]
    body = b"".join(CODECS[media_type].encode_call(Call({n: a for n, a in arrays.items() if a is not None})))
    with pytest.raises(MalformedBody):
        CODECS[media_type].decode_answer(body)


def test_warnings_that_are_no_list_of_strings_are_refused():
    for text in ("x", "[1]", "{}"):
        with pytest.raises(MalformedBody, match="`warnings`"):
            CODECS["application/vnd.safetensors"].decode_answer(
                safetensors(
                    b'{"__metadata__":{"warnings":"%s"},"count":{"dtype":"I8","shape":[],"data_offsets":[0,1]},'
                    b'"denominator":{"dtype":"I8","shape":[],"data_offsets":[1,2]}}' % text.encode(),
                    b"\1\1",
                )
            )


def test_every_truncation_of_a_golden_body_is_refused():
    for media_type, bodies in GOLDEN.items():
        for length in range(len(bodies[0])):
            with pytest.raises(MalformedBody):
                CODECS[media_type].decode_call(bodies[0][:length], TENSORS)
        for length in range(len(bodies[1])):
            with pytest.raises(MalformedBody):
                CODECS[media_type].decode_answer(bodies[1][:length])


def test_a_nested_answer_of_messagepack_is_checked_too():
    messagepack = CODECS["application/vnd.msgpack"]
    for body in (b"\x80", b"\x81\xa4loss\x01", b"\x83\xa4loss\x80\xa5count\xc3\xabdenominator\x01"):
        with pytest.raises(MalformedBody):
            messagepack.decode_answer(body)
    read = messagepack.decode_answer(
        b"\x83\xa4loss\x81\xa4mean\xcb" + HALF[::-1] + b"\xa5count\x01\xabdenominator\x01"
    )
    assert read == Answer({"mean": np.array(0.5)}, 1, 1.0)
