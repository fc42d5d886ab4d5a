"""What must hold between arguments: values that check, describe themselves and draw valid samples, as domains do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lossd.declaration.pattern import Sizes
from lossd.message import Array


class Constraint(Protocol):
    """A condition on arrays; ``str()`` of it completes "expected ..."."""

    @property
    def arguments(self) -> tuple[str, ...]:
        """The arguments that it is about; errors name the first."""

    def forbidden(self, arrays: Mapping[str, Array], sizes: Sizes) -> Array | None:
        """Mark the values of the first argument that break it, or return None where none does."""

    def repair(self, arrays: dict[str, Array]) -> None:
        """Change samples that were drawn one by one so that they fulfil it."""


@dataclass(frozen=True)
class Corners:
    """Boxes ``(..., 4)`` have their corners in order: x1 <= x2 and y1 <= y2."""

    boxes: str

    @property
    def arguments(self) -> tuple[str, ...]:
        """The boxes."""
        return (self.boxes,)

    def forbidden(self, arrays: Mapping[str, Array], sizes: Sizes) -> Array | None:
        """Mark the first corner where it is beyond the second."""
        boxes = arrays[self.boxes]
        beyond = boxes[:, :2] > boxes[:, 2:]
        if not beyond.any():
            return None
        return np.concatenate([beyond, np.zeros_like(beyond)], axis=1)

    def repair(self, arrays: dict[str, Array]) -> None:
        """Sort the corners."""
        x1, y1, x2, y2 = np.moveaxis(arrays[self.boxes], -1, 0)
        corners = np.minimum(x1, x2), np.minimum(y1, y2), np.maximum(x1, x2), np.maximum(y1, y2)
        arrays[self.boxes] = np.stack(corners, axis=-1)

    def __str__(self) -> str:
        return "a box (x1, y1, x2, y2) with x1 <= x2 and y1 <= y2"
