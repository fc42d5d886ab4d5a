"""The golden bytes of the array formats, each written by hand from its specification, and how to write more."""

from __future__ import annotations

import struct
import zlib

import ml_dtypes
import numpy as np

from lossd.message import Answer, Call

ONE_MINUS_TWO = b"\x00\x00\x80\x3f\x00\x00\x00\xc0"  # 1 and -2 in float32
HALF = b"\x00\x00\x00\x00\x00\x00\xe0\x3f"  # 0.5 in float64


def safetensors(header: bytes, data: bytes = b"") -> bytes:
    """Put a header before data."""
    return struct.pack("<Q", len(header)) + header + data


def messagepack_tensor(
    dtype=b"\xa7float32", shape=b"\x91\x02", data=b"\xc4\x08" + ONE_MINUS_TWO, name=b"\xa5input"
) -> bytes:
    """Write a map of one array."""
    return b"\x81" + name + b"\x83\xa5dtype" + dtype + b"\xa5shape" + shape + b"\xa4data" + data


def npy(descr: str, shape: str, data: bytes, *, order: str = "False") -> bytes:
    """Write an array in version 1 of .npy, its header padded to 64 bytes with what stands before it.

    NumPy leaves room for the first size to grow to 21 digits.
    """
    text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}".encode()
    if shape != "()":
        text += b" " * (21 - len(shape[1:].partition(",")[0]))
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def deflated(content: bytes) -> bytes:
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return squeezer.compress(content) + squeezer.flush()


def member(content: bytes, *, packed: bytes | None = None, **said) -> dict:
    """Describe a member of an archive; ``said`` replaces what its headers say."""
    fields = {
        "flags": 0,
        "method": 0 if packed is None else 8,
        "crc": zlib.crc32(content),
        "size": len(content),
    }
    data = content if packed is None else packed
    return {**fields, "packed": len(data), "data": data, **said}


def archive(
    *files: tuple[str, dict], entries: int | None = None, behind: bytes = b"", comment: int = 0
) -> bytes:
    """Write an archive as the ZIP specification lays it out."""
    body, directory = b"", b""
    for name, said in files:
        text = name.encode()
        sizes = (said["crc"], said["packed"], said["size"], len(text))
        common = struct.pack("<5H3LH", 20, said["flags"], said["method"], 0, 0x21, *sizes)
        begin = said.get("begin", len(body))
        directory += (
            b"PK\1\2"
            + struct.pack("<H", 20)
            + common
            + struct.pack("<4H2L", 0, 0, 0, 0, 0o600 << 16, begin)
            + text
        )
        body += b"PK\3\4" + common + struct.pack("<H", 0) + said.get("local_name", text) + said["data"]
    count = len(files) if entries is None else entries
    end = struct.pack("<4H2LH", 0, 0, count, count, len(directory), len(body), comment)
    return body + directory + b"PK\5\6" + end + behind


def single(content: bytes, **said) -> bytes:
    """Write an archive of one member."""
    return archive(("input.npy", member(content, **said)))


CALL = Call({"input": np.array([1, -2], np.float32), "weight": np.array(0.5)}, {})
ANSWER = Answer(
    {"none": np.array([1, -2], np.float32)},
    2,
    0.5,
    {"sum": {"input": np.array([1, -2], np.float32)}},
    warnings=("é",),
)
TWO = (2).to_bytes(8, "little")

# media type -> the bytes of CALL, and of ANSWER
GOLDEN = {
    "application/vnd.safetensors": (
        safetensors(
            b'{"weight":{"dtype":"F64","shape":[],"data_offsets":[0,8]},'
            b'"input":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}    ',
            HALF + ONE_MINUS_TWO,
        ),
        safetensors(
            b'{"__metadata__":{"warnings":"[\\"\xc3\xa9\\"]"},'
            b'"count":{"dtype":"I64","shape":[],"data_offsets":[0,8]},'
            b'"denominator":{"dtype":"F64","shape":[],"data_offsets":[8,16]},'
            b'"loss.none":{"dtype":"F32","shape":[2],"data_offsets":[16,24]},'
            b'"gradient.sum.input":{"dtype":"F32","shape":[2],"data_offsets":[24,32]}}  ',
            TWO + HALF + ONE_MINUS_TWO + ONE_MINUS_TWO,
        ),
    ),
    "application/vnd.msgpack": (
        b"\x82\xa5input\x83\xa5dtype\xa7float32\xa5shape\x91\x02\xa4data\xc6\x00\x00\x00\x08" + ONE_MINUS_TWO
        + b"\xa6weight\x83\xa5dtype\xa7float64\xa5shape\x90\xa4data\xc6\x00\x00\x00\x08" + HALF,
        b"\x85\xa4loss\x81\xa4none\x83\xa5dtype\xa7float32\xa5shape\x91\x02\xa4data\xc6\x00\x00\x00\x08" + ONE_MINUS_TWO
        + b"\xa8gradient\x81\xa3sum\x81\xa5input"
        + b"\x83\xa5dtype\xa7float32\xa5shape\x91\x02\xa4data\xc6\x00\x00\x00\x08" + ONE_MINUS_TWO
        + b"\xa5count\x02\xabdenominator\xcb" + HALF[::-1] + b"\xa8warnings\x91\xa2\xc3\xa9",
    ),
    "application/x-npz": (
        archive(
            ("input.npy", member(npy("'<f4'", "(2,)", ONE_MINUS_TWO))),
            ("weight.npy", member(npy("'<f8'", "()", HALF))),
        ),
        archive(
            ("loss.none.npy", member(npy("'<f4'", "(2,)", ONE_MINUS_TWO))),
            ("gradient.sum.input.npy", member(npy("'<f4'", "(2,)", ONE_MINUS_TWO))),
            ("count.npy", member(npy("'<i8'", "()", TWO))),
            ("denominator.npy", member(npy("'<f8'", "()", HALF))),
            ("warnings.npy", member(npy("'|u1'", "(6,)", '["é"]'.encode()))),
        ),
    ),
}  # fmt: skip

