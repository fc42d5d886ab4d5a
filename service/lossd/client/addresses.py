"""Checks where a server is said to be and what it is told of its caller, and joins its address with a path."""

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


def read_token(token: str | None) -> str | None:
    """Return a token that a header can hold, by default that of ``LOSSD_TOKEN``, None if there is neither.

    The end of line that a file has is no part of it.

    Raises:
        ValueError: It has characters that no header may have. They are not shown.
    """
    text, at = (os.environ.get("LOSSD_TOKEN") or None, "LOSSD_TOKEN") if token is None else (token, "token")
    if text is None:
        return None
    text = text.strip()
    if not (text.isascii() and text.isprintable() and text):
        raise ValueError(f"expected a token of printable ASCII characters, got others - at `{at}`")
    return text


@lru_cache(maxsize=256)
def joined(url: str, path: str) -> httpx.URL:
    """Return the address of a path; a training loop asks for one again and again, and parsing takes a while."""
    return httpx.URL(url.rstrip("/") + path)
