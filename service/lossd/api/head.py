"""The head of a request, checked for what httptools lets pass although HTTP does not (RFC 9112)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lossd.api.negotiation import HeaderCache
from lossd.errors import HeadTooLarge, LossdError, MalformedRequest, UnknownTransferCoding, excerpt

LONGEST_HEAD = 64 * 1024
"""Bytes of the request line and all headers, far beyond what browsers and proxies send."""

MALFORMED = "lossd.malformed"
"""Key of the ASGI scope, whose value is the error of a request that is none."""

_CODING = b"transfer-encoding"
_VERSIONS = ("1.1", "1.0")
_HOST = re.compile(rb"[^\s,/?#@\\]*")
_IS_HOST = HeaderCache(lambda host: _HOST.fullmatch(host) is not None)

Headers = Sequence[tuple[bytes, bytes]]


def error_of_head(version: str, headers: Headers) -> LossdError | None:
    """Return what is wrong with a head that was read to its end."""
    if version not in _VERSIONS:
        return MalformedRequest(f"expected HTTP/1.1 or HTTP/1.0, got HTTP/{version}")
    by_name = dict(headers)
    if len(by_name) == len(headers) and _CODING not in by_name and _IS_HOST[by_name.get(b"host", b",")]:
        return None  # as nearly all are
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) != 1 and (hosts or version == "1.1"):
        return MalformedRequest(f"expected one Host header, got {len(hosts) or 'none'}")
    if hosts and not _IS_HOST[hosts[0]]:
        return MalformedRequest(f"expected a host and a port in the Host header, got {_shown(hosts[0])}")
    return error_of_framing(headers)


def error_of_framing(headers: Headers) -> LossdError | None:
    """Return what is wrong with the transfer coding; None where there is nothing, or no coding."""
    codings = [value.strip().lower() for name, value in headers if name == _CODING]
    if not codings or codings == [b"chunked"]:
        return None
    if all(coding.strip() == b"chunked" for value in codings for coding in value.split(b",")):
        return MalformedRequest(
            f"expected the transfer coding chunked once, got {_shown(b', '.join(codings))}"
        )
    return UnknownTransferCoding(
        f"expected no transfer coding but chunked, got {_shown(b', '.join(codings))}"
    )


def too_large() -> LossdError:
    """Return the error of a head that is too large."""
    return HeadTooLarge(f"expected a request line and headers of at most {LONGEST_HEAD} bytes, got more")


def unreadable(error: Exception, headers: Headers | None) -> LossdError:
    """Return the error of a request that httptools gave up on, with the headers it had read by then."""
    cause = error.__context__
    if isinstance(cause, LossdError):
        return cause
    reason = excerpt(str(cause or error))
    return error_of_framing(headers or ()) or MalformedRequest(
        f"expected HTTP/1.1, got bytes that are not: {reason}"
    )


def _shown(value: bytes) -> str:
    return excerpt(value.decode("latin-1"))