F32 = np.array([1, -2], np.float32)

UNUSUAL = b"""{"shape":(2, ),'fortran_order':False,"descr":"<f4"}\n"""
FLOATS = npy("'<f4'", "(2,)", ONE_MINUS_TWO)

# media type -> name -> bytes that are only read, and the arrays and options they mean
READ_ONLY = {
    "application/vnd.safetensors": {
        "a header without padding, with metadata": (
            safetensors(
                b'{"__metadata__":{"format":"pt"},"a":{"shape":[1,2],"data_offsets":[0,8],"dtype":"F32"}}',
                ONE_MINUS_TWO,
            ),
            {"a": F32.reshape(1, 2)}, {},
        ),
        "bfloat16, float16, complex64 and bool": (
            safetensors(
                b'{"a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]},"b":{"dtype":"F16","shape":[1],"data_offsets":[2,4]},'
                b'"c":{"dtype":"C64","shape":[1],"data_offsets":[4,12]},"d":{"dtype":"BOOL","shape":[2],"data_offsets":[12,14]}}',
                b"\x20\xc0\x00\x40" + ONE_MINUS_TWO + b"\x00\x01",
            ),
            {
                "a": np.array([-2.5], ml_dtypes.bfloat16), "b": np.array([2], np.float16),
                "c": np.array([1 - 2j], np.complex64), "d": np.array([False, True]),
            }, {},
        ),
        "arrays of nothing": (
            safetensors(
                b'{"a":{"dtype":"F32","shape":[0,3],"data_offsets":[8,8]},'
                b'"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
                ONE_MINUS_TWO,
            ),
            {"a": np.empty((0, 3), np.float32), "b": F32}, {},
        ),
        "no arrays": (safetensors(b"{}"), {}, {}),
    },
    "application/vnd.msgpack": {
        "lists, as a client without arrays writes them": (
            b"\x82\xa5input\x92\x92\x01\x02\x92\x03\xcb" + HALF[::-1] + b"\xa6target\x93\x00\xff\xcd\x01\x00",
            {"input": np.array([[1, 2], [3, 0.5]]), "target": np.array([0, -1, 256])}, {},
        ),
        "a number, NaN and booleans": (
            b"\x83\xa6weight\x02\xa5input\x91\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00\xa4mask\x92\xc3\xc2",
            {"weight": np.array(2), "input": np.array([np.nan]), "mask": np.array([True, False])}, {},
        ),
        "nil is absent": (b"\x82\xa5input\xc0\xa4axis\xc0", {}, {"axis": None}),
        "complex": (
            b"\x81\xa5input\x82\xa4real\x91\x01\xa4imag\x83\xa5dtype\xa7float32\xa5shape\x91\x01\xa4data\xc4\x04\x00\x00\x80\x3f",
            {"input": np.array([1 + 1j])}, {},
        ),
        "bytes with each length of length": (
            b"\x82\xa5input\x83\xa4data\xc4\x02\x01\x02\xa5shape\x91\x02\xa5dtype\xa4int8"
            b"\xa6target\x83\xa4data\xc5\x00\x01\x03\xa5shape\x91\x01\xa5dtype\xa5uint8",
            {"input": np.array([1, 2], np.int8), "target": np.array([3], np.uint8)}, {},
        ),
        "options of every kind": (
            b"\xde\x00\x03\xa9reduction\x92\xa4none\xa3sum\xa8gradient\xc3\xa5terms\x91\x81\xa1a\xca\x3f\x00\x00\x00",
            {}, {"reduction": ["none", "sum"], "gradient": True, "terms": [{"a": 0.5}]},
        ),
    },
    "application/x-npz": {
        "Fortran order": (
            archive(("a.npy", member(npy("'<i2'", "(2, 2)", b"\1\0\2\0\3\0\4\0", order="True")))),
            {"a": np.array([[1, 3], [2, 4]], np.int16)}, {},
        ),
        "big-endian": (
            archive(("a.npy", member(npy("'>i2'", "(2,)", b"\0\1\0\2")))),
            {"a": np.array([1, 2], np.int16)}, {},
        ),
        "deflated": (
            archive(("a.npy", member(FLOATS, packed=deflated(FLOATS)))),
            {"a": F32}, {},
        ),
        "what NumPy writes for bfloat16": (
            archive(("a.npy", member(npy("'<V2'", "(1,)", b"\x20\xc0")))),
            {"a": np.array([-2.5], ml_dtypes.bfloat16)}, {},
        ),
        "another order of keys, other quotes, no spaces": (
            archive(("a.npy", member(b"\x93NUMPY\x02\x00\x34\x00\x00\x00" + UNUSUAL + ONE_MINUS_TWO))),
            {"a": F32}, {},
        ),
        "no arrays": (archive(), {}, {}),
    },
}  # fmt: skip
