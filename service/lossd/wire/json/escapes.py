"""Pieces of a JSON text in which every quote begins or ends a string."""

from __future__ import annotations

import time

from lossd.wire.pieces import PIECE_BYTES

_BACKSLASH = ord("\\")


def without_escapes(text: bytes | bytearray, at: int) -> bytes:
    """Return the next piece of a text, with other bytes in place of escaped quotes and backslashes.

    Backslashes are paired from the left, as in parsing, so ``at`` must not be within an escape; the end of the piece
    is not either. Other threads get a turn first: they wait until the interpreter's lock was not given away for a
    while, and NumPy, to which pieces go, gives it away often and takes it again at once.
    """
    time.sleep(0)
    block = bytes(text[at : at + PIECE_BYTES])
    if _BACKSLASH in block:
        block = block.replace(rb"\\", b"__").replace(rb"\"", b"__")
        if block[-1] == _BACKSLASH and at + len(block) < len(text):
            return block[:-1]  # what it escapes is in the next piece
    return block
