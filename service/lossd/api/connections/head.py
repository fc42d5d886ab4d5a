"""The head of a request, checked for what httptools lets pass although HTTP does not (RFC 9112)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from lossd.api.header_cache import HeaderCache
from lossd.errors import (
    HeadTimeout,
    HeadTooLarge,
    LossdError,
    MalformedRequest,
    Overloaded,
    UnknownTransferCoding,
    excerpt,
)

REFUSED = "lossd.refused"
"""Key of the ASGI scope, whose value is the error of a request that is none, or that breaks a limit."""

_CODING = b"transfer-encoding"
_UNKNOWN_LENGTH = 1 << 20
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
    # A proxy may check the first and this server the last.
    credentials = sum(name == b"authorization" for name, _ in headers)
    if credentials > 1:
        return MalformedRequest(f"expected one Authorization header, got {credentials}")
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


def is_chunked(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Return whether the body of a request comes in chunks, if its head was let through."""
    return any(name == _CODING for name, _ in headers)


def length_of_body(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """Return how many bytes a body is said to have; for one in chunks, of which nobody knows, a mebibyte."""
    stated = (int(value) for name, value in headers if name == b"content-length" and value.isdigit())
    return next(stated, _UNKNOWN_LENGTH)


def too_many_bytes(most: int) -> LossdError:
    """Return the error of a head that is too large."""
    return HeadTooLarge(f"expected a request line and headers of at most {most} bytes, got more")


def too_much_framing(most: int) -> LossdError:
    """Return the error of a body whose trailers or chunk extensions are too large."""
    return HeadTooLarge(f"expected trailers and chunk extensions of at most {most} bytes, got more")


def too_many_lines(most: int) -> LossdError:
    """Return the error of a head that has too many headers, or of a body that has too many trailers."""
    return HeadTooLarge(f"expected at most {most} headers, got more")


def head_too_slow(seconds: float) -> LossdError:
    """Return the error of a head that does not end."""
    return HeadTimeout(f"expected the request line and all headers within {seconds:g} s, got only a part")


def body_cut_short(headers: Headers) -> LossdError:
    """Return the error of a body whose caller stopped sending before its end."""
    length = dict(headers).get(b"content-length")
    expected = "the last chunk" if length is None else f"a body of {length.decode('latin-1')} bytes"
    return MalformedRequest(f"expected {expected}, got the end of what the caller sends before it")


def unreadable(error: Exception, headers: Headers | None) -> LossdError:
    """Return the error of a request that httptools gave up on, with the headers it had read by then."""
    cause = error.__context__
    if isinstance(cause, LossdError):
        return cause
    if isinstance(cause, MemoryError):
        return Overloaded("the server is out of memory; retry later")
    reason = excerpt(str(cause or error))
    return error_of_framing(headers or ()) or MalformedRequest(
        f"expected HTTP/1.1, got bytes that are not: {reason}"
    )


def _shown(value: bytes) -> str:
    return excerpt(value.decode("latin-1"))
