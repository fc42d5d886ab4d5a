"""The least that a server can do with a call: receive it into one buffer and send half of it back.

Half, because a call's input and target come, and the gradient of the input goes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import numpy as np

Message = MutableMapping[str, Any]
_PART = 256 * 1024


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Answer with the first half of the body."""
    if scope["type"] != "http":
        return
    body = np.empty(int(dict(scope["headers"])[b"content-length"]), np.uint8).data
    size, more = 0, True
    while more:
        message = await receive()
        part = message.get("body", b"")
        body[size : size + len(part)] = part
        size += len(part)
        more = message.get("more_body", False)
    half = body[: size // 2]
    headers = [(b"content-length", b"%d" % len(half))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for start in range(0, len(half), _PART):
        part = half[start : start + _PART]
        await send({"type": "http.response.body", "body": part, "more_body": start + _PART < len(half)})
