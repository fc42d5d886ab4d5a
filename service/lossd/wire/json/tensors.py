"""Documents whose arrays are base64 tensors, where lists would not say enough."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lossd.wire import tensor


def as_tensors(value: Any) -> Any:
    """Return a document whose arrays are base64 tensors, but for numbers."""
    if isinstance(value, Mapping):
        return {name: as_tensors(item) for name, item in value.items()}
    if isinstance(value, list):
        return [as_tensors(item) for item in value]
    return tensor.to_fields(value) if isinstance(value, np.ndarray) and value.ndim else value


def with_shapes(value: Any) -> Any:
    """Return a document whose empty arrays are base64 tensors: an empty list says nothing of its shape."""
    if isinstance(value, Mapping):
        return {name: with_shapes(item) for name, item in value.items()}
    return tensor.to_fields(value) if isinstance(value, np.ndarray) and not value.size else value
