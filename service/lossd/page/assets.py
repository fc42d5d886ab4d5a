"""The files that pages refer to, under an address that changes with any of them.

One hash stands for the whole folder: modules import each other by relative names, and a hash for each file would need
an import map, which is an inline script.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True)
class Asset:
    """A file: its bytes, its media type, and whether it becomes smaller by compression."""

    content: bytes
    media_type: str

    @property
    def compressible(self) -> bool:
        """Whether compression pays; fonts are compressed already."""
        return not self.media_type.startswith("font/")


@cache
def assets() -> Mapping[str, Asset]:
    """Return every file by its path within the folder."""
    found = {}
    for name, file in _walk(files("lossd.page") / "static"):
        found[name] = Asset(file.read_bytes(), _TYPES[PurePosixPath(name).suffix])
    return dict(sorted(found.items()))


@cache
def version() -> str:
    """Return the hash of the folder."""
    digest = hashlib.sha256()
    for name, asset in assets().items():
        digest.update(name.encode() + b"\0" + asset.content)
    return digest.hexdigest()[:12]


def _walk(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name, entry
