"""Headers of .npy that NumPy does not read, or that state an array no loss takes, are refused."""

from __future__ import annotations

import struct

import pytest

from tests.wire.array_cases import FLOATS, ONE_MINUS_TWO, npy, single
from tests.wire.refusal import assert_refused

MEDIA_TYPE = "application/x-npz"


def header(text: bytes) -> bytes:
    return single(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + ONE_MINUS_TWO)


REST = b"'descr': '<f4', 'fortran_order': False"


STATES = "expected a header that states descr, fortran_order and shape"

MALFORMED = {
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
    "less data than the shape says": (single(npy("'<f4'", "(3,)", ONE_MINUS_TWO)), "input", "12 bytes for shape [3]"),
    "a boolean of 2": (single(npy("'|b1'", "(1,)", b"\2")), "input", "bytes 0 and 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_a_bad_header_is_refused_at_its_place(name):
    assert_refused(MEDIA_TYPE, *MALFORMED[name])
