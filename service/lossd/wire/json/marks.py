"""Marks in a text in place of what is taken out of it."""

from __future__ import annotations

import secrets

Text = bytes | bytearray


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
