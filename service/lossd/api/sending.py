"""Sends answers, which count among the bytes in flight until they are sent."""

from __future__ import annotations

from collections.abc import Iterator

from starlette.types import Send

from lossd.api.exchange import Exchange
from lossd.message import Call
from lossd.wire import Parts

_SLICE = 1 << 18
# Bytes from which the end of an answer waits until hardly any of it is left to send.
_LARGE = 1 << 16


def retained(call: Call) -> int:
    """Return the bytes that an answer keeps in memory if its arrays may lie in those of the call."""
    return sum([array.nbytes for array in call.arrays.values()])


async def send_answer(
    send: Send, exchange: Exchange, media_type: str, parts: Parts, *more: tuple[bytes, bytes], kept: int = 0
) -> None:
    """Send the parts of a body one after the other.

    Args:
        send: The ASGI callable.
        exchange: The request.
        media_type: Format of the body.
        parts: The body.
        more: Headers besides type and length.
        kept: Bytes that stay in memory beside the parts until these are sent.
    """
    size = sum(map(len, parts))
    headers = [(b"content-type", media_type.encode()), (b"content-length", b"%d" % size), *more]
    if exchange.holding is not None:
        exchange.holding.keep(size + kept)
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    *pieces, last = parts if size <= _SLICE else _sliced(parts)
    for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    if size < _LARGE:
        await send({"type": "http.response.body", "body": last})
        return
    await send({"type": "http.response.body", "body": last, "more_body": True})
    await send({"type": "http.response.body", "body": b""})  # which waits while much is left to send


def _sliced(parts: Parts) -> Iterator[bytes | bytearray | memoryview]:
    """Yield views of at most `_SLICE` bytes: asyncio's own loop copies what it cannot send at once."""
    for part in parts:
        if len(part) <= _SLICE:
            yield part
        else:
            yield from (memoryview(part)[start : start + _SLICE] for start in range(0, len(part), _SLICE))
