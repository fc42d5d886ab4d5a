"""Receives bodies: arrays into one buffer, text as pieces that are joined at the end.

A buffer that grows with its body would be moved many times where several bodies come at once: of 3.4 MB, 30 MB of new
pages, a fifth of the call.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
from starlette.types import Message, Receive

from lossd.api.compute import start_threads
from lossd.api.exchange import CallerGone
from lossd.errors import malformed

ALIGNMENT = 64  # what the widest vector instructions like
_LEAST_PIECE = 4096  # bytes of a piece from which its object is small beside it
_LONG = 1 << 20  # bytes of text that the event loop does not copy itself, at up to 2 ns each

_JOINING_THREADS = 2


def start_joining() -> None:
    """Start the threads that join long texts, before memory may be short of one."""
    start_threads(_joining_pool(), _JOINING_THREADS)


async def read_text(receive: Receive, claimed: int | None) -> bytes:
    """Receive a whole body that is text; ``claimed`` is its Content-Length where the caller gave one.

    Raises:
        CallerGone: The connection closed before the end of the body.
        MalformedBody: The body is not as long as was claimed.
    """
    part, more = _part(await receive())
    pieces = [part]
    while more:
        part, more = _part(await receive())
        if len(pieces[-1]) < _LEAST_PIECE:
            pieces[-1] += part
        else:
            pieces.append(part)
    size = sum(map(len, pieces))
    if claimed is not None and size != claimed:
        raise malformed("", f"a body of {claimed} bytes", size)
    if size <= _LONG:
        return b"".join(pieces)
    return await asyncio.get_running_loop().run_in_executor(_joining_pool(), b"".join, pieces)


async def read_arrays(receive: Receive, claimed: int | None, *, aligned: int = 0) -> bytes | memoryview:
    """Receive a whole body in which arrays may be viewed where they lie.

    Where the body needs a buffer of its own, its byte number ``aligned`` lies at an address that is a multiple
    of `ALIGNMENT`: arrays that begin there can be computed with in place, four times as fast as at an odd one.

    Raises:
        CallerGone: The connection closed before the end of the body.
        MalformedBody: The body is not as long as was claimed.
    """
    if claimed is None:
        return await read_text(receive, None)
    part, more = _part(await receive())
    return await _fill(receive, part, _room(claimed, aligned)) if more else part


@cache
def _joining_pool() -> ThreadPoolExecutor:
    """Return the pool that joins long texts.

    The event loop's own needs one more thread to shut down, for which there may be no memory.
    """
    return ThreadPoolExecutor(_JOINING_THREADS, thread_name_prefix="join")


def _room(size: int, aligned: int) -> memoryview:
    """Reserve a buffer; it is not zeroed, so its pages appear as bytes arrive."""
    buffer = np.empty(size + ALIGNMENT, np.uint8)
    start = -(buffer.ctypes.data + aligned) % ALIGNMENT
    return buffer[start : start + size].data


async def _fill(receive: Receive, part: bytes, body: memoryview) -> memoryview:
    claimed, size, more = len(body), 0, True
    while True:
        if size + len(part) > claimed:
            raise malformed("", f"a body of {claimed} bytes", "more")
        body[size : size + len(part)] = part
        size += len(part)
        if not more:
            break
        part, more = _part(await receive())
    if size < claimed:
        raise malformed("", f"a body of {claimed} bytes", size)
    return body


def _part(message: Message) -> tuple[bytes, bool]:
    if message["type"] == "http.disconnect":
        raise CallerGone
    return message.get("body", b""), message.get("more_body", False)
