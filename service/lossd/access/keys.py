"""Keys, of which only the SHA-256 is kept: how a file names them, and how one is made and recognised.

A key is 256 random bits, so there is nothing to guess and no slow hash is needed. What the time of a dictionary's
look-up could tell is about the digest of a guess, which is of no use; the digest that was found is compared in
constant time all the same. A header whose key was recognised is remembered until the file changes: to read it and its
digest takes 3 us of a small call, a look-up by Python's own keyed hash tells as little and takes none of that.
"""

from __future__ import annotations

import hmac
import re
import secrets
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from hashlib import sha256
from math import inf, isfinite
from pathlib import Path
from typing import Any

from lossd.access.caller import SCOPES, Caller, bearer_token
from lossd.access.rate import Rate, rate
from lossd.access.watched_file import WatchedFile
from lossd.errors import Unauthorized

PREFIX = "lossd_"
"""What every key begins with, so that programs which look for leaked secrets can find one."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
DIGEST = re.compile(r"[0-9a-f]{64}")
_RATES = ("calls_per_second", "calls_burst", "work_per_second", "work_burst")
_MEMBERS = ("name", "sha256", "scopes", "expires", *_RATES)

# Headers that are remembered, and the bytes of the longest: one key can be written with any number of spaces before it.
_MOST_REMEMBERED, _LONGEST_REMEMBERED = 4096, 256

Entry = tuple[bytes, Caller]


class Keys:
    """The keys of a file, which may change while the server runs.

    Raises:
        OSError, ValueError: The file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._file = WatchedFile(path, read_keys)
        self._entries = self._file.value()
        self._recognised: dict[bytes | None, Caller] = {}

    def __call__(self, authorization: bytes | None, now: float | None = None) -> Caller:
        """Return whose key a header has, as `caller.Authenticate` says."""
        if now is None:
            now = time.perf_counter()
        if now >= self._file.look_at:
            self._read_again(now)
        caller = self._recognised.get(authorization)
        if caller is None:
            caller = self._recognise(authorization)
        if caller.expires is not inf and caller.expires <= time.time():
            raise Unauthorized(f"expected a key that is valid, got one of {caller.name} that has expired")
        return caller

    def callers(self) -> Iterator[Caller]:
        """Yield whose keys there are; one with several keys comes several times."""
        self._read_again(time.perf_counter())
        for _, caller in self._entries.values():
            yield caller

    def _read_again(self, now: float) -> None:
        entries = self._file.value(now)
        if entries is not self._entries:
            self._entries = entries
            self._recognised.clear()

    def _recognise(self, authorization: bytes | None) -> Caller:
        caller = _find(self._entries, bearer_token(authorization))
        if authorization is not None and len(authorization) <= _LONGEST_REMEMBERED:
            if len(self._recognised) >= _MOST_REMEMBERED:
                self._recognised.clear()
            self._recognised[authorization] = caller
        return caller


def _find(entries: Mapping[bytes, Entry], token: bytes) -> Caller:
    digest = sha256(token).digest()
    found = entries.get(digest)
    if found is None or not hmac.compare_digest(found[0], digest):
        raise Unauthorized("expected a key of this server, got an unknown one")
    return found[1]


def new_key() -> str:
    """Return a new key, of 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def write_entry(name: str, key: str, scopes: Iterable[str], expires: str | None = None) -> str:
    """Return the lines of a keys file for a key."""
    quoted = ", ".join(f'"{scope}"' for scope in scopes)
    lines = [
        "[[keys]]",
        f'name = "{name}"',
        f'sha256 = "{sha256(key.encode()).hexdigest()}"',
        f"scopes = [{quoted}]",
        *([f"expires = {expires}"] if expires else []),
    ]
    return "\n".join(lines) + "\n"


def read_keys(text: bytes) -> Mapping[bytes, Entry]:
    """Read a keys file: callers by the digest of their keys.

    Raises:
        ValueError: It is not one; the message names the place.
    """
    document = tomllib.loads(text.decode())
    entries = document.get("keys")
    if not isinstance(entries, list) or len(document) != 1:
        raise ValueError("expected tables [[keys]] and nothing else, or 'keys = []' to let no one in")
    found: dict[bytes, Entry] = {}
    for place, entry in ((f"keys[{index}]", entry) for index, entry in enumerate(entries)):
        digest, caller = _read_entry(entry, place)
        if digest in found:
            raise ValueError(f"expected each key once, got one of {caller.name} again - at `{place}.sha256`")
        found[digest] = digest, caller
    return found


def _read_entry(entry: Any, place: str) -> Entry:
    if not isinstance(entry, dict):
        raise _wrong(place, "a table", entry)
    for member in entry:
        if member not in _MEMBERS:
            raise _wrong(place, f"members of {', '.join(_MEMBERS)}", member)
    name, digest = entry.get("name"), entry.get("sha256")
    if not (isinstance(name, str) and NAME.fullmatch(name)):
        raise _wrong(f"{place}.name", "at most 64 letters, digits and ._@-", name)
    if not (isinstance(digest, str) and DIGEST.fullmatch(digest)):
        # Not shown: it may be the key itself.
        raise _wrong(f"{place}.sha256", "64 hexadecimal digits in lower case", "something else")
    scopes = entry.get("scopes")
    if not (isinstance(scopes, list) and scopes and all(isinstance(scope, str) for scope in scopes)):
        raise _wrong(f"{place}.scopes", f"a list of {', '.join(SCOPES)}", scopes)
    if not SCOPES.keys() >= set(scopes):
        raise _wrong(f"{place}.scopes", f"a list of {', '.join(SCOPES)}", scopes)
    caller = Caller(
        name,
        frozenset(scopes),
        read_expiry(entry.get("expires"), f"{place}.expires"),
        _read_rate(entry, "calls", place),
        _read_rate(entry, "work", place),
    )
    return bytes.fromhex(digest), caller


def read_expiry(value: object, place: str = "") -> float:
    """Return a moment in seconds since the epoch; a date means its first moment in UTC, None that there is none.

    Raises:
        ValueError: It is neither a date nor a time with its offset.
    """
    if value is None:
        return inf
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            return value.timestamp()
    elif isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp()
    raise _wrong(place, "a date such as 2027-01-31, or a time such as 2027-01-31T12:00:00Z", value)


def _read_rate(entry: Mapping[str, Any], name: str, place: str) -> Rate | None:
    amounts = [entry.get(f"{name}_{part}") for part in ("per_second", "burst")]
    for amount, part in zip(amounts, ("per_second", "burst"), strict=True):
        is_number = isinstance(amount, int | float) and not isinstance(amount, bool)
        if amount is not None and not (is_number and isfinite(amount) and amount > 0):
            raise _wrong(f"{place}.{name}_{part}", "a number > 0", amount)
    if amounts[0] is None and amounts[1] is not None:
        raise _wrong(f"{place}.{name}_per_second", f"a number beside {name}_burst", None)
    return rate(name, *amounts)


def _wrong(place: str, expected: str, got: object) -> ValueError:
    return ValueError(f"expected {expected}, got {'none' if got is None else got} - at `{place}`")
