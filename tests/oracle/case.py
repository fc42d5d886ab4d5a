"""One call that a loss is held against its oracle on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Case(NamedTuple):
    """Arguments and settings of one call."""

    name: str
    arrays: Mapping[str, Any]
    settings: Mapping[str, Any] = {}


Drawn = Iterator[Case]
