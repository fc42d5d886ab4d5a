"""Checks where a server is said to be, and joins its address with a path."""

from __future__ import annotations

import os
from functools import lru_cache

import httpx

DEFAULT = "http://127.0.0.1:8000"
BEHIND_A_SOCKET = "http://lossd"


def read_address(url: str | None, uds: str | None = None) -> str:
    """Return the address to send to: the one given, that of ``LOSSD_URL``, or that of a server on this machine.

    Raises:
        ValueError: It is no address of HTTP.
    """
    if uds and not url:
        return BEHIND_A_SOCKET
    address, at = (url, "url") if url else (os.environ.get("LOSSD_URL", DEFAULT), "LOSSD_URL")
    try:
        parsed = httpx.URL(address)
    except (httpx.InvalidURL, TypeError) as error:
        raise ValueError(
            f"expected an address such as {DEFAULT}, got {address!r}: {error} - at `{at}`"
        ) from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        known = "://" in address or "//" in address
        hint = "" if known else f"; write 'http://{address}'"
        raise ValueError(
            f"expected an address that begins with http:// or https://, got {address!r}{hint} - at `{at}`"
        )
    return address


def read_token(token: str) -> str:
    """Return a token that a header can hold; the end of line that a file has is no part of it.

    Raises:
        ValueError: It has characters that no header may have. They are not shown.
    """
    token = token.strip()
    if not (token.isascii() and token.isprintable() and token):
        raise ValueError("expected a token of printable ASCII characters, got others - at `token`")
    return token


@lru_cache(maxsize=256)
def joined(url: str, path: str) -> httpx.URL:
    """Return the address of a path; a training loop asks for one again and again, and parsing takes a while."""
    return httpx.URL(url.rstrip("/") + path)
