"""A worked example of a loss, for its documentation and its tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Example:
    """A worked example: by hand or from the source, never from our own kernel.

    Attributes:
        call: Arguments and settings by name.
        value: The unreduced loss.
    """

    def __init__(self, *, value: Any, **call: Any) -> None:
        self.call: Mapping[str, Any] = call
        self.value = value
