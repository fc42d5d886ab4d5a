"""Pages and files that change with the server alone: compressed and tagged once, and not sent to whoever has them.

A tag is weak, since it is the same for the compressed form; `If-None-Match` compares weakly anyway (RFC 9110, 13.1.2).
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256

from fastapi import Request, Response

from lossd.api.encoding import preferred_encoding
from lossd.api.header_cache import HeaderCache

_LEAST_COMPRESSED = 1024
_OPAQUE = re.compile(r'(?:W/)?("[^"]*")')
# Every browser takes gzip: a second form would be made and kept for nobody.
_ENCODINGS = HeaderCache(partial(preferred_encoding, possible=("gzip",)))


@dataclass(frozen=True)
class Resource:
    """A page or a file.

    Attributes:
        content: Its bytes.
        packed: The same by gzip; None where that does not pay.
        opaque: What its tag is made of.
        media_type: Its format.
        caching: How long callers may keep it.
    """

    content: bytes
    packed: bytes | None
    opaque: str
    media_type: str
    caching: str


def resource(content: bytes, media_type: str, caching: str, *, compressible: bool = True) -> Resource:
    """Compress content, and tag it."""
    pays = compressible and len(content) >= _LEAST_COMPRESSED
    packed = gzip.compress(content, 9, mtime=0) if pays else None
    return Resource(content, packed, f'"{sha256(content).hexdigest()[:24]}"', media_type, caching)


def sent(request: Request, kept: Resource, headers: Mapping[str, str]) -> Response:
    """Answer a request for a resource: with a 304 if the caller has it, compressed if that is preferred."""
    told = {**headers, "cache-control": kept.caching, "etag": f"W/{kept.opaque}"}
    if kept.packed is not None:
        told["vary"] = "accept-encoding"
    if _has(kept, _joined(request, "if-none-match")):
        return Response(status_code=304, headers=told)
    if kept.packed is None or _ENCODINGS[_joined(request, "accept-encoding").encode("latin-1")] is None:
        return Response(kept.content, headers=told, media_type=kept.media_type)
    told["content-encoding"] = "gzip"
    return Response(kept.packed, headers=told, media_type=kept.media_type)


def _has(kept: Resource, condition: str) -> bool:
    """Return whether an ``If-None-Match`` names the resource; ``*`` names any."""
    return condition.strip() == "*" or kept.opaque in _OPAQUE.findall(condition)


def _joined(request: Request, name: str) -> str:
    """Return a header that is a list, which may come in several lines."""
    return ", ".join(request.headers.getlist(name))
