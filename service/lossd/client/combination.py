"""Requests to put the parts of a call together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from urllib.parse import quote

from lossd.client.outgoing import CATALOGUE, COMBINE, JSON, PARTS_FORMAT, Headers, Outgoing, own_headers
from lossd.message import Combination, Part
from lossd.wire import COMBINATION_CODECS

Empty = Literal["error", "nan", "zero"]
"""Result of a mean over nothing."""


def prepare_combination(
    parts: Sequence[Part], empty: Empty, *, media_type: str | None, headers: Headers
) -> Outgoing:
    """Write a request to put parts together.

    Args:
        parts: The parts.
        empty: Result of a mean over nothing.
        media_type: The format; MessagePack, if None or if it cannot hold parts.
        headers: Headers to send besides those of the format.

    Raises:
        TypeError: One of them is no part.
        ValueError: There is no part.
    """
    if not parts:
        raise ValueError("expected at least one part, got none")
    for place, part in enumerate(parts):
        if not isinstance(part, Part):
            got = "None" if part is None else f"a value of type {type(part).__name__}"
            raise TypeError(
                f"expected a Part, got {got}: was the call sent with `partial`? - at `parts[{place}]`"
            )
    chosen = JSON if media_type == JSON else PARTS_FORMAT
    options = {"empty": empty} | ({"encoding": "base64"} if chosen == JSON else {})
    body = COMBINATION_CODECS[chosen].encode_combination(Combination(parts, options))
    size = sum(map(len, body))
    loss = parts[0].loss
    path = f"{CATALOGUE}/{quote(loss, safe='')}{COMBINE}"
    return Outgoing(loss, "POST", path, own_headers(chosen, size, headers), body, size, parts[0].types[""])
