"""Small requests that ask for much: each is refused or computed while a caller beside it is served."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lossd.wire.tensor import to_base64


def empty(*shape: int) -> dict[str, Any]:
    """Return a tensor without elements: it costs what its other axes say, and a few bytes."""
    return {"dtype": "float64", "shape": list(shape), "data": ""}


_ALL = ["none", "sum", "mean", "batchmean", "weighted_mean"]
_ONE_LABEL = {"labels": [1], "broadcast": True, "empty": "zero"}

EXPENSIVE: Mapping[str, tuple[str, dict[str, Any]]] = {
    "pairs of many items": ("nt_xent", {"embeddings": empty(11585, 0), **_ONE_LABEL}),
    "every derivative of many items": (
        "nt_xent",
        {"embeddings": empty(11585, 0), **_ONE_LABEL, "reduction": _ALL, "gradient": True, "hessian": True},
    ),
    "a batch of two long axes": (
        "triplet_margin",
        {
            "anchor": empty(2**25, 1, 0),
            "positive": empty(1, 2**25, 0),
            "negative": empty(1, 1, 0),
            "broadcast": True,
        },
    ),
    "items of a byte each": (
        "nt_xent",
        {"embeddings": to_base64(np.zeros((8000, 1), np.int8)), **_ONE_LABEL},
    ),
    "an outer difference with every derivative": (
        "multi_quantile",
        {
            "input": to_base64(np.zeros((4000, 1, 2), np.float32)),
            "target": to_base64(np.zeros((1, 4000), np.float32)),
            "quantiles": [0.1, 0.9],
            "broadcast": True,
            "gradient": ["input", "target", "quantiles"],
            "hessian": True,
            "reduction": ["none", "mean"],
        },
    ),
    "many frames of many samples": (
        "ctc",
        {
            "logits": to_base64(np.zeros((2000, 1, 3), np.float32)),
            "targets": [[1, 2, 1, 2, 1]],
            "input_lengths": [2000],
            "target_lengths": [5] * 2000,
            "broadcast": True,
            "gradient": True,
        },
    ),
    "an outer difference": (
        "mse",
        {
            "input": to_base64(np.zeros((100_000, 1), np.int8)),
            "target": to_base64(np.zeros((1, 100_000), np.int8)),
            "broadcast": True,
        },
    ),
    "many empty regions": (
        "dice",
        {"input": empty(2**24, 0), "target": empty(2**24, 0), "axis": 1, "reduction": "none"},
    ),
}
"""What is asked for, to the loss and the body."""
