"""Base64 that is still in the text of a body, and is decoded in pieces: a decoder in C keeps the interpreter's lock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pybase64

_GROUP, _GROUP_BYTES = 4, 3  # characters, and the bytes that they are


@dataclass(frozen=True, slots=True)
class LongBase64:
    """Base64 data of an array.

    Attributes:
        pieces: Yields its text.
        size: The characters of the text, escapes counted as they are written.
        READ_FROM: What errors call it.
    """

    READ_FROM: ClassVar[type] = str

    pieces: Callable[[], Iterator[bytes]]
    size: int

    def __len__(self) -> int:
        return self.size

    def decoded(self) -> tuple[memoryview, str]:
        """Return the bytes, and the last group of the text.

        Raises:
            ValueError: It is not base64 of the standard alphabet.
        """
        # Not a bytearray, which is zeroed with the interpreter's lock held.
        raw = np.empty(self.size // _GROUP * _GROUP_BYTES + _GROUP_BYTES, np.uint8).data
        left = group = b""
        end = 0
        for piece in self.pieces():
            text = left + piece
            whole = len(text) // _GROUP * _GROUP
            text, left = text[:whole], text[whole:]
            if text:
                end = _decode(text, group, raw, end)
                group = text[-_GROUP:]
        if left:
            raise ValueError("expected whole groups")
        return raw[:end], group.decode()


def _decode(text: bytes, before: bytes, raw: memoryview, start: int) -> int:
    """Decode groups to ``start``, behind the group ``before``; return where they end."""
    if before.endswith(b"="):
        raise ValueError("expected no padding within")
    decoded = pybase64.b64decode(text, validate=True)
    end = start + len(decoded)
    raw[start:end] = decoded
    return end
