"""How bodies are received, in whatever pieces they come."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from lossd.api.body import read_text
from lossd.errors import MalformedBody

SIZES = {
    "one": [5],
    "bytes": [1] * 10_000,
    "small and large": [5000, 1, 1, 4096, 2, 100_000],
    "long": [1 << 20, 7, 1 << 20, 1 << 18],
}


def messages(body: bytes, sizes: list[int]) -> Iterator[dict[str, Any]]:
    at = 0
    for size in sizes:
        at += size
        yield {"type": "http.request", "body": body[at - size : at], "more_body": at < len(body)}


def receive_text(body: bytes, sizes: list[int], claimed: int | None) -> bytes:
    left = messages(body, sizes)

    async def receive() -> dict[str, Any]:
        return next(left)

    return asyncio.run(read_text(receive, claimed))


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_a_text_is_its_pieces_in_order(sizes: list[int]) -> None:
    body = np.random.default_rng(0).bytes(sum(sizes))
    assert receive_text(body, sizes, len(body)) == body
    assert receive_text(body, sizes, None) == body
    with pytest.raises(MalformedBody, match=str(len(body) + 1)):
        receive_text(body, sizes, len(body) + 1)
