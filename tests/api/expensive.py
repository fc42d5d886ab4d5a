"""Small requests that ask for much: each is refused or computed while a caller beside it is served."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lossd.wire.tensor import to_base64


def empty(*shape: int) -> dict[str, Any]:
    """Return a tensor without elements: it costs what its other axes say, and a few bytes."""
    return {"dtype": "float64", "shape": list(shape), "data": ""}


def small(values: Any, *shape: int) -> dict[str, Any]:
    """Return a tensor of one number a byte."""
    return to_base64(np.full(shape, values, np.int8))


def _first(size: int) -> dict[str, Any]:
    """Return lengths of which the first alone is not 0."""
    lengths = np.zeros(size, np.int16)
    lengths[0] = size
    return to_base64(lengths)


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
    "every reduction over an axis without elements": (
        "mse",
        {
            "input": empty(0, 5792, 5792),
            "target": empty(0, 5792, 5792),
            "axis": 0,
            "reduction": _ALL,
            "empty": "nan",
        },
    ),
    "a broadcast over an axis without elements": (
        "mse",
        {
            "input": empty(0, 30000, 1),
            "target": empty(0, 1, 30000),
            "axis": 0,
            "broadcast": True,
            "reduction": "sum",
        },
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
    "a list larger than its items": ("ranking_softmax", {"input": [1.0], "target": [1.0], "group": [2**28]}),
    "lists larger than any array": (
        "ranking_softmax",
        {"input": [1.0], "target": [1.0], "group": [2**62] * 4},
    ),
    "labels one after the other, of one long sample": (
        "ctc",
        {
            "logits": empty(1, 11585, 0),
            "targets": small(0, 11585),
            "input_lengths": small(1, 11585),
            "target_lengths": _first(11585),
        },
    ),
    "a diagonal that has no kernel under its setting": (
        "triplet_margin_with_distance",
        {
            "anchor": small(1, 1, 3900),
            "positive": small(1, 1, 3900),
            "negative": small(0, 1, 3900),
            "distance": "squared",
            "margin": 1e6,
            "hessian": True,
        },
    ),
    "a long shared gradient of many blocks": (
        "cross_entropy",
        {
            "input": small(0, 1, 32768),
            "target": small(0, 1000),
            "weight": small(1, 32768),
            "gradient": ["weight"],
            "broadcast": True,
            "reduction": ["none", "sum", "mean", "batchmean"],
        },
    ),
    "many targets that are weighed": (
        "cross_entropy",
        {"input": small(1, 1, 2), "target": small(0, 8_000_000), "weight": [1e300, 1], "broadcast": True},
    ),
    "many answers that are no numbers": (
        "mse",
        {
            "input": ["NaN"],
            "target": small(1, 4_000_000),
            "broadcast": True,
            "reduction": "none",
            "dtype": "float64",
        },
    ),
    "an outer product of pixels": (
        "dice",
        {"input": small(1, 20000, 1, 1), "target": small(1, 1, 20000, 1), "axis": -1, "broadcast": True},
    ),
    "a recursion of many iterations": (
        "sinkhorn",
        {
            "input": [0.5, 0.5],
            "target": [0.5, 0.5],
            "cost": [[0, 1], [1, 0]],
            "iterations": 10_000,
            "hvp": [1, 0],
        },
    ),
    "a recursion of many steps": (
        "crf",
        {
            "emissions": small(0, 100_000, 2),
            "tags": small(0, 100_000),
            "transitions": [[0, 0], [0, 0]],
            "hvp": small(0, 100_000, 2),
        },
    ),
    "returns of many steps": (
        "td_lambda",
        {**{name: small(0, 1_200_000) for name in ("v_tm1", "r_t", "discount_t", "v_t")}, "lambda_": 0.5},
    ),
}
