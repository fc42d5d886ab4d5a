"""JSON Web Tokens (RFC 7519) of an identity provider, checked by PyJWT against its public keys (RFC 7517).

A key decides by which algorithm its tokens are signed, never a token; only algorithms with a public key are taken. What
was verified is remembered by its SHA-256 until it expires, so that a call pays for a look-up.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lossd.access.caller import SCOPES, Caller, bearer_token
from lossd.access.watched_file import WatchedFile
from lossd.errors import Unauthorized

if TYPE_CHECKING:
    from jwt import PyJWK

ALGORITHMS = frozenset(
    {f"{family}{bits}" for family in ("RS", "PS", "ES") for bits in (256, 384, 512)} | {"EdDSA", "Ed25519"}
)
LEEWAY_SECONDS = 5
"""By how much the provider's clock may differ."""

_PREFIX = "lossd:"
_MOST_REMEMBERED = 4096
_LONGEST_NAME = 200
_PRIVATE = "d"  # the private part of a JWK of every type that has a public one


@dataclass(frozen=True, slots=True)
class Issuer:
    """Whose tokens are taken, and for whom.

    Attributes:
        name: What the claim ``iss`` must be.
        audience: What the claim ``aud`` must have.
        scope_claim: The claim with the scopes, a list or words.
    """

    name: str
    audience: str
    scope_claim: str


class Tokens:
    """The tokens of one issuer, whose public keys are in a file that may change while the server runs.

    Raises:
        OSError, ValueError: The file cannot be read, or PyJWT is not installed.
    """

    def __init__(self, path: Path, issuer: Issuer) -> None:
        try:
            import jwt
        except ImportError:
            raise ValueError(
                "expected PyJWT to be installed, got none; pip install '.[jwt]' in a clone of lossd"
            ) from None
        self._jwt = jwt
        self._issuer = issuer
        self._file = WatchedFile(path, read_key_set)
        self._keys = self._file.value()
        self._verified: dict[bytes, Caller] = {}

    def __call__(self, authorization: bytes | None, now: float | None = None) -> Caller:
        """Return whose token a header has, as `caller.Authenticate` says."""
        token = bearer_token(authorization)
        keys = self._file.value(now)
        if keys is not self._keys:
            self._keys = keys
            self._verified.clear()  # the key of one of them may be gone
        digest = sha256(token).digest()
        known = self._verified.get(digest)
        if known is not None and known.expires > time.time():
            return known
        caller = self._verify(token, keys)
        if len(self._verified) >= _MOST_REMEMBERED:
            self._verified.clear()
        self._verified[digest] = caller
        return caller

    def _verify(self, token: bytes, keys: Mapping[str, PyJWK]) -> Caller:
        try:
            header = self._jwt.get_unverified_header(token)
            key = keys.get(header.get("kid", "")) or (next(iter(keys.values())) if len(keys) == 1 else None)
            if key is None:
                raise Unauthorized("expected a token signed by a known key, got one of another ('kid')")
            claims = self._jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=self._issuer.audience,
                issuer=self._issuer.name,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except self._jwt.PyJWTError as error:
            raise Unauthorized(f"expected a valid token, got one that is not: {_reason(error)}") from None
        scopes = frozenset(_scopes(claims.get(self._issuer.scope_claim)))
        return Caller(str(claims["sub"])[:_LONGEST_NAME], scopes, float(claims["exp"]))


def read_key_set(text: bytes) -> Mapping[str, PyJWK]:
    """Read a JWK Set: public keys by their ids.

    Raises:
        ValueError: It is none, or a key of it is not public.
    """
    import jwt

    document = json.loads(text)
    entries = document.get("keys") if isinstance(document, dict) else None
    if not (isinstance(entries, list) and entries):
        raise ValueError("expected a JWK Set with keys, got none")
    found: dict[str, PyJWK] = {}
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
            continue  # a key to encrypt with
        place = f"keys[{index}]"
        if _PRIVATE in entry or entry.get("kty") == "oct":
            raise ValueError(f"expected public keys, got a secret one - at `{place}`")
        try:
            key = jwt.PyJWK(entry)
        except jwt.PyJWTError as error:
            raise ValueError(
                f"expected a key to verify with, got {type(error).__name__} - at `{place}`"
            ) from None
        if key.algorithm_name not in ALGORITHMS:
            expected = ", ".join(sorted(ALGORITHMS))
            raise ValueError(f"expected one of {expected}, got {key.algorithm_name} - at `{place}.alg`")
        found[str(entry.get("kid", ""))] = key
    if not found:
        raise ValueError("expected keys to verify with, got others only")
    return found


def _scopes(claim: Any) -> list[str]:
    """Return those of our scopes that a claim has, with or without ``lossd:`` before them."""
    words = claim.split() if isinstance(claim, str) else claim if isinstance(claim, list) else []
    names = [str(word).removeprefix(_PREFIX) for word in words]
    return [name for name in names if name in SCOPES]


def _reason(error: Exception) -> str:
    """Say what is wrong with a token by the error's class: its message may repeat the token's content."""
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in type(error).__name__)
    return words.removesuffix(" error").strip()
