"""The lossd server as every example sees it: one function that posts a call and returns the answer."""

from __future__ import annotations

import atexit
import os
from functools import cache
from typing import Any

import httpx
import numpy as np


def post(loss: str, **call: Any) -> dict[str, Any]:
    """Post a call to the server at ``LOSSD_URL`` and return its answer.

    Args:
        loss: Name of the loss, for example ``"huber"``.
        call: The loss's arguments, its settings and the general options; arrays may be NumPy arrays.

    Returns:
        The answer as the server sent it: ``{"loss": {"mean": 0.5}, "count": 3, ...}``.

    Raises:
        SystemExit: No server answers, or it refuses the call; the message says which and why.
    """
    body = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in call.items()}
    server = _connection()
    try:
        response = server.post(f"/v1/losses/{loss}", json=body)
    except httpx.TransportError as error:
        raise SystemExit(
            f"expected a lossd server at {server.base_url}, got: {error}; is `lossd serve` running?"
        ) from None
    if response.is_error:
        raise SystemExit(f"{loss}: {response.status_code}: {response.text}")
    answer: dict[str, Any] = response.json()
    return answer


@cache
def _connection() -> httpx.Client:
    # One connection for the whole program: a training loop posts hundreds of times.
    server = httpx.Client(base_url=os.environ.get("LOSSD_URL", "http://127.0.0.1:8000"))
    atexit.register(server.close)
    return server
