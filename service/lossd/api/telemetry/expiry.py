"""When the next key and the server's certificate end: an alert is to come before their callers notice."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from math import inf
from pathlib import Path

from lossd.access.keys import Keys
from lossd.api.telemetry.layout import Metric
from lossd.settings import Settings

KEY = Metric(
    "key_expiry_timestamp_seconds",
    "gauge",
    "When the next key of the keys file ends; left out where none does.",
)
CERTIFICATE = Metric(
    "tls_certificate_expiry_timestamp_seconds",
    "gauge",
    "When the server's certificate, or one behind it in its file, ends; left out without TLS.",
)

Expiries = Sequence[tuple[Metric, Callable[[], float | None]]]
"""Metrics and what reads each, None where there is nothing to show."""

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
# ASN.1's tags of a version (explicit), and of the two forms of a time with their formats.
_VERSION = 0xA0
_TIMES = {0x17: "%y%m%d%H%M%SZ", 0x18: "%Y%m%d%H%M%SZ"}
_MIDDLE_OF_TWO_DIGITS = 2050  # RFC 5280, section 4.1.2.5.1: years of two digits end in 2049
_SKIPPED = 3  # serial number, signature, issuer: what stands before the validity


def expiries(settings: Settings, authenticate: object) -> Expiries:
    """Return what a server with these settings, and this way to authenticate, shows."""
    found: list[tuple[Metric, Callable[[], float | None]]] = []
    if isinstance(authenticate, Keys):
        found.append((KEY, lambda: next_expiry(authenticate)))
    if settings.tls_certificate_file is not None:
        # What stands around certificates, which are ASCII, may have any encoding; Latin-1 reads every byte.
        text = Path(settings.tls_certificate_file).read_text(encoding="latin-1")
        ends = certificate_expiry(text)  # of the file that is served until a restart
        found.append((CERTIFICATE, lambda: ends))
    return found


def next_expiry(keys: Keys) -> float | None:
    """Return when the next key ends, of those that have not ended."""
    now = time.time()
    return min((each.expires for each in keys.callers() if now < each.expires < inf), default=None)


def certificate_expiry(pem: str) -> float | None:
    """Return when the first of the certificates of a file ends, None if there is none."""
    parts = [part.partition(_END)[0] for part in pem.split(_BEGIN)[1:]]
    ends = [_not_after(ssl.PEM_cert_to_DER_cert(f"{_BEGIN}{part}{_END}\n")) for part in parts]
    return min(ends, default=None)


def _not_after(der: bytes) -> float:
    """Return the end of a certificate's validity (RFC 5280, section 4.1)."""
    (_, certificate), *_ = _elements(der)
    (_, signed), *_ = _elements(certificate)
    members = [content for tag, content in _elements(signed) if tag != _VERSION]
    _, (tag, text) = _elements(members[_SKIPPED])
    moment = datetime.strptime(text.decode(), _TIMES[tag]).replace(tzinfo=UTC)
    if moment.year >= _MIDDLE_OF_TWO_DIGITS and tag == min(_TIMES):
        moment = moment.replace(year=moment.year - 100)
    return moment.timestamp()


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the elements of ASN.1 in DER, each with its tag."""
    at = 0
    while at < len(der):
        tag, size, start = der[at], der[at + 1], at + 2
        if size >= 0x80:  # the number of bytes of the length
            start += size & 0x7F
            size = int.from_bytes(der[at + 2 : start])
        at = start + size
        yield tag, der[start:at]
