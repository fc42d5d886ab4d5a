"""Parses a long text in pieces, each by orjson, into the document or the error that the whole would give.

A piece ends before a comma that is structure. The containers open there are closed behind it, opened again before the
next piece, and what was in them is joined. A parser is in the same state behind such an opening as it is in the whole
text, so it fails at the same place and for the same reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson

from lossd.wire.json.byte_search import next_byte
from lossd.wire.json.escapes import without_escapes
from lossd.wire.pieces import PIECE_BYTES

Text = bytes | bytearray

_QUOTE, _COMMA, _OPENING, _CLOSING = b'",{}'
_LONGEST_CHARACTER = 4
_CONTINUING = 0x80  # the highest two bits of a byte that continues a character
_LOWER = 0x20  # the bit by which brackets differ from braces
_CLOSERS = {b"[": b"]", b"{": b"}"}
_WHITE_SPACE = b" \t\r\n"


def loads(text: Text) -> tuple[Any, list[int]]:
    """Parse a text; return what it holds, and where it was cut.

    Raises:
        orjson.JSONDecodeError: It is not JSON; line and column are those in the whole text.
    """
    document: Any = None
    cuts = [0]
    for piece, opened, end in _pieces(text):
        if opened:
            _join(document, piece, opened)
        else:
            document = piece
        if end < len(text):
            cuts.append(end)
    return document, cuts


def check(text: Text) -> dict[str, Any]:
    """Parse a text as `loads` does, and keep nothing of it.

    Raises:
        orjson.JSONDecodeError: It is not JSON; line and column are those in the whole text.
    """
    for _ in _pieces(text):
        pass
    return {}


def _pieces(text: Text) -> Iterator[tuple[Any, int, int]]:
    """Yield what each piece of a text holds, in how many containers that were open before it, and where it ends."""
    path: list[bytes] = []  # what opens each container that is open at the cut
    start = 0
    while True:
        opened = len(path)
        opening, skipped = _opening(text, start, path)
        end = _next_cut(text, start, path)
        closing = b"".join(_CLOSERS[each[:1]] for each in reversed(path))
        try:
            piece = orjson.loads(b"".join((opening, memoryview(text)[start + skipped : end], closing)))
        except orjson.JSONDecodeError as error:
            raise _relocated(error, text, start + skipped, len(opening.decode())) from None
        yield piece, opened, end
        if end == len(text):
            return
        start = end


def first_undecodable(text: Text) -> tuple[int, str] | None:
    """Return the place of the first byte that is not UTF-8, and why it is not."""
    start = 0
    while start < len(text):
        stop = min(start + PIECE_BYTES + _LONGEST_CHARACTER, len(text))
        # Not between the bytes of one character.
        for end in range(stop, stop - _LONGEST_CHARACTER, -1):
            if end == len(text) or text[end] & 0xC0 != _CONTINUING:
                stop = end
                break
        try:
            text[start:stop].decode()
        except UnicodeDecodeError as error:
            place = start + error.start
            return place, _reason(text[place : place + _LONGEST_CHARACTER])
        start = stop
    return None


def _reason(character: Text) -> str:
    try:
        character.decode()
    except UnicodeDecodeError as error:
        return error.reason
    raise AssertionError("expected bytes that are not UTF-8")


def _opening(text: Text, start: int, path: list[bytes]) -> tuple[bytes, int]:
    """Return what comes before a piece that starts at a comma, and how many of its bytes are left out."""
    if not path:
        return b"", 0
    if path[-1] == b"[":
        return b"".join(path) + b"0", 0
    outer = b"".join(path[:-1])
    if next_byte(text, start + 1) == b'"':
        return outer + b"{", 1
    return outer + b'{"":0', 0  # no key follows, so that this is not read


def _next_cut(text: Text, start: int, path: list[bytes]) -> int:
    """Return where the piece that starts here ends, and bring the path up to that place."""
    cut = _last_comma(text, start)
    if cut == len(text):
        path.clear()
        return cut
    block = bytes(text[start:cut])
    codes = np.frombuffer(block, np.uint8)
    if b"\\" in block:
        codes = np.frombuffer(block.replace(rb"\\", b"__").replace(rb"\"", b"__"), np.uint8)
    quotes = np.flatnonzero(codes == _QUOTE)
    folded = codes | _LOWER
    marks = np.flatnonzero((folded == _OPENING) | (folded == _CLOSING))
    before = np.searchsorted(quotes, marks)
    outside = before % 2 == 0
    if _follow(block, path, marks[outside].tolist(), quotes, before[outside].tolist()):
        return cut
    path.clear()
    return cut + 1  # orjson fails before it comes to this end


def _last_comma(text: Text, start: int) -> int:
    """Return the place of the last comma outside strings in a piece, or in the first behind it that has one.

    The comma that a piece begins with does not count. Where there is none, the text ends.
    """
    at, strings = start, 0
    while at + PIECE_BYTES < len(text):
        block = without_escapes(text, at)
        codes = np.frombuffer(block, np.uint8)
        quotes = np.flatnonzero(codes == _QUOTE)
        last = block.rfind(b",")
        if last >= 0 and (strings + np.searchsorted(quotes, last)) % 2:  # in a string
            commas = np.flatnonzero(codes == _COMMA)
            outside = commas[(strings + np.searchsorted(quotes, commas)) % 2 == 0]
            last = int(outside[-1]) if len(outside) else -1
        if at + last > start and last >= 0:
            return at + last
        strings += len(quotes)
        at += len(block)
    return len(text)


def _follow(block: bytes, path: list[bytes], marks: list[int], quotes: Any, before: list[int]) -> bool:
    """Follow the brackets and braces of a block; False if they end before it does, or before it is an error."""
    for mark, quotes_before in zip(marks, before, strict=True):
        bracket = block[mark : mark + 1]
        if bracket not in _CLOSERS:
            if len(path) < 2:
                return False
            del path[-1]
            continue
        if path and path[-1] != b"[":
            if quotes_before < 2:
                return False
            first, last = quotes[quotes_before - 2 : quotes_before]
            path[-1] = b"{" + block[first : last + 1] + b":"
        path += (bracket,)
    # A comma behind one of these is an error; behind a piece, the error would be another.
    return bool(path) and block.rstrip(_WHITE_SPACE)[-1:] not in b",:[{"


def _join(whole: Any, piece: Any, opened: int) -> None:
    """Add the items of a piece to the containers that were open before it.

    Where a name is given twice, another value may stand in the place of an open container. It does not matter which
    is kept: the whole text is refused.
    """
    for _ in range(opened - 1):
        if type(whole) is list:
            if not piece:
                return
            inner, more = whole[-1], piece[0]
            whole.extend(piece[1:])
        else:
            name = next(iter(piece), None)
            if name not in whole:
                return
            inner, more = whole[name], piece.pop(name)
            whole.update(piece)
        if type(more) is not type(inner) or type(more) not in (list, dict):
            return
        whole, piece = inner, more
    if type(whole) is list:
        whole.extend(piece[1:])
    else:
        whole.update(piece)


def _relocated(error: orjson.JSONDecodeError, text: Text, start: int, opening: int) -> orjson.JSONDecodeError:
    """Give an error in a piece its line and column in the whole text."""
    if error.lineno == 1:
        line_start = text.rfind(b"\n", 0, start) + 1
        error.colno += count_characters(text, line_start, start) - opening
    error.lineno += sum(
        text.count(b"\n", begin, min(begin + PIECE_BYTES, start)) for begin in range(0, start, PIECE_BYTES)
    )
    return error


def count_characters(text: Text, start: int, stop: int) -> int:
    """Count the characters of UTF-8 in a part of a text: all bytes but those that continue one."""
    return sum(
        int(
            np.count_nonzero(
                (np.frombuffer(text[begin : min(begin + PIECE_BYTES, stop)], np.uint8) & 0xC0) != _CONTINUING
            )
        )
        for begin in range(start, stop, PIECE_BYTES)
    )
