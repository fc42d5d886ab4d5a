"""One call of a loss that is held against its oracle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Case(NamedTuple):
    """Arguments and settings of one call."""

    name: str
    arrays: Mapping[str, Any]
    settings: Mapping[str, Any] = {}
