"""Marks in a text in place of what is taken out of it."""

from __future__ import annotations

import re
import secrets

from lossd.wire.json.long_text import count_characters
from lossd.wire.pieces import PIECE_BYTES

Text = bytes | bytearray

_PLACE = re.compile(r"(?:line (?P<line>\d+), column|byte) (?P<column>\d+)")


def marked(text: Text, places: list[tuple[int, int]]) -> tuple[bytes, list[str]]:
    """Return the text with a string in place of each of some parts, and these strings, which no caller has written."""
    mark = secrets.token_hex(16)
    names = [f"{mark}{number}" for number in range(len(places))]
    parts: list[Text] = []
    end = 0
    for (start, stop), name in zip(places, names, strict=True):
        parts += [text[end:start], b'"%s"' % name.encode()]
        end = stop
    return b"".join([*parts, text[end:]]), names


def place_in_whole(at: str, text: Text, places: list[tuple[int, int]], names: list[str]) -> str:
    """Return the place in a text of what has that place, by line or byte, in the text with marks.

    Args:
        at: A place of an error; one that is no line or byte, such as the path of an array, is the same in both.
        text: The text without marks.
        places: Where the quotes of each string are that has a mark.
        names: The marks.
    """
    found = _PLACE.fullmatch(at)
    if found is None:
        return at
    steps = _lines_and_columns if found["line"] else _bytes
    first = 1 if found["line"] else 0
    target = moved = int(found["line"] or first), int(found["column"])
    marks = whole = (first, first)  # where a place is in the text with marks, and without
    end = 0
    for (start, stop), name in zip(places, names, strict=True):
        between = steps(text, end, start)
        marks, whole, end = _behind(marks, between), _behind(whole, between), stop + 1
        if target <= marks:
            break
        marks = _behind(marks, (0, len(name) + 2))
        whole = _behind(whole, steps(text, start, end))
        line, column = target
        moved = line - marks[0] + whole[0], column - marks[1] + whole[1] if line == marks[0] else column
    return f"line {moved[0]}, column {moved[1]}" if found["line"] else f"byte {moved[1]}"


def _behind(place: tuple[int, int], step: tuple[int, int]) -> tuple[int, int]:
    """Return the line and column behind so many lines, and characters in the last of them."""
    lines, characters = step
    return (place[0] + lines, 1 + characters) if lines else (place[0], place[1] + characters)


def _lines_and_columns(text: Text, start: int, stop: int) -> tuple[int, int]:
    """Count the lines that end in a part of a text, and the characters behind the last."""
    lines = characters = 0
    for begin in range(start, stop, PIECE_BYTES):
        end = min(begin + PIECE_BYTES, stop)
        last = text.rfind(b"\n", begin, end)
        if last >= 0:
            lines += text.count(b"\n", begin, end)
            characters = 0
        characters += count_characters(text, last + 1 if last >= 0 else begin, end)
    return lines, characters


def _bytes(text: Text, start: int, stop: int) -> tuple[int, int]:
    return 0, stop - start
