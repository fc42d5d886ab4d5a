"""Who calls, what they may do, and how they say who they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Protocol

from lossd.access.rate import Rate
from lossd.errors import Unauthorized

SCOPES: Mapping[str, str] = {
    "evaluate": "compute losses",
    "catalogue": "read what losses there are",
    "metrics": "read the metrics",
}
"""What a caller may be allowed to do. Health, the documentation and the contract are open to everyone."""

LONGEST_TOKEN = 8192
"""Bytes of a key or token; a longer one is not looked at."""

_SCHEME = b"Bearer "


@dataclass(frozen=True, slots=True)
class Caller:
    """Someone whom this server knows.

    Attributes:
        name: As in the log; limits on rates hold for all keys of one name.
        scopes: What they may do, of `SCOPES`.
        expires: Seconds since the epoch after which they are not known any more.
        calls, work: Rates of their own, None for those of the settings.
    """

    name: str
    scopes: frozenset[str]
    expires: float = inf
    calls: Rate | None = None
    work: Rate | None = None


class Authenticate(Protocol):
    """Finds out who calls."""

    def __call__(self, authorization: bytes | None, now: float | None = None) -> Caller:
        """Return who sent an ``Authorization`` header; ``now`` is `time.perf_counter`, for those who have just read it.

        Raises:
            Unauthorized: Nobody who is known, or not any more.
        """


def bearer_token(authorization: bytes | None) -> bytes:
    """Return the token of an ``Authorization`` header (RFC 6750).

    Raises:
        Unauthorized: There is none.
    """
    if authorization is None:
        raise Unauthorized("expected a key as 'Authorization: Bearer KEY', got no such header", given=False)
    if not authorization.startswith(_SCHEME) and authorization[:7].lower() != _SCHEME.lower():
        raise Unauthorized("expected a key as 'Authorization: Bearer KEY', got another scheme", given=False)
    if len(authorization) > LONGEST_TOKEN:
        raise Unauthorized(f"expected a key of at most {LONGEST_TOKEN} bytes, got {len(authorization)}")
    return authorization[7:].strip()
