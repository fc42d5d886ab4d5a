"""Makes a key and its entry in a keys file, and shows whose keys there are: ``lossd keys new``, ``lossd keys list``."""

from __future__ import annotations

import argparse
import os
import sys
import time
import tomllib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from math import inf
from pathlib import Path

from lossd.access.caller import SCOPES
from lossd.access.keys import NAME, new_key, read_expiry, read_keys, write_entry

HELP = "make a key for a caller, or list whose keys there are"
DESCRIPTION = """\
new: make a key for a caller. The key is printed once, on standard output, and stored nowhere: the keys file has its
SHA-256. A running server reads a changed file within a second.

list: show the name, the scopes and the end of each key in the file.
"""
EXAMPLES = """\
examples:
  lossd keys new trainer --file keys.toml
  lossd keys new prometheus --scopes metrics --expires 2027-01-31
  lossd keys list --file keys.toml
  LOSSD_AUTH=keys LOSSD_KEYS_FILE=keys.toml lossd serve --host 0.0.0.0

Scopes: """ + "; ".join(f"{name}: {text}" for name, text in SCOPES.items())
DEFAULT_SCOPES = ("evaluate", "catalogue")
USAGE = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what is done, for whom and how."""
    parser.add_argument("action", choices=ACTIONS, help="make a key, or list those in the file")
    parser.add_argument(
        "name",
        nargs="?",
        help="who gets the new key; a name may have several keys, so that one can replace another",
    )
    parser.add_argument("--scopes", nargs="+", choices=SCOPES, default=DEFAULT_SCOPES, help="what it allows")
    parser.add_argument("--expires", metavar="DATE", help="when it ends: 2027-01-31, or 2027-01-31T12:00:00Z")
    parser.add_argument(
        "--file",
        default=os.environ.get("LOSSD_KEYS_FILE") or None,
        help="file to list or append to, made if there is none; without it a new entry is printed (LOSSD_KEYS_FILE)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line asks for."""
    try:
        return ACTIONS[arguments.action](arguments)
    except ValueError as error:
        print(f"lossd keys: {error}", file=sys.stderr)
    except OSError as error:
        print(f"lossd keys: {error.filename}: {error.strerror}", file=sys.stderr)
    return USAGE


def _make(arguments: argparse.Namespace) -> int:
    """Print a new key, and write its entry."""
    if arguments.name is None or not NAME.fullmatch(arguments.name):
        got = "none" if arguments.name is None else repr(arguments.name)
        arguments.refuse(f"expected a name of at most 64 letters, digits and ._@-, got {got}")
    if arguments.expires is not None:
        try:
            expires = read_expiry(tomllib.loads(f"expires = {arguments.expires}")["expires"])
        except ValueError:
            expected = "a date such as 2027-01-31, or a time such as 2027-01-31T12:00:00Z"
            arguments.refuse(f"argument --expires: expected {expected}, got {arguments.expires!r}")
        if expires <= time.time():
            arguments.refuse(f"argument --expires: expected a moment to come, got {arguments.expires}")
    key = new_key()
    entry = write_entry(arguments.name, key, arguments.scopes, arguments.expires)
    read_keys(entry.encode())
    if arguments.file:
        _append(Path(arguments.file), entry)
    print(key)
    if not arguments.file:
        print(f"\n{entry}", end="")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    """Print whose keys a file has; nothing of their digests, which are of no use to a reader."""
    if arguments.name is not None:
        arguments.refuse(f"expected no name, got {arguments.name!r}")
    if not arguments.file:
        arguments.refuse("expected a file, by --file or LOSSD_KEYS_FILE, got none")
    rows = [("name", "scopes", "expires")]
    for _, caller in read_keys(Path(arguments.file).read_bytes()).values():
        scopes = " ".join(scope for scope in SCOPES if scope in caller.scopes)
        rows.append((caller.name, scopes, _end(caller.expires)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _end(expires: float) -> str:
    """Return the end of a key as a person reads it."""
    if expires == inf:
        return "never"
    text = f"{datetime.fromtimestamp(expires, UTC):%Y-%m-%dT%H:%M:%SZ}"
    return f"{text} (has expired)" if expires <= time.time() else text


def _append(path: Path, entry: str) -> None:
    """Add an entry to a file, of which a reader sees all or nothing."""
    path = path.resolve()
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    text = f"{before.rstrip()}\n\n{entry}" if before.strip() else entry
    read_keys(text.encode())  # a file that says 'keys = []', say, takes no other entry
    written = path.with_name(f"{path.name}.new")
    written.write_text(text, encoding="utf-8")
    if path.exists():
        written.chmod(path.stat().st_mode & 0o777)
    written.replace(path)


ACTIONS: Mapping[str, Callable[[argparse.Namespace], int]] = {"new": _make, "list": _list}
